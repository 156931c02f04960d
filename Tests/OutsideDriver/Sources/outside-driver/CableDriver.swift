import ContainerNetworking

/// A driver of another package: a veth pair for each endpoint, and a route of the host to each of its addresses. There is no
/// bridge; the host routes between the containers, which need no ARP for anything but the host.
struct CableDriver: Driver {
  let host: NetworkNamespace
  let name = NetworkDriver("cable")

  /// The option with the metric of the host's routes, which the record keeps.
  static let metric = "cable_metric"

  func validate(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError] {
    var faults = plan.options.driverOptions.keys.sorted().filter { $0 != Self.metric }.map { name in
      plan.fault(.invalidValue, "a cable has no option \"\(name)\"; there is: \(Self.metric)")
    }
    // Routes of the host to the containers are in the network's subnet, and meant to be.
    plan.options.allowsHostOverlap = true
    let text = plan.options.driverOptions[Self.metric] ?? "100"
    if let metric = UInt32(text) {
      plan.state[Self.metric] = "\(metric)"
    } else {
      faults.append(
        plan.fault(.invalidValue, "\"\(text)\" is no metric; write a number, as in 100"))
    }
    return faults
  }

  func endpointTraits(on network: NetworkRecord) throws(NetworkError) -> EndpointTraits {
    var traits = EndpointTraits(network)
    // By the cable itself, whose other end is the host.
    traits.gateways = network.families.map { IPAddress.any($0) }
    return traits
  }

  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace,
    routes: [AddressFamily]
  ) throws(NetworkError) {
    let cable = try host.links.createVeth(
      VethEnd(end(of: endpoint)),
      peer: VethEnd(
        endpoint.interface, macAddress: endpoint.macAddress, namespace: namespace.handle.descriptor),
      mtu: network.mtu)
    do throws(NetworkError) {
      try host.links.setUp(index: cable.index)
      let inside = try namespace.links.get("\(endpoint.interface)").index
      try configure(endpoint, inside, in: namespace, routes: routes)
      let metric = network.driverState?[Self.metric].flatMap { UInt32($0) }
      for address in endpoint.addresses {
        let whole = try Subnet(
          containing: address.address, prefixLength: address.family == .ipv4 ? 32 : 128)
        try host.routes.add(Route(to: whole, link: cable.index, metric: metric))
      }
    } catch { throw error.with(leftovers: remove(endpoint)) }
  }

  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord,
    in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError] { remove(endpoint) }

  func differences(
    of network: NetworkRecord, _ endpoints: [Endpoint], _ host: HostSnapshot
  ) throws(NetworkError) -> [Difference] {
    var list: [Difference] = []
    for endpoint in endpoints where try !host.isUp(end(of: endpoint)) {
      list.append(
        Difference(
          .linkMissing, network: network.name, container: endpoint.container,
          "the cable of \"\(endpoint.container)\" is unplugged"))
    }
    return list
  }

  /// Both ends, and the routes by them.
  private func remove(_ endpoint: Endpoint) -> [NetworkError] {
    do throws(NetworkError) {
      try host.links.delete(index: host.links.get("\(end(of: endpoint))").index)
      return []
    } catch { return error.is(.notFound) ? [] : [error] }
  }

  private func end(of endpoint: Endpoint) throws(NetworkError) -> InterfaceName {
    try InterfaceName("cable\(endpoint.id.prefix(8))")
  }
}
