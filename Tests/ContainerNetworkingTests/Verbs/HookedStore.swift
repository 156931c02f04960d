import ContainerNetworking
import Dispatch
import Synchronization
import SystemPackage

/// A store whose changes can be held up, or fail as on a full disk.
final class HookedStore: Store {
  private let real: any Store
  private let isFull = Mutex(false)
  private let updatesToGate = Mutex(0)
  private let arrival = DispatchSemaphore(value: 0)
  private let opening = DispatchSemaphore(value: 0)

  init(_ real: any Store = MemoryStore()) { self.real = real }

  /// Has every change fail from now on, or none.
  func setFull(_ isFull: Bool) { self.isFull.withLock { $0 = isFull } }

  /// Has the `number`th update from now wait before it begins; 1 is the next.
  func closeGate(forUpdate number: Int) { updatesToGate.withLock { $0 = number } }

  /// Waits until that update has come.
  func updateAtGate() async {
    await withCheckedContinuation { continuation in
      DispatchQueue(label: "store gate").async {
        self.arrival.wait()
        continuation.resume()
      }
    }
  }

  /// Lets it go on.
  func openGate() { opening.signal() }

  var token: String { real.token }
  func isAlive(_ token: String) -> Bool { real.isAlive(token) }
  func read(since revision: UInt64) throws(NetworkError) -> StoreDelta { try real.read(since: revision) }
  func update<Value: Sendable>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64) {
    let isHeld = updatesToGate.withLock { count in
      count -= 1
      return count == 0
    }
    if isHeld {
      arrival.signal()
      opening.wait()
    }
    return try real.update(since: revision, durability) { (delta) throws(NetworkError) in
      let result = try body(delta)
      if !result.1.isEmpty, isFull.withLock({ $0 }) {
        throw NetworkError(
          .kernelRefused, operation: "write the record", kernel: KernelReport(errno: .noSpace, request: "write"))
      }
      return result
    }
  }
  func exclusively<Value: Sendable>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    try real.exclusively(body)
  }
  func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
    try real.events(after: number)
  }
}
