import ContainerNetworking
import Playground
import Testing

/// The five modes on the real kernel, packets included, each test in a world of its own.
@Suite(.timeLimit(.minutes(10))) struct ModeTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground()
    controller = try await NetworkController(host: world.host)
  }

  @Test func bridgeReachesGatewayHostAndOutside() async throws {
    let web = try await controller.attach("web")
    let endpoint = try #require(web.endpoints.first)
    #expect(endpoint.address.description == "172.17.0.2/16")
    #expect(endpoint.macAddress.description == "02:42:ac:11:00:02")
    let eth0 = try web.namespace.links.get("eth0")
    #expect(eth0.macAddress == endpoint.macAddress)
    #expect(eth0.mtu == 1500)
    #expect(try world.host.links.get("cn0").macAddress?.description == "02:42:ac:11:00:01")

    #expect(try world.pings("172.17.0.1", from: web.namespace, within: 4))
    #expect(try world.pings(Playground.hostAddress, from: web.namespace, within: 4))
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    #expect(try world.pings("172.17.0.2", from: world.host, within: 4))
    try await controller.removeAll()
  }

  @Test func publishedPortIsReachedFromEverywhere() async throws {
    let web = try await controller.attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))
    let other = try await controller.attach("other")
    #expect(web.endpoints.first?.ports.map(\.description) == ["0.0.0.0:8080->80/tcp"])
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == "hello")
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.host) == "hello")
    #expect(try world.fetch("127.0.0.1", 8080, from: world.host) == "hello")
    #expect(try world.fetch(Playground.hostAddress, 8080, from: other.namespace) == "hello")
    #expect(try world.fetch(Playground.hostAddress, 8080, from: web.namespace) == "hello")
    #expect(try world.fetch("172.17.0.2", 80, from: other.namespace) == "hello")

    // Not published: by its own address, from outside, even where a route leads there.
    let end = try world.outside.links.get("eth0")
    try world.outside.routes.add(
      Route(to: Subnet("172.17.0.0/16"), via: IPAddress(Playground.hostAddress), link: end.index))
    #expect(try world.fetch("172.17.0.2", 80, from: world.outside) == nil)
    #expect(try !world.pings("172.17.0.2", from: world.outside))

    try await controller.detach("web")
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == nil)
    try await controller.removeAll()
  }

  @Test func hostModeIsTheHost() async throws {
    let sandbox = try await controller.attach(
      "monitor", to: .host, options: AttachOptions(ports: [PortMapping("80")]))
    #expect(sandbox.namespace.identity == world.host.identity)
    #expect(sandbox.endpoints.isEmpty)
    #expect(sandbox.warnings.map(\.description).first?.contains("port 80/tcp is not published") == true)
    try await controller.detach("monitor")
    #expect(try world.host.links.list().map(\.name) == ["lo", "eth0"])
  }

  @Test func noneModeHasOnlyLoopbackAndIsSetUpByHand() async throws {
    let sandbox = try await controller.attach("alone", to: .none)
    #expect(try sandbox.namespace.links.list().map(\.name) == ["lo"])
    #expect(try world.pings("127.0.0.1", from: sandbox.namespace, within: 4))
    #expect(try !world.pings(Playground.hostAddress, from: sandbox.namespace))

    let end = try world.host.links.createVeth(
      VethEnd(InterfaceName("hand0")),
      peer: VethEnd(InterfaceName("eth0"), namespace: sandbox.namespace.handle.descriptor))
    try world.host.addresses.add(InterfaceAddress("10.1.0.1/30"), to: end.index)
    try world.host.links.setUp(index: end.index)
    let eth0 = try sandbox.namespace.links.get("eth0")
    try sandbox.namespace.addresses.add(InterfaceAddress("10.1.0.2/30"), to: eth0.index)
    try sandbox.namespace.links.setUp(index: eth0.index)
    #expect(try world.pings("10.1.0.1", from: sandbox.namespace, within: 4))
    try await controller.detach("alone")
  }

  @Test func containerModeSharesAndOutlivesItsDonor() async throws {
    let donor = try await controller.attach("donor", options: AttachOptions(ports: [PortMapping("8080:80")]))
    let sharer = try await controller.attach("sharer", to: .container("donor"))
    #expect(sharer.namespace.identity == donor.namespace.identity)
    #expect(sharer.endpoints == donor.endpoints)
    let server = try world.serve("shared", port: 80, in: donor.namespace)
    defer { server.stop() }
    #expect(try world.fetch("127.0.0.1", 80, from: sharer.namespace) == "shared")

    try await controller.detach("donor")
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == "shared")
    try await controller.detach("sharer")
    #expect(try world.host.links.list().allSatisfy { $0.kind != "veth" || $0.name == "eth0" })
    try await controller.removeAll()
  }

  @Test func customNetworkWithRangeStaticAddressAndIsolation() async throws {
    let options = NetworkOptions(
      subnet: try Subnet("192.168.50.0/24"), ipRange: try Subnet("192.168.50.128/25"),
      gateway: try IPAddress("192.168.50.1"), mtu: 1400, bridge: try InterfaceName("br0"))
    let network = try await controller.createNetwork("blue", options: options)
    #expect(network.gateway.description == "192.168.50.1")
    let first = try await controller.attach("one", to: .network("blue"))
    let second = try await controller.attach(
      "two", to: .network(String(network.id.prefix(12))),
      options: AttachOptions(address: try IPAddress("192.168.50.101")))
    #expect(first.endpoints.first?.address.description == "192.168.50.128/24")
    #expect(second.endpoints.first?.address.description == "192.168.50.101/24")
    #expect(try first.namespace.links.get("eth0").mtu == 1400)
    #expect(try world.pings("192.168.50.101", from: first.namespace, within: 4))
    #expect(try world.pings(Playground.outsideAddress, from: second.namespace, within: 4))

    let stranger = try await controller.attach("stranger")
    #expect(try !world.pings("192.168.50.101", from: stranger.namespace))
    #expect(try !world.pings("172.17.0.2", from: first.namespace))

    let busy = await #expect(throws: NetworkError.self) { try await controller.removeNetwork("blue") }
    #expect(busy?.code == .inUse)
    #expect(busy?.reason.contains("one, two") == true)
    try await controller.removeAll()
  }

  @Test func internalNetworkHasNoWayInOrOut() async throws {
    try await controller.createNetwork(
      "inner", options: NetworkOptions(subnet: try Subnet("10.20.0.0/24"), isInternal: true))
    let first = try await controller.attach("one", to: .network("inner"))
    _ = try await controller.attach("two", to: .network("inner"))
    #expect(try first.namespace.routes.list().allSatisfy { $0.destination.prefixLength > 0 || $0.table != 254 })
    #expect(try world.pings("10.20.0.3", from: first.namespace, within: 4))
    #expect(try world.pings("10.20.0.1", from: first.namespace, within: 4))
    // Even a container that gives itself a default route stays inside.
    let eth0 = try first.namespace.links.get("eth0")
    try first.namespace.routes.add(Route(to: .all(.ipv4), via: IPAddress("10.20.0.1"), link: eth0.index))
    #expect(try !world.pings(Playground.outsideAddress, from: first.namespace))
    try await controller.removeAll()
  }

  @Test func everythingIsRemoved() async throws {
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.30.0.0/24")))
    try await controller.attach("web", options: AttachOptions(ports: [PortMapping("80")]))
    try await controller.attach("db", to: .network("blue"))
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "1")
    try await controller.removeAll()
    #expect(try world.host.links.list().map(\.name) == ["lo", "eth0"])
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "0")
    #expect(try world.host.sysctl("net/ipv4/ip_forward") == "0")
    #expect(try world.host.routes.list().allSatisfy { !$0.destination.description.hasPrefix("172.") })
  }
}
