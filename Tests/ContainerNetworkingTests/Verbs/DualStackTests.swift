import ContainerNetworking
import Playground
import Testing

/// IPv4 alone, IPv6 alone, and both, packets included.
@Suite(.timeLimit(.minutes(10))) struct DualStackTests {
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

  @Test func bothFamiliesFromThePools() async throws {
    let network = try await controller.createNetwork("dual", options: NetworkOptions(isIPv6Enabled: true))
    #expect(network.families == [.ipv4, .ipv6])
    let block = try #require(network.subnet(.ipv6)?.subnet)
    #expect(block.prefixLength == 64)
    #expect(DefaultPools.ofThisMachine().pools.contains { $0.block.contains(block) })
    let gateways = network.subnets.compactMap(\.gateway)
    #expect(gateways == network.subnets.compactMap { $0.subnet.first.advanced(by: 1) })
    let bridge = "\(try #require(network.bridge))"
    // The gateways' addresses, the source of neighbour solicitations, and no others: none made by the kernel.
    let expected = zip(gateways, network.subnets).map { "\($0)/\($1.subnet.prefixLength)" }
    #expect(try world.host.addresses(of: bridge).sorted() == expected.sorted())
    #expect(try world.host.addresses(of: bridge, isLinkLocal: true) == ["fe80::1/64"])
    #expect(try world.host.sysctl("net/ipv6/conf/\(bridge)/accept_ra") == "0")
    #expect(try world.host.sysctl("net/ipv6/conf/eth0/force_forwarding") == "1")
    #expect(try world.host.sysctl("net/ipv6/conf/\(bridge)/force_forwarding") == "1")
    #expect(try world.host.sysctl("net/ipv6/conf/all/forwarding") == "0")
    #expect(try world.host.sysctl("net/ipv4/ip_forward") == "0")

    let web = try await controller.attach("web", to: .network("dual"))
    let endpoint = try #require(web.endpoints.first)
    #expect(endpoint.addresses.map(\.address) == network.subnets.compactMap { $0.subnet.first.advanced(by: 2) })
    #expect(try web.namespace.addresses(of: "eth0") == endpoint.addresses.map(\.description))
    #expect(
      try web.namespace.addresses(of: "eth0", isLinkLocal: true) == ["\(endpoint.macAddress.linkLocalAddress)/64"])
    // Usable at once, without duplicate address detection (RFC 4862, 5.4).
    for address in try web.namespace.addresses.list(link: web.namespace.links.get("eth0").index) {
      #expect(!address.flags.contains(.tentative), "\(address.address)")
    }
    #expect(
      try world.host.addresses.list(link: world.host.links.get("\(try #require(endpoint.hostInterface))").index) == [])
    #expect(try web.namespace.defaultRoutes() == gateways.map { "via \($0) dev eth0" }.sorted())
    try await removeAll()
  }

  @Test func bothFamiliesReachAndAreReached() async throws {
    try await controller.createNetwork(
      "dual", options: try NetworkOptions(["10.40.0.0/24", "fd00:40::/64"]))
    try await controller.createNetwork(
      "far", options: try NetworkOptions(["10.41.0.0/24", "fd00:41::/64"]))
    let web = try await controller.attach(
      "web", to: .network("dual"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let db = try await controller.attach("db", to: .network("dual"))
    let far = try await controller.attach("far", to: .network("far"))
    try world.routeFromOutside(to: Subnet("10.40.0.0/24"))
    try world.routeFromOutside(to: Subnet("fd00:40::/64"))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    let fromWeb = ("web", web.namespace)
    let fromDB = ("db", db.namespace)
    let fromFar = ("far", far.namespace)
    let fromHost = ("host", world.host)
    let fromOutside = ("outside", world.outside)
    var rows: [Reach] = []
    let families = [
      ("10.40.0.1", "10.40.0.2", Playground.hostAddress, Playground.outsideAddress),
      ("fd00:40::1", "fd00:40::2", Playground.hostIPv6Address, Playground.outsideIPv6Address),
    ]
    for (gateway, own, host, outside) in families {
      rows += [
        .ping(fromWeb, ("its gateway", gateway), true), .ping(fromWeb, ("the host", host), true),
        .ping(fromWeb, ("the outside", outside), true), .ping(fromDB, ("web", own), true),
        .ping(fromHost, ("web", own), true), .ping(fromFar, ("web", own), false),
        .ping(fromOutside, ("web", own), false), .fetch(fromOutside, ("web", own), 80, "hello", false),
        .fetch(fromFar, ("web", own), 80, "hello", false), .fetch(fromDB, ("web", own), 80, "hello", true),
        .fetch(fromOutside, ("the published port", host), 8080, "hello", true),
        .fetch(fromHost, ("the published port", host), 8080, "hello", true),
        .fetch(fromDB, ("the published port", host), 8080, "hello", true),
        .fetch(fromDB, ("the published port", gateway), 8080, "hello", true),
        .fetch(fromWeb, ("its own published port", host), 8080, "hello", true),
        .fetch(fromFar, ("the published port", host), 8080, "hello", true),
      ]
    }
    await world.check(rows)
    try await removeAll()
  }

  /// The outside sees the host, not the container.
  @Test func whatLeavesHasTheHostsAddress() async throws {
    try await controller.createNetwork(
      "dual", options: try NetworkOptions(["10.40.0.0/24", "fd00:40::/64"]))
    let web = try await controller.attach("web", to: .network("dual"))
    let server = try world.serveConnections(port: 90, in: world.outside)
    defer { server.stop() }
    let (outside, outside6) = (Playground.outsideAddress, Playground.outsideIPv6Address)
    let seen = try world.callers(at: [outside, outside6], 90, from: web.namespace)
    #expect(seen == [outside: Playground.hostAddress, outside6: Playground.hostIPv6Address])
    try await removeAll()
  }

  @Test func oneFamilyAlone() async throws {
    let four = try await controller.createNetwork("four", options: try NetworkOptions(["10.40.0.0/24"]))
    #expect(four.families == [.ipv4])
    #expect(try world.host.sysctl("net/ipv6/conf/eth0/force_forwarding") == "0")
    #expect(try world.host.sysctl("net/ipv6/conf/\(try #require(four.bridge))/accept_ra") == "0")
    let six = try await controller.createNetwork("six", options: try NetworkOptions(["fd00:40::/64"]))
    #expect(six.families == [.ipv6])
    let mac = try world.host.links.get("\(try #require(six.bridge))").macAddress
    let web = try await controller.attach(
      "web", to: .network("six"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let other = try await controller.attach("other", to: .network("four"))
    // Random, local, no multicast; and the bridge keeps its own, or the container's neighbour entry would be stale.
    let own = try #require(web.endpoints.first?.macAddress)
    #expect(!own.isMulticast)
    #expect(own.isLocallyAdministered)
    #expect(!own.description.hasPrefix("02:42:"))
    #expect(try web.namespace.links.get("eth0").macAddress == own)
    #expect(try world.host.links.get("\(try #require(six.bridge))").macAddress == mac)
    #expect(try web.namespace.addresses(of: "eth0") == ["fd00:40::2/64"])
    #expect(try web.namespace.defaultRoutes() == ["via fd00:40::1 dev eth0"])
    #expect(try other.namespace.addresses(of: "eth0") == ["10.40.0.2/24"])
    #expect(try other.namespace.addresses(of: "eth0", isLinkLocal: true) == [])
    #expect(try world.host.addresses(of: "\(try #require(four.bridge))", isLinkLocal: true) == [])
    #expect(try other.namespace.defaultRoutes() == ["via 10.40.0.1 dev eth0"])
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    await world.check([
      .ping(("web", web.namespace), ("the outside", Playground.outsideIPv6Address), true),
      .ping(("web", web.namespace), ("the outside by IPv4", Playground.outsideAddress), false),
      .ping(("other", other.namespace), ("the outside", Playground.outsideAddress), true),
      .ping(("other", other.namespace), ("the outside by IPv6", Playground.outsideIPv6Address), false),
      .fetch(("outside", world.outside), ("web", Playground.hostIPv6Address), 8080, "hello", true),
      .fetch(("outside", world.outside), ("web by IPv4", Playground.hostAddress), 8080, "hello", false),
      .fetch(("other", other.namespace), ("web by IPv4", Playground.hostAddress), 8080, "hello", false),
    ])
    // Nor by IPv6 addresses of its own choice on a network without.
    let another = try await controller.attach("another", to: .network("four"))
    for (sandbox, address) in [(other, "fd00:99::1/64"), (another, "fd00:99::2/64")] {
      try sandbox.namespace.addresses.add(
        InterfaceAddress(address), to: sandbox.namespace.links.get("eth0").index)
    }
    await world.check([
      .ping(("other", other.namespace), ("another, by its own IPv6 address", "fd00:99::2"), false),
      .ping(("other", other.namespace), ("another", "10.40.0.3"), true),
    ])
    // Forwarding of a family goes with the last network that has it.
    try await controller.detach("web")
    try await controller.removeNetwork("six")
    #expect(try world.host.sysctl("net/ipv6/conf/eth0/force_forwarding") == "0")
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "1")
    try await removeAll()
  }

  @Test func internalNetworkOfBothFamilies() async throws {
    let network = try await controller.createNetwork(
      "inner", options: try NetworkOptions(["10.40.0.0/24", "fd00:40::/64"], isInternal: true))
    let one = try await controller.attach("one", to: .network("inner"))
    let two = try await controller.attach("two", to: .network("inner"))
    #expect(try one.namespace.defaultRoutes() == [])
    #expect(try one.namespace.addresses(of: "eth0") == ["10.40.0.2/24", "fd00:40::2/64"])
    #expect(try world.host.sysctl("net/ipv6/conf/eth0/force_forwarding") == "0")
    #expect(try world.host.sysctl("net/ipv6/conf/\(try #require(network.bridge))/force_forwarding") == "0")
    let eth0 = try two.namespace.links.get("eth0").index
    for (family, gateway) in [(AddressFamily.ipv4, "10.40.0.1"), (.ipv6, "fd00:40::1")] {
      try two.namespace.routes.add(Route(to: .all(family), via: try IPAddress(gateway), link: eth0))
    }
    var rows: [Reach] = []
    for (gateway, other, outside) in [
      ("10.40.0.1", "10.40.0.3", Playground.outsideAddress),
      ("fd00:40::1", "fd00:40::3", Playground.outsideIPv6Address),
    ] {
      rows += [
        .ping(("one", one.namespace), ("the bridge", gateway), true),
        .ping(("one", one.namespace), ("two", other), true), .ping(("host", world.host), ("two", other), true),
        .ping(("two, with a route of its own", two.namespace), ("the outside", outside), false),
      ]
    }
    await world.check(rows)
    try await removeAll()
  }

  @Test func staticAndReservedAddresses() async throws {
    try await controller.createNetwork(
      "dual", options: try NetworkOptions(["10.40.0.0/24", "fd00:40::/126"]))
    let ask = { (texts: String...) throws in
      AttachOptions(endpoint: EndpointOptions(addresses: try texts.map { try IPAddress($0) }))
    }
    let anycast = await refusal {
      try await controller.attach("web", to: .network("dual"), options: try ask("fd00:40::"))
    }
    #expect(anycast?.code == .invalidValue)
    #expect(anycast?.description.contains("anycast") == true, "\(anycast as Any)")
    let twice = await refusal {
      try await controller.attach("web", to: .network("dual"), options: try ask("fd00:40::2", "fd00:40::3"))
    }
    #expect(twice?.code == .conflictingOptions)
    // The last address of an IPv6 subnet is one like any other.
    let web = try await controller.attach("web", to: .network("dual"), options: try ask("10.40.0.9", "fd00:40::3"))
    #expect(try web.namespace.addresses(of: "eth0") == ["10.40.0.9/24", "fd00:40::3/126"])
    #expect(web.endpoints[0].macAddress.description == "02:42:0a:28:00:09")
    let second = try await controller.attach("second", to: .network("dual"))
    #expect(second.endpoints[0].addresses.map(\.description) == ["10.40.0.2/24", "fd00:40::2/126"])
    let full = await refusal { try await controller.attach("third", to: .network("dual")) }
    #expect(full?.code == .exhausted)
    let counts = "of fd00:40::/126 is free, of 4: 2 leased, 1 the gateway's, 1 reserved (subnet-router anycast)"
    #expect(full?.description.contains(counts) == true, "\(full as Any)")
    // The IPv4 address that was found before the IPv6 pool proved full was not kept.
    try await controller.detach("second")
    let third = try await controller.attach("third", to: .network("dual"))
    #expect(third.endpoints[0].addresses.map(\.description) == ["10.40.0.3/24", "fd00:40::2/126"])
    try await removeAll()
  }
}
