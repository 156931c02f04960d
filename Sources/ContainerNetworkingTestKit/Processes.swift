import Dispatch
public import Netlink
public import NetworkPrimitives
import Synchronization
import SystemPackage

/// The programs of a simulated kernel. None runs; each stays in its namespace until a test or a signal ends it.
final class SimulatedProcesses: Sendable {
  private struct Process {
    let namespace: NamespaceHandle
    var exit: ProcessExit?
    var waiting: [@Sendable () -> Void] = []
  }

  private struct Table {
    var processes: [Int32: Process] = [:]
    /// Above Linux's limit (`PID_MAX_LIMIT`, linux/threads.h): no real process has such an id.
    var lastID: Int32 = 1 << 22
  }

  private let table = Mutex(Table())

  func start(in namespace: NamespaceHandle) -> Int32 {
    table.withLock { table in
      table.lastID += 1
      table.processes[table.lastID] = Process(namespace: namespace)
      return table.lastID
    }
  }

  /// The namespace of a process; nil for an unknown or ended one.
  func namespace(of id: Int32) -> NamespaceHandle? {
    table.withLock { $0.processes[id].flatMap { $0.exit == nil ? $0.namespace : nil } }
  }

  /// Whether a process exists; it may have ended without a wait.
  func contains(_ id: Int32) -> Bool { table.withLock { $0.processes[id] != nil } }

  func end(_ id: Int32, with exit: ProcessExit) {
    let waiting = table.withLock { table in
      guard table.processes[id]?.exit == nil else { return [@Sendable () -> Void]() }
      table.processes[id]?.exit = exit
      defer { table.processes[id]?.waiting = [] }
      return table.processes[id]?.waiting ?? []
    }
    for wake in waiting { wake() }
  }

  /// Returns the exit of an ended process and forgets it; else calls `wake` at its end.
  ///
  /// - Throws: `ECHILD` for an unknown process, or after a wait.
  func reap(_ process: ChildProcess, wake: (@Sendable () -> Void)?) throws(NetworkError) -> ProcessExit? {
    // Released outside the lock: releasing a namespace's last reference changes the kernel's state.
    let ended = try table.withLock { (table) throws(NetworkError) -> Process? in
      guard let found = table.processes[process.id] else {
        throw systemError(.noChildProcess, "waitpid", "wait for \(process)")
      }
      if found.exit != nil { return table.processes.removeValue(forKey: process.id) }
      if let wake { table.processes[process.id]?.waiting.append(wake) }
      return nil
    }
    return ended?.exit
  }
}

extension SimulatedKernel {
  /// Starts nothing: a process exists in the namespace until ``endProcess(_:with:)`` or a signal ends it. It reads and
  /// writes nothing, whatever the command.
  ///
  /// - Throws: `.invalidValue` for a NUL in a text.
  public func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try command.check()
    return ChildProcess(id: processes.start(in: namespace), on: self)
  }

  /// Ends a process as if by its own exit. One that has ended stays as it is.
  public func endProcess(_ process: ChildProcess, with exit: ProcessExit = .exited(0)) {
    processes.end(process.id, with: exit)
  }

  /// As `LinuxKernel.wait(for:timeout:)`.
  public func wait(for process: ChildProcess, timeout: Duration?) throws(NetworkError) -> ProcessExit {
    let ended = DispatchSemaphore(value: 0)
    if let exit = try processes.reap(process, wake: { ended.signal() }) { return exit }
    if let timeout {
      guard ended.wait(timeout: .now() + .milliseconds(Int(max(0, timeout.milliseconds)))) == .success else {
        throw systemError(.timedOut, "poll", "wait for \(process)")
      }
    } else {
      ended.wait()
    }
    guard let exit = try processes.reap(process, wake: nil) else {
      throw systemError(.noChildProcess, "waitpid", "wait for \(process)")
    }
    return exit
  }

  private enum Awaited { case ended, late, cancelled }

  /// As `LinuxKernel.end(of:within:)`.
  public func end(of process: ChildProcess, within limit: Duration?) async throws(NetworkError) -> ProcessExit {
    let answer = OneAnswer<Awaited>()
    if let exit = try processes.reap(process, wake: { answer.give(.ended) }) { return exit }
    if let limit {
      DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Int(max(0, limit.milliseconds)))) {
        answer.give(.late)
      }
    }
    switch await answer.value(orCancelled: .cancelled) {
    case .ended: break
    case .late: throw systemError(.timedOut, "poll", "wait for \(process)")
    case .cancelled: throw .waitCancelled(process)
    }
    guard let exit = try processes.reap(process, wake: nil) else {
      throw systemError(.noChildProcess, "waitpid", "wait for \(process)")
    }
    return exit
  }

  /// Ends the process if that is the signal's default action (signal(7)); signal 0 only tests for the process.
  ///
  /// - Throws: `.notFound` after a wait, or for an unknown process; `EINVAL` for an invalid signal.
  public func signal(_ number: Int32, to process: ChildProcess) throws(NetworkError) {
    let operation = "send signal \(number) to \(process)"
    guard process.id > 0 else {
      throw NetworkError(.invalidValue, operation: operation, reason: "process ids are 1 and up")
    }
    guard (0...64).contains(number) else { throw systemError(.invalidArgument, "kill", operation) }
    guard processes.contains(process.id) else { throw systemError(.noSuchProcess, "kill", operation) }
    // CHLD, CONT, URG and WINCH are ignored, STOP, TSTP, TTIN and TTOU stop it.
    let harmless: Set<Int32> = [0, 17, 18, 19, 20, 21, 22, 23, 28]
    if !harmless.contains(number) { processes.end(process.id, with: .signaled(number)) }
  }
}
