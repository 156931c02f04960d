import Netlink
import NetworkPrimitives

extension Engine {
  /// Sees to it that no process of the host holds a port that was picked, and picks another in the place of one that is
  /// held. The record, where the ports are taken by now, is free for others while the kernel is asked.
  ///
  /// A process that takes the port afterwards is not kept from it: what comes from outside goes to the container then.
  ///
  /// - Returns: The endpoint with the ports that it has in the record.
  /// - Throws: `.inUse` for a port that was asked for by name, or all of a range; `.exhausted`; `.notFound` for a host
  ///   address that the host does not have.
  func settlePorts(
    of endpoint: Endpoint, on network: NetworkRecord, _ request: EndpointRequest
  ) throws(NetworkError) -> Endpoint {
    guard let ephemeral = request.ephemeral else { return endpoint }
    var endpoint = endpoint
    var held: Set<PortBinding> = []
    var free: Set<PortBinding> = []
    // Each turn finds another that is held, and the pick fails when none is left.
    while true {
      let asked = endpoint.ports.flatMap { $0.bindings(on: network) }.filter { !free.contains($0) }
      let found = try host.kernel.heldPorts(among: asked, in: host.handle)
      guard !found.isEmpty else { return endpoint }
      held.formUnion(found)
      free.formUnion(Set(asked).subtracting(found))
      var settled = endpoint
      settled.ports = try transaction { (transaction) throws(NetworkError) in
        settled.ports = try transaction.state.ports.pick(
          request.ports, for: endpoint.container, bindingAddress: network.policy.hostBindingAddress,
          ephemeral: ephemeral, avoiding: held, inPlaceOf: endpoint.ports)
        transaction.save(.endpoint(settled))
        return settled.ports
      }
      endpoint = settled
    }
  }
}

extension PublishedPort {
  /// What a process of the host would be bound to that gets what is sent to this port; none of a family whose containers
  /// are reached by their own addresses.
  func bindings(on network: NetworkRecord) -> [PortBinding] {
    network.families.filter { network.policy.gatewayMode($0) != .routed }
      .compactMap { family in
        guard let hostAddress else { return .any(family) }
        return hostAddress.family == family ? hostAddress : nil
      }
      .map { (address: IPAddress) in PortBinding(address, hostPort, transport) }
  }
}
