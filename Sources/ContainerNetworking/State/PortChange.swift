/// A change of a running endpoint's published ports that is under way, or was left so.
public struct PortChange: Hashable, Sendable, Codable {
  /// The ports that come or go; ``Endpoint/ports`` has none of them.
  public var ports: [PublishedPort]
  /// ``Phase/creating`` while they are published, ``Phase/removing`` while they are released.
  public var phase: Phase
  /// Who is at it.
  public var owner: String
}

extension Endpoint {
  /// Those that are published, and those that are about to be or still.
  var allPorts: [PublishedPort] { ports + (portChange?.ports ?? []) }

  /// Has it be taken away, with whatever of its ports is about to change.
  mutating func beginRemoval(by owner: String) {
    ports = allPorts
    portChange = nil
    phase = .removing
    self.owner = owner
  }
}
