import Dispatch
import NetworkPrimitives

/// Runs blocking kernel calls away from Swift's cooperative pool, one after the other.
struct Worker: Sendable {
  private let queue: DispatchQueue

  init(label: String) { queue = DispatchQueue(label: label) }

  func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    let result: Result<Value, NetworkError> = await withCheckedContinuation { continuation in
      queue.async {
        let outcome: Result<Value, NetworkError>
        do throws(NetworkError) { outcome = .success(try body()) } catch { outcome = .failure(error) }
        continuation.resume(returning: outcome)
      }
    }
    return try result.get()
  }
}
