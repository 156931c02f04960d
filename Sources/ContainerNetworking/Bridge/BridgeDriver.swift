import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// Networks made of a bridge on the host, and endpoints made of a veth pair: one end a port of the bridge, the other the
/// container's interface.
struct BridgeDriver: Driver {
  let host: NetworkNamespace
  let firewall: Firewall
  let indices = BridgeIndices()
  let uplinks = UplinkWatch()

  init(host: NetworkNamespace, firewall: Firewall) {
    self.host = host
    self.firewall = firewall
  }

  // MARK: - Networks

  func validate(
    _ options: inout NetworkOptions, _ operation: String
  ) throws(NetworkError) -> [NetworkError] {
    var faults = try sourceAddressFaults(options.policy, operation)
    if options.parent != nil || options.macvlanMode != .bridge {
      faults.append(
        NetworkError(
          .conflictingOptions, operation: operation,
          reason: "a parent and its mode are the macvlan driver's; leave them out, or name that driver"))
    }
    return faults
  }

  /// Makes the bridge, or takes the one that the network adopts, gives it the gateways' addresses and sets it up.
  func setUp(_ network: NetworkRecord) throws(NetworkError) {
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

  func bringBack(_ network: NetworkRecord) throws(NetworkError) {
    try firewall.include(FirewallElements(network))
    if !network.adoptsBridge {
      do throws(NetworkError) { try makeBridge(network) } catch {
        if error.code != .alreadyExists { throw error }
      }
    }
    try configure(network)
  }

  /// The bridge, down, with a hardware address for good: the kernel's own choice changes with the bridge's ports, under its
  /// containers' neighbour entries.
  func makeBridge(_ network: NetworkRecord) throws(NetworkError) {
    var options = BridgeOptions()
    options.learnsFromGroups = false
    try host.connection(.route).execute(
      LinkRequests.createBridge(
        network.requireBridge(), macAddress: network.bridgeMACAddress, mtu: network.mtu, options: options))
  }

  /// Settings and addresses; whatever is there already stays.
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

  /// The bridge's addresses: the gateways, unless nothing is to reach the host.
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
    let bridge = try network.requireBridge()
    do throws(NetworkError) {
      try host.setSysctl("net/ipv6/conf/\(bridge)/accept_ra", to: "0")
    } catch {
      // A host that was started without IPv6 has nothing to switch off.
      if hasIPv6 || error.code != .notFound { throw error }
    }
    guard hasIPv6, !network.isInternal else { return }
    do throws(NetworkError) {
      try host.setSysctl("net/ipv6/conf/\(bridge)/force_forwarding", to: "1")
    } catch { if error.code != .notFound { throw error } }
  }

  /// Takes rules, addresses and bridge away. Every step is tried; what failed is returned, what was gone is not a failure.
  func tearDown(_ network: NetworkRecord) -> [NetworkError] {
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
      let bridge = try host.links.get("\(network.requireBridge())")
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

  func macAddress(on network: NetworkRecord) throws(NetworkError) -> MACAddress? { nil }

  /// Makes an endpoint in four sends: one nftables transaction, two to the host and one between them to the container's
  /// namespace; in one more, where the network has grown or all are to hear of it. With UDP ports there is a look
  /// at the host's flows, too.
  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    // The rules first: from its first frame on, the port sends only what is its own.
    let elements = FirewallElements(endpoint, on: network)
    try addRules(elements)
    do throws(NetworkError) {
      // Not before: a packet that came before the ports were in the map would have made its flow anew.
      try forgetFlows(of: endpoint, on: network, isReleased: false)
      try plug(endpoint, to: network, in: namespace, routes: routes)
    } catch {
      let leftovers =
        error.leftovers + attempt { () throws(NetworkError) in try firewall.remove(elements) }
        + attempt { () throws(NetworkError) in try forgetFlows(of: endpoint, on: network, isReleased: true) }
      throw error.withoutLeftovers.with(leftovers: leftovers)
    }
  }

  /// The veth pair of an endpoint, its addresses and routes.
  func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    let bridge = try network.bridge(of: endpoint)
    if let index = indices.known(bridge) {
      if try plug(endpoint, to: network, at: index, in: namespace, routes: routes) { return }
      indices.forget(bridge)
    }
    // The look comes before the change, so it is repeated where another makes the bridge anew in between.
    for _ in 0..<3 {
      let index = try host.links.get("\(bridge)").index
      guard try plug(endpoint, to: network, at: index, in: namespace, routes: routes) else { continue }
      indices.note(bridge, index)
      return
    }
    throw NetworkError(
      .inUse, operation: "make the veth pair of \"\(endpoint.container)\" on \"\(network.name)\"",
      reason: "the bridge \(bridge) is deleted and made again and again; see by whom, and try again")
  }

  /// - Parameter index: What the bridge's index is held to be.
  /// - Returns: Whether it was; nothing is left of the pair if not.
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
      // No link has the index, or one that takes no ports: do_set_master in net/core/rtnetlink.c.
      let isOther = [Errno(rawValue: ENODEV), .invalidArgument, .notSupportedOnSocket]
      if let errno = error.kernel?.errno, isOther.contains(errno), try !isBridge(index, of: endpoint, network) {
        return false
      }
      // A name that another link has is not ours to delete.
      throw error
    }
    do throws(NetworkError) {
      if let refusal { throw refusal.error }
      let inside = try insideIndex(of: endpoint, echo, in: namespace)
      try configure(endpoint, inside, in: namespace, routes: routes)
      // As of the container's end, in the order that the carrier comes up: the bridge has it with its first port. And it
      // tells whether the index was the bridge's.
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
    if !network.isInternal { uplinks.want() }
  }

  /// The index of the container's end of a pair: the other one of the link that the kernel echoed. Kernels before 6.0 do not.
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

  /// Whether a link is the bridge that an endpoint is on.
  private func isBridge(
    _ index: Int32, of endpoint: Endpoint, _ network: NetworkRecord
  ) throws(NetworkError) -> Bool {
    try host.links.get("\(network.bridge(of: endpoint))").index == index
  }

  /// Puts the host's end of a pair that is there back on its bridge, and up.
  func replug(_ endpoint: Endpoint, to network: NetworkRecord) throws(NetworkError) {
    let port = try endpoint.requirePort()
    var change = LinkChange(isUp: true)
    change.master = try host.links.get("\(network.bridge(of: endpoint))").index
    try host.perform([LinkRequests.change(named: port, change)] + portSettings(endpoint, network))
  }

  /// Requests of the veth pair, on the bridge and up; the first makes it.
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

  /// Takes an endpoint away, both ends of the pair at once. Every step is tried; what failed is returned.
  private func disconnect(_ endpoint: Endpoint, from network: NetworkRecord) -> [NetworkError] {
    attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(endpoint, on: network)) }
      + attempt { () throws(NetworkError) in try forgetFlows(of: endpoint, on: network, isReleased: true) }
      + unplug(endpoint)
  }

  func unplug(_ endpoint: Endpoint, from network: NetworkRecord, in namespace: NetworkNamespace) -> [NetworkError] {
    unplug(endpoint)
  }

  /// Deletes the pair.
  func unplug(_ endpoint: Endpoint) -> [NetworkError] {
    attempt { () throws(NetworkError) in
      try host.delete(LinkRequests.delete(named: endpoint.requirePort()))
    }
  }
}
