import Dispatch
public import Netlink
public import NetworkPrimitives
import Synchronization
import SystemPackage

/// The programs that were started on a simulated kernel. None runs; each is there, in its namespace, until a test or a signal
/// ends it.
final class SimulatedProcesses: Sendable {
  private struct Process {
    let namespace: NamespaceHandle
    var exit: ProcessExit?
    var waiting: [@Sendable () -> Void] = []
  }

  private struct Table {
    var processes: [Int32: Process] = [:]
    /// Above what Linux gives (`PID_MAX_LIMIT`, linux/threads.h): such an id is nobody's.
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

  /// The namespace that a process is in; nil when there is no such process, or it has ended.
  func namespace(of id: Int32) -> NamespaceHandle? {
    table.withLock { $0.processes[id].flatMap { $0.exit == nil ? $0.namespace : nil } }
  }

  /// Whether there is such a process, which may have ended and not been waited for.
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

  /// How it ended, if it has, and then it is forgotten; else calls `wake` when it does.
  ///
  /// - Throws: `ECHILD` for no child that is still to be waited for.
  func reap(_ process: ChildProcess, wake: (@Sendable () -> Void)?) throws(NetworkError) -> ProcessExit? {
    // Let go outside of the lock: with the last of a namespace the kernel's own state changes.
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
  /// Starts nothing: there is a process, in the namespace, until ``endProcess(_:with:)`` or a signal ends it. Whatever its
  /// command says, it reads and writes nothing.
  ///
  /// - Throws: `.invalidValue` for a NUL in a text.
  public func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try command.check()
    return ChildProcess(id: processes.start(in: namespace), on: self)
  }

  /// Has a process end by itself, as a program does that is done. One that has ended stays as it is.
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

  /// Ends the process, if that is the signal's default action (signal(7)); signal 0 only looks whether it is there.
  ///
  /// - Throws: `.notFound` when it was waited for, or is none of this kernel's; `EINVAL` for no signal.
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
