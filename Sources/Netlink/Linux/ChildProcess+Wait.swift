import CContainerNetworking
import Glibc
public import NetworkPrimitives

/// How a program ended.
public enum ExitStatus: Hashable, Sendable {
  /// It returned this code.
  case exited(Int32)
  /// This signal ended it.
  case signaled(Int32)
}

extension ChildProcess {
  /// Waits until the program has ended. Blocks the calling thread.
  ///
  /// - Parameter timeoutMilliseconds: How long at most; nil for no limit.
  /// - Throws: `.replyLost` past the limit (it still runs then); `.kernelRefused` with `ECHILD` when it was waited for.
  public func wait(timeoutMilliseconds: Int32? = nil) throws(NetworkError) -> ExitStatus {
    var status: Int32 = 0
    try check(unsafe cn_wait(id, timeoutMilliseconds ?? -1, &status), "waitpid", "wait for process \(id)")
    // The layout of a wait status, bits/waitstatus.h: the macros are not imported.
    let signal = status & 0x7f
    return signal == 0 ? .exited(status >> 8 & 0xff) : .signaled(signal)
  }

  /// Sends the program a signal.
  public func signal(_ number: Int32) throws(NetworkError) {
    try check(kill(id, number), orErrno: "kill", "send signal \(number) to process \(id)")
  }
}
