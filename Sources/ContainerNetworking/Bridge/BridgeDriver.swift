import Netlink
import NetworkPrimitives
import Synchronization

/// Networks made of a bridge on the host, and endpoints made of a veth pair: one end a port of the bridge, the other the
/// container's interface.
struct BridgeDriver: Sendable {
  let host: NetworkNamespace
  let firewall: Firewall

  // MARK: - Networks

  /// Makes the bridge, or takes the one that the network adopts, gives it the gateways' addresses and sets it up.
  ///
  /// - Parameter exists: Whether the bridge is there already.
  /// - Throws: What failed, with what could then not be taken back as ``NetworkError/leftovers``.
  func setUp(_ network: NetworkRecord, exists: Bool = false) throws(NetworkError) {
    if !network.adoptsBridge, !exists { try makeBridge(network) }
    do throws(NetworkError) {
      try configure(network)
      try firewall.add(FirewallElements(network))
    } catch { throw error.with(leftovers: tearDown(network)) }
  }

  /// The bridge, down, with a hardware address for good: the kernel's own choice changes with the bridge's ports, under its
  /// containers' neighbour entries.
  func makeBridge(_ network: NetworkRecord) throws(NetworkError) {
    var generator = SystemRandomNumberGenerator()
    let v4 = network.subnets.lazy.compactMap { $0.gateway?.v4 }.first
    let mac = v4.map { MACAddress(ipv4: $0) } ?? .random(using: &generator)
    try host.connection(.route).execute(
      LinkRequests.createBridge(network.bridge, macAddress: mac, mtu: network.mtu))
  }

  /// Settings and addresses; whatever is there already stays.
  func configure(_ network: NetworkRecord) throws(NetworkError) {
    let bridge = try host.links.get("\(network.bridge)")
    guard bridge.kind == "bridge" else {
      throw NetworkError(
        .conflictingOptions, operation: "set up network \"\(network.name)\"",
        reason: "the link \"\(network.bridge)\" is no bridge but \(bridge.kind ?? "hardware"); name another one")
    }
    var settings = LinkChange()
    if !network.adoptsBridge { settings.makesLinkLocalAddress = false }
    settings.forwardsIPv4 = network.families.contains(.ipv4) && !network.isInternal
    settings.routesLoopback = network.families.contains(.ipv4)
    try configureIPv6(network)
    let has = Set(try host.addresses.list(link: bridge.index).map(\.address))
    var requests = [LinkRequests.change(bridge.index, settings)]
    let hasLinkLocal = has.contains { $0.family == .ipv6 && $0.address.isLinkLocal }
    for address in try addresses(of: network)
    where !has.contains(address) && !(hasLinkLocal && address.address.isLinkLocal) {
      requests.append(AddressRequests.add(address, to: bridge.index))
    }
    requests.append(LinkRequests.change(bridge.index, LinkChange(isUp: true)))
    try host.perform(requests)
  }

  /// What the bridge has: the gateways, unless nothing is to reach the host.
  func addresses(of network: NetworkRecord) throws(NetworkError) -> [InterfaceAddress] {
    var addresses: [InterfaceAddress] = []
    for subnet in network.subnets where network.policy.gatewayMode(subnet.subnet.family) != .isolated {
      if let gateway = subnet.gateway {
        addresses.append(try InterfaceAddress(address: gateway, in: subnet.subnet))
      }
    }
    // Of a packet that it forwards, the kernel asks for the neighbour from an address of the link's own, or not at all
    // (ndisc_send_ns in net/ipv6/ndisc.c). One that is chosen, since the kernel's takes a second.
    if !network.isInternal, addresses.contains(where: { $0.family == .ipv6 }) {
      addresses.append(try InterfaceAddress("fe80::1/64"))
    }
    return addresses
  }

  /// A bridge takes no addresses and routes from what its containers announce, on a network without IPv6 neither. Forwarding
  /// is switched on for it alone where the kernel can do that (force_forwarding, Linux 6.17), see `HostSetup`.
  private func configureIPv6(_ network: NetworkRecord) throws(NetworkError) {
    let hasIPv6 = network.families.contains(.ipv6)
    do throws(NetworkError) {
      try host.setSysctl("net/ipv6/conf/\(network.bridge)/accept_ra", to: "0")
    } catch {
      // A host that was started without IPv6 has nothing to switch off.
      if hasIPv6 || error.code != .notFound { throw error }
    }
    guard hasIPv6, !network.isInternal else { return }
    do throws(NetworkError) {
      try host.setSysctl("net/ipv6/conf/\(network.bridge)/force_forwarding", to: "1")
    } catch { if error.code != .notFound { throw error } }
  }

