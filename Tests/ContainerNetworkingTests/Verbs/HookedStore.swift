import ContainerNetworking
import Synchronization
import SystemPackage

/// A store whose changes can be delayed, or fail as on a full disk.
final class HookedStore: Store {
  private typealias Gate = @Sendable (StoreDelta) -> Bool
  private let real: any Store
  private let isFull = Mutex(false)
  private let gate = Mutex<Gate?>(nil)
  private let threshold = Threshold()

  init(_ real: any Store = MemoryStore()) { self.real = real }

  /// Makes every change fail from now on, or none.
  func setFull(_ isFull: Bool) { self.isFull.withLock { $0 = isFull } }

  /// Holds up the next update whose records fulfil the condition, before it begins.
  func closeGate(when isAwaited: @escaping @Sendable (StoreDelta) -> Bool = { _ in true }) {
    gate.withLock { $0 = isAwaited }
  }

  /// Holds up the next update after another change.
  func closeGateAfterNextChange() throws {
    let before = try real.read(since: 0).revision
    closeGate { $0.revision > before }
  }

  /// Waits until that update has come.
  func updateAtGate() async { await threshold.awaitArrival("update") }

  /// Lets it go on.
  func openGate() { threshold.open() }

  var token: String { real.token }
  func isAlive(_ token: String) -> Bool { real.isAlive(token) }
  func read(since revision: UInt64) throws(NetworkError) -> StoreDelta { try real.read(since: revision) }
  func update<Value: Sendable>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64) {
    let records = try gate.withLock { $0 } == nil ? nil : real.read(since: 0)
    let isHeld = gate.withLock { isAwaited in
      guard let records, isAwaited?(records) == true else { return false }
      isAwaited = nil
      return true
    }
    if isHeld { threshold.pass() }
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
