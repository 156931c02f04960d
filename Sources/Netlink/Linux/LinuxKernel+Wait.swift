import CContainerNetworking
import Dispatch
import Glibc
public import NetworkPrimitives
import SystemPackage

extension LinuxKernel {
  /// Waits until a child of this process has ended (waitpid(2)). Blocks the calling thread.
  ///
  /// - Throws: `.replyLost` past the limit; `.kernelRefused` with `ECHILD` after an earlier wait, or for a foreign
  ///   process.
  public func wait(for process: ChildProcess, timeout: Duration?) throws(NetworkError) -> ProcessExit {
    var status: Int32 = 0
    let limit = timeout.map { max(0, $0.milliseconds) } ?? -1
    try check(unsafe cn_wait(process.id, limit, &status), "waitpid", "wait for \(process)")
    // The layout of a wait status, bits/waitstatus.h: the macros are not imported.
    let signal = status & 0x7f
    return signal == 0 ? .exited(status >> 8 & 0xff) : .signaled(signal)
  }

  private enum Awaited { case ended, late, cancelled }

  /// The queue for pidfd events and time limits, shared by all processes.
  private static let ends = DispatchQueue(label: "Netlink.ends")

  /// Waits until a child of this process has ended, with a pidfd (pidfd_open(2)) instead of a thread.
  ///
  /// - Throws: As ``wait(for:timeout:)``; `.closed` when the task is cancelled.
  public func end(of process: ChildProcess, within limit: Duration?) async throws(NetworkError) -> ProcessExit {
    let descriptor = try check(cn_pidfd(process.id), "pidfd_open", "wait for \(process)")
    let answer = OneAnswer<Awaited>()
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: Self.ends)
    source.setEventHandler { answer.give(.ended) }
    source.setCancelHandler { close(descriptor) }
    source.activate()
    defer { source.cancel() }
    if let limit {
      Self.ends.asyncAfter(deadline: .now() + .milliseconds(Int(max(0, limit.milliseconds)))) { answer.give(.late) }
    }
    switch await answer.value(orCancelled: .cancelled) {
    case .ended: return try wait(for: process, timeout: nil)
    case .late: throw systemError(Errno.timedOut, "poll", "wait for \(process)")
    case .cancelled: throw .waitCancelled(process)
    }
  }

  /// Sends a signal (kill(2)).
  public func signal(_ number: Int32, to process: ChildProcess) throws(NetworkError) {
    // 0 and below are groups of processes.
    guard process.id > 0 else { throw .invalid("send signal \(number) to \(process)", "process ids are 1 and up") }
    try check(kill(process.id, number), orErrno: "kill", "send signal \(number) to \(process)")
  }
}
