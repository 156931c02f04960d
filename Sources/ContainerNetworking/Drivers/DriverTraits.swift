/// The properties of a driver's networks that other parts of the library ask for.
public struct DriverTraits: Hashable, Sendable {
  /// Whether the host has an address on a network, which is its containers' gateway. Then the gateway is chosen from the pool;
  /// otherwise a network has only the gateways that its creator names.
  public var hasGateway = false
  /// Whether packets of a network pass the host, which then has our tables and forwards.
  package var passesHost = false
  /// Whether containers' ports are published on the host.
  package var publishesPorts = false

  /// The properties of networks that are on a wire, past the host: none.
  public init() {}

  /// Those of the drivers of this library; without any for another's.
  static func ofOurs(_ driver: NetworkDriver) -> DriverTraits {
    driver == .bridge ? BridgeDriver.traits : DriverTraits()
  }
}
