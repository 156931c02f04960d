import NetworkPrimitives
import Synchronization

/// The stage of a server between its starts and ends, and the tasks that wait until it answers.
final class ServerStage: Sendable {
  private enum Step { case idle, starting, running, stopping }

  private struct State {
    var step = Step.idle
    var server: RunningServer?
    var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
    var nextWaiter = 0
  }

  private let state = Mutex(State())

  /// The server, from the moment when others can reach it.
  var running: RunningServer? { state.withLock { $0.server } }

  /// Whether it answers for every network.
  var isRunning: Bool { state.withLock { $0.step == .running } }

  /// Whether it is started, or about to be.
  var isUsed: Bool { state.withLock { $0.step == .starting || $0.step == .running } }

  /// - Throws: `.refused` unless it is idle.
  func beginStart() throws(NetworkError) {
    try state.withLock { (state) throws(NetworkError) in
      guard state.step == .idle else {
        throw NetworkError(
          .refused, operation: "start the name server",
          reason: "it is running, starting or stopping; wait for that, and call it once")
      }
      state.step = .starting
    }
  }

  func has(_ server: RunningServer) { state.withLock { $0.server = server } }

  func isStarted() { settle(.running, .success(())) }

  func hasFailed(_ error: NetworkError) {
    state.withLock { $0.server = nil }
    settle(.idle, .failure(error))
  }

  /// - Returns: The server to stop; nil unless it is running.
  func beginStop() -> RunningServer? {
    state.withLock { state in
      guard state.step == .running else { return nil }
      state.step = .stopping
      defer { state.server = nil }
      return state.server
    }
  }

  func isStopped() { state.withLock { $0.step = .idle } }

  private func settle(_ step: Step, _ result: Result<Void, any Error>) {
    let waiters = state.withLock { state in
      state.step = step
      defer { state.waiters = [:] }
      return state.waiters.values
    }
    for waiter in waiters { waiter.resume(with: result) }
  }

  /// Returns once it runs.
  func ready() async throws {
    let number = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let result = state.withLock { state -> Result<Void, any Error>? in
          if state.step == .running { return .success(()) }
          // A later cancellation finds the task among the waiting ones.
          if Task.isCancelled { return .failure(CancellationError()) }
          state.waiters[number] = continuation
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: number) }?.resume(throwing: CancellationError())
    }
  }
}
