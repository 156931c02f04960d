import Synchronization
import Testing

/// Limits the number of concurrent test cases. A world holds some forty descriptors open, and Foundation's `Process`,
/// which other tests of this process use, waits by select(2), which supports no descriptor above 1,023.
struct FewWorlds: SuiteTrait, TestTrait, TestScoping {
  private struct Turns {
    var free = 4
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private static let turns = Mutex(Turns())

  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await withCheckedContinuation { continuation in
      let isFree = Self.turns.withLock { turns in
        guard turns.free == 0 else {
          turns.free -= 1
          return true
        }
        turns.waiting.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
    defer {
      let next: CheckedContinuation<Void, Never>? = Self.turns.withLock { turns in
        if turns.waiting.isEmpty {
          turns.free += 1
          return nil
        }
        return turns.waiting.removeFirst()
      }
      next?.resume()
    }
    try await function()
  }
}

extension Trait where Self == FewWorlds {
  /// See ``FewWorlds``.
  static var fewWorlds: Self { FewWorlds() }
}
