public import NetworkPrimitives

/// A program that was started; waited for, once, by whoever started it. Calls go to the kernel that it runs on.
public struct ChildProcess: Sendable {
  /// Its process id.
  public let id: Int32
  private let kernel: any Kernel

  /// Makes a handle for a child of this process.
  ///
  /// - Parameters:
  ///   - id: Its process id.
  ///   - kernel: The kernel that it runs on; with a kernel of your own, that one, so that nobody else's process is meant.
  public init(id: Int32, on kernel: any Kernel) {
    self.id = id
    self.kernel = kernel
  }

  /// Waits until the program has ended. Blocks the calling thread; ``ended(within:)`` does not.
  ///
  /// - Parameter timeout: How long at most; nil for no limit.
  /// - Throws: `.replyLost` past the limit (it still runs then); `.kernelRefused` with `ECHILD` when it was waited for.
  public func wait(timeout: Duration? = nil) throws(NetworkError) -> ProcessExit {
    try kernel.wait(for: self, timeout: timeout)
  }

  /// Waits until the program has ended, without a thread.
  ///
  /// - Parameter limit: How long at most; nil for no limit.
  /// - Throws: As ``wait(timeout:)``; `.closed` when the task is cancelled (it still runs then).
  public func ended(within limit: Duration? = nil) async throws(NetworkError) -> ProcessExit {
    try await kernel.end(of: self, within: limit)
  }

  /// Sends the program a signal.
  ///
  /// - Throws: `.notFound` when it was waited for; `.permissionDenied`.
  public func signal(_ number: Int32) throws(NetworkError) { try kernel.signal(number, to: self) }
}

extension ChildProcess: Hashable, CustomStringConvertible {
  /// By process id.
  public static func == (left: ChildProcess, right: ChildProcess) -> Bool { left.id == right.id }

  /// By process id.
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  /// `process 4711`.
  public var description: String { "process \(id)" }
}

/// How a program ended.
public enum ProcessExit: Hashable, Sendable {
  /// It returned this code.
  case exited(Int32)
  /// This signal ended it.
  case signaled(Int32)
}

/// The former name, which Swift Testing has, too. Not available, so that theirs is meant where both are imported.
@available(*, unavailable, renamed: "ProcessExit")
public typealias ExitStatus = ProcessExit

extension Kernel {
  /// For kernels without processes.
  ///
  /// - Throws: `.unsupported`.
  public func wait(for process: ChildProcess, timeout: Duration?) throws(NetworkError) -> ProcessExit {
    throw .noProcesses("wait for \(process)")
  }

  /// For kernels without processes.
  ///
  /// - Throws: `.unsupported`.
  public func end(of process: ChildProcess, within limit: Duration?) async throws(NetworkError) -> ProcessExit {
    throw .noProcesses("wait for \(process)")
  }

  /// For kernels without processes.
  ///
  /// - Throws: `.unsupported`.
  public func signal(_ number: Int32, to process: ChildProcess) throws(NetworkError) {
    throw .noProcesses("send signal \(number) to \(process)")
  }
}

extension NetworkError {
  fileprivate static func noProcesses(_ operation: String) -> NetworkError {
    NetworkError(.unsupported, operation: operation, reason: "this kernel has no processes; use LinuxKernel")
  }

  /// For those who wait, and are told not to; the simulated kernel's too.
  package static func waitCancelled(_ process: ChildProcess) -> NetworkError {
    NetworkError(
      .closed, operation: "wait for \(process)",
      reason: "the task that waits was cancelled; the program goes on, end it with a signal or wait again")
  }
}
