import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// Bridge networks: a network is a bridge on the host, an endpoint a veth pair. One end of the pair is a port of the
/// bridge, the other the container's interface.
struct BridgeDriver: HostDriver {
  let host: NetworkNamespace
  let firewall: Firewall
  let name = NetworkDriver.bridge
  let traits: DriverTraits = Self.traits
  let indices = BridgeIndices()
  let uplinks = UplinkWatch()

  init(host: NetworkNamespace, firewall: Firewall) {
    self.host = host
    self.firewall = firewall
  }

  static let traits: DriverTraits = {
    var traits = DriverTraits()
    (traits.hasGateway, traits.passesHost, traits.publishesPorts) = (true, true, true)
    return traits
  }()

  // MARK: - Networks

  func validate(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError] {
    var faults = try sourceAddressFaults(plan.options.policy, plan.operation)
    if plan.options.parent != nil || plan.options.macvlanMode != .bridge {
      faults.append(
        plan.fault(
          .conflictingOptions,
          "a parent and its mode are the macvlan driver's or the ipvlan driver's; leave them out, or name that driver"))
    }
    try adopt(&plan)
    plan.bridge = plan.options.bridge
    if plan.bridge == nil { plan.bridge = try InterfaceName("br-\(plan.id.prefix(12))") }
    return faults
  }

  func setUp(_ network: NetworkRecord, on occasion: SetUpOccasion) throws(NetworkError) {
    switch occasion {
    case .creation: try create(network)
    case .start:
      try firewall.include(FirewallElements(network))
      if !network.adoptsBridge { try makeMissingBridge(network) }
      try configure(network)
    case .repair:
      try makeMissingBridge(network)
      try configure(network)
    }
  }

  private func makeMissingBridge(_ network: NetworkRecord) throws(NetworkError) {
    do throws(NetworkError) { try makeBridge(network) } catch { if error.code != .alreadyExists { throw error } }
  }

  /// Creates or adopts the bridge, adds the gateways' addresses and configures it.
  private func create(_ network: NetworkRecord) throws(NetworkError) {
    let elements = FirewallElements(network)
    // The rules first: from its first packet on, the bridge is one of ours, and to other records of the host no way out.
    try addRules(elements)
    if !network.adoptsBridge {
      do throws(NetworkError) { try makeBridge(network) } catch {
        // After a lost answer the bridge may be there: it is ours if it has our hardware address.
        let isMade = error.code == .replyLost && owns(network)
        throw error.with(
          leftovers: isMade
            ? tearDown(network) : attempt { () throws(NetworkError) in try firewall.remove(elements) })
      }
    }
    do throws(NetworkError) { try configure(network) } catch { throw error.with(leftovers: tearDown(network)) }
  }

  private func addRules(_ elements: FirewallElements) throws(NetworkError) {
    do throws(NetworkError) { try firewall.add(elements) } catch {
      // Elements that exist belong to another record. After a lost answer, our change may have been made: remove it.
      if error.code == .alreadyExists || error.code == .inUse { throw error }
      throw error.with(leftovers: attempt { () throws(NetworkError) in try firewall.remove(elements) })
    }
  }

  /// Creates the bridge, down, with a fixed hardware address. The kernel's own choice changes with the bridge's ports,
  /// which would make its containers' neighbour entries stale.
  func makeBridge(_ network: NetworkRecord) throws(NetworkError) {
    var options = BridgeOptions()
    options.learnsFromGroups = false
    try host.connection(.route).execute(
      LinkRequests.createBridge(
        network.requireBridge(), macAddress: network.bridgeMACAddress, mtu: network.mtu, options: options))
  }

  /// Adds settings and addresses; existing ones stay.
  func configure(_ network: NetworkRecord) throws(NetworkError) {
    let name = try network.requireBridge()
    let bridge = try host.links.get("\(name)")
    guard bridge.kind == "bridge" else {
      throw NetworkError(
        .conflictingOptions, operation: "set up network \"\(network.name)\"",
        reason: "the link \"\(name)\" is no bridge but \(bridge.kind ?? "hardware"); name another one")
    }
    var settings = LinkChange()
    if !network.adoptsBridge { settings.makesLinkLocalAddress = false }
    settings.forwardsIPv4 = network.families.contains(.ipv4) && !network.isInternal
    settings.routesLoopback = network.families.contains(.ipv4)
    try configureIPv6(network)
    let has = Set(try host.addresses.list(link: bridge.index).map(\.address))
    let hasLinkLocal = has.contains { $0.family == .ipv6 && $0.address.isLinkLocal }
    let missing = try addresses(of: network).filter { address in
      !has.contains(address) && !(hasLinkLocal && address.address.isLinkLocal)
    }
    // Those of IPv6 when it is up: before, the kernel makes no route of their prefix where memory is short at that moment
    // (fixup_permanent_addr, net/ipv6/addrconf.c).
    let (before, after) = (missing.filter { $0.family == .ipv4 }, missing.filter { $0.family == .ipv6 })
    let requests =
      [LinkRequests.change(bridge.index, settings)] + before.map { AddressRequests.add($0, to: bridge.index) }
      + [LinkRequests.change(bridge.index, LinkChange(isUp: true))]
      + after.map { AddressRequests.add($0, to: bridge.index) }
    try host.perform(requests)
  }