  /// Takes rules, addresses and bridge away. Every step is tried; what failed is returned, what was gone is not a failure.
  func tearDown(_ network: NetworkRecord) -> [NetworkError] {
    var failures = attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(network)) }
    if let adopted = network.adopted {
      failures += setBack(network, to: adopted)
    } else {
      failures += attempt { () throws(NetworkError) in
        try host.connection(.route).execute(LinkRequests.delete(named: network.bridge))
      }
    }
    return failures
  }

  // MARK: - Adopted bridges

  /// What a network changes of a bridge, as it is now.
  func settings(ofBridge bridge: InterfaceName) -> [String: String] {
    let names = [
      "ipv4/conf/\(bridge)/forwarding", "ipv4/conf/\(bridge)/route_localnet", "ipv6/conf/\(bridge)/accept_ra",
      "ipv6/conf/\(bridge)/force_forwarding",
    ]
    // One that the kernel does not have is one that will not be changed.
    let values = names.compactMap { name in (try? host.sysctl("net/\(name)")).map { ("net/\(name)", $0) } }
    return Dictionary(uniqueKeysWithValues: values)
  }

  private func setBack(_ network: NetworkRecord, to adopted: AdoptedBridge) -> [NetworkError] {
    var failures = attempt { () throws(NetworkError) in
      let bridge = try host.links.get("\(network.bridge)")
      if !adopted.isUp { try host.links.setDown(index: bridge.index) }
      let has = Set(try host.addresses.list(link: bridge.index).map(\.address)).subtracting(adopted.addresses)
      for address in try addresses(of: network) where has.contains(address) {
        try host.addresses.remove(address, from: bridge.index)
      }
    }
    for (name, value) in adopted.sysctls.sorted(by: { $0.key < $1.key }) {
      failures += attempt { () throws(NetworkError) in
        if try host.sysctl(name) != value { try host.setSysctl(name, to: value) }
      }
    }
    return failures
  }

  // MARK: - Endpoints

  /// Makes an endpoint in three sends: one to each namespace, and one nftables transaction.
  ///
  /// - Parameter routes: The families whose default route it has.
  /// - Throws: As ``setUp(_:exists:)``.
  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    try plug(endpoint, to: network, in: namespace, routes: routes)
    do throws(NetworkError) {
      try firewall.add(FirewallElements(endpoint, on: network))
    } catch { throw error.with(leftovers: disconnect(endpoint, from: network)) }
  }

  /// The veth pair of an endpoint, its addresses and routes.
  ///
  /// - Throws: As ``setUp(_:exists:)``.
  func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    let outcomes = try makePair(endpoint, network, namespace)
    // A name that another link has is not ours to delete.
    if let error = outcomes[0].error { throw error }
    do throws(NetworkError) {
      for outcome in outcomes { if let error = outcome.error { throw error } }
      // Kernels before 6.0 do not echo the new link, whose other end is the one inside.
      let peer = if let echo = outcomes[0].replies.first { try Link(echo).peer } else { nil as Int32? }
      let inside = if let peer { peer } else { try namespace.links.get("\(endpoint.interface)").index }
      try configure(endpoint, inside, in: namespace, routes: routes)
      // A bridge with its first port carries packets once linkwatch has run, up to a second later; to be asked about a link
      // makes the kernel look at once (linkwatch_sync_dev in rtnl_getlink), in the order that the carrier comes up.
      try host.perform([LinkRequests.get(endpoint.hostInterface), LinkRequests.get(network.bridge)])
    } catch { throw error.with(leftovers: unplug(endpoint)) }
  }

  /// Puts the host's end of a pair that is there back on its bridge, and up.
  func replug(_ endpoint: Endpoint, to network: NetworkRecord) throws(NetworkError) {
    let port = endpoint.hostInterface
    var change = LinkChange(isUp: true)
    change.master = try host.links.get("\(network.bridge)").index
    try host.perform([LinkRequests.change(named: port, change)] + portSettings(endpoint, network))
  }

  /// Gives the container's end of a pair what it lacks of addresses, and sets it up.
  func reconfigure(_ endpoint: Endpoint, in namespace: NetworkNamespace) throws(NetworkError) {
    let link = try namespace.links.get("\(endpoint.interface)").index
    let has = Set(try namespace.addresses.list(link: link).map(\.address))
    let missing = endpoint.addresses.filter { !has.contains($0) }
    try namespace.perform(
      missing.map { AddressRequests.add($0, to: link) } + [LinkRequests.change(link, LinkChange(isUp: true))])
  }

  private func portSettings(_ endpoint: Endpoint, _ network: NetworkRecord) -> [NetlinkRequest] {
    let isIsolated = !network.policy.allowsContainerTraffic
    guard !endpoint.ports.isEmpty || isIsolated else { return [] }
    return [
      LinkRequests.setBridgePort(
        named: endpoint.hostInterface, isHairpin: !endpoint.ports.isEmpty, isIsolated: isIsolated)
    ]
  }

  private func configure(
    _ endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    settings.announcesAddresses = endpoint.address(.ipv4) != nil
    var requests = [LinkRequests.change(inside, settings)]
    for address in endpoint.addresses { requests.append(AddressRequests.add(address, to: inside)) }
    if endpoint.address(.ipv6) != nil {
      // By this one the container asks for the gateway when it answers from another network's address.
      let own = try InterfaceAddress(address: .v6(endpoint.macAddress.linkLocalAddress), prefixLength: 64)
      requests.append(AddressRequests.add(own, to: inside))
    }
    requests.append(LinkRequests.change(inside, LinkChange(isUp: true)))
    for gateway in endpoint.gateways where routes.contains(gateway.family) {
      requests.append(RouteRequests.add(Route(to: .all(gateway.family), via: gateway, link: inside)))
    }
    requests.append(LinkRequests.get(inside))  // see plug(_:to:in:routes:)
    if endpoint.address(.ipv4) == nil {
      // A hardware address that says nothing of the IPv6 one: tell the neighbours (unsolicited NA, RFC 4861 7.2.6).
      try namespace.setSysctl("net/ipv6/conf/\(endpoint.interface)/ndisc_notify", to: "1")
    }
    try namespace.perform(requests)
  }

  /// Asks for the veth pair, on the bridge and up.
  private func makePair(
    _ endpoint: Endpoint, _ network: NetworkRecord, _ namespace: NetworkNamespace
  ) throws(NetworkError) -> [NetlinkConnection.Outcome] {
    let port = endpoint.hostInterface
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    var requests = [
      LinkRequests.createVeth(
        VethEnd(port, master: try host.links.get("\(network.bridge)").index),
        peer: VethEnd(
          endpoint.interface, macAddress: endpoint.macAddress, namespace: namespace.handle.descriptor),
        mtu: network.mtu),
      LinkRequests.change(named: port, quiet),
      LinkRequests.change(named: port, LinkChange(isUp: true)),
    ]
    requests += portSettings(endpoint, network)
    return try host.connection(.route).perform(requests)
  }

  /// Takes an endpoint away, both ends of the pair at once. Every step is tried; what failed is returned.
  func disconnect(_ endpoint: Endpoint, from network: NetworkRecord) -> [NetworkError] {
    attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(endpoint, on: network)) }
      + unplug(endpoint)
  }

  /// Deletes the pair.
  func unplug(_ endpoint: Endpoint) -> [NetworkError] {
    attempt { () throws(NetworkError) in
      try host.connection(.route).execute(LinkRequests.delete(named: endpoint.hostInterface))
    }
  }
}

