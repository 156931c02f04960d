import ContainerNetworking
import Playground
import Testing

/// The holders of ports, and requests that conflict.
@Suite(.timeLimit(.minutes(10))) struct PortTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    let eth0 = try world.host.links.get("eth0").index
    try world.host.addresses.add(InterfaceAddress("203.0.113.5/24"), to: eth0)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork(
      "dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
  }

  @discardableResult
  private func attach(_ container: String, _ ports: String...) async throws -> [String] {
    let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
    return try await controller.attach(container, to: .network("dual"), options: options).endpoints[0].ports
      .map(\.description)
  }

  /// A wildcard conflicts with every address of its family; families, protocols and specific addresses do not conflict
  /// with each other.
  @Test(
    arguments: [
      ("8080:80", "8080:81", true), ("8080:80", "203.0.113.1:8080:80", true),
      ("203.0.113.1:8080:80", "8080:80", true), ("8080:80", "[2001:db8::1]:8080:80", true),
      ("[2001:db8::1]:8080:80", "8080:80", true), ("8080:80", "0.0.0.0:8080:80", true),
      ("[::]:8080:80", "8080:80", true), ("0.0.0.0:8080:80", "203.0.113.1:8080:80", true),
      ("203.0.113.1:8080:80", "0.0.0.0:8080:80", true), ("[::]:8080:80", "[2001:db8::1]:8080:80", true),
      ("[2001:db8::1]:8080:80", "[::]:8080:80", true), ("203.0.113.1:8080:80", "203.0.113.1:8080:80", true),
      ("0.0.0.0:8080:80", "[::]:8080:80", false), ("0.0.0.0:8080:80", "[2001:db8::1]:8080:80", false),
      ("203.0.113.1:8080:80", "[::]:8080:80", false), ("203.0.113.1:8080:80", "203.0.113.5:8080:80", false),
      ("8080:80", "8080:80/udp", false), ("8080:80", "8081:80", false), ("8000-8010:80-90", "8005:80", true),
      ("8000-8010:80-90", "8011:80", false),
    ])
  func conflict(_ first: String, _ second: String, _ isConflict: Bool) async throws {
    try await attach("one", first)
    if isConflict {
      let error = await refusal { try await attach("two", second) }
      #expect(error?.code == .inUse)
      #expect(error?.description.contains("of the host is published for \"one\" already") == true)
    } else {
      try await attach("two", second)
    }
    // For one container it is a duplicate, or a host port for two container ports.
    if isConflict {
      try await controller.detach("one")
      if first.contains("-") || second.hasSuffix(":81") {
        #expect(await refusal { try await attach("two", first, second) }?.code == .conflictingOptions)
      } else {
        try await attach("two", first, second)
      }
    }
    try await controller.removeAll()
  }

  @Test func rangesArePlacedInOrder() async throws {
    #expect(
      try await attach("one", "8000-8002:80-82")
        == ["0.0.0.0:8000->80/tcp", "0.0.0.0:8001->81/tcp", "0.0.0.0:8002->82/tcp"])
    // One container port: any of them. Explicit ports precede picked ones.
    #expect(
      try await attach("two", "9000-9002:90", "9000:91") == ["0.0.0.0:9000->91/tcp", "0.0.0.0:9001->90/tcp"])
    #expect(try await attach("three", "9000-9002:90") == ["0.0.0.0:9002->90/tcp"])
    let full = await refusal { try await attach("four", "9000-9002:90") }
    #expect(full?.code == .inUse)
    #expect(full?.description.contains("every port of 9000...9002/tcp") == true, "\(full as Any)")
    try await controller.detach("two")
    #expect(try await attach("four", "9000-9002:90") == ["0.0.0.0:9000->90/tcp"])
    try await controller.removeAll()
  }

  /// The range minus the reserved ports, each after the last one picked, even if earlier ones were released.
  @Test func ephemeralPortsAreGivenInTurn() async throws {
    try world.host.setSysctl("net/ipv4/ip_local_port_range", to: "40000 40006")
    try world.host.setSysctl("net/ipv4/ip_local_reserved_ports", to: "40001,40003-40004")
    #expect(try await attach("one", "80") == ["0.0.0.0:40000->80/tcp"])
    #expect(try await attach("two", "80") == ["0.0.0.0:40002->80/tcp"])
    #expect(try await attach("three", "80") == ["0.0.0.0:40005->80/tcp"])
    try await controller.detach("one")
    // A failure is not a turn either.
    #expect(await refusal { try await attach("three", "80") }?.code == .alreadyExists)
    #expect(try await attach("four", "80") == ["0.0.0.0:40006->80/tcp"])
    #expect(try await attach("five", "80") == ["0.0.0.0:40000->80/tcp"])
    let full = await refusal { try await attach("six", "80") }
    #expect(full?.code == .exhausted)
    #expect(full?.description.contains("40000...40006") == true)
    try await controller.detach("three")
    // A reserved port can be requested explicitly.
    #expect(try await attach("six", "40001:81", "80") == ["0.0.0.0:40001->81/tcp", "0.0.0.0:40005->80/tcp"])
    try await controller.removeAll()
  }

  @Test func whatIsNotPublishedIsSaid() async throws {
    try await controller.createNetwork("inner", options: NetworkOptions(isInternal: true))
    let options = AttachOptions(ports: [try PortMapping("8080:80"), try PortMapping("81/udp")])
    for (mode, word) in [
      (NetworkMode.host, "in host mode"), (.none, "in mode none"), (.network("inner"), "\"inner\" is internal"),
    ] {
      let sandbox = try await controller.attach("web", to: mode, options: options)
      #expect(sandbox.warnings.count == 2)
      #expect(
        sandbox.warnings.map { "\($0)" }.allSatisfy { $0.contains("is not published") && $0.contains(word) })
      #expect(sandbox.endpoints.flatMap(\.ports).isEmpty)
      #expect(try await controller.sandbox("web").warnings == sandbox.warnings)
      try await controller.detach("web")
    }
    // Not published, so not taken.
    try await attach("web", "8080:80")
    try await controller.removeAll()
  }

  /// Two containers share a port of different addresses, and each is reached by its own.
  @Test func specificAddressesShareAPort() async throws {
    try await attach("one", "203.0.113.1:8080:80", "[2001:db8::1]:8080:80")
    try await attach("two", "203.0.113.5:8080:80")
    let one = try world.serve("one", port: 80, in: try await controller.sandbox("one").namespace)
    let two = try world.serve("two", port: 80, in: try await controller.sandbox("two").namespace)
    defer {
      one.stop()
      two.stop()
    }
    let outside = ("outside", world.outside)
    await world.check([
      .fetch(outside, ("one", "203.0.113.1"), 8080, "one", true),
      .fetch(outside, ("two", "203.0.113.5"), 8080, "two", true),
      .fetch(outside, ("one", "2001:db8::1"), 8080, "one", true),
      .fetch(("host", world.host), ("loopback", "127.0.0.1"), 8080, "one", false),
    ])
    try await controller.removeAll()
  }

  @Test func aHostAddressOfAFamilyThatTheNetworkLacksIsRefused() async throws {
    try await controller.createNetwork("four", options: try NetworkOptions(["10.71.0.0/24"]))
    let error = await refusal {
      try await controller.attach(
        "web", to: .network("four"), options: AttachOptions(ports: [PortMapping("[::]:8080:80")]))
    }
    #expect(error?.code == .conflictingOptions)
    #expect(error?.description.contains("\"four\" has no IPv6") == true, "\(error as Any)")
    try await controller.removeAll()
  }
}
