public import NetworkPrimitives

/// How many sandboxes a controller keeps ready on a network, made before anybody asks for them; see
/// ``NetworkController/keepReady(_:on:refillsPerSecond:)``.
public struct ReadySandboxes: Hashable, Sendable {
  /// How many there are.
  public var count: Int
  /// How many there are to be.
  public var wanted: Int
  /// Why there are not more: what the last one that was to be made failed with. It is tried again after the next hand-over.
  public var failure: NetworkError?

  /// Makes the description of a stock.
  public init(count: Int, wanted: Int, failure: NetworkError? = nil) {
    self.count = count
    self.wanted = wanted
    self.failure = failure
  }
}

extension SandboxRecord {
  /// Whether it is one that is kept ready, and nobody's yet: its ``container`` is a name that no container can have.
  public var isKeptReady: Bool { Name.isOfReady(container) }
}

extension Endpoint {
  /// Whether it belongs to a sandbox that is kept ready, and nobody's yet.
  public var isKeptReady: Bool { Name.isOfReady(container) }
}

extension Name {
  /// Begins the names of what is kept ready; no container's own name begins so.
  private static let readyPrefix = "~"

  static func isOfReady(_ name: String) -> Bool { name.utf8.first == 0x7e }

  /// A new name of that kind.
  static func ofReady() -> String { readyPrefix + makeID().prefix(12) }
}
