import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// Two mappings of one request, each of the four kinds: duplicates are merged, contradictions are reported.
@Suite(.timeLimit(.minutes(5))) struct PortRequestTests {
  enum Way: CaseIterable, Sendable { case attach, publish, connect }

  enum Families: CaseIterable, Sendable {
    case four, six, dual

    var subnets: [String] {
      switch self {
      case .four: ["10.71.0.0/24"]
      case .six: ["fd00:72::/64"]
      case .dual: ["10.70.0.0/24", "fd00:70::/64"]
      }
    }
  }

  /// Where a mapping is asked for.
  enum Kind: CaseIterable, Sendable {
    case generic, anyFour, anySix, specific

    func prefix(_ families: Families) -> String {
      switch self {
      case .generic: ""
      case .anyFour: "0.0.0.0:"
      case .anySix: "[::]:"
      case .specific: families == .six ? "[2001:db8::1]:" : "203.0.113.1:"
      }
    }

    func isIPv6(_ families: Families) -> Bool { self == .anySix || self == .specific && families == .six }

    func covers(_ other: Kind, _ families: Families) -> Bool {
      self == other || self == .generic
        || other == .specific && self == (families == .six ? .anySix : .anyFour)
    }

    /// Whether a network has the family that is asked for.
    func isServed(_ families: Families) -> Bool {
      self == .generic || families == .dual || isIPv6(families) == (families == .six)
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var kernel: KernelUnderTest
    var way: Way
    var families: Families
    var transport: TransportProtocol

    var testDescription: String { "\(kernel) \(way) \(families) \(transport)" }

    /// All on the simulated kernel, and those of TCP on two families on the real one.
    static var all: [Case] {
      var all: [Case] = []
      for way in Way.allCases {
        for families in Families.allCases {
          for transport in [TransportProtocol.tcp, .udp] {
            all.append(Case(kernel: .simulated, way: way, families: families, transport: transport))
          }
        }
        guard KernelUnderTest.available.contains(.linux) else { continue }
        all.append(Case(kernel: .linux, way: way, families: .dual, transport: .tcp))
      }
      return all
    }
  }

  /// A container that gets ports in one of the three ways, and loses them with all else.
  private struct World {
    let controller: NetworkController
    let host: NetworkNamespace
    let way: Way

    init(_ given: Case) async throws {
      way = given.way
      host = try NetworkNamespace.create(on: given.kernel.make())
      let link = try host.links.createBridge(InterfaceName("uplink")).index
      for address in ["203.0.113.1/24", "2001:db8::1/64"] {
        try host.addresses.add(InterfaceAddress(address), to: link)
      }
      try host.links.setUp(index: link)
      controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
      var options = NetworkOptions()
      options.subnets = try given.families.subnets.map { try Subnet($0) }
      options.isIPv4Enabled = given.families != .six
      try await controller.createNetwork("net", options: options)
      try await controller.createNetwork("other", options: NetworkOptions(subnet: try Subnet("10.79.0.0/24")))
      try await controller.attach("bystander", to: .network("net"))
    }

    func publish(_ ports: [PortMapping]) async throws(NetworkError) -> [PublishedPort] {
      switch way {
      case .attach:
        return try await controller.attach("web", to: .network("net"), options: AttachOptions(ports: ports))
          .endpoints[0].ports
      case .publish:
        try await controller.attach("web", to: .network("net"))
        return try await controller.publish(ports, of: "web")
      case .connect:
        try await controller.attach("web", to: .network("other"))
        try await controller.connect("web", to: "net")
        return try await controller.publish(ports, of: "web", on: "net")
      }
    }

    /// The reserved bindings of the port.
    func published() throws -> [String] {
      var asked: [PortBinding] = []
      for transport in [TransportProtocol.tcp, .udp] {
        for family in AddressFamily.allCases { asked.append(PortBinding(.any(family), 8080, transport)) }
      }
      return try host.kernel.heldPorts(among: asked, in: host.handle).map(\.description)
    }
  }

  @Test(arguments: Case.all) func twoMappings(_ given: Case) async throws {
    let world = try await World(given)
    let simulated = world.host.kernel as? SimulatedKernel
    let before = simulated?.snapshot()
    for first in Kind.allCases {
      for second in Kind.allCases {
        for target in [80, 81] {
          let texts = [(first, 80), (second, target)].map { kind, target in
            "\(kind.prefix(given.families))8080:\(target)/\(given.transport)"
          }
          try await check(texts, first, second, isSame: target == 80, given, in: world)
          if try await controllerHas("web", world) { try await world.controller.detach("web") }
          #expect(world.controller.reservedPortCount == 0, "\(texts)")
          #expect(try world.published() == [], "\(texts)")
          if let simulated {
            let after = simulated.snapshot()
            #expect(after == before, "\(texts)")
          }
        }
      }
    }
    #expect(try await world.controller.differences() == [])
    try await world.controller.removeAll()
  }

  private func controllerHas(_ container: String, _ world: World) async throws -> Bool {
    try await world.controller.sandboxes().contains { $0.container == container }
  }

  private func check(
    _ texts: [String], _ first: Kind, _ second: Kind, isSame: Bool, _ given: Case, in world: World
  ) async throws {
    let families = given.families
    let (covers, isCovered) = (first.covers(second, families), second.covers(first, families))
    let isTwice = covers || isCovered
    let kept = !isSame || !isTwice ? [first, second] : covers ? [first] : [second]
    let mappings = try texts.map { try PortMapping($0) }
    let expected = try kept.map { try PortMapping("\($0.prefix(families))8080:80").hostAddress }
    do throws(NetworkError) {
      let ports = try await world.publish(mappings)
      #expect(isSame || !isTwice, "\(texts)")
      #expect(kept.allSatisfy { $0.isServed(families) }, "\(texts)")
      #expect(ports.count == kept.count && ports.allSatisfy { $0.hostPort == 8080 }, "\(texts): \(ports)")
      #expect(Set(ports.map(\.hostAddress)) == Set(expected), "\(texts): \(ports)")
    } catch {
      #expect(error.code == .conflictingOptions, "\(texts): \(error)")
      if !isSame, isTwice {
        #expect(texts.allSatisfy { error.description.contains($0) }, "\(texts): \(error)")
        #expect(error.description.contains("send port 8080/\(given.transport) of the host to two ports"))
      } else {
        #expect(!kept.allSatisfy { $0.isServed(families) }, "\(texts): \(error)")
      }
    }
  }
}
