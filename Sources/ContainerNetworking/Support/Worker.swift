import Dispatch
import NetworkPrimitives
import Synchronization

/// Runs blocking kernel calls away from Swift's cooperative pool, a few at a time, each on the queue with the least to do.
final class Worker: Sendable {
  private let queues: [DispatchQueue]
  private let loads: Mutex<[Int]>

  init(label: String, width: Int = 16) {
    queues = (0..<width).map { DispatchQueue(label: "\(label).\($0)") }
    loads = Mutex([Int](repeating: 0, count: width))
  }

  func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    let index = loads.withLock { loads in
      let index = loads.indices.min { loads[$0] < loads[$1] } ?? 0
      loads[index] += 1
      return index
    }
    let result: Result<Value, NetworkError> = await withCheckedContinuation { continuation in
      queues[index].async { [self] in
        let outcome: Result<Value, NetworkError>
        do throws(NetworkError) { outcome = .success(try body()) } catch { outcome = .failure(error) }
        loads.withLock { $0[index] -= 1 }
        continuation.resume(returning: outcome)
      }
    }
    return try result.get()
  }
}
