public import NetworkPrimitives

/// The sandboxes that a controller keeps ready on a network; see
/// ``NetworkController/keepReady(_:on:refillsPerSecond:)``.
public struct ReadySandboxes: Hashable, Sendable {
  /// The number of ready sandboxes.
  public var count: Int
  /// The intended number.
  public var wanted: Int
  /// The error of the last failed replacement, if sandboxes are missing. The next hand-over tries again.
  public var failure: NetworkError?

  /// Makes the description of a stock.
  public init(count: Int, wanted: Int, failure: NetworkError? = nil) {
    self.count = count
    self.wanted = wanted
    self.failure = failure
  }
}

extension SandboxRecord {
  /// Whether it is a ready sandbox without an owner: its ``container`` is a name that no container can have.
  public var isKeptReady: Bool { Name.isOfReady(container) }
}

extension Endpoint {
  /// Whether it belongs to a ready sandbox without an owner.
  public var isKeptReady: Bool { Name.isOfReady(container) }
}

extension Name {
  /// The prefix of ready sandboxes' names; no container's own name begins with it.
  private static let readyPrefix = "~"

  static func isOfReady(_ name: String) -> Bool { name.utf8.first == 0x7e }

  /// A new name of that kind.
  static func ofReady() -> String { readyPrefix + makeID().prefix(12) }
}
