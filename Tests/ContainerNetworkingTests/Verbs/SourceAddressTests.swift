import ContainerNetworking
import Playground
import Testing

/// The source address of outgoing traffic, and the links through which containers are reached directly.
@Suite(.timeLimit(.minutes(10))) struct SourceAddressTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
  }

  private func addToHost(_ addresses: String...) throws {
    let eth0 = try world.host.links.get("eth0").index
    for address in addresses { try world.host.addresses.add(InterfaceAddress(address), to: eth0) }
  }

  private func options(_ number: Int, _ policy: NetworkPolicy) throws -> NetworkOptions {
    var options = try NetworkOptions(["10.\(number).0.0/24", "fd00:\(number)::/64"])
    options.policy = policy
    return options
  }

  @Test(.timeLimit(.minutes(5))) func whatGoesOutHasTheAddressOfItsNetwork() async throws {
    try addToHost("203.0.113.9/24", "203.0.113.10/24", "2001:db8::9/64")
    let before = try world.host.contents(world)
    let policies = [
      NetworkPolicy(sourceAddressIPv4: try IPAddress("203.0.113.9"), sourceAddressIPv6: try IPAddress("2001:db8::9")),
      NetworkPolicy(sourceAddressIPv4: try IPAddress("203.0.113.10")), NetworkPolicy(),
    ]
    let outside = try world.serveConnections(port: 90, in: world.outside)
    defer { outside.stop() }
    let addresses = [Playground.outsideAddress, Playground.outsideIPv6Address]
    // Of two IPv6 addresses the kernel takes one by rules of its own (RFC 6724).
    let own = try world.callers(at: addresses, 90, from: world.host)
    let expected = [
      ["203.0.113.9", "2001:db8::9"], ["203.0.113.10", own[addresses[1]]], [Playground.hostAddress, own[addresses[1]]],
    ]
    let rules = try await rulesOfOne()
    for (number, policy) in policies.enumerated() {
      try await controller.createNetwork("net\(number)", options: options(60 + number, policy))
      let container = try await controller.attach("c\(number)", to: .network("net\(number)"))
      let seen = try world.callers(at: addresses, 90, from: container.namespace)
      #expect(addresses.map { seen[$0] } == expected[number], "network \(number)")
      // By another bridge, and to the host, it is itself.
      #expect(try world.pings("10.\(60 + number).0.1", from: container.namespace, within: 4))
    }
    #expect(try await rulesOfOne() == rules, "an address is an element, not a rule")
    // A published port is reached all the same, from the container itself too.
    let web = try await controller.attach(
      "web", to: .network("net0"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    await world.check([
      .fetch(("outside", world.outside), ("web's port", Playground.hostAddress), 8080, "hello", true),
      .fetch(("web", web.namespace), ("its own port", "203.0.113.9"), 8080, "hello", true),
    ])
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  private func rulesOfOne() async throws -> Int {
    try await controller.attach("ruler")
    defer { Task { [controller] in try? await controller.detach("ruler") } }
    let text = try world.output("nft", "-a", "list", "ruleset", in: world.host) ?? ""
    return text.split(separator: "\n").count {
      $0.contains("# handle") && !$0.contains("{ #") && !$0.hasPrefix("\tset")
    }
  }

  @Test func anAddressThatNobodyAnswersToIsRefused() async throws {
    let refused = await refusal {
      try await controller.createNetwork(
        "net", options: options(60, NetworkPolicy(sourceAddressIPv4: try IPAddress("203.0.113.9"))))
    }
    #expect(refused?.code == .notFound)
    #expect(refused?.description.contains("203.0.113.9 is not an address of this host") == true)
    let policies: [(NetworkPolicy, Bool, NetworkError.Code, String)] = [
      (NetworkPolicy(sourceAddressIPv4: try IPAddress("2001:db8::1")), false, .invalidValue, "is IPv6"),
      (
        NetworkPolicy(sourceAddressIPv4: try IPAddress("127.0.0.1")), false, .invalidValue,
        "cannot be answered from outside"
      ),
      (
        NetworkPolicy(sourceAddressIPv6: try IPAddress("fe80::1")), false, .invalidValue,
        "cannot be answered from outside"
      ),
      (
        NetworkPolicy(masquerades: false, sourceAddressIPv4: try IPAddress("203.0.113.1")), false,
        .conflictingOptions, "without masquerading"
      ),
      (
        NetworkPolicy(gatewayModeIPv6: .routed, sourceAddressIPv6: try IPAddress("2001:db8::1")), false,
        .conflictingOptions, "\"routed\""
      ),
      (NetworkPolicy(sourceAddressIPv4: try IPAddress("203.0.113.1")), true, .conflictingOptions, "internal"),
      (NetworkPolicy(trustedInterfaces: [try InterfaceName("eth0")]), true, .conflictingOptions, "internal"),
    ]
    for (policy, isInternal, code, reason) in policies {
      var options = try options(60, policy)
      options.isInternal = isInternal
      let wanted = options
      let error = await refusal { try await controller.createNetwork("net", options: wanted) }
      let text = error?.description ?? ""
      #expect(text.contains(reason), "\(text)")
      #expect(error?.code == code || error?.causes.contains { $0.code == code } == true, "\(text)")
    }
    // If the owner permits addresses that come and go, a missing one is accepted.
    try world.host.setSysctl("net/ipv4/ip_nonlocal_bind", to: "1")
    try await controller.createNetwork(
      "net", options: options(60, NetworkPolicy(sourceAddressIPv4: try IPAddress("203.0.113.9"))))
    try await controller.removeAll()
  }

  /// Of a network that translates, published container ports are reached directly by trusted links, and by no other.
  @Test(.timeLimit(.minutes(5))) func trustedLinksReachPublishedPortsDirectly() async throws {
    let before = try world.host.contents(world)
    for (number, link) in [(60, "eth0"), (61, "vxlan.1")] {
      let trusting = NetworkPolicy(trustedInterfaces: [try InterfaceName(link), try InterfaceName("eth7")])
      let network = try await controller.createNetwork("net\(number)", options: options(number, trusting))
      for subnet in network.subnets { try world.routeFromOutside(to: subnet.subnet) }
      try await controller.attach(
        "web\(number)", to: .network("net\(number)"),
        options: AttachOptions(ports: [PortMapping("\(8000 + number):80"), PortMapping("\(9000 + number):80")]))
    }
    try await controller.createNetwork("other", options: options(62, NetworkPolicy()))
    let other = try await controller.attach("other", to: .network("other"))
    var servers: [Playground.Server] = []
    defer { for server in servers { server.stop() } }
    var rows: [Reach] = []
    let outside = ("outside", world.outside)
    for number in [60, 61] {
      let web = try await controller.sandbox("web\(number)")
      servers += [
        try world.serve("hello", port: 80, in: web.namespace), try world.serve("no", port: 81, in: web.namespace),
      ]
      for address in ["10.\(number).0.2", "fd00:\(number)::2"] {
        rows += [
          .fetch(outside, ("web\(number)", address), 80, "hello", number == 60),
          .fetch(outside, ("web\(number)", address), 81, "no", false), .ping(outside, ("web\(number)", address), false),
          .fetch(("other", other.namespace), ("web\(number)", address), 80, "hello", false),
        ]
      }
      for host in [Playground.hostAddress, Playground.hostIPv6Address] {
        rows.append(.fetch(outside, ("web\(number)'s port", host), UInt16(8000 + number), "hello", true))
      }
    }
    await world.check(rows)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }
}
