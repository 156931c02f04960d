import ContainerNetworking
import Playground
import TestSupport
import Testing

/// The source address that a container sees behind a published port, for every client; and that no external packet
/// reaches the host's loopback.
@Suite(.timeLimit(.minutes(5))) struct SeenSourceTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
    try await controller.createNetwork("far", options: try NetworkOptions(["10.71.0.0/24", "fd00:71::/64"]))
  }

  /// The remote end of the connection, as the server reports it.
  private func source(_ address: String, from namespace: NetworkNamespace, at own: String) throws -> String? {
    try waitForValue {
      let lines = (try world.fetchAll(address, 8080, from: namespace) ?? "").replacing("::ffff:", with: "")
      let ends = lines.split(separator: "\n").map { $0.split(separator: " ") }
      guard let ours = ends.first(where: { $0.count > 4 && $0[3] == "\(own):80" }) else { return nil }
      return ours[4].lastIndex(of: ":").map { String(ours[4][..<$0]) }
    }
  }

  @Test(arguments: [false, true]) func whoIsSeen(_ callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    let web = try await controller.attach(
      "web", to: .network("dual"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let near = try await controller.attach("near", to: .network("dual"))
    let far = try await controller.attach("far", to: .network("far"))
    let server = try world.serveConnections(port: 80, in: web.namespace)
    defer { server.stop() }
    let (host, host6) = (Playground.hostAddress, Playground.hostIPv6Address)
    let rows: [(String, NetworkNamespace, String, String)] = [
      ("outside", world.outside, host, Playground.outsideAddress),
      ("outside", world.outside, host6, Playground.outsideIPv6Address),
      ("the host by its address", world.host, host, host), ("the host by its address", world.host, host6, host6),
      ("the host by localhost", world.host, "127.0.0.1", "10.70.0.1"),
      ("the host by another of its own", world.host, "127.0.0.9", "10.70.0.1"),
      ("the host by the gateway", world.host, "10.70.0.1", "10.70.0.1"),
      // The answer must come back by the host, or it would come from an address that was not called.
      ("its own network", near.namespace, host, "10.70.0.1"), ("its own network", near.namespace, host6, "fd00:70::1"),
      ("itself", web.namespace, host, "10.70.0.1"), ("itself", web.namespace, host6, "fd00:70::1"),
      ("another network", far.namespace, host, "10.71.0.2"), ("another network", far.namespace, host6, "fd00:71::2"),
    ]
    for (who, namespace, address, seen) in rows {
      let own = address.contains(":") ? "fd00:70::2" : "10.70.0.2"
      #expect(try source(address, from: namespace, at: own) == seen, "\(who) at \(address)")
    }
    try await controller.removeAll()
  }

  /// Handmade UDP datagrams to the host's own hardware address: only those for the host's real address reach the
  /// container.
  @Test func noWireReachesLocalhost() async throws {
    let web = try await controller.attach(
      "web", to: .network("dual"),
      options: AttachOptions(ports: [PortMapping("7777:7777/udp"), PortMapping("127.0.0.1:7778:7778/udp")]))
    // A port of the bridge by hand, which no rule of ours filters.
    let bridge = try #require(try await controller.network("dual").bridge)
    let stranger = try NetworkNamespace.create()
    let cable = try world.host.links.createVeth(
      VethEnd(InterfaceName("hand0"), master: world.host.links.get("\(bridge)").index),
      peer: VethEnd(InterfaceName("eth0"), namespace: stranger.handle.descriptor))
    try world.host.links.setUp(index: cable.index)
    try stranger.links.setUp(index: stranger.links.get("eth0").index)
    // Until its frames are delivered.
    #expect(try await controller.differences() == [])
    for place in ["net/ipv4/conf/all", "net/ipv4/conf/eth0", "net/ipv4/conf/\(bridge)"] {
      try world.host.setSysctl("\(place)/rp_filter", to: "0")
    }
    let hostMAC = try #require(try world.host.links.get("eth0").macAddress)
    let bridgeMAC = try #require(try world.host.links.get("\(bridge)").macAddress)
    let outsideMAC = try #require(try world.outside.links.get("eth0").macAddress)
    let strangerMAC = try #require(try stranger.links.get("eth0").macAddress)
    func frame(
      _ from: MACAddress, _ to: MACAddress, _ source: String, _ destination: String, _ port: UInt16, _ number: Int
    ) throws -> Frame {
      Frame(from: from, type: 0x0800, to: to.bytes, try Frame.ipv4(from: source, to: destination, number, port: port))
    }
    let listener = try FrameListener(on: "eth0", in: web.namespace)
    let (outside, host) = (Playground.outsideAddress, Playground.hostAddress)
    try world.send(
      [
        frame(outsideMAC, hostMAC, outside, "127.0.0.1", 7777, 1),
        frame(outsideMAC, hostMAC, outside, "127.0.0.1", 7778, 2),
        frame(outsideMAC, hostMAC, "127.0.0.1", host, 7777, 3), frame(outsideMAC, hostMAC, outside, host, 7778, 4),
        frame(outsideMAC, hostMAC, outside, "127.1.2.3", 7777, 5), frame(outsideMAC, hostMAC, outside, host, 7777, 9),
      ], by: "eth0", in: world.outside)
    try world.send(
      [
        frame(strangerMAC, bridgeMAC, "10.70.0.99", "127.0.0.1", 7777, 11),
        frame(strangerMAC, bridgeMAC, "10.70.0.99", "127.0.0.1", 7778, 12),
        frame(strangerMAC, bridgeMAC, "127.0.0.1", host, 7777, 13),
        frame(strangerMAC, bridgeMAC, "127.0.0.1", "127.0.0.1", 7778, 14),
        frame(strangerMAC, bridgeMAC, "10.70.0.99", host, 7777, 19),
      ], by: "eth0", in: stranger)
    // A marker that ends the listening, by the wire too: sent until it is heard.
    for _ in 0..<3 {
      try world.send([frame(outsideMAC, hostMAC, outside, host, 7777, 255)], by: "eth0", in: world.outside)
    }
    let heard = try #require(try listener.numbers())
    #expect(Set(heard).isSubset(of: [9, 19]), "\(heard)")
    #expect(heard.contains(9), "\(heard)")
    // They were dropped by the rule that is there for them.
    let rules = try world.output("nft", "list", "chain", "inet", "containernetworking", "guard", in: world.host) ?? ""
    let counts = rules.matches(of: #/packets (\d+)/#).map { String($0.output.1) }
    #expect(Array(counts.prefix(2)) == ["6", "1"], "\(rules)")
    try world.host.links.delete(index: cable.index)
    try await controller.removeAll()
  }

  /// Independent of how the host's port was chosen.
  @Test func ephemeralAndRangesAreReachedByLocalhost() async throws {
    let web = try await controller.attach(
      "web", to: .network("dual"), options: AttachOptions(ports: [PortMapping("80"), PortMapping("9000-9001:80-81")]))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    let picked = try #require(web.endpoints[0].ports.first { $0.isEphemeral }).hostPort
    await world.check([
      .fetch(("host", world.host), ("picked", "127.0.0.1"), picked, "hello", true),
      .fetch(("host", world.host), ("of a range", "127.0.0.1"), 9000, "hello", true),
      .fetch(("host", world.host), ("nobody's", "127.0.0.1"), 9001, "hello", false),
    ])
    try await controller.removeAll()
  }
}
