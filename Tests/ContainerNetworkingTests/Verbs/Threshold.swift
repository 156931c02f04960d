import Dispatch
import Testing

/// Where a test holds up another's step. Nobody waits there for more than a minute: a test that awaits what never comes fails, and
/// does not hang.
final class Threshold: Sendable {
  private let arrival = DispatchSemaphore(value: 0)
  private let opening = DispatchSemaphore(value: 0)
  private static let patience = DispatchTimeInterval.seconds(60)

  /// Waits until somebody has come.
  func awaitArrival(_ what: String) async {
    let hasCome = await withCheckedContinuation { continuation in
      DispatchQueue(label: "threshold").async {
        continuation.resume(returning: self.arrival.wait(timeout: .now() + Self.patience) == .success)
      }
    }
    #expect(hasCome, "no \(what) has come")
  }

  /// Lets one who has come, or will come, go on.
  func open() { opening.signal() }

  /// Comes, and waits until it may go on.
  func pass() {
    arrival.signal()
    if opening.wait(timeout: .now() + Self.patience) == .timedOut { Issue.record("nobody has opened") }
  }
}
