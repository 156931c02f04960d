package import ContainerNetworking

/// A network as an engine's configuration has it.
package struct NetworkWish: Sendable {
  /// The network's options.
  package var options = NetworkOptions()
  /// Routes of containers besides the default one.
  package var routes: [(destination: Subnet, gateway: IPAddress?)] = []
  /// The fields that the configuration says, and that are compared with an existing network.
  package var said: Set<NetworkOptions.Field> = [.driver, .subnets, .isInternal, .masquerades]

  package init() {}
}
