import Dispatch
import NetworkPrimitives

extension Worker {
  /// Runs a call that may block for minutes on a thread of its own: a worker's few threads are for verbs.
  static func apart<Value: Sendable>(
    _ label: String, _ body: @escaping @Sendable () throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    let result: Result<Value, NetworkError> = await withCheckedContinuation { continuation in
      DispatchQueue(label: label).async {
        let outcome: Result<Value, NetworkError>
        do throws(NetworkError) { outcome = .success(try body()) } catch { outcome = .failure(error) }
        continuation.resume(returning: consume outcome)
      }
    }
    return try result.get()
  }
}
