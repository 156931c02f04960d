import Dispatch
import Glibc
import NetworkPrimitives
import Testing

@testable import ContainerNetworking

@Suite(.timeLimit(.minutes(5))) struct WorkerTests {
  /// A call that comes while every thread is at work goes to the first that is free, not behind a slow one.
  @Test func nobodyWaitsBehindASlowCallWhileAThreadIsFree() async throws {
    let worker = Worker(label: "test", width: 2)
    let started = DispatchSemaphore(value: 0)
    let finished = DispatchSemaphore(value: 0)
    let isQueued = DispatchSemaphore(value: 0)
    async let slow = worker.run { () throws(NetworkError) in
      started.signal()
      return finished.wait(timeout: .now() + 120) == .success
    }
    async let short: Void = worker.run { () throws(NetworkError) in
      started.signal()
      isQueued.wait()
    }
    await withCheckedContinuation { continuation in
      DispatchQueue(label: "test").async {
        started.wait()
        started.wait()
        continuation.resume()
      }
    }
    // Several, so that wherever they are put, one would be behind the slow call.
    async let others: Void = withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 { group.addTask { try await worker.run { () throws(NetworkError) in } } }
      try await Task.sleep(for: .milliseconds(100))
      isQueued.signal()
      try await group.waitForAll()
      finished.signal()
    }
    #expect(try await slow)
    try await short
    try await others
  }

  /// A task with the worker as its executor makes its calls on its own thread, refused ones included.
  @Test func aTaskOnItsThreadsStaysThere() async throws {
    let worker = Worker(label: "test", width: 1)
    let task = Task(executorPreference: worker) {
      var threads = [Self.thread()]
      for _ in 0..<3 { threads.append(try await worker.run { () throws(NetworkError) in Self.thread() }) }
      return Set(threads)
    }
    #expect(try await task.value.count == 1)
    let refused = Task(executorPreference: worker) {
      try await worker.run { () throws(NetworkError) in throw NetworkError(.refused, operation: "test") }
    }
    await #expect(throws: NetworkError.self) { try await refused.value }
  }

  private static func thread() -> UInt { UInt(pthread_self()) }
}
