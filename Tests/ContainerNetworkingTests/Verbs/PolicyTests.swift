import ContainerNetworking
import Playground
import Testing

/// The permitted traffic of a network, each policy as a table of who reaches whom.
@Suite(.timeLimit(.minutes(10))) struct PolicyTests {
  let world: Playground
  let controller: NetworkController
  let before: String

  init() async throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
    controller = try await NetworkController(host: world.host)
  }

  private func removeAll() async throws {
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// A network of both families, 10.60.0.0/24 and fd00:60::/64, which the outside has routes to.
  @discardableResult
  private func create(_ policy: NetworkPolicy, isInternal: Bool = false) async throws -> NetworkRecord {
    var options = try NetworkOptions(["10.60.0.0/24", "fd00:60::/64"], isInternal: isInternal)
    options.policy = policy
    let network = try await controller.createNetwork("net", options: options)
    for subnet in network.subnets { try world.routeFromOutside(to: subnet.subnet) }
    return network
  }

  /// The differences between the families.
  private let families = [
    (net: "10.60.0.", host: Playground.hostAddress, outside: Playground.outsideAddress),
    (net: "fd00:60::", host: Playground.hostIPv6Address, outside: Playground.outsideIPv6Address),
  ]

  /// With and without br_netfilter, which calls packet rules for bridged frames, and bridges packets that return to
  /// their own bridge (br_nf_pre_routing_finish).
  @Test(arguments: [true, false]) func containersKeptApart(callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    try await create(NetworkPolicy(allowsContainerTraffic: false))
    let one = try await controller.attach(
      "one", to: .network("net"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let two = try await controller.attach("two", to: .network("net"))
    let server = try world.serve("hello", port: 80, in: one.namespace)
    defer { server.stop() }
    var rows: [Reach] = []
    for (net, host, outside) in families {
      rows += [
        .ping(("one", one.namespace), ("two", net + "3"), false),
        .ping(("two", two.namespace), ("one", net + "2"), false),
        .fetch(("two", two.namespace), ("one", net + "2"), 80, "hello", false),
        .ping(("one", one.namespace), ("its gateway", net + "1"), true),
        .ping(("one", one.namespace), ("the host", host), true),
        .ping(("one", one.namespace), ("the outside", outside), true),
        .ping(("host", world.host), ("two", net + "3"), true),
        .fetch(("host", world.host), ("one", net + "2"), 80, "hello", true),
        .fetch(("outside", world.outside), ("one's port", host), 8080, "hello", true),
        .fetch(("host", world.host), ("one's port", host), 8080, "hello", true),
        .fetch(("two", two.namespace), ("one's port", host), 8080, "hello", true),
        .fetch(("two", two.namespace), ("one's port by the gateway", net + "1"), 8080, "hello", true),
        .fetch(("one", one.namespace), ("its own port", host), 8080, "hello", true),
      ]
    }
    await world.check(rows)
    // Not through the gateway either.
    let gateway = try IPAddress("10.60.0.1")
    try two.namespace.routes.add(
      Route(to: Subnet("10.60.0.2/32"), via: gateway, link: two.namespace.links.get("eth0").index))
    await world.check([.ping(("two", two.namespace), ("one by the gateway", "10.60.0.2"), false)])

    try await removeAll()
  }

  @Test func whatLeavesKeepsItsAddressWithoutMasquerade() async throws {
    try await create(NetworkPolicy(masquerades: false))
    let web = try await controller.attach(
      "web", to: .network("net"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let inside = try world.serve("hello", port: 80, in: web.namespace)
    defer { inside.stop() }
    let server = try world.serveConnections(port: 90, in: world.outside)
    defer { server.stop() }
    let seen = try world.callers(at: families.map(\.outside), 90, from: web.namespace)
    #expect(seen == [Playground.outsideAddress: "10.60.0.2", Playground.outsideIPv6Address: "fd00:60::2"])
    await world.check(
      families.flatMap { net, host, _ in
        [
          .ping(("outside", world.outside), ("web", net + "2"), false),
          .fetch(("outside", world.outside), ("web's port", host), 8080, "hello", true),
          .fetch(("web", web.namespace), ("its own port", host), 8080, "hello", true),
        ]
      })
    try await removeAll()
  }

  /// From outside, by the container's own address: ping, the published container port 80, and the unpublished port 81;
  /// by the host's: the published port 8080. And whether outgoing traffic is translated.
  @Test(
    arguments: [
      (NetworkPolicy.GatewayMode.nat, ping: false, published: false, other: false, host: true, isTranslated: true),
      (.natUnprotected, true, true, true, true, true), (.routed, true, true, false, false, false),
    ])
  func gatewayMode(
    _ mode: NetworkPolicy.GatewayMode, ping: Bool, published: Bool, other: Bool, host: Bool, isTranslated: Bool
  ) async throws {
    try await create(NetworkPolicy(gatewayModeIPv4: mode, gatewayModeIPv6: mode))
    let web = try await controller.attach(
      "web", to: .network("net"), options: AttachOptions(ports: [PortMapping("8080:80"), PortMapping("8081:80")]))
    let servers = [
      try world.serve("hello", port: 80, in: web.namespace), try world.serve("no", port: 81, in: web.namespace),
      try world.serveConnections(port: 90, in: world.outside),
    ]
    defer { for server in servers { server.stop() } }
    let outside = ("outside", world.outside)
    await world.check(
      families.flatMap { net, address, _ in
        [
          .ping(outside, ("web", net + "2"), ping), .fetch(outside, ("web", net + "2"), 80, "hello", published),
          .fetch(outside, ("web", net + "2"), 81, "no", other),
          .fetch(outside, ("web's port", address), 8080, "hello", host),
          .fetch(outside, ("web's other port", address), 8081, "hello", host),
          .ping(("host", world.host), ("web", net + "2"), true),
        ]
      })
    let seen = try world.callers(at: families.map(\.outside), 90, from: web.namespace)
    #expect(
      seen == [
        Playground.outsideAddress: isTranslated ? Playground.hostAddress : "10.60.0.2",
        Playground.outsideIPv6Address: isTranslated ? Playground.hostIPv6Address : "fd00:60::2",
      ])
    try await removeAll()
  }

  /// Each family has a mode of its own.
  @Test func gatewayModesAreOfAFamily() async throws {
    try await create(NetworkPolicy(gatewayModeIPv4: .nat, gatewayModeIPv6: .routed))
    try await controller.attach("web", to: .network("net"))
    await world.check([
      .ping(("outside", world.outside), ("web", "10.60.0.2"), false),
      .ping(("outside", world.outside), ("web", "fd00:60::2"), true),
    ])
    try await removeAll()
  }

  @Test func isolatedNetworkHasNoHost() async throws {
    let policy = NetworkPolicy(gatewayModeIPv4: .isolated, gatewayModeIPv6: .isolated)
    let open = await refusal { try await create(policy) }
    #expect(open?.code == .conflictingOptions)
    #expect(open?.description.contains("isolated") == true)
    let network = try await create(policy, isInternal: true)
    #expect(try world.host.addresses(of: "\(try #require(network.bridge))") == [])
    // No gateway has the first address, which is otherwise the first container's.
    func at(_ last: String) throws -> AttachOptions {
      AttachOptions(endpoint: EndpointOptions(addresses: try families.map { try IPAddress($0.net + last) }))
    }
    let one = try await controller.attach("one", to: .network("net"), options: at("2"))
    try await controller.attach("two", to: .network("net"), options: at("3"))
    #expect(try one.namespace.defaultRoutes() == [])
    await world.check(
      families.flatMap { net, host, outside in
        [
          .ping(("one", one.namespace), ("two", net + "3"), true),
          .ping(("one", one.namespace), ("a gateway", net + "1"), false),
          .ping(("one", one.namespace), ("the host", host), false),
          .ping(("one", one.namespace), ("the outside", outside), false),
          .ping(("host", world.host), ("one", net + "2"), false),
        ]
      })
    try await removeAll()
  }

  @Test func portsAreBoundToTheNetworksHostAddress() async throws {
    let eth0 = try world.host.links.get("eth0").index
    try world.host.addresses.add(InterfaceAddress("203.0.113.5/24"), to: eth0)
    try await create(NetworkPolicy(hostBindingAddress: try IPAddress("203.0.113.5")))
    let web = try await controller.attach(
      "web", to: .network("net"),
      options: AttachOptions(ports: [PortMapping("8080:80"), PortMapping("203.0.113.1:8081:80")]))
    #expect(
      web.endpoints[0].ports.map(\.description) == ["203.0.113.5:8080->80/tcp", "203.0.113.1:8081->80/tcp"])
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    let (outside, host) = (("outside", world.outside), ("host", world.host))
    await world.check([
      .fetch(outside, ("the binding", "203.0.113.5"), 8080, "hello", true),
      .fetch(host, ("the binding", "203.0.113.5"), 8080, "hello", true),
      .fetch(outside, ("another address", Playground.hostAddress), 8080, "hello", false),
      .fetch(outside, ("IPv6", Playground.hostIPv6Address), 8080, "hello", false),
      .fetch(host, ("loopback", "127.0.0.1"), 8080, "hello", false),
      .fetch(outside, ("an address of its own", Playground.hostAddress), 8081, "hello", true),
      .fetch(outside, ("not that", "203.0.113.5"), 8081, "hello", false),
    ])
    try await controller.removeAll()
    try world.host.addresses.remove(InterfaceAddress("203.0.113.5/24"), from: eth0)
    #expect(try world.host.contents(world) == before)
  }

  /// An existing bridge is used with its addresses, and stays as it was.
  @Test func aBridgeThatWasThereIsAdoptedAndStays() async throws {
    let bridge = try InterfaceName("br-own")
    let link = try world.host.links.createBridge(bridge).index
    try world.host.addresses.add(InterfaceAddress("10.61.0.7/24"), to: link)
    try world.host.addresses.add(InterfaceAddress("fd00:61::7/64"), to: link)
    try world.host.links.setUp(index: link)
    let before = try world.host.contents(world)
    var options = NetworkOptions(bridge: bridge)
    options.isIPv6Enabled = true
    let network = try await controller.createNetwork("net", options: options)
    #expect(network.adoptsBridge)
    #expect(network.subnets.map(\.subnet.description) == ["10.61.0.0/24", "fd00:61::/64"])
    #expect(network.subnets.compactMap(\.gateway?.description) == ["10.61.0.7", "fd00:61::7"])
    let other = await refusal { try await controller.createNetwork("other", options: NetworkOptions(bridge: bridge)) }
    #expect(other?.code == .inUse)
    let web = try await controller.attach("web", to: .network("net"))
    await world.check([
      .ping(("web", web.namespace), ("the outside", Playground.outsideAddress), true),
      .ping(("web", web.namespace), ("the outside", Playground.outsideIPv6Address), true),
    ])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)

    // The network's additions are removed again; the bridge is not.
    try await controller.createNetwork(
      "net", options: NetworkOptions(subnet: try Subnet("10.62.0.0/24"), bridge: bridge))
    #expect(try world.host.addresses(of: "br-own").filter { !$0.hasPrefix("fe80") }.contains("10.62.0.1/24"))
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  @Test func aLinkThatIsNoBridgeIsNotAdopted() async throws {
    let error = await refusal {
      try await controller.createNetwork("net", options: NetworkOptions(bridge: try InterfaceName("eth0")))
    }
    #expect(error?.code == .conflictingOptions)
    #expect(error?.description.contains("no bridge but veth") == true)
    #expect(try world.host.contents(world) == before)
  }

  @Test func namesMtuAndLabelsAreTheUsers() async throws {
    var options = NetworkOptions(
      subnet: try Subnet("10.60.0.0/24"), mtu: 1400, bridge: try InterfaceName("br-mine"), labels: ["tier": "db"])
    options.interfacePrefix = "wan"
    let network = try await controller.createNetwork("net", options: options)
    #expect(!network.adoptsBridge)
    #expect(network.labels == ["tier": "db"])
    #expect(try world.host.links.get("br-mine").mtu == 1400)
    let web = try await controller.attach("web", to: .network("net"))
    #expect(try web.namespace.links.get("wan0").mtu == 1400)
    #expect(try world.host.links.get("\(try #require(web.endpoints[0].hostInterface))").mtu == 1400)
    try await removeAll()
  }
}
