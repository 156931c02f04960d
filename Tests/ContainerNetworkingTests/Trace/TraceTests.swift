import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import Playground
import Synchronization
import TestSupport
import Testing

/// Traces of real packets.
@Suite(.timeLimit(.minutes(10))) struct TraceTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    // Frames are for rules of frames alone here; with br_netfilter has a test of its own.
    try world.setBridgeNetfilter(false)
    controller = try await NetworkController(host: world.host)
  }

  private func trace(_ from: String, _ to: String, seconds: Int = 20) async throws -> PacketTrace {
    try await controller.trace(TraceRequest(from: from, to: to, timeout: .seconds(seconds)))
  }

  private func removeAll() async throws {
    try await controller.removeAll()
    #expect(try world.output("nft", "list", "ruleset", in: world.host) == "")
  }

  /// The host has nothing of the trace's, but the two tables of its networks.
  private func expectNothingLeft() throws {
    let tables = try #require(try world.output("nft", "list", "tables", in: world.host))
    #expect(tables.split(separator: "\n").allSatisfy { $0.hasSuffix(" containernetworking") }, "\(tables)")
  }

  /// The places and decisions, without the parts that differ between runs.
  private func places(_ hops: [PacketTrace.Hop]) -> [NetworkGraph.Place] {
    var places: [NetworkGraph.Place] = []
    for hop in hops where places.last != hop.place { places.append(hop.place) }
    return places
  }

  private func decisions(_ hops: [PacketTrace.Hop]) -> [String] {
    hops.flatMap(\.rules).filter { $0.handle != nil }.map { "\($0.chain) \($0.decision)" }
  }

  @Test func outgoing() async throws {
    let web = try await controller.attach("web")
    let server = try world.serve("hello", port: 80, in: world.outside)
    defer { server.stop() }
    let trace = try await trace("web", "\(Playground.outsideAddress):80/tcp")
    #expect(trace.outcome.kind == .answered)
    #expect(places(trace.there) == [.container("web"), .network("bridge"), .host, .uplink("eth0"), .outside])
    #expect(places(trace.back) == [.outside, .uplink("eth0"), .host, .network("bridge"), .container("web")])
    #expect(decisions(trace.there) == ["source accept", "forward accept", "postrouting accept (masquerade)"])
    #expect(decisions(trace.back) == ["forward accept"])
    let own = web.endpoints[0].address.address
    let packet = try #require(trace.packet)
    #expect(packet.source == own)
    #expect((packet.transport, packet.destination, packet.destinationPort) == ("tcp", try IPAddress("203.0.113.2"), 80))
    // Translated on the way out, and back on the way in.
    #expect(trace.there.compactMap(\.translated).map(\.source) == [try IPAddress(Playground.hostAddress)])
    #expect(trace.back.compactMap(\.translated).map(\.destination) == [own])
    #expect(trace.back.last?.packet?.destinationPort == packet.sourcePort)
    try expectNothingLeft()
    #expect(try JSONDecoder().decode(PacketTrace.self, from: JSONEncoder().encode(trace)) == trace)
    try await removeAll()
  }

  @Test(arguments: ["203.0.113.2", "[2001:db8::2]"]) func echoAndDatagram(outside: String) async throws {
    var options = NetworkOptions()
    options.isIPv6Enabled = true
    try await controller.createNetwork("net", options: options)
    try await controller.attach("web", to: .network("net"))
    // The first packet over a new link may be lost to the asking for its neighbour; an echo is not sent again.
    let echo = try await trace("web", outside)
    #expect(echo.outcome.kind == .answered, "\(echo)")
    #expect(echo.back.last?.place == .container("web"))
    let datagram = try await trace("web", "\(outside):9/udp")
    #expect(datagram.outcome.kind == .refused, "\(datagram)")
    #expect(datagram.outcome.text.contains("no program listens on port 9"))
    let connection = try await trace("web", "\(outside):9/tcp")
    #expect(connection.outcome.kind == .refused, "\(connection)")
    #expect(connection.back.last?.place == .container("web"))
    try await removeAll()
  }

  @Test func incomingToAPublishedPort() async throws {
    let web = try await controller.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    let world = self.world
    let trace = try await traced(Playground.outsideAddress, "web:80/tcp") {
      _ = try world.fetch(Playground.hostAddress, 8080, from: world.outside)
    }
    #expect(trace.outcome.kind == .answered, "\(trace)")
    #expect(places(trace.there) == [.outside, .uplink("eth0"), .host, .network("bridge"), .container("web")])
    #expect(places(trace.back) == [.container("web"), .network("bridge"), .host, .uplink("eth0"), .outside])
    #expect(decisions(trace.there) == ["prerouting jump publish", "publish accept (dnat)", "forward accept"])
    #expect(trace.packet?.destinationPort == 8080)
    #expect(trace.there.compactMap(\.translated).map(\.destinationPort) == [80])
    #expect(trace.back.compactMap(\.translated).map(\.sourcePort) == [8080])
    try expectNothingLeft()
    try await removeAll()
  }

  /// Traces a foreign packet, which is sent once the trace is running.
  private func traced(
    _ from: String, _ to: String, seconds: Int = 30, _ send: @escaping @Sendable () throws -> Void
  ) async throws -> PacketTrace {
    let (controller, world) = (controller, world)
    async let trace = controller.trace(try TraceRequest(from: from, to: to, timeout: .seconds(seconds)))
    let isUnderWay = try await eventually {
      try world.output("nft", "list", "tables", in: world.host)?.contains("bridge containernetworking-trace-") == true
    }
    #expect(isUnderWay)
    try send()
    return try await trace
  }

  @Test func containerToContainer() async throws {
    for name in ["one", "two"] { try await controller.attach(name) }
    let trace = try await trace("one", "two")
    #expect(trace.outcome.kind == .answered, "\(trace)")
    #expect(places(trace.there) == [.container("one"), .network("bridge"), .container("two")])
    #expect(places(trace.back) == [.container("two"), .network("bridge"), .container("one")])
    #expect(decisions(trace.there) == ["source accept"])
    // Hairpin: by the host's port, and with br_netfilter, which runs the rules of packets amid those of frames.
    let two = try await controller.sandbox("two")
    let server = try world.serve("hello", port: 80, in: two.namespace)
    defer { server.stop() }
    try await controller.attach("three", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    let three = try await controller.sandbox("three")
    let other = try world.serve("hello", port: 80, in: three.namespace)
    defer { other.stop() }
    for callsRules in [false, true] {
      try world.setBridgeNetfilter(callsRules)
      let hairpin = try await self.trace("one", "host:8080")
      #expect(hairpin.outcome.kind == .answered, "\(hairpin)")
      #expect(hairpin.there.last?.place == .container("three"), "\(hairpin)")
      #expect(hairpin.back.last?.place == .container("one"), "\(hairpin)")
      #expect(decisions(hairpin.there).contains("postrouting accept (masquerade)"))
    }
    try await removeAll()
  }

  @Test func fromTheHost() async throws {
    let web = try await controller.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    for to in ["web:80", "host:8080", "\(Playground.hostAddress):8080"] {
      let trace = try await trace("host", to)
      #expect(trace.outcome.kind == .answered, "\(trace)")
      #expect(places(trace.there) == [.host, .network("bridge"), .container("web")], "\(trace)")
      #expect(places(trace.back) == [.container("web"), .network("bridge"), .host], "\(trace)")
    }
    let refused = try await trace("host", "web:81")
    #expect(refused.outcome.kind == .refused)
    try await removeAll()
  }

  /// One row of a table: sender, receiver, and the expected trace.
  private struct Row {
    var from: String
    var to: String
    var reason: String
    var send: (@Sendable () throws -> Void)?
  }

  private func check(_ rows: [Row]) async throws {
    for row in rows {
      let trace: PacketTrace
      if let send = row.send {
        trace = try await traced(row.from, row.to, send)
      } else {
        trace = try await self.trace(row.from, row.to)
      }
      #expect(trace.outcome.kind == .dropped, "\(row.from) → \(row.to): \(trace)")
      #expect(trace.outcome.text.contains(row.reason), "\(row.from) → \(row.to): \(trace)")
      #expect(trace.outcome.rule?.decision == "drop")
      #expect(trace.outcome.rule?.reason != nil)
      try expectNothingLeft()
    }
  }

  @Test func droppedBetweenNetworks() async throws {
    try await controller.createNetwork("red", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    try await controller.createNetwork("blue", options: NetworkOptions(["10.61.0.0/24"]))
    try await controller.createNetwork("inner", options: NetworkOptions(["10.62.0.0/24"], isInternal: true))
    try await controller.createNetwork(
      "apart", options: NetworkOptions("10.63.0.0/24", NetworkPolicy(allowsContainerTraffic: false)))
    for (name, network) in [("r", "red"), ("b", "blue"), ("i", "inner"), ("a1", "apart"), ("a2", "apart")] {
      try await controller.attach(name, to: .network(network))
    }
    let bridge = try #require(try await controller.network("red").bridge)
    let inner = try await controller.sandbox("i")
    // An internal network has no route to outside; one that a container adds itself does not help.
    try inner.namespace.routes.add(
      Route(to: .all(.ipv4), via: try IPAddress("10.62.0.1"), link: try inner.namespace.links.get("eth0").index))
    // It does not forward; even with forwarding enabled by hand, the rules would drop the packet.
    let closed = try await trace("i", "r:80", seconds: 2)
    #expect(closed.outcome.text.contains("network inner is internal: its bridge br-"), "\(closed)")
    let innerBridge = try #require(try await controller.network("inner").bridge)
    try world.host.setSysctl("net/ipv4/conf/\(innerBridge)/forwarding", to: "1")
    let world = self.world
    try world.host.routes.add(
      Route(
        to: try Subnet("198.51.100.0/24"), via: try IPAddress(Playground.outsideAddress),
        link: try world.host.links.get("eth0").index))
    try world.outside.routes.add(
      Route(
        to: try Subnet("198.51.100.0/24"), via: try IPAddress(Playground.hostAddress),
        link: try world.outside.links.get("eth0").index))
    for subnet in ["10.60.0.0/24", "10.62.0.0/24", "fd00:60::/64"] {
      try world.routeFromOutside(to: try Subnet(subnet))
    }
    let knock: @Sendable (String) -> @Sendable () throws -> Void = { address in
      { _ = try world.fetch(address, 80, from: world.outside) }
    }
    try await check([
      Row(from: "r", to: "i", reason: "network inner is internal: nothing comes in"),
      Row(from: "i", to: "r:80", reason: "network inner is internal: nothing leaves it"),
      Row(from: "i", to: Playground.outsideAddress, reason: "network inner is internal: nothing leaves it"),
      Row(from: "i", to: "10.60.0.1", reason: "network inner is internal: it reaches the host by its gateway alone"),
      Row(from: "r", to: "b:80/udp", reason: "isolation between \(bridge) and br-"),
      Row(from: "b", to: "r", reason: "network blue does not reach network red"),
      // No packet even comes to be: its receiver cannot be asked for.
      Row(from: "a1", to: "a2", reason: "containers of network apart do not reach each other (icc is off)"),
      Row(from: "a1", to: "a2:80/tcp", reason: "the question for its receiver's hardware address"),
      Row(
        from: Playground.outsideAddress, to: "r:80", reason: "port 80 of r is not published", send: knock("10.60.0.2")),
      Row(from: "eth0", to: "i:80", reason: "network inner is internal: nothing comes in", send: knock("10.62.0.2")),
      Row(
        from: Playground.outsideIPv6Address, to: "r:80", reason: "port 80 of r is not published",
        send: knock("fd00:60::2")),
      Row(
        from: "eth0", to: "198.51.100.7:80", reason: "eth0 forwards for our networks alone", send: knock("198.51.100.7")
      ),
    ])
    try await removeAll()
  }

  @Test func droppedForWhatItPretends() async throws {
    let (one, two) = (try await controller.attach("one"), try await controller.attach("two"))
    let (mac, other) = (one.endpoints[0].macAddress, two.endpoints[0].macAddress)
    let port = try #require(one.endpoints[0].hostInterface)
    let gateway = try #require(try world.host.links.get("cn0").macAddress)
    let uplink = try #require(try world.host.links.get("eth0").macAddress)
    let world = self.world
    let namespace = one.namespace
    func send(_ frame: Frame) -> @Sendable () throws -> Void {
      let frames = [frame]
      return { try world.send(frames, by: "eth0", in: namespace) }
    }
    try await check([
      Row(
        from: "\(port)", to: "255.255.255.255:7777/udp", reason: "anti-spoofing: 172.17.0.5 is not an address of one",
        send: send(Frame(from: mac, type: 0x0800, try Frame.ipv4(from: "172.17.0.5", 1)))),
      Row(
        from: "172.17.0.5", to: "two:7777/udp", reason: "anti-spoofing: 172.17.0.5 is not an address of one",
        send: send(
          Frame(from: mac, type: 0x0800, to: other.bytes, try Frame.ipv4(from: "172.17.0.5", to: "172.17.0.3", 1)))),
      Row(
        from: "\(port)", to: "255.255.255.255:7777/udp",
        reason: "anti-spoofing: \(other) is not the hardware address of one",
        send: send(Frame(from: other, type: 0x0800, try Frame.ipv4(from: "172.17.0.2", 1)))),
      Row(
        from: "\(port)", to: "127.0.0.1:7777/udp",
        reason: "127.0.0.1 is an address of the host's own loopback: from a wire it is a martian",
        send: send(
          Frame(from: mac, type: 0x0800, to: gateway.bytes, try Frame.ipv4(from: "172.17.0.2", to: "127.0.0.1", 1)))),
      Row(
        from: "eth0", to: "127.0.0.1:7777/udp",
        reason: "127.0.0.1 is an address of the host's own loopback: from a wire it is a martian",
        send: {
          try world.send(
            [
              Frame(
                from: try MACAddress("02:00:00:00:00:09"), type: 0x0800, to: uplink.bytes,
                try Frame.ipv4(from: Playground.outsideAddress, to: "127.0.0.1", 1))
            ], by: "eth0", in: world.outside)
        }),
    ])
    try await removeAll()
  }

  @Test func droppedByAnothersRule() async throws {
    try await controller.attach("web")
    let rules =
      "add table ip guard; add chain ip guard user { type filter hook forward priority -10; }; "
      + "add rule ip guard user tcp dport 25 drop comment \"no mail\"; "
      + "add chain ip guard closed { type filter hook forward priority -5; policy accept; }; "
      + "add rule ip guard closed tcp dport 26 drop"
    _ = try world.output("nft", rules, in: world.host)
    let commented = try await trace("web", "\(Playground.outsideAddress):25")
    #expect(commented.outcome.kind == .dropped)
    #expect(commented.outcome.text.contains("ip guard user rule"), "\(commented)")
    #expect(commented.outcome.text.hasSuffix("no mail"), "\(commented)")
    let plain = try await trace("web", "\(Playground.outsideAddress):26")
    #expect(plain.outcome.text.contains("nft -a list chain ip guard closed"), "\(plain)")
    _ = try world.output("nft", "delete table ip guard", in: world.host)
    try await removeAll()
  }

  /// Losses without a rule.
  @Test func lost() async throws {
    try await controller.attach("web")
    try await controller.attach("bare", to: .none)
    let neighbor = try await trace("web", "203.0.113.77:80")
    #expect(neighbor.outcome.kind == .lost)
    #expect(neighbor.outcome.text.contains("no host on eth0 answers for 203.0.113.77 (ARP)"), "\(neighbor)")
    let route = try await trace("web", "198.51.100.1")
    #expect(route.outcome.kind == .lost)
    #expect(route.outcome.text.contains("no route"), "\(route)")
    let none = try await trace("bare", Playground.outsideAddress)
    #expect(none.outcome.text == "bare is on no network")

    try await controller.createNetwork("inner", options: NetworkOptions(["10.62.0.0/24"], isInternal: true))
    try await controller.attach("i", to: .network("inner"))
    let inner = try await trace("i", Playground.outsideAddress)
    #expect(inner.outcome.text.contains("network inner is internal, and has no way out"), "\(inner)")

    // A source that is not reached by the link that it comes by.
    try world.host.setSysctl("net/ipv4/conf/eth0/rp_filter", to: "1")
    try world.outside.addresses.add(
      InterfaceAddress("192.0.2.9/32"), to: try world.outside.links.get("lo").index)
    let world = self.world
    let strange = try await traced("eth0", "host:9") {
      _ = try world.busybox("ping", "-c", "1", "-W", "1", Playground.hostAddress, in: world.outside)
      _ = try world.output(
        "bash", "-c", "ip route replace 203.0.113.1 dev eth0 src 192.0.2.9; busybox nc -w 1 203.0.113.1 9",
        in: world.outside)
    }
    #expect(strange.outcome.kind == .lost, "\(strange)")
    #expect(strange.outcome.text.contains("rp_filter"), "\(strange)")
    let unseen = try await trace("203.0.113.2", "web:80", seconds: 1)
    #expect(unseen.outcome.kind == .unseen)
    #expect(unseen.outcome.text.contains("within 1 s"))
    try expectNothingLeft()
    try await removeAll()
  }

  /// A macvlan's packets do not come by the host's rules.
  @Test func macvlanGoesPastTheHost() async throws {
    try await controller.createNetwork(
      "lan",
      options: NetworkOptions(driver: .macvlan, subnet: try Subnet("203.0.113.0/24"), parent: try InterfaceName("eth0"))
    )
    let options = AttachOptions(address: try IPAddress("203.0.113.50"))
    try await controller.attach("web", to: .network("lan"), options: options)
    let trace = try await trace("web", Playground.outsideAddress)
    #expect(trace.outcome.kind == .answered, "\(trace)")
    #expect(trace.there.map(\.place) == [.container("web")])
    #expect(trace.remarks == ["packets of a macvlan go by the wire of its parent, past the host's rules"])
    #expect(try await controller.graph().mermaid().contains("uplink0 --- net0"))
    try await removeAll()
  }

  /// It has no packets, and no tables that go with a socket.
  @Test func simulatedHost() async throws {
    let controller = try await NetworkController(host: try NetworkNamespace.create(on: SimulatedKernel()))
    try await controller.attach("web")
    for from in ["web", "192.0.2.1"] {
      let error = await refusal { try await controller.trace(TraceRequest(from: from, to: "172.17.0.1:80")) }
      #expect(error?.code == .unsupported, "\(from)")
    }
    try await controller.removeAll()
  }

  @Test func cancelling() async throws {
    let (controller, world) = (controller, world)
    try await controller.attach("web")
    let task = Task {
      try await controller.trace(TraceRequest(from: "203.0.113.99", to: "web:80", timeout: .seconds(3600)))
    }
    let isUnderWay = try await eventually {
      try world.output("nft", "list", "tables", in: world.host)?.contains("-trace-") == true
    }
    #expect(isUnderWay)
    task.cancel()
    #expect(try await task.value.outcome.kind == .unseen)
    try expectNothingLeft()
    try await removeAll()
  }

  /// However many wait for a packet, the other verbs have their threads.
  @Test func manyThatWait() async throws {
    let controller = controller
    try await controller.attach("web")
    let isOver = Flag()
    let waiting = (0..<24).map { number in
      Task {
        let trace = try await controller.trace(
          TraceRequest(from: "203.0.113.\(100 + number)", to: "web:80", timeout: .seconds(600)))
        return (trace.outcome.kind, isOver.value.load(ordering: .acquiring))
      }
    }
    #expect(
      try await eventually {
        let tables = try world.output("nft", "list", "tables", in: world.host) ?? ""
        return tables.split(separator: "\n").count { $0.contains("-trace-") } == 48
      })
    try await controller.attach("db")
    #expect(try await controller.sandboxes().count == 2)
    isOver.value.store(true, ordering: .releasing)
    for task in waiting {
      task.cancel()
      let (kind, mayEnd) = try await task.value
      #expect(kind == .unseen)
      #expect(mayEnd)
    }
    try expectNothingLeft()
    try await removeAll()
  }

  @Test func refusals() async throws {
    try await controller.attach("web")
    let endless = TraceRequest(from: .host, to: .name("web"), kind: .echo, timeout: .milliseconds(0))
    #expect(await refusal { try await controller.trace(endless) }?.code == .invalidValue)
    try await controller.attach("bare", to: .none)
    let nobody = await refusal { try await trace("nobody", "web") }
    #expect(nobody?.code == .notFound)
    let nowhere = await refusal { try await trace("web", "nobody") }
    #expect(nowhere?.code == .notFound)
    let bare = await refusal { try await trace("web", "bare") }
    #expect(bare?.code == .conflictingOptions)
    try expectNothingLeft()
    for text in ["web:0", "web:80/sctp", "web/tcp", "web:80/icmp", "[::1", "we b", "", "web:99999", "1.2.3.4:x/udp"] {
      #expect(throws: NetworkError.self, "\(text)") { try TraceRequest(from: "host", to: text) }
    }
    #expect(throws: NetworkError.self) { try TraceRequest(from: "host", to: "web", timeout: .milliseconds(0)) }
    #expect(try TraceRequest(from: "web", to: "[fd00::2]:53/UDP").kind == .udp(53))
    #expect(try TraceRequest(from: "web", to: "fd00::2").to == .address(IPAddress("fd00::2")))
    try await removeAll()
  }
}

private final class Flag: Sendable {
  let value = Atomic(false)
}
