import Dispatch
import NetworkPrimitives
import Synchronization

/// Runs blocking kernel calls outside Swift's cooperative pool, a few at a time, in order of arrival, each on the first
/// free queue. A task with this executor already runs on such a queue, and calls directly.
final class Worker: TaskExecutor {
  private typealias Job = @Sendable () -> Void

  /// Identifies the worker of a queue.
  private static let owner = DispatchSpecificKey<ObjectIdentifier>()

  private struct Line {
    var idle: [DispatchQueue]
    /// The waiting jobs; those before `first` have begun.
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
    let queues = (0..<width).map { DispatchQueue(label: "\(label).\($0)") }
    line = Mutex(Line(idle: queues))
    for queue in queues { queue.setSpecific(key: Self.owner, value: ObjectIdentifier(self)) }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    // The closure keeps the worker for as long as the job runs on it.
    start { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
  }

  func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    if DispatchQueue.getSpecific(key: Self.owner) == ObjectIdentifier(self) { return try body() }
    let result: Result<Value, NetworkError> = await withCheckedContinuation { continuation in
      start {
        let outcome: Result<Value, NetworkError>
        do throws(NetworkError) { outcome = .success(try body()) } catch { outcome = .failure(error) }
        // Transferred: the values it holds, such as a namespace, are released by the caller alone.
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

  /// Runs a job, and then all waiting ones.
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
