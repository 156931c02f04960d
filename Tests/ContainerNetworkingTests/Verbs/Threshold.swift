import Dispatch
import Testing

/// A point where a test holds up another's step. No wait takes more than a minute: a test that awaits an event that
/// never comes fails instead of hanging.
final class Threshold: Sendable {
  private let arrival = DispatchSemaphore(value: 0)
  private let opening = DispatchSemaphore(value: 0)
  private static let patience = DispatchTimeInterval.seconds(60)

  /// Waits for an arrival.
  func awaitArrival(_ what: String) async {
    let hasCome = await withCheckedContinuation { continuation in
      DispatchQueue(label: "threshold").async {
        continuation.resume(returning: self.arrival.wait(timeout: .now() + Self.patience) == .success)
      }
    }
    #expect(hasCome, "no \(what) has come")
  }

  /// Lets one arrival, past or future, continue.
  func open() { opening.signal() }

  /// Comes, and waits until it may go on.
  func pass() {
    arrival.signal()
    if opening.wait(timeout: .now() + Self.patience) == .timedOut { Issue.record("nobody has opened") }
  }
}