/// One step of a teardown that goes on whatever happens: the failure, unless the thing was gone already.
func attempt(_ step: () throws(NetworkError) -> Void) -> [NetworkError] {
  do throws(NetworkError) {
    try step()
    return []
  } catch { return error.code == .notFound ? [] : [error] }
}

extension NetworkError {
  private static let leftoversOperation = "take back"

  /// What could not be taken back after this failure.
  var leftovers: [NetworkError] {
    causes.last?.operation == Self.leftoversOperation ? causes[causes.count - 1].causes : []
  }

  /// This failure alone.
  var withoutLeftovers: NetworkError {
    var error = self
    if !leftovers.isEmpty { error.causes.removeLast() }
    return error
  }

  /// This failure, and what could not be taken back after it.
  func with(leftovers: [NetworkError]) -> NetworkError {
    guard !leftovers.isEmpty else { return self }
    var error = self
    error.causes.append(
      NetworkError(leftovers[0].code, operation: Self.leftoversOperation, causes: leftovers))
    return error
  }
}

extension NetworkNamespace {
  /// Sends requests to this namespace's kernel at once, and throws the first refusal.
  func perform(_ requests: [NetlinkRequest]) throws(NetworkError) {
    for outcome in try connection(.route).perform(requests) {
      if let error = outcome.error { throw error }
    }
  }
}
