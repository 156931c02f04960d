import NetworkPrimitives

/// A container's kept endpoints on networks from which it is disconnected.
extension Engine.Transaction {
  /// Reduces an endpoint to its restorable settings: addresses, names and ports. They stay reserved meanwhile.
  mutating func keep(_ endpoint: Endpoint, ports: [PublishedPort]) {
    var kept = endpoint
    kept.staticAddresses = endpoint.addresses.map(\.address)
    (kept.otherAddresses, kept.otherPorts, kept.otherBridges) = (nil, nil, nil)
    (kept.bridge, kept.gateways, kept.announcesToAll) = (nil, [], nil)
    (kept.ports, kept.portChange) = (ports, nil)
    (kept.phase, kept.owner) = (.stopped, "")
    let bridge = state.networks[endpoint.networkID]?.bridge
    for var other in state.endpoints(ofSandbox: endpoint.sandboxID) where other.id != endpoint.id {
      if other.forget(endpoint, on: bridge) { save(.endpoint(other)) }
    }
    save(.endpoint(kept))
  }
}

extension EndpointOptions {
  /// Fills options that the request omits with the kept ones.
  ///
  /// - Parameter usedNames: Names of the container's links.
  mutating func complete(by kept: Endpoint, usedNames: Set<String>) {
    if aliases.isEmpty { aliases = kept.aliases }
    if labels.isEmpty { labels = kept.labels ?? [:] }
    if macAddress == nil, addresses.isEmpty, !kept.hasDerivedMACAddress { macAddress = kept.macAddress }
    if interface == nil, !usedNames.contains(kept.interface.description) { interface = kept.interface }
    if gatewayPriority == 0 { gatewayPriority = kept.gatewayPriority }
  }
}

extension PortMapping {
  /// The mapping that requests a port as it was published.
  init(_ port: PublishedPort) throws(NetworkError) {
    try self.init(
      hostAddress: port.hostAddress, hostPorts: PortRange(port.hostPort), containerPorts: PortRange(port.containerPort),
      transport: port.transport)
  }
}
