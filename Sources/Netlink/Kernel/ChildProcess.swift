public import NetworkPrimitives

/// A started program; its starter must wait for it, once. Calls go to the kernel that it runs on.
public struct ChildProcess: Sendable {
  /// Its process id.
  public let id: Int32
  private let kernel: any Kernel

  /// Makes a handle for a child of this process.
  ///
  /// - Parameters:
  ///   - id: Its process id.
  ///   - kernel: The kernel that it runs on; pass your own kernel, if you have one, so that no foreign process is
  ///     meant.
  public init(id: Int32, on kernel: any Kernel) {
    self.id = id
    self.kernel = kernel
  }

  /// Waits until the program has ended. Blocks the calling thread; ``ended(within:)`` does not.
  ///
  /// - Parameter timeout: The maximum wait; nil for no limit.
  /// - Throws: `.replyLost` past the limit (the program still runs); `.kernelRefused` with `ECHILD` after an earlier
  ///   wait.
  public func wait(timeout: Duration? = nil) throws(NetworkError) -> ProcessExit {
    try kernel.wait(for: self, timeout: timeout)
  }

  /// Waits until the program has ended, without blocking a thread.
  ///
  /// - Parameter limit: The maximum wait; nil for no limit.
  /// - Throws: As ``wait(timeout:)``; `.closed` when the task is cancelled (the program still runs).
  public func ended(within limit: Duration? = nil) async throws(NetworkError) -> ProcessExit {
    try await kernel.end(of: self, within: limit)
  }

  /// Sends the program a signal.
  ///
  /// - Throws: `.notFound` after a wait; `.permissionDenied`.
  public func signal(_ number: Int32) throws(NetworkError) { try kernel.signal(number, to: self) }
}

extension ChildProcess: Hashable, CustomStringConvertible {
  /// Compares process ids.
  public static func == (left: ChildProcess, right: ChildProcess) -> Bool { left.id == right.id }

  /// Hashes the process id.
  public func hash(into hasher: inout Hasher) { hasher.combine(id) }

  /// `process 4711`.
  public var description: String { "process \(id)" }
}

/// The exit of a program.
public enum ProcessExit: Hashable, Sendable {
  /// It exited with this code.
  case exited(Int32)
  /// This signal ended it.
  case signaled(Int32)
}

/// The former name, which Swift Testing also uses. Unavailable, so that Swift Testing's type is meant where both are
/// imported.
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

  /// The error of a cancelled wait; the simulated kernel uses it too.
  package static func waitCancelled(_ process: ChildProcess) -> NetworkError {
    NetworkError(
      .closed, operation: "wait for \(process)",
      reason: "the waiting task was cancelled; the program still runs: end it with a signal, or wait again")
  }
}
