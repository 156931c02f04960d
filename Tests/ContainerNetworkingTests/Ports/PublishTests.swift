import ContainerNetworking
import Playground
import Testing

/// Ports that come and go while their container runs.
@Suite(.timeLimit(.minutes(5))) struct PublishTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
  }

  private func publish(_ container: String, _ ports: String..., on network: String? = nil) async throws -> [String] {
    try await controller.publish(try ports.map { try PortMapping($0) }, of: container, on: network).map(\.description)
  }

  private func unpublish(_ container: String, _ ports: String...) async throws -> [String] {
    try await controller.unpublish(try ports.map { try PortMapping($0) }, of: container).map(\.description)
  }

  private func ports(_ container: String) async throws -> [String] {
    try await controller.sandbox(container).endpoints.flatMap(\.ports).map(\.description)
  }

  /// Elements of the maps of published ports.
  private func elements() throws -> Int {
    try ["published4", "published6", "published_at4", "published_at6"].reduce(0) { count, name in
      let text = try world.output("nft", "list", "map", "inet", "containernetworking", name, in: world.host) ?? ""
      // The map's own type has one, too.
      return count + text.matches(of: #/ : /#).count - 1
    }
  }

  @Test(arguments: [false, true]) func whatIsPublishedIsReached(_ callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    let web = try await controller.attach("web", to: .network("dual"))
    let other = try await controller.attach("other", to: .network("dual"))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    func rows(_ isReached: Bool) -> [Reach] {
      [Playground.hostAddress, Playground.hostIPv6Address].flatMap { host in
        [
          .fetch(("outside", world.outside), ("the port", host), 8080, "hello", isReached),
          .fetch(("host", world.host), ("the port", host), 8080, "hello", isReached),
          .fetch(("other", other.namespace), ("the port", host), 8080, "hello", isReached),
          .fetch(("web", web.namespace), ("its own port", host), 8080, "hello", isReached),
        ]
      } + [.fetch(("host", world.host), ("localhost", "127.0.0.1"), 8080, "hello", isReached)]
    }
    let before = try elements()
    await world.check(rows(false))
    #expect(try await publish("web", "8080:80") == ["0.0.0.0:8080->80/tcp"])
    await world.check(rows(true))
    // Published ports stay when others are published and released.
    #expect(try await publish("web", "127.0.0.1:8081:80", "9000-9001:90-91/udp").count == 3)
    #expect(try await ports("web").count == 4)
    #expect(try await unpublish("web", "8081:80", "90/udp").count == 2)
    await world.check(rows(true))
    #expect(try await controller.differences() == [])
    #expect(
      try await controller.unpublish(of: "web").map(\.description) == [
        "0.0.0.0:8080->80/tcp", "0.0.0.0:9001->91/udp",
      ])
    await world.check(rows(false))
    #expect(try elements() == before)
    #expect(try await controller.differences() == [])
    let actions = try await controller.events().map { ($0.event.action, $0.event.ports?.count) }.suffix(4)
    #expect(actions.map(\.0) == [.publish, .publish, .unpublish, .unpublish])
    #expect(actions.map(\.1) == [1, 3, 2, 2])
    try await controller.removeAll()
  }

  /// A client that keeps its port goes where the port does; flows of other ports are left alone.
  @Test(arguments: [Playground.hostAddress, Playground.hostIPv6Address]) func flowsGoWhereThePortDoes(
    _ address: String
  ) async throws {
    for name in ["udp_timeout", "udp_timeout_stream"] {
      try world.host.setSysctl("net/netfilter/nf_conntrack_\(name)", to: "600")
    }
    func answer(_ client: PortHelper) throws -> String? {
      for _ in 0..<4 { if let answer = try client.ask() { return answer } }
      return nil
    }
    let web = try await controller.attach(
      "web", to: .network("dual"), options: AttachOptions(ports: [PortMapping("5354:53/udp")]))
    let server = try PortHelper.hold(.udp, "*", 53, answering: "web", in: web.namespace)
    let (client, bystander) = (
      try PortHelper.client(of: address, 5353, in: world.outside),
      try PortHelper.client(of: address, 5354, in: world.outside)
    )
    let early = try PortHelper.hold(.udp, "*", 5353, answering: "host", in: world.host)
    defer { for helper in [server, client, bystander, early] { helper.stop() } }
    #expect(try answer(client) == "host")
    #expect(try answer(bystander) == "web")
    let family = try IPAddress(address).family
    let kept = try #require(
      try world.host.connections.list(.udp, family: family).first { $0.original.destinationPort == 5354 })
    early.stop()
    #expect(try await publish("web", "5353:53/udp") == ["0.0.0.0:5353->53/udp"])
    #expect(try answer(client) == "web")
    #expect(try await unpublish("web", "5353:53/udp").count == 1)
    // 5354 still publishes the same container port: its flow stays.
    let after = try world.host.connections.list(.udp, family: family)
    #expect(after.contains(kept))
    #expect(!after.contains { $0.original.destinationPort == 5353 })
    #expect(try client.ask() == nil)
    #expect(try answer(bystander) == "web")
    try await controller.removeAll()
  }

  @Test func whatCannotBeIsRefusedAndNothingIsLeft() async throws {
    try await controller.createNetwork("inner", options: NetworkOptions(isInternal: true))
    try await controller.createNetwork("four", options: try NetworkOptions(["10.71.0.0/24"]))
    try await controller.attach("web", to: .network("dual"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    try await controller.attach("one", to: .network("dual"))
    try await controller.attach("alone", to: .none)
    try await controller.attach("same", to: .host)
    try await controller.attach("guest", to: .container("web"))
    try await controller.attach("hidden", to: .network("inner"))
    try await controller.attach("four", to: .network("four"))
    let holder = try PortHelper.hold(.tcp, "*", 8081, in: world.host)
    defer { holder.stop() }
    let before = try world.host.contents(world)
    let cases: [(String, String, String?, NetworkError.Code, String)] = [
      ("one", "8080:80", nil, .inUse, "published for \"web\" already"),
      ("web", "8080:81", nil, .inUse, "published for \"web\" already"),
      ("one", "8081:80", nil, .inUse, "held by another process"),
      ("one", "203.0.113.9:8082:80", nil, .notFound, "no link of the host has the address"),
      ("one", "8082:80/sctp", nil, .unsupported, "this kernel has no sctp"),
      ("one", "[::1]:8082:80", nil, .conflictingOptions, "the kernel does not translate the host address ::1"),
      ("four", "[2001:db8::1]:8082:80", nil, .conflictingOptions, "\"four\" has no IPv6"),
      ("one", "8082:80", "four", .notFound, "is not on network \"four\"; it is on: dual"),
      ("one", "8082:80", "nosuch", .notFound, "there is no network \"nosuch\""),
      ("nobody", "8082:80", nil, .notFound, "\"nobody\" is not attached"),
      ("alone", "8082:80", nil, .conflictingOptions, "changing published ports cannot be combined with mode \"none\""),
      ("same", "8082:80", nil, .conflictingOptions, "mode \"host\""),
      ("guest", "8082:80", nil, .conflictingOptions, "those of \"web\"; do it there"),
      ("hidden", "8082:80", nil, .notFound, "has no network with a default route; name one of: inner"),
      ("hidden", "8082:80", "inner", .conflictingOptions, "\"inner\" is internal"),
    ]
    for (container, port, network, code, words) in cases {
      // SCTP is there on some kernels.
      if code == .unsupported,
        (try? LinuxKernel().reservePorts([PortBinding(.any(.ipv4), 1, .sctp)], in: world.host.handle)) != nil
      {
        continue
      }
      let error = await refusal { try await publish(container, port, on: network) }
      #expect(error?.code == code, "\(container) \(port) \(error as Any)")
      #expect(error?.description.contains(words) == true, "\(container) \(port) \(error as Any)")
    }
    #expect(try await publish("one") == [])
    for (container, port) in [
      ("web", "8081:80"), ("web", "81"), ("web", "80/udp"), ("web", "127.0.0.1:8080:80"), ("one", "80"),
    ] {
      let error = await refusal { try await unpublish(container, port) }
      #expect(error?.code == .notFound)
      let known = container == "one" ? "no port is published" : "published are: "
      #expect(error?.description.contains("is not published in that form; \(known)") == true, "\(error as Any)")
    }
    #expect(try await controller.unpublish(of: "one") == [])
    #expect(try await ports("web") == ["0.0.0.0:8080->80/tcp"])
    #expect(try world.host.contents(world) == before)
    try await controller.removeAll()
  }

  /// Of a container on several networks it is the one with the default route, unless another is named.
  @Test func theNetworkWithTheDefaultRoutePublishes() async throws {
    try await controller.createNetwork("second", options: try NetworkOptions(["10.71.0.0/24"]))
    try await controller.attach("web", to: .network("dual"))
    try await controller.connect("web", to: "second", options: EndpointOptions(gatewayPriority: 1))
    let server = try world.serve("hello", port: 80, in: try await controller.sandbox("web").namespace)
    defer { server.stop() }
    func endpoint(_ network: String) async throws -> [String] {
      try await controller.sandbox("web").endpoints.filter { $0.networkName == network }.flatMap(\.ports).map(
        \.description)
    }
    #expect(try await publish("web", "8080:80") == ["0.0.0.0:8080->80/tcp"])
    #expect(try await endpoint("second") == ["0.0.0.0:8080->80/tcp"])
    #expect(try await publish("web", "8081:80", on: "dual") == ["0.0.0.0:8081->80/tcp"])
    #expect(try await endpoint("dual") == ["0.0.0.0:8081->80/tcp"])
    let outside = ("outside", world.outside)
    await world.check([
      .fetch(outside, ("by the second", Playground.hostAddress), 8080, "hello", true),
      .fetch(outside, ("by the first", Playground.hostAddress), 8081, "hello", true),
    ])
    // Ports go with their endpoint.
    try await controller.disconnect("web", from: "second")
    #expect(try await ports("web") == ["0.0.0.0:8081->80/tcp"])
    #expect(try await publish("web", "8080:80") == ["0.0.0.0:8080->80/tcp"])
    await world.check([.fetch(outside, ("again", Playground.hostAddress), 8080, "hello", true)])
    try await controller.removeAll()
  }

  /// In mode `routed` the container's port is opened, once, and closed with the last that is published for it.
  @Test func routedPortsAreCounted() async throws {
    var policy = NetworkPolicy()
    policy.gatewayModeIPv4 = .routed
    try await controller.createNetwork("routed", options: try NetworkOptions("10.72.0.0/24", policy))
    try world.routeFromOutside(to: try Subnet("10.72.0.0/24"))
    let web = try await controller.attach("web", to: .network("routed"))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    func row(_ isReached: Bool) -> Reach {
      .fetch(("outside", world.outside), ("web", "10.72.0.2"), 80, "hello", isReached)
    }
    await world.check([row(false)])
    _ = try await publish("web", "8080:80")
    _ = try await publish("web", "8081:80")
    await world.check([row(true)])
    _ = try await unpublish("web", "8080:80")
    await world.check([row(true)])
    #expect(try await controller.differences() == [])
    _ = try await unpublish("web", "8081:80")
    await world.check([row(false)])
    #expect(controller.reservedPortCount == 0)
    try await controller.removeAll()
  }

  /// Many at once, of one container and of several: each port has one owner, and nothing is lost.
  @Test func manyAtOnce() async throws {
    for index in 0..<4 { try await controller.attach("c\(index)", to: .network("dual")) }
    let published = await withTaskGroup(of: [PublishedPort].self) { group in
      for index in 0..<40 {
        group.addTask { [controller] in
          guard let mapping = try? PortMapping("9000-9019:80") else { return [] }
          return (try? await controller.publish([mapping], of: "c\(index % 4)")) ?? []
        }
      }
      return await group.reduce(into: []) { $0 += $1 }
    }
    let recorded = try await controller.sandboxes().flatMap { $0.endpoints.flatMap(\.ports) }
    #expect(published.count >= 4)
    #expect(Set(published.map(\.hostPort)).count == published.count)
    #expect(Set(recorded) == Set(published))
    #expect(try elements() == 2 * published.count)
    #expect(controller.reservedPortCount == 2 * published.count)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(controller.reservedPortCount == 0)
  }
}
