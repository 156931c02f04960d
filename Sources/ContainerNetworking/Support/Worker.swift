import Dispatch
import NetworkPrimitives
import Synchronization

/// Runs blocking kernel calls away from Swift's cooperative pool, a few at a time, in the order that they came: each on
/// the first queue that is free.
final class Worker: Sendable {
  private typealias Job = @Sendable () -> Void

  private struct Line {
    var idle: [DispatchQueue]
    /// What waits for a queue; those before `first` have begun.
    var jobs: [Job] = []
    var first = 0

    mutating func next() -> Job? {
      guard first < jobs.count else { return nil }
      defer {
        first += 1
        if first == jobs.count || first == 1_024 {
          jobs.removeFirst(first)
          first = 0
        }
      }
      return jobs[first]
    }
  }

  private let line: Mutex<Line>

  init(label: String, width: Int = 16) {
    line = Mutex(Line(idle: (0..<width).map { DispatchQueue(label: "\(label).\($0)") }))
  }

  func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    let result: Result<Value, NetworkError> = await withCheckedContinuation { continuation in
      start {
        let outcome: Result<Value, NetworkError>
        do throws(NetworkError) { outcome = .success(try body()) } catch { outcome = .failure(error) }
        // Handed over: what it holds, as a namespace, is the caller's alone to let go.
        continuation.resume(returning: consume outcome)
      }
    }
    return try result.get()
  }

  private func start(_ job: @escaping Job) {
    let free = line.withLock { line in
      guard let queue = line.idle.popLast() else {
        line.jobs.append(job)
        return nil as DispatchQueue?
      }
      return queue
    }
    free?.async { [self] in work(job, on: free) }
  }

  /// Runs a job, and whatever waits then.
  private func work(_ job: Job, on queue: DispatchQueue?) {
    job()
    while true {
      let next = line.withLock { line in
        let next = line.next()
        if next == nil, let queue { line.idle.append(queue) }
        return next
      }
      guard let next else { return }
      next()
    }
  }
}