  /// The bridge's addresses: the gateways, unless the host must not be reachable.
  func addresses(of network: NetworkRecord) throws(NetworkError) -> [InterfaceAddress] {
    var addresses: [InterfaceAddress] = []
    for subnet in network.subnets where network.policy.gatewayMode(subnet.subnet.family) != .isolated {
      if let gateway = subnet.gateway {
        addresses.append(try InterfaceAddress(address: gateway, in: subnet.subnet))
      }
    }
    // To resolve the neighbour of a forwarded packet, the kernel needs an address of the link's own (ndisc_send_ns in
    // net/ipv6/ndisc.c). A static one, since the kernel's takes a second.
    if !network.isInternal, addresses.contains(where: { $0.family == .ipv6 }) {
      addresses.append(try InterfaceAddress("fe80::1/64"))
    }
    return addresses
  }

  /// Makes a bridge ignore its containers' router advertisements, even on a network without IPv6. Forwarding is enabled
  /// for the bridge alone if the kernel can (force_forwarding, Linux 6.17).
  private func configureIPv6(_ network: NetworkRecord) throws(NetworkError) {
    let hasIPv6 = network.families.contains(.ipv6)
    let bridge = try network.requireBridge()
    do throws(NetworkError) {
      try host.setSysctl("net/ipv6/conf/\(bridge)/accept_ra", to: "0")
    } catch {
      // A host booted without IPv6 has no such sysctl.
      if hasIPv6 || error.code != .notFound { throw error }
    }
    guard hasIPv6, !network.isInternal else { return }
    do throws(NetworkError) {
      try host.setSysctl("net/ipv6/conf/\(bridge)/force_forwarding", to: "1")
    } catch { if error.code != .notFound { throw error } }
  }

