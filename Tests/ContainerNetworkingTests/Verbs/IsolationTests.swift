import ContainerNetworking
import Playground
import Testing

/// The reach of internal networks and of containers on several networks, with routes of their own.
@Suite(.timeLimit(.minutes(10))) struct IsolationTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
  }

  private func addDefaultRoutes(_ sandbox: Sandbox, via gateways: String...) throws {
    let eth0 = try sandbox.namespace.links.get("eth0").index
    for gateway in try gateways.map({ try IPAddress($0) }) {
      try sandbox.namespace.routes.add(Route(to: .all(gateway.family), via: gateway, link: eth0))
    }
  }

  /// A container that gives itself a route reaches the host by its bridge's address, and by no other.
  @Test(.timeLimit(.minutes(5))) func internalNetworksReachTheHostByTheirGatewayAlone() async throws {
    let before = try world.host.contents(world)
    try await controller.createNetwork(
      "inner", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"], isInternal: true))
    try await controller.createNetwork("other", options: NetworkOptions(["10.61.0.0/24", "fd00:61::/64"]))
    let inner = try await controller.attach("inner", to: .network("inner"))
    let peer = try await controller.attach("peer", to: .network("inner"))
    let web = try await controller.attach(
      "web", to: .network("other"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    try addDefaultRoutes(inner, via: "10.60.0.1", "fd00:60::1")
    let servers = [
      try world.serve("hello", port: 80, in: web.namespace), try world.serve("host", port: 70, in: world.host),
      try world.serve("inner", port: 80, in: inner.namespace),
    ]
    defer { for server in servers { server.stop() } }
    let from = ("inner", inner.namespace)
    var rows: [Reach] = []
    for (net, other, host, outside) in [
      ("10.60.0.", "10.61.0.", Playground.hostAddress, Playground.outsideAddress),
      ("fd00:60::", "fd00:61::", Playground.hostIPv6Address, Playground.outsideIPv6Address),
    ] {
      rows += [
        .ping(from, ("its gateway", net + "1"), true),
        .fetch(from, ("the host by its gateway", net + "1"), 70, "host", true),
        .ping(("peer", peer.namespace), ("inner", net + "2"), true),
        .ping(("host", world.host), ("inner", net + "2"), true),
        .fetch(("host", world.host), ("inner", net + "2"), 80, "inner", true),
        .ping(from, ("the host's address", host), false), .fetch(from, ("the host", host), 70, "host", false),
        .ping(from, ("the other's gateway", other + "1"), false), .ping(from, ("web", other + "2"), false),
        .fetch(from, ("a published port", host), 8080, "hello", false),
        .fetch(from, ("a published port by its gateway", net + "1"), 8080, "hello", false),
        .ping(from, ("the outside", outside), false),
        .ping(("web", web.namespace), ("inner", net + "2"), false),
        // The gateway of another network is an address of the host, as it is to Docker.
        .ping(("web", web.namespace), ("inner's gateway", net + "1"), true),
      ]
    }
    await world.check(rows)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// Even permitted frames do not reach the host if the bridge has no address.
  @Test(.timeLimit(.minutes(5))) func isolatedNetworksReachNoAddressOfTheHost() async throws {
    var options = try NetworkOptions(["10.60.0.0/24"], isInternal: true)
    options.policy = NetworkPolicy(gatewayModeIPv4: .isolated)
    try await controller.createNetwork("alone", options: options)
    let alone = try await controller.attach("alone", to: .network("alone"))
    let eth0 = try alone.namespace.links.get("eth0").index
    try alone.namespace.routes.add(Route(to: Subnet("203.0.113.0/24"), link: eth0))
    // The host answers to ARP for any address that it has, and would take the packets.
    let counter = { () throws -> Bool in
      try world.output("nft", "list", "chain", "inet", "containernetworking", "guard", in: world.host)?
        .contains("internal_gateways4 fib daddr type local counter packets 0 ") == true
    }
    #expect(try counter())
    #expect(try !world.pings(Playground.hostAddress, from: alone.namespace))
    #expect(try !counter(), "the packets were not dropped by our rule")
    try await controller.removeAll()
  }

  /// Whichever of its networks has the default route, a container answers from the address that it was asked at.
  @Test(.timeLimit(.minutes(5)), arguments: [true, false])
  func answersFromEveryAddress(oldHasTheRoute: Bool) async throws {
    let before = try world.host.contents(world)
    for (name, number) in [("old", 60), ("new", 61)] {
      var options = try NetworkOptions(["10.\(number).0.0/24", "fd00:\(number)::/64"])
      options.policy = NetworkPolicy(gatewayModeIPv4: .natUnprotected, gatewayModeIPv6: .natUnprotected)
      let network = try await controller.createNetwork(name, options: options)
      for subnet in network.subnets { try world.routeFromOutside(to: subnet.subnet) }
    }
    let both = try await controller.attach("both", to: .network("old"))
    let added = try await controller.connect(
      "both", to: "new", options: EndpointOptions(gatewayPriority: oldHasTheRoute ? -1 : 1))
    let outside = ("outside", world.outside)
    await world.check(
      ["10.60.0.2", "fd00:60::2", "10.61.0.2", "fd00:61::2"].map { .ping(outside, ("both", $0), true) })
    #expect(try await controller.differences() == [])

    // After leaving one, neither may send from the other's address any more: that will soon have another holder.
    let allowed = {
      try ["4", "6"].map { family in
        try #require(
          try world.output(
            "nft", "list", "set", "bridge", "containernetworking", "port_addresses\(family)", in: world.host))
      }.joined()
    }
    let (oldPort, newPort) = (
      "\(try #require(both.endpoints[0].hostInterface))", "\(try #require(added.hostInterface))"
    )
    #expect(try allowed().contains("\"\(oldPort)\" . 10.61.0.2"))
    #expect(try allowed().contains("\"\(newPort)\" . fd00:60::2"))
    let (left, leftPort, kept) = oldHasTheRoute ? ("old", oldPort, "61") : ("new", newPort, "60")
    try await controller.disconnect("both", from: left)
    let rest = try allowed()
    #expect(!rest.contains(leftPort))
    #expect(!rest.contains(kept == "61" ? "10.60" : "10.61") && rest.contains("10.\(kept).0.2"))
    await world.check([.ping(outside, ("both", "10.\(kept).0.2"), true)])
    #expect(try await controller.differences() == [])
    try await controller.connect("both", to: left)
    #expect(try await controller.differences() == [])
    try await controller.detach("both")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }
}
