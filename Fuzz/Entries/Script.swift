import ContainerNetworking

/// A few objects of every kind in two namespaces, and all of them read back. On a kernel that records, it makes the
/// bytes that fuzzing starts from.
struct Script {
  let host: NamespaceHandle
  private let container: NamespaceHandle
  private let route: NetlinkConnection
  private let netfilter: NetlinkConnection

  private static let table = NftTable(family: .inet, name: "t")
  private static let addresses = NftSet(table: table, name: "addresses", key: [.ipv4Address], flags: .interval)
  private static let published = NftSet(
    table: table, name: "published", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port]))

  init(_ kernel: any Kernel) throws(NetworkError) {
    host = try kernel.makeNamespace()
    container = try kernel.makeNamespace()
    route = NetlinkConnection(try kernel.openSocket(.route, in: host))
    netfilter = NetlinkConnection(try kernel.openSocket(.netfilter, in: host))
  }

  /// Makes the objects.
  func make() throws(NetworkError) {
    let bridge = try execute(
      LinkRequests.createBridge(InterfaceName("br0"), macAddress: MACAddress("02:00:00:00:00:01"), mtu: 1500))
    var settings = LinkChange(isUp: true)
    settings.forwardsIPv4 = true
    settings.makesLinkLocalAddress = false
    _ = try execute(LinkRequests.change(bridge, settings))
    let port = VethEnd(try InterfaceName("port0"), master: bridge)
    let inside = VethEnd(try InterfaceName("eth0"), namespace: container.descriptor)
    _ = try execute(LinkRequests.createVeth(port, peer: inside, mtu: 1400))
    var options = BridgePortOptions()
    options.isHairpin = true
    options.suppressesNeighbors = true
    _ = try execute(LinkRequests.changeBridgePort(named: port.name, options))
    _ = try execute(AddressRequests.add(InterfaceAddress("10.0.0.1/24"), to: bridge))
    _ = try execute(AddressRequests.add(InterfaceAddress("fd00::1/64"), to: bridge))
    _ = try execute(
      RouteRequests.add(Route(to: Subnet("10.1.0.0/16"), via: IPAddress("10.0.0.2"), link: bridge, metric: 7)))
    _ = try execute(
      NeighborRequests.add(Neighbor(IPAddress("10.0.0.3"), macAddress: MACAddress("02:00:00:00:00:02"), link: bridge)))
    try makeTunnel(on: bridge)
    try makeFirewall()
  }

  private func makeTunnel(on bridge: Int32) throws(NetworkError) {
    var options = VxlanOptions(7, local: try IPAddress("10.0.0.1"))
    options.learnsAddresses = false
    options.answersNeighbors = true
    let end = VethEnd(try InterfaceName("vx0"), master: bridge)
    _ = try execute(LinkRequests.createVxlan(end, mtu: 1450, options: options))
    // The kernel does not echo a VXLAN.
    let tunnel = try execute(LinkRequests.get(end.name))
    _ = try execute(LinkRequests.changeVxlan(tunnel, VxlanChange(local: IPAddress("10.0.0.9"))))
    let mac = try MACAddress("02:00:00:00:00:03")
    var far = ForwardingEntry(mac, on: tunnel, to: try IPAddress("10.0.0.2"))
    far.port = 4790
    far.identifier = 8
    _ = try execute(ForwardingRequests.add(far))
    _ = try execute(ForwardingRequests.replace(ForwardingEntry(mac, behind: tunnel)))
    _ = try route.execute(ForwardingRequests.get(mac, on: tunnel, in: .link))
    for host in ["10.0.0.2", "10.0.0.3"] {
      let flood = ForwardingEntry(try MACAddress("00:00:00:00:00:00"), on: tunnel, to: try IPAddress(host))
      _ = try execute(ForwardingRequests.append(flood))
    }
    _ = try execute(ForwardingRequests.delete(mac, on: tunnel, in: .link))
    far.lifetime = .static
    _ = try execute(ForwardingRequests.add(far))
  }

  private func makeFirewall() throws(NetworkError) {
    var changes = NftTransaction()
    try changes.add(Self.table)
    try changes.add(Self.addresses)
    try changes.add(Self.published)
    try changes.add([NftElement(Subnet("10.0.0.0/24"))], to: Self.addresses)
    let key = NftValue.concatenation(.tcp, .port(8080))
    let target = NftValue.concatenation(.ipv4(IPv4Address(10, 0, 0, 2)), .port(80))
    try changes.add([NftElement(key, data: .value(target))], to: Self.published)
    let jumped = NftChain(table: Self.table, name: "jumped")
    let chain = NftChain(table: Self.table, name: "pre", base: NftChain.Base(.nat, hook: .prerouting, priority: -100))
    try changes.add(jumped)
    try changes.add(chain)
    try changes.add(
      NftRule(
        jumped,
        [
          .match([.sourceIPv4], .inSet("addresses")), .counter,
          .translate(
            NftTranslation(
              .destination,
              to: .map("published", key: [.transportProtocol, .destinationPort], family: .ipv4, port: true))),
        ]))
    try changes.add(NftRule(chain, [.verdict(.jump("jumped"))]))
    try changes.commit(over: netfilter)
  }

  /// Reads every object with the library's own readers.
  func readAll() throws(NetworkError) {
    for message in try route.dump(LinkRequests.list()) { _ = try Link(message) }
    for message in try route.dump(AddressRequests.list()) { _ = try AssignedAddress(message) }
    for message in try route.dump(RouteRequests.list()) { _ = try Route(message) }
    for message in try route.dump(NeighborRequests.list()) { _ = try Neighbor(message) }
    if let message = try? route.execute(LinkRequests.get(InterfaceName("br0"))).first {
      for message in try route.dump(ForwardingRequests.list(bridge: Link(message).index)) {
        _ = try ForwardingEntry(message)
      }
    }
    for message in try netfilter.dump(NftRequests.tables()) {
      let table = try NftTable(message)
      for message in try netfilter.dump(NftRequests.rules(of: table)) { _ = try NftRuleRecord(message) }
      for message in try netfilter.dump(NftRequests.sets(of: table)) {
        let set = try NftSet(message)
        _ = try NftElement.list(netfilter.dump(NftRequests.elements(of: set)), of: set)
      }
    }
    for message in try netfilter.dump(NftRequests.chains()) { _ = try NftChain(message) }
  }

  /// Takes the objects away again, one after the other.
  func remove() throws(NetworkError) {
    var changes = NftTransaction()
    try changes.delete([NftElement(.concatenation(.tcp, .port(8080)))], from: Self.published)
    changes.delete(Self.table)
    try changes.commit(over: netfilter)
    _ = try execute(RouteRequests.delete(Route(to: Subnet("10.1.0.0/16"), via: IPAddress("10.0.0.2"), metric: 7)))
    for name in ["vx0", "port0", "br0"] {
      guard let message = try route.execute(LinkRequests.get(InterfaceName(name))).first else { continue }
      _ = try execute(LinkRequests.delete(Link(message).index))
    }
  }

  /// The index of the link that answers a request; 0 where none does.
  private func execute(_ request: NetlinkRequest) throws(NetworkError) -> Int32 {
    guard let message = try route.execute(request).first, message.type == 16 else { return 0 }
    return try Link(message).index
  }
}