  /// Removes rules, addresses and bridge. Tries every step and returns the failures; a missing object is no failure.
  func tearDown(_ network: NetworkRecord) -> [NetworkError] {
    guard owns(network) else { return [] }
    var failures = attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(network)) }
    for further in network.furtherBridges ?? [] { failures += remove(further, of: network) }
    if let adopted = network.adopted {
      failures += setBack(network, to: adopted)
    } else {
      failures += attempt { () throws(NetworkError) in
        try host.delete(LinkRequests.delete(named: network.requireBridge()))
      }
    }
    return failures
  }

  // MARK: - Endpoints

  /// Creates an endpoint in four sends: one nftables transaction, two to the host, and one between them to the
  /// container's namespace. A fifth follows if the network has grown or the endpoint must announce itself to all. With
  /// UDP ports the host's flows are listed, too.
  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    // The rules precede the port: from its first frame on, it sends only from its own addresses.
    let elements = FirewallElements(endpoint, on: network)
    try addRules(elements)
    do throws(NetworkError) {
      // Not earlier: a packet before the ports' map entries would have created the flow again.
      try forgetFlows(of: endpoint, on: network, isReleased: false)
      try plug(endpoint, to: network, in: namespace, routes: routes)
    } catch {
      let leftovers =
        error.leftovers + attempt { () throws(NetworkError) in try firewall.remove(elements) }
        + attempt { () throws(NetworkError) in try forgetFlows(of: endpoint, on: network, isReleased: true) }
      throw error.withoutLeftovers.with(leftovers: leftovers)
    }
  }

  /// Creates the veth pair of an endpoint, its addresses and routes.
  func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    let bridge = try network.bridge(of: endpoint)
    if let index = indices.known(bridge) {
      if try plug(endpoint, to: network, at: index, in: namespace, routes: routes) { return }
      indices.forget(bridge)
    }
    // The lookup precedes the change, so it is repeated if the bridge is recreated in between.
    for _ in 0..<3 {
      let index = try host.links.get("\(bridge)").index
      guard try plug(endpoint, to: network, at: index, in: namespace, routes: routes) else { continue }
      indices.note(bridge, index)
      return
    }
    throw NetworkError(
      .inUse, operation: "make the veth pair of \"\(endpoint.container)\" on \"\(network.name)\"",
      reason: "the bridge \(bridge) keeps being deleted and made again; find the program that does it, and try again")
  }

  /// - Parameter index: The presumed index of the bridge.
  /// - Returns: Whether the index was right; if not, nothing is left of the pair.
  private func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, at index: Int32, in namespace: NetworkNamespace,
    routes: [AddressFamily]
  ) throws(NetworkError) -> Bool {
    var echo: NetlinkMessage?
    var refusal: (request: Int, error: NetworkError)?
    do throws(NetworkError) {
      try host.connection(.route).perform(try pairRequests(endpoint, network, index, namespace)) { request, reply in
        if request == 0 { echo = reply }
      } onRefusal: {
        refusal = refusal ?? ($0, $1)
      }
    } catch {
      // The answer is lost, so the pair may be there; its random name is on record as the endpoint's.
      throw error.with(leftovers: unplug(endpoint))
    }
    if let echo { uplinks.note(port: try Link.index(in: echo)) }
    if let error = refusal?.error, refusal?.request == 0 {
      // The index belongs to no link, or to one without ports: do_set_master in net/core/rtnetlink.c.
      let isOther = [Errno(rawValue: ENODEV), .invalidArgument, .notSupportedOnSocket]
      if let errno = error.kernel?.errno, isOther.contains(errno), try !isBridge(index, of: endpoint, network) {
        return false
      }
      // Another link of this name is not ours to delete.
      throw error
    }
    do throws(NetworkError) {
      if let refusal { throw refusal.error }
      let inside = try insideIndex(of: endpoint, echo, in: namespace)
      try configure(endpoint, inside, in: namespace, routes: routes)
      // As for the container's end, the request makes the kernel update the carrier, which the bridge gets with its
      // first port. The reply also tells whether the index was the bridge's.
      let look = try host.perform(
        portSettings(endpoint, network) + [
          LinkRequests.glance(at: endpoint.requirePort()), LinkRequests.glance(at: network.bridge(of: endpoint)),
        ])
      if let look, try Link.index(in: look) != index {
        let failures = unplug(endpoint)
        guard failures.isEmpty else { throw failures[0].with(leftovers: failures) }
        return false
      }
      if let look { try heed(look, ofBridgeOf: network, isFirst: endpoint.bridge == nil) }
      try tellBridges([(endpoint, network, echo)])
      if endpoint.announcesToAll == true { try announce(endpoint, inside, in: namespace) }
      return true
    } catch { throw error.leftovers.isEmpty ? error.with(leftovers: unplug(endpoint)) : error }
  }

  /// Notes a bridge that is there and passes nothing, as its link was just told; and that the host is to pass what it passes on.
  func heed(_ look: NetlinkMessage, ofBridgeOf network: NetworkRecord, isFirst: Bool) throws(NetworkError) {
    let hasIPv4 = isFirst && network.families.contains(.ipv4)
    let works = try Link.works(
      in: look, forwardingIPv4: hasIPv4 && !network.isInternal, routingLoopback: hasIPv4)
    if !works { firewall.losses.note() }
    uplinks.want(for: network)
  }

  /// The index of the container's end of a pair: the peer of the echoed link. Kernels before 6.0 send no echo.
  func insideIndex(
    of endpoint: Endpoint, _ echo: NetlinkMessage?, in namespace: NetworkNamespace
  ) throws(NetworkError) -> Int32 {
    if let echo, let peer = try Link.peer(in: echo) { return peer }
    return try namespace.links.get("\(endpoint.interface)").index
  }

  /// The index of the host's end.
  func portIndex(of endpoint: Endpoint, _ echo: NetlinkMessage?) throws(NetworkError) -> Int32 {
    if let echo { return try Link.index(in: echo) }
    return try host.links.get("\(endpoint.requirePort())").index
  }

  /// Whether the index is that of the endpoint's bridge.
  private func isBridge(
    _ index: Int32, of endpoint: Endpoint, _ network: NetworkRecord
  ) throws(NetworkError) -> Bool {
    try host.links.get("\(network.bridge(of: endpoint))").index == index
  }

  /// Reattaches the host's end of an existing pair to its bridge, and brings it up.
  func replug(_ endpoint: Endpoint, to network: NetworkRecord) throws(NetworkError) {
    let port = try endpoint.requirePort()
    var change = LinkChange(isUp: true)
    change.master = try host.links.get("\(network.bridge(of: endpoint))").index
    try host.perform([LinkRequests.change(named: port, change)] + portSettings(endpoint, network))
  }

  /// The requests for a veth pair with its port on the bridge and up; the first creates it.
  func pairRequests(
    _ endpoint: Endpoint, _ network: NetworkRecord, _ bridge: Int32, _ namespace: NetworkNamespace
  ) throws(NetworkError) -> [NetlinkRequest] {
    let port = try endpoint.requirePort()
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    return [
      LinkRequests.createVeth(
        VethEnd(port, master: bridge),
        peer: VethEnd(
          endpoint.interface, macAddress: endpoint.macAddress, namespace: namespace.handle.descriptor),
        mtu: network.mtu),
      LinkRequests.change(named: port, quiet),
      LinkRequests.change(named: port, LinkChange(isUp: true)),
    ]
  }

  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError] { disconnect(endpoint, from: network) }

  /// Removes an endpoint, both ends of the pair at once. Tries every step and returns the failures.
  private func disconnect(_ endpoint: Endpoint, from network: NetworkRecord) -> [NetworkError] {
    attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(endpoint, on: network)) }
      + attempt { () throws(NetworkError) in try forgetFlows(of: endpoint, on: network, isReleased: true) }
      + unplug(endpoint)
  }

  /// Deletes the pair.
  func unplug(_ endpoint: Endpoint) -> [NetworkError] {
    attempt { () throws(NetworkError) in
      try host.delete(LinkRequests.delete(named: endpoint.requirePort()))
    }
  }
}
