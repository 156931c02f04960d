import Dispatch
import NetworkPrimitives
import Synchronization

/// Admits concurrent calls, until it is closed for one that needs to be alone.
final class Gate: Sendable {
  private let inside = DispatchGroup()
  private let isClosed = Mutex(false)
  private let one = Mutex(())

  /// Runs a call, unless the gate is closed.
  ///
  /// - Throws: `.closed`; the errors of `body`.
  func pass<Value>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    let isLetIn = isClosed.withLock { isClosed in
      if !isClosed { inside.enter() }
      return !isClosed
    }
    guard isLetIn else {
      throw NetworkError(
        .closed, operation: "call the controller", reason: "everything is being removed; call again when that is done")
    }
    defer { inside.leave() }
    return try body()
  }

  /// Closes the gate, waits until all calls have returned, runs `body`, and opens again unless `staysClosed`.
  func alone<Value: Sendable>(
    staysClosed: Bool, _ body: () throws(NetworkError) -> Value
  ) throws(NetworkError) -> Value {
    let result: Result<Value, NetworkError> = one.withLock { _ in
      let wasClosed = isClosed.withLock { isClosed in
        defer { isClosed = true }
        return isClosed
      }
      defer { if !staysClosed, !wasClosed { isClosed.withLock { $0 = false } } }
      inside.wait()
      do throws(NetworkError) { return .success(try body()) } catch { return .failure(error) }
    }
    return try result.get()
  }
}
