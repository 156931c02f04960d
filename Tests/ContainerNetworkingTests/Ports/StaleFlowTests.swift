import ContainerNetworking
import Playground
import Testing

/// UDP flows older than the published port: an outside client that keeps its port.
@Suite struct StaleFlowTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
  }

  /// A container that answers datagrams at its port 53 with its own name.
  private func attach(_ container: String, _ ports: String...) async throws -> PortHelper {
    let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
    let sandbox = try await controller.attach(container, to: .network("dual"), options: options)
    return try .hold(.udp, "*", 53, answering: container, in: sandbox.namespace)
  }

  /// Until the answer comes: the first packets over a new link may be lost.
  private func answer(to client: PortHelper) throws -> String? {
    for _ in 0..<4 { if let answer = try client.ask() { return answer } }
    return nil
  }

  @Test(arguments: [(Playground.hostAddress, "5353:53/udp"), (Playground.hostIPv6Address, "[2001:db8::1]:5353:53/udp")])
  func aClientGoesWhereThePortDoes(_ address: String, _ ports: String) async throws {
    // So that no flow expires while a busy machine takes its time.
    for name in ["udp_timeout", "udp_timeout_stream"] {
      try world.host.setSysctl("net/netfilter/nf_conntrack_\(name)", to: "600")
    }
    let client = try PortHelper.client(of: address, 5353, in: world.outside)
    // The same client on another port, whose flow must stay.
    let bystander = try PortHelper.client(of: address, 5354, in: world.outside)
    let server = try PortHelper.hold(.udp, "*", 5354, answering: "host", in: world.host)
    defer { for helper in [client, bystander, server] { helper.stop() } }

    let early = try PortHelper.hold(.udp, "*", 5353, answering: "host", in: world.host)
    #expect(try answer(to: client) == "host")
    #expect(try answer(to: bystander) == "host")
    early.stop()
    let family = try IPAddress(address).family
    let kept = try #require(
      try world.host.connections.list(.udp, family: family).first { $0.original.destinationPort == 5354 })

    for container in ["one", "two"] {
      let inside = try await attach(container, ports)
      #expect(try answer(to: client) == container)
      let flows = try world.host.connections.list(.udp, family: family)
      #expect(flows.contains(kept))
      #expect(flows.count { $0.original.destinationPort == 5353 } == 1)
      inside.stop()
      try await controller.detach(container)
      let after = try world.host.connections.list(.udp, family: family)
      #expect(after.contains(kept))
      #expect(!after.contains { $0.original.destinationPort == 5353 })
    }
    try await controller.removeAll()
  }

  /// A wildcard publication covers the host's addresses: flows to other hosts' addresses stay.
  @Test func whatPassesThroughIsLeftAlone() async throws {
    let remote = try PortHelper.hold(.udp, "*", 53, answering: "outside", in: world.outside)
    let first = try await attach("first")
    let sandbox = try await controller.sandbox("first")
    let client = try PortHelper.client(of: Playground.outsideAddress, 53, in: sandbox.namespace)
    let own = try PortHelper.client(of: Playground.hostAddress, 53, in: world.outside)
    defer { for helper in [remote, first, client, own] { helper.stop() } }
    #expect(try answer(to: client) == "outside")
    #expect(try own.ask() == nil)
    let before = try world.host.connections.list(.udp)
    #expect(before.count { $0.original.destinationPort == 53 } == 2)
    let passing = try #require(before.first { $0.original.destination == (try? IPAddress(Playground.outsideAddress)) })

    let web = try await attach("web", "53:53/udp")
    defer { web.stop() }
    #expect(try world.host.connections.list(.udp).filter { $0.original.destinationPort == 53 } == [passing])
    #expect(try answer(to: own) == "web")
    #expect(try answer(to: client) == "outside")
    try await controller.detach("web")
    #expect(try world.host.connections.list(.udp).filter { $0.original.destinationPort == 53 } == [passing])
    try await controller.removeAll()
  }

  /// Usable on its own: the work of conntrack(8).
  @Test func oneIsForgottenAndTheOthersStay() async throws {
    let servers = try [UInt16(1001), 1002].map {
      try PortHelper.hold(.udp, "*", $0, answering: "\($0)", in: world.host)
    }
    let clients = try [UInt16(1001), 1002].map {
      try PortHelper.client(of: Playground.hostAddress, $0, in: world.outside)
    }
    defer { for helper in servers + clients { helper.stop() } }
    #expect(try clients.map { try answer(to: $0) } == ["1001", "1002"])
    let connections = world.host.connections
    let flows = try connections.list(.udp, family: .ipv4).sorted {
      $0.original.destinationPort < $1.original.destinationPort
    }
    #expect(flows.map(\.original.destinationPort) == [1001, 1002])
    #expect(flows.map { "\($0.reply.source) \($0.reply.sourcePort)" } == ["203.0.113.1 1001", "203.0.113.1 1002"])
    try connections.delete(flows[0])
    #expect(try connections.list(.udp, family: .ipv4) == [flows[1]])
    #expect(await refusal { try connections.delete(flows[0]) }?.code == .notFound)
    // Of several, missing ones are skipped.
    try connections.delete(flows)
    #expect(try connections.list(.udp, family: .ipv4).isEmpty)
    #expect(try connections.list(.tcp).isEmpty)
    try await controller.removeAll()
  }
}
