/// A running or interrupted change of an endpoint's published ports.
public struct PortChange: Hashable, Sendable, Codable {
  /// The ports being published or released; ``Endpoint/ports`` does not contain them.
  public var ports: [PublishedPort]
  /// ``Phase/creating`` while they are published, ``Phase/removing`` while they are released.
  public var phase: Phase
  /// The process that makes the change.
  public var owner: String
}

extension Endpoint {
  /// The published ports, and those being published or released.
  var allPorts: [PublishedPort] { ports + (portChange?.ports ?? []) }

  /// Marks the endpoint for removal, pending port changes included.
  mutating func beginRemoval(by owner: String) {
    ports = allPorts
    portChange = nil
    phase = .removing
    self.owner = owner
  }
}
