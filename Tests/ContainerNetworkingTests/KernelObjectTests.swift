import ContainerNetworking
import Testing

/// Namespaces, links, addresses and routes on the real kernel, each without a controller.
@Suite struct KernelObjectTests {
  @Test func newNamespaceHasLoopbackUp() throws {
    let namespace = try NetworkNamespace.create()
    let links = try namespace.links.list()
    #expect(links.map(\.name) == ["lo"])
    #expect(links[0].flags.contains([.up, .loopback]))
    #expect(links[0].mtu == 65536)
    #expect(try namespace.addresses.list().map(\.address.description) == ["127.0.0.1/8", "::1/128"])
  }

  @Test func bridgeAndVethAcrossNamespaces() throws {
    let host = try NetworkNamespace.create()
    let container = try NetworkNamespace.create()
    let mac = try MACAddress("02:42:0a:00:00:01")
    let bridge = try host.links.createBridge(InterfaceName("br0"), macAddress: mac, mtu: 1400)
    #expect(bridge.kind == "bridge")
    #expect(bridge.macAddress == mac)
    #expect(bridge.mtu == 1400)

    let end = try host.links.createVeth(
      VethEnd(InterfaceName("port0"), master: bridge.index),
      peer: VethEnd(InterfaceName("eth0"), namespace: container.handle.descriptor), mtu: 1400)
    #expect(end.master == bridge.index)
    #expect(end.transmitQueues == 1)
    let eth0 = try container.links.get("eth0")
    #expect(end.peer == eth0.index)
    #expect(eth0.kind == "veth")

    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    try container.links.change(eth0.index, quiet)
    try container.links.setUp(index: eth0.index)
    #expect(try container.links.get("eth0").flags.contains([.up, .multicast, .broadcast]))
    #expect(try container.addresses.list(link: eth0.index).isEmpty)

    try container.addresses.add(InterfaceAddress("10.0.0.2/24"), to: eth0.index)
    try container.addresses.add(InterfaceAddress("fd00::2/64"), to: eth0.index)
    #expect(
      try container.addresses.list(link: eth0.index).map(\.address.description) == ["10.0.0.2/24", "fd00::2/64"])
    let again = #expect(throws: NetworkError.self) {
      try container.addresses.add(InterfaceAddress("10.0.0.2/24"), to: eth0.index)
    }
    #expect(again?.code == .alreadyExists)

    try host.links.delete(index: end.index)
    #expect(throws: NetworkError.self) { try container.links.get("eth0") }
  }

  @Test func routes() throws {
    let namespace = try NetworkNamespace.create()
    let link = try namespace.links.createBridge(InterfaceName("br0"))
    try namespace.links.setUp(index: link.index)
    try namespace.addresses.add(InterfaceAddress("10.0.0.1/24"), to: link.index)
    let routes = [
      Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("10.0.0.254"), link: link.index),
      Route(to: try Subnet("10.9.0.0/16"), link: link.index, metric: 5),
      Route(to: try Subnet("10.8.0.0/16"), table: 1000, kind: .blackhole),
    ]
    for route in routes { try namespace.routes.add(route) }
    let listed = try namespace.routes.list()
    for route in routes { #expect(listed.contains(route)) }
    #expect(listed.contains { $0.destination.description == "10.0.0.0/24" && $0.link == link.index })
    for route in routes { try namespace.routes.delete(route) }
    let gone = #expect(throws: NetworkError.self) { try namespace.routes.delete(routes[0]) }
    #expect(gone?.code == .notFound)
    let unreachable = #expect(throws: NetworkError.self) {
      try namespace.routes.add(Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("192.0.2.1")))
    }
    #expect(unreachable?.kernel?.message?.isEmpty == false)
  }

  @Test func forwardingIsPerLink() throws {
    let namespace = try NetworkNamespace.create()
    let link = try namespace.links.createBridge(InterfaceName("br0"))
    var change = LinkChange()
    change.forwardsIPv4 = true
    change.routesLoopback = true
    try namespace.links.change(link.index, change)
    #expect(try namespace.sysctl("net/ipv4/conf/br0/forwarding") == "1")
    #expect(try namespace.sysctl("net/ipv4/conf/br0/route_localnet") == "1")
    #expect(try namespace.sysctl("net/ipv4/conf/lo/forwarding") == "0")
  }

  @Test func namesAreChecked() throws {
    let namespace = try NetworkNamespace.create()
    let error = #expect(throws: NetworkError.self) { try namespace.links.get("a-name-much-too-long") }
    #expect(error?.code == .invalidValue)
    #expect(throws: NetworkError.self) { try namespace.links.get("absent") }
    try namespace.links.createBridge(InterfaceName("br0"))
    let taken = #expect(throws: NetworkError.self) { try namespace.links.createBridge(InterfaceName("br0")) }
    #expect(taken?.code == .alreadyExists)
    #expect(throws: NetworkError.self) { try NetworkNamespace.open(name: "../etc") }
  }
}
