import ContainerNetworking
import Playground
import Testing

/// Ports that other programs of the host hold, real ones: they are not given out, and refused by name.
@Suite(.timeLimit(.minutes(10))) struct HeldPortTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
    try await controller.createNetwork("four", options: try NetworkOptions(["10.71.0.0/24"]))
  }

  @discardableResult
  private func attach(_ container: String, to network: String = "dual", _ ports: String...) async throws -> [String] {
    let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
    return try await controller.attach(container, to: .network(network), options: options).endpoints[0].ports
      .map(\.description)
  }

  /// A program's binding, the requested one, and whether they conflict.
  static let conflicts: [(TransportProtocol, String, String, Bool)] = [
    (.tcp, "0.0.0.0", "8080:80", true), (.tcp, "::", "8080:80", true), (.tcp, "*", "8080:80", true),
    (.tcp, "127.0.0.1", "8080:80", true), (.tcp, "::1", "8080:80", true), (.tcp, "203.0.113.1", "8080:80", true),
    (.tcp, "0.0.0.0", "0.0.0.0:8080:80", true), (.tcp, "::", "[::]:8080:80", true),
    (.tcp, "0.0.0.0", "203.0.113.1:8080:80", true), (.tcp, "*", "203.0.113.1:8080:80", true),
    (.tcp, "*", "127.0.0.1:8080:80", true), (.tcp, "203.0.113.1", "203.0.113.1:8080:80", true),
    (.tcp, "127.0.0.1", "203.0.113.1:8080:80", false), (.tcp, "203.0.113.1", "127.0.0.1:8080:80", false),
    (.tcp, "0.0.0.0", "[::]:8080:80", false), (.tcp, "::", "0.0.0.0:8080:80", false),
    (.tcp, "::1", "0.0.0.0:8080:80", false), (.tcp, "0.0.0.0", "8081:80", false),
    (.tcp, "0.0.0.0", "8080:80/udp", false),
    (.udp, "0.0.0.0", "8080:80/udp", true), (.udp, "::", "8080:80/udp", true), (.udp, "*", "8080:80/udp", true),
    (.udp, "127.0.0.1", "8080:80/udp", true), (.udp, "203.0.113.1", "203.0.113.1:8080:80/udp", true),
    (.udp, "203.0.113.1", "127.0.0.1:8080:80/udp", false), (.udp, "::", "0.0.0.0:8080:80/udp", false),
    (.udp, "*", "8080:80", false), (.udp, "*", "8081:80/udp", false),
  ]

  @Test func whatIsHeldIsRefusedByName() async throws {
    for (transport, address, ports, isConflict) in Self.conflicts {
      let holder = try PortHelper.hold(transport, address, 8080, in: world.host)
      let before = try await controller.inspect("dual").usage
      if isConflict {
        let error = await refusal { try await attach("web", ports) }
        #expect(error?.code == .inUse, "\(transport) \(address) \(ports)")
        let place = ports.hasPrefix("8080") ? "" : " at \(ports.contains("[") ? "::" : ports.prefix { $0 != ":" })"
        #expect(
          error?.description.contains(
            "port 8080/\(transport) of the host\(place) is held by another process of the host; choose another, or end "
              + "that process (ss -lntup on the host tells which)") == true, "\(error as Any)")
        #expect(error?.description.contains("nothing was changed") == true)
        #expect(try await controller.inspect("dual").usage.map(\.inUse) == before.map(\.inUse))
        #expect(try await controller.sandboxes().isEmpty)
        holder.stop()
        try await attach("web", ports)
      } else {
        try await attach("web", ports)
        holder.stop()
      }
      try await controller.detach("web")
    }
    try await controller.removeAll()
  }

  /// A network of one family publishes on that alone.
  @Test func theFamilyThatANetworkLacksDoesNotCount() async throws {
    let six = try PortHelper.hold(.tcp, "::", 8080, in: world.host)
    defer { six.stop() }
    #expect(try await attach("web", to: "four", "8080:80") == ["0.0.0.0:8080->80/tcp"])
    try await controller.removeAll()
  }

  /// In mode `routed` the host's port is not used.
  @Test func routedNetworksTakeNoPortOfTheHost() async throws {
    let holder = try PortHelper.hold(.tcp, "*", 8080, in: world.host)
    defer { holder.stop() }
    var policy = NetworkPolicy()
    policy.gatewayModeIPv4 = .routed
    try await controller.createNetwork("routed", options: try NetworkOptions("10.72.0.0/24", policy))
    #expect(try await attach("web", to: "routed", "8080:80") == ["0.0.0.0:8080->80/tcp"])
    try await controller.removeAll()
  }

  @Test func picksPassHeldPortsOver() async throws {
    try world.host.setSysctl("net/ipv4/ip_local_port_range", to: "40000 40005")
    let holders = try [("0.0.0.0", UInt16(40000)), ("127.0.0.1", 40001), ("::", 40003), ("*", 9000), ("::1", 9001)].map
    {
      try PortHelper.hold(.tcp, $0.0, $0.1, in: world.host)
    }
    defer { for holder in holders { holder.stop() } }
    #expect(try await attach("one", "80") == ["0.0.0.0:40002->80/tcp"])
    // Next after last.
    #expect(try await attach("two", "80", "81") == ["0.0.0.0:40005->80/tcp", "0.0.0.0:40004->81/tcp"])
    let full = await refusal { try await attach("three", "80") }
    #expect(full?.code == .exhausted)
    #expect(
      full?.description.contains("every ephemeral port, 40000...40005, is published, reserved or held") == true,
      "\(full as Any)")
    #expect(try await attach("range", "9000-9003:90") == ["0.0.0.0:9002->90/tcp"])
    let none = await refusal { try await attach("four", "9000-9002:90") }
    #expect(none?.code == .inUse)
    #expect(
      none?.description.contains("every port of 9000...9002/tcp of the host is published or held by another process")
        == true, "\(none as Any)")
    // Of a range that goes one to one, each has its place.
    #expect(await refusal { try await attach("four", "8999-9000:80-81") }?.code == .inUse)
    try await controller.removeAll()
  }

  @Test func anAddressThatTheHostLacksIsRefused() async throws {
    for ports in ["203.0.113.9:8080:80", "[2001:db8::9]:8080:80/udp"] {
      let error = await refusal { try await attach("web", ports) }
      #expect(error?.code == .notFound)
      #expect(error?.description.contains("no link of the host has the address") == true, "\(error as Any)")
      #expect(try await controller.sandboxes().isEmpty)
    }
    try await controller.removeAll()
  }

  /// A closed connection leaves its port in TIME_WAIT, without a listener.
  @Test func whatIsOverDoesNotCount() async throws {
    let server = try world.serve("bye", port: 80, in: world.outside)
    defer { server.stop() }
    // The side that closes first keeps it: now and then the client.
    var own: Substring?
    for _ in 0..<50 where own == nil {
      #expect(try world.fetch(Playground.outsideAddress, 80, from: world.host) == "bye")
      let lines = try world.output("ss", "-Htan", "state", "time-wait", in: world.host) ?? ""
      own = lines.split { $0.isWhitespace }.first { $0.hasPrefix("\(Playground.hostAddress):") }
    }
    let port = try #require(own?.split(separator: ":").last)
    #expect(try await attach("web", "\(port):80") == ["0.0.0.0:\(port)->80/tcp"])
    try await controller.removeAll()
  }
}
