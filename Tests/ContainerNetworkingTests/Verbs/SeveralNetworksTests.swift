import ContainerNetworking
import Playground
import Testing

/// Containers on several networks, connected and disconnected while they run.
@Suite(.timeLimit(.minutes(10))) struct SeveralNetworksTests {
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

  private func create(_ name: String, _ subnets: String..., isInternal: Bool = false) async throws {
    try await controller.createNetwork(name, options: try NetworkOptions(subnets, isInternal: isInternal))
  }

  @Test func interfacesHaveTheLowestFreeNumber() async throws {
    for (index, name) in ["a", "b", "c", "d"].enumerated() { try await create(name, "10.50.\(index).0/24") }
    var prefixed = try NetworkOptions(["10.50.9.0/24"])
    prefixed.interfacePrefix = "net"
    try await controller.createNetwork("prefixed", options: prefixed)
    let web = try await controller.attach("web", to: .network("a"))
    let connect = { (network: String) async throws in
      try await controller.connect("web", to: network).interface.description
    }
    #expect(try await connect("b") == "eth1")
    #expect(try await connect("c") == "eth2")
    #expect(try await connect("prefixed") == "net0")
    try await controller.disconnect("web", from: "b")
    #expect(try await connect("d") == "eth1")
    #expect(try await connect("b") == "eth3")
    try await controller.disconnect("web", from: "a")
    let taken = await refusal {
      try await controller.connect("web", to: "a", options: EndpointOptions(interface: InterfaceName("eth2")))
    }
    #expect(taken?.code == .inUse)
    let named = try await controller.connect(
      "web", to: "a", options: EndpointOptions(interface: InterfaceName("wan")))
    #expect(named.interface.description == "wan")
    #expect(
      try await controller.sandbox("web").endpoints.map { "\($0.networkName) \($0.interface)" }
        == ["a wan", "d eth1", "c eth2", "b eth3", "prefixed net0"])
    #expect(
      try web.namespace.links.list().map(\.name).sorted() == ["eth1", "eth2", "eth3", "lo", "net0", "wan"])
    try await removeAll()
  }

  /// Highest priority; then not internal; then more families; then name: of each family.
  @Test func defaultRoutesFollowTheRules() async throws {
    try await create("mmm", "10.50.0.0/24")
    try await create("nnn", "10.51.0.0/24", "fd00:51::/64")
    try await create("six", "fd00:52::/64")
    try await create("aaa", "10.53.0.0/24")
    try await create("zzz", "10.54.0.0/24")
    try await create("inner", "10.55.0.0/24", "fd00:55::/64", isInternal: true)
    try await create("abc", "10.56.0.0/24", "fd00:56::/64")
    let web = try await controller.attach("web", to: .network("mmm"))
    // The routes after each step.
    let steps: [(connects: Bool, String, priority: Int, [String])] = [
      (true, "inner", 100, ["mmm4"]), (true, "zzz", 0, ["mmm4"]), (true, "aaa", 0, ["aaa4"]),
      (true, "six", 0, ["aaa4", "six6"]), (true, "nnn", 0, ["nnn4", "nnn6"]), (true, "abc", 0, ["abc4", "abc6"]),
      (false, "abc", 0, ["nnn4", "nnn6"]), (true, "abc", -1, ["nnn4", "nnn6"]), (false, "six", 0, ["nnn4", "nnn6"]),
      (true, "six", 7, ["nnn4", "six6"]), (false, "zzz", 0, ["nnn4", "six6"]), (true, "zzz", 5, ["zzz4", "six6"]),
      (false, "zzz", 0, ["nnn4", "six6"]), (false, "six", 0, ["nnn4", "nnn6"]), (false, "nnn", 0, ["aaa4", "abc6"]),
      (false, "aaa", 0, ["mmm4", "abc6"]), (false, "mmm", 0, ["abc4", "abc6"]), (false, "abc", 0, []),
      (false, "inner", 0, []), (true, "aaa", 0, ["aaa4"]),
    ]
    for (index, step) in steps.enumerated() {
      if step.connects {
        try await controller.connect(
          "web", to: step.1, options: EndpointOptions(gatewayPriority: step.priority))
      } else {
        try await controller.disconnect("web", from: step.1)
      }
      let endpoints = try await controller.sandbox("web").endpoints
      let routes = try web.namespace.defaultRoutes().map { route in
        let owner = endpoints.first { endpoint in
          endpoint.gateways.contains { route == "via \($0) dev \(endpoint.interface)" }
        }
        return "\(owner?.networkName ?? route)\(route.contains("fd00") ? 6 : 4)"
      }
      #expect(Set(routes) == Set(step.3) && routes.count == step.3.count, "after step \(index + 1), \(step)")
    }
    try await removeAll()
  }

  @Test func reachesEachNetworkButIsNoWayAcross() async throws {
    try await create("left", "10.50.0.0/24", "fd00:50::/64")
    try await create("right", "10.51.0.0/24", "fd00:51::/64")
    let both = try await controller.attach(
      "both", to: .network("left"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    try await controller.connect("both", to: "right", options: EndpointOptions(gatewayPriority: 1))
    let left = try await controller.attach("left", to: .network("left"))
    let right = try await controller.attach("right", to: .network("right"))
    let server = try world.serve("hello", port: 80, in: both.namespace)
    defer { server.stop() }
    var rows: [Reach] = []
    for (leftNet, rightNet, host, outside) in [
      ("10.50.0.", "10.51.0.", Playground.hostAddress, Playground.outsideAddress),
      ("fd00:50::", "fd00:51::", Playground.hostIPv6Address, Playground.outsideIPv6Address),
    ] {
      rows += [
        .ping(("both", both.namespace), ("left", leftNet + "3"), true),
        .ping(("both", both.namespace), ("right", rightNet + "3"), true),
        .ping(("both", both.namespace), ("the outside", outside), true),
        .ping(("left", left.namespace), ("both on the left", leftNet + "2"), true),
        .ping(("left", left.namespace), ("both on the right", rightNet + "2"), false),
        .ping(("left", left.namespace), ("right", rightNet + "3"), false),
        .ping(("right", right.namespace), ("left", leftNet + "3"), false),
        // The port is published by the first endpoint, though the answers leave by the second.
        .fetch(("outside", world.outside), ("both", host), 8080, "hello", true),
        .fetch(("left", left.namespace), ("both", host), 8080, "hello", true),
        .fetch(("right", right.namespace), ("both", host), 8080, "hello", true),
      ]
    }
    await world.check(rows)
    #expect(try await controller.sandbox("both").endpoints.map(\.ports.count) == [1, 0])
    // And it goes with it.
    try await controller.disconnect("both", from: "right")
    await world.check([.fetch(("outside", world.outside), ("both", Playground.hostAddress), 8080, "hello", true)])
    try await controller.connect("both", to: "right")
    try await controller.disconnect("both", from: "left")
    await world.check([.fetch(("outside", world.outside), ("both", Playground.hostAddress), 8080, "hello", false)])
    try await removeAll()
  }

  @Test func whatCannotBeConnectedSaysWhy() async throws {
    try await create("a", "10.50.0.0/24")
    try await create("b", "10.51.0.0/24")
    try await controller.attach("web", to: .network("a"))
    try await controller.attach("on-host", to: .host)
    try await controller.attach("alone", to: .none)
    try await controller.attach("sharer", to: .container("web"))
    for (container, mode) in [("on-host", "host"), ("alone", "none"), ("sharer", "container:web")] {
      for error in [
        await refusal { try await controller.connect(container, to: "b") },
        await refusal { try await controller.disconnect(container, from: "b") },
      ] {
        #expect(error?.code == .conflictingOptions)
        #expect(error?.reason.contains("connecting and disconnecting") == true)
        #expect(error?.reason.contains("mode \"\(mode)\"") == true)
      }
    }
    let twice = await refusal { try await controller.connect("web", to: "a") }
    #expect(twice?.code == .alreadyExists)
    #expect(twice?.reason.contains("on network \"a\" already") == true)
    let unknown = await refusal { try await controller.connect("web", to: "unknown") }
    #expect(unknown?.code == .notFound)
    #expect(unknown?.reason.contains("there are: a, b") == true)
    #expect(await refusal { try await controller.connect("nobody", to: "a") }?.code == .notFound)
    let elsewhere = await refusal { try await controller.disconnect("web", from: "b") }
    #expect(elsewhere?.code == .notFound)
    #expect(elsewhere?.reason.contains("it is on: a") == true)
    #expect(await refusal { try await controller.disconnect("nobody", from: "a") }?.code == .notFound)
    #expect(await refusal { try await controller.disconnect("web", from: "unknown") }?.code == .notFound)
    let onDefault = await refusal {
      try await controller.attach("default")
      return try await controller.connect(
        "web", to: "bridge", options: EndpointOptions(addresses: [try IPAddress("172.17.0.9")]))
    }
    #expect(onDefault?.code == .conflictingOptions)
    try await removeAll()
  }

  @Test func theLastNetworkCanBeLeft() async throws {
    try await create("a", "10.50.0.0/24")
    let web = try await controller.attach("web", to: .network("a"))
    try await controller.disconnect("web", from: "a")
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    #expect(try await controller.sandbox("web").endpoints.isEmpty)
    try await controller.removeNetwork("a")
    try await create("b", "10.51.0.0/24")
    #expect(try await controller.connect("web", to: "b").interface.description == "eth0")
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    try await controller.detach("web")
    try await removeAll()
  }

  @Test func aStoppedContainerIsDisconnectedByForce() async throws {
    try await create("a", "10.50.0.0/24")
    let mine = try IPAddress("10.50.0.9")
    try await controller.attach("web", to: .network("a"), options: AttachOptions(address: mine))
    try await controller.stop("web")
    #expect(await refusal { try await controller.disconnect("web", from: "a") }?.code == .notFound)
    let busy = await refusal { try await controller.removeNetwork("a") }
    #expect(busy?.reason.contains("web (stopped)") == true)
    try await controller.disconnect("web", from: "a", isForced: true)
    try await controller.attach("other", to: .network("a"), options: AttachOptions(address: mine))
    try await controller.detach("other")
    try await controller.removeNetwork("a")
    try await removeAll()
  }
}
