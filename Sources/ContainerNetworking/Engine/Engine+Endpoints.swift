import AddressPools
import Netlink
import NetworkPrimitives

extension Engine {
  /// Makes an endpoint: three sends in all, one to each namespace and one nftables transaction.
  func connect(
    _ container: String, _ namespace: NetworkNamespace, _ interface: InterfaceName, to network: Network,
    _ options: AttachOptions, _ state: inout State, _ undo: inout Undo
  ) throws(NetworkError) -> Endpoint {
    var network = network
    let record = network.record
    var endpoint = try plan(container, interface, on: &network, options)
    if !record.isInternal, !options.ports.isEmpty {
      endpoint.ports = try state.ports.publish(options.ports, for: container, ephemeral: try ephemeralPorts())
    }

    let port = endpoint.hostInterface
    undo.note { [host] () throws(NetworkError) in try host.links.delete(index: try host.links.get("\(port)").index) }
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    var outside = [
      LinkRequests.createVeth(
        VethEnd(port, master: network.bridgeIndex),
        peer: VethEnd(
          interface, macAddress: endpoint.macAddress, namespace: namespace.handle.descriptor),
        mtu: record.mtu),
      LinkRequests.change(named: port, quiet),
      LinkRequests.change(named: port, LinkChange(isUp: true)),
    ]
    if !endpoint.ports.isEmpty { outside.append(LinkRequests.setHairpin(named: port)) }
    let outcomes = try host.connection(.route).perform(outside)
    for outcome in outcomes { if let error = outcome.error { throw error } }
    // Kernels before 6.0 do not echo the new link, whose other end is the one inside.
    let made = if let echo = outcomes[0].replies.first { try Link(echo).peer } else { nil as Int32? }
    let inside = if let made { made } else { try namespace.links.get("\(interface)").index }

    quiet.announcesAddresses = true
    var requests = [
      LinkRequests.change(inside, quiet), AddressRequests.add(endpoint.address, to: inside),
      LinkRequests.change(inside, LinkChange(isUp: true)),
    ]
    if let gateway = endpoint.gateway {
      requests.append(RouteRequests.add(Route(to: .all(gateway.family), via: gateway, link: inside)))
    }
    try perform(requests, in: namespace)

    let whole = endpoint
    try firewall.add(whole, on: record)
    undo.note { [firewall] () throws(NetworkError) in try firewall.remove(whole, on: record) }
    state.networks[record.id] = network
    return whole
  }

  /// Takes an endpoint away: every step is tried, and what failed is returned.
  func disconnect(_ endpoint: Endpoint, _ state: inout State) -> [NetworkError] {
    guard var network = state.networks[endpoint.networkID] else { return [] }
    var failures = attempt { () throws(NetworkError) in try firewall.remove(endpoint, on: network.record) }
    failures += attempt { () throws(NetworkError) in
      try host.links.delete(index: try host.links.get("\(endpoint.hostInterface)").index)
    }
    failures += attempt { () throws(NetworkError) in try network.pool.release(endpoint.address.address) }
    state.ports.release(endpoint.ports)
    state.networks[endpoint.networkID] = network
    return failures
  }

  /// The lowest `ethN` that the namespace does not have.
  func freeInterface(in namespace: NetworkNamespace) throws(NetworkError) -> InterfaceName {
    let names = Set(try namespace.links.list().map(\.name))
    var index = 0
    while names.contains("eth\(index)") { index += 1 }
    return try InterfaceName("eth\(index)")
  }

  private func plan(
    _ container: String, _ interface: InterfaceName, on network: inout Network, _ options: AttachOptions
  ) throws(NetworkError) -> Endpoint {
    let record = network.record
    for port in options.ports {
      if let address = port.hostAddress, address.family == .ipv6 {
        throw NetworkError(
          .unsupported, operation: "publish ports of \"\(container)\"",
          reason:
            "the host address \(address) is IPv6; ports are published on IPv4 so far: leave it out or name an IPv4 one")
      }
    }
    if let mac = options.macAddress, mac.isMulticast {
      throw NetworkError(
        .invalidValue, operation: "attach \"\(container)\"",
        reason: "the MAC address \(mac) is multicast; the first byte must be even, as in 02:42:ac:11:00:02")
    }
    let address: IPAddress
    if let wanted = options.address {
      try network.pool.allocate(wanted, for: container)
      address = wanted
    } else {
      address = try network.pool.allocate(for: container)
    }
    let id = makeID()
    var generator = SystemRandomNumberGenerator()
    let mac = options.macAddress ?? address.v4.map { MACAddress(ipv4: $0) } ?? .random(using: &generator)
    return Endpoint(
      id: id, networkID: record.id, networkName: record.name, interface: interface,
      hostInterface: try InterfaceName("veth\(id.prefix(8))"), macAddress: mac,
      address: try InterfaceAddress(address: address, in: record.subnet),
      gateway: record.isInternal ? nil : record.gateway, ports: [])
  }

  /// The host's ephemeral range (`ip_local_port_range`, ip(7)).
  private func ephemeralPorts() throws(NetworkError) -> ClosedRange<UInt16> {
    let bounds = try host.sysctl("net/ipv4/ip_local_port_range").split { $0 == " " || $0 == "\t" }
      .compactMap { UInt16($0) }
    guard bounds.count == 2, bounds[0] <= bounds[1] else { return 32768...60999 }
    return bounds[0]...bounds[1]
  }
}
