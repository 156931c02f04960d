import ContainerNetworking
import Playground
import TestSupport
import Testing

/// Networks whose first bridge is full, with few ports to a bridge: two containers are on the first, and three on each
/// of two more.
@Suite(.timeLimit(.minutes(5))) struct GrowthTests {
  let world: Playground
  let controller: NetworkController
  private static let nets = [
    ("10.60.0.", Playground.hostAddress, Playground.outsideAddress),
    ("fd00:60::", Playground.hostIPv6Address, Playground.outsideIPv6Address),
  ]

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host, settings: Self.settings)
  }

  private static var settings: ControllerSettings {
    var settings = ControllerSettings(resolvers: [])
    (settings.bridgePorts, settings.bridgeTrunks, settings.bridgePortLimit) = (4, 2, 4)
    return settings
  }

  private func create(
    _ name: String = "net", _ number: Int = 60, isInternal: Bool = false,
    _ change: (inout NetworkOptions) -> Void = { _ in }
  ) async throws -> NetworkRecord {
    var options = try NetworkOptions(["10.\(number).0.0/24", "fd00:\(number)::/64"], isInternal: isInternal)
    change(&options)
    return try await controller.createNetwork(name, options: options)
  }

  /// Containers c0, c1 and so on, with their addresses' last numbers 2, 3 and so on.
  private func attach(_ numbers: Range<Int>, to network: String = "net", name: String = "c") async throws -> [Sandbox] {
    var sandboxes: [Sandbox] = []
    for number in numbers {
      sandboxes.append(try await controller.attach("\(name)\(number)", to: .network(network)))
    }
    return sandboxes
  }

  private func expectNothingLeft(_ before: String) async throws {
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// The host's bridges, by their ports.
  private func bridges() throws -> [String: Int] {
    let links = try world.host.links.list()
    return Dictionary(
      uniqueKeysWithValues: links.filter { $0.kind == "bridge" }.map { bridge in
        (bridge.name, links.count { $0.master == bridge.index })
      })
  }

  @Test func endpointsGoWhereThereIsRoom() async throws {
    let before = try world.host.contents(world)
    let network = try await create()
    let first = "\(try #require(network.bridge))"
    let (one, two) = ("br-\(network.id.prefix(8))-1", "br-\(network.id.prefix(8))-2")
    let sandboxes = try await attach(0..<8)
    #expect(
      sandboxes.map { $0.endpoints[0].bridge?.description } == [nil, nil, one, one, one, two, two, two])
    #expect(try bridges() == [first: 4, one: 4, two: 4])
    #expect(try await controller.differences() == [])
    #expect(try await controller.network("net").furtherBridges?.map(\.name.description) == [one, two])
    let graph = try await controller.graph()
    #expect("\(graph)".contains("bridge \(first) and 2 more") && graph.uplinks.map(\.name) == ["eth0"])
    // None has an address of its own, and none but the first answers.
    for name in [one, two] {
      let link = try world.host.links.get(name)
      #expect(try world.host.addresses.list(link: link.index) == [] && link.mtu == network.mtu)
    }

    let error = await #expect(throws: NetworkError.self) { try await controller.attach("more", to: .network("net")) }
    #expect(error?.code == .exhausted)
    for text in ["network \"net\"", first, "which has 2 for them", "its 2 further bridges"] {
      #expect(error?.description.contains(text) == true)
    }
    #expect(try await controller.sandboxes().count == 8)
    // Free ports of the first bridge are used first, and a bridge is removed with its last endpoint.
    for name in ["c0", "c5", "c6"] { try await controller.detach(name) }
    #expect(try await controller.attach("again", to: .network("net")).endpoints[0].bridge == nil)
    try await controller.detach("c7")
    #expect(try bridges() == [first: 3, one: 4])
    #expect(try await controller.network("net").furtherBridges?.map(\.name.description) == [one])
    #expect(try await attach(5..<6)[0].endpoints[0].bridge?.description == two)
    // A stopped container's kept endpoint takes no port.
    let kept = AttachOptions(address: try IPAddress("10.60.0.99"))
    try await controller.attach("kept", to: .network("net"), options: kept)
    for name in ["c5", "kept"] { try await controller.stop(name) }
    #expect(try bridges() == [first: 3, one: 4])
    #expect(
      try await controller.attach("kept", to: .network("net")).endpoints[0].address.address.description == "10.60.0.99")
    try await expectNothingLeft(before)
  }

  @Test(arguments: [true, false]) func allReachEachOther(callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    let before = try world.host.contents(world)
    _ = try await create()
    _ = try await create("other", 61)
    let all = try await attach(0..<7)
    let other = try await attach(0..<4, to: "other", name: "o")
    // Published by one on each bridge.
    for (number, port) in [(0, 8000), (2, 8002), (5, 8005)] {
      try await controller.publish([PortMapping("\(port):80")], of: "c\(number)")
    }
    let servers = try [0, 2, 3, 5].map { try world.serve("c\($0)", port: 80, in: all[$0].namespace) }
    defer { for server in servers { server.stop() } }
    var rows: [Reach] = []
    for (net, host, outside) in Self.nets {
      for from in [0, 2, 3, 5, 6] {
        let sender = ("c\(from)", all[from].namespace)
        for to in [0, 2, 3, 5] where to != from {
          rows.append(.fetch(sender, ("c\(to)", "\(net)\(to + 2)"), 80, "c\(to)", true))
        }
        rows += [
          .ping(sender, ("the gateway", "\(net)1"), true), .ping(sender, ("the outside", outside), true),
          .ping(sender, ("c6", "\(net)8"), true),
          .ping(sender, ("o3", "\(net)5".replacing("60", with: "61")), false),
        ]
        // By the host's address too, where the rules of packets see frames: on its own bridge, another, and itself.
        for port in [8000, 8002, 8005] as [UInt16] {
          rows.append(.fetch(sender, ("a published port", host), port, "c\(port - 8000)", true))
        }
      }
      for port in [8000, 8002, 8005] as [UInt16] {
        rows.append(.fetch(("outside", world.outside), ("a published port", host), port, "c\(port - 8000)", true))
      }
      rows.append(.ping(("o3", other[3].namespace), ("c2", "\(net)4"), false))
      rows.append(.ping(("o3", other[3].namespace), ("o0", "\(net)2".replacing("60", with: "61")), true))
    }
    rows.append(.fetch(("the host", world.host), ("localhost", "127.0.0.1"), 8002, "c2", true))
    await world.check(rows)
    try await expectNothingLeft(before)
  }

  @Test(arguments: [true, false]) func noneReachesAnotherWithoutContainerTraffic(callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    let before = try world.host.contents(world)
    _ = try await create { $0.policy.allowsContainerTraffic = false }
    let all = try await attach(0..<7)
    try await controller.publish([PortMapping("8002:80")], of: "c2")
    let server = try world.serve("c2", port: 80, in: all[2].namespace)
    defer { server.stop() }
    var rows: [Reach] = []
    for (net, host, outside) in Self.nets {
      // First and further, both ways; one further and another; on the same.
      for (from, to) in [(0, 1), (0, 2), (2, 0), (2, 5), (5, 2), (2, 3)] {
        rows.append(.ping(("c\(from)", all[from].namespace), ("c\(to)", "\(net)\(to + 2)"), false))
      }
      for from in [0, 2, 3, 5] {
        let sender = ("c\(from)", all[from].namespace)
        rows += [
          .ping(sender, ("the gateway", "\(net)1"), true), .ping(sender, ("the outside", outside), true),
          .fetch(sender, ("a published port", host), 8002, "c2", true),
        ]
      }
      rows.append(.fetch(("outside", world.outside), ("a published port", host), 8002, "c2", true))
    }
    await world.check(rows)
    try await expectNothingLeft(before)
  }

  /// By the hardware address of its further bridge a container reaches nothing of the host: the rules are the first one's.
  @Test func aFurtherBridgeIsASwitchAlone() async throws {
    let before = try world.host.contents(world)
    _ = try await create(isInternal: true)
    let all = try await attach(0..<4)
    var rows: [Reach] = []
    for (net, host, outside) in Self.nets {
      rows += [
        .ping(("c2", all[2].namespace), ("c0", "\(net)2"), true),
        .ping(("c2", all[2].namespace), ("the gateway", "\(net)1"), true),
        .ping(("c2", all[2].namespace), ("the host", host), false),
        .ping(("c2", all[2].namespace), ("the outside", outside), false),
      ]
    }
    await world.check(rows)
    let further = try #require(all[2].endpoints[0].bridge)
    let mac = try #require(try world.host.links.get("\(further)").macAddress)
    let eth0 = try all[2].namespace.links.get("eth0").index
    // The host's address on an outer link, behind the further bridge's hardware address.
    for address in ["10.60.0.250", "fd00:60::250"] {
      let neighbor = Neighbor(try IPAddress(address), macAddress: mac, link: eth0)
      try all[2].namespace.neighbors.replace(neighbor)
      try all[2].namespace.routes.add(
        Route(to: .all(neighbor.address.family), via: neighbor.address, link: eth0))
    }
    await world.check(
      Self.nets.map { .ping(("c2", all[2].namespace), ("the host by the further bridge", $0.1), false) })
    let counted = try world.output("nft", "list", "chain", "bridge", "containernetworking", "control", in: world.host)
    let rule = counted?.split(separator: "\n").first { $0.contains("@further_ports") } ?? ""
    #expect(rule.contains("counter packets") && !rule.contains("counter packets 0 "))
    try await expectNothingLeft(before)
  }

  @Test(arguments: [true, false]) func spoofedFramesStayAtTheirPort(callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    let before = try world.host.contents(world)
    _ = try await create()
    let all = try await attach(0..<6)
    let (own, other) = (all[2].endpoints[0].macAddress, all[5].endpoints[0].macAddress)
    let frames = [
      Frame(from: own, type: 0x0800, try Frame.ipv4(from: "10.60.0.4", 0)),
      Frame(from: own, type: 0x0800, try Frame.ipv4(from: "10.60.0.7", 1)),
      Frame(from: own, type: 0x0800, try Frame.ipv4(from: "10.60.0.1", 2)),
      Frame(from: other, type: 0x0800, try Frame.ipv4(from: "10.60.0.4", 3)),
      Frame(from: own, type: 0x0806, try Frame.arp(from: own, "10.60.0.4", 4)),
      Frame(from: own, type: 0x0806, try Frame.arp(from: own, "10.60.0.7", 5)),
      Frame(from: own, type: 0x0806, try Frame.arp(from: own, "10.60.0.1", 6)),
      Frame(from: own, type: 0x88b5, Frame.mark(255)),
    ]
    // On its own bridge, the first and another; each once, not by the trunk again.
    let listeners = try [3, 0, 5].map { try FrameListener(on: "eth0", in: all[$0].namespace) }
    try world.send(frames, by: "eth0", in: all[2].namespace)
    for listener in listeners {
      let seen = try #require(try listener.numbers())
      #expect(seen.filter { $0 == 0 } == [0] && Set(seen).isSubset(of: [0, 4]))
    }
    try await expectNothingLeft(before)
  }

  @Test func whereItIsNotToGrowAnAttachIsRefused() async throws {
    let before = try world.host.contents(world)
    try world.host.links.createBridge(try InterfaceName("br-own"))
    _ = try await create("small") { $0.growsOverBridges = false }
    _ = try await create("adopting", 61) { $0.bridge = try? InterfaceName("br-own") }
    for (name, why) in [("small", "does not grow;"), ("adopting", "beyond an adopted bridge")] {
      // All four: none is kept for others.
      let all = try await attach(0..<4, to: name, name: name)
      #expect(all.allSatisfy { $0.endpoints[0].bridge == nil })
      let error = await #expect(throws: NetworkError.self) { try await controller.attach("more", to: .network(name)) }
      #expect(error?.code == .exhausted && error?.description.contains(why) == true)
      let several = await controller.attach(["more", "evenmore"].map { AttachRequest($0, to: .network(name)) })
      #expect(several.allSatisfy { (try? $0.get()) == nil })
    }
    #expect(try await controller.network("small").growsOverBridges == false)
    #expect(try await controller.sandboxes().count == 8)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    try world.host.links.delete(index: try world.host.links.get("br-own").index)
    #expect(try world.host.contents(world) == before)
  }

  /// Foreign ports are on the bridge, up to the kernel's limit.
  @Test func othersPortsAreCounted() async throws {
    let network = try await create()
    let bridge = try world.host.links.get("\(try #require(network.bridge))").index
    func fill(_ numbers: Range<Int>) throws {
      for number in numbers {
        try world.host.links.createVeth(
          VethEnd(try InterfaceName("d\(number)"), master: bridge), peer: VethEnd(try InterfaceName("e\(number)")))
      }
    }
    try fill(0..<1_022)
    _ = try await attach(0..<1)
    for _ in 0..<2 {
      let refusal = await #expect(throws: NetworkError.self) {
        try await controller.attach("more", to: .network("net"))
      }
      #expect(refusal?.code == .exhausted)
      #expect(refusal?.description.contains("links of others hold the rest of the 1023 ports") == true)
    }
    #expect(try await controller.network("net").furtherBridges == nil)
    try world.host.links.delete(index: try world.host.links.get("d0").index)
    let there = try await attach(1..<2)[0].endpoints[0].address.address
    // There is room for another by the records; and no port by which it would be reached.
    let refusal = await #expect(throws: NetworkError.self) { try await controller.attach("more", to: .network("net")) }
    #expect(refusal?.code == .exhausted && refusal?.description.contains("no port left for a trunk to another") == true)
    #expect(try await controller.network("net").furtherBridges == nil)
    try world.host.links.delete(index: try world.host.links.get("d1").index)
    #expect(try await attach(2..<3)[0].endpoints[0].bridge != nil)
    // Where the first has room by the records alone, the next takes it.
    try await controller.detach("c0")
    try fill(0..<1)
    let results = await controller.attach(["c3", "c4"].map { AttachRequest($0, to: .network("net")) })
    for result in results {
      let sandbox = try result.get()
      #expect(sandbox.endpoints[0].bridge != nil)
      #expect(try world.pings("\(there)", from: sandbox.namespace, within: 5))
    }
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(
      try world.host.links.list().allSatisfy {
        ["lo", "eth0"].contains($0.name) || $0.name.hasPrefix("d") || $0.name.hasPrefix("e")
      })
  }

  @Test func whatIsTakenAwayComesBack() async throws {
    let before = try world.host.contents(world)
    let network = try await create()
    let first = "\(try #require(network.bridge))"
    let all = try await attach(0..<6)
    let number = "-\(network.id.prefix(8))-1"
    func expectRepair(_ kinds: Set<Difference.Kind>, _ what: Comment) async throws {
      let report = try await controller.reconcile()
      #expect(Set(report.found.map(\.kind)) == kinds, what)
      #expect(report.failures == [] && report.remaining == [], what)
      for (net, _, _) in Self.nets {
        #expect(try world.pings("\(net)1", from: all[2].namespace, within: 5), what)
        #expect(try world.pings("\(net)7", from: all[2].namespace, within: 5), what)
      }
    }
    func index(_ name: String) throws -> Int32 { try world.host.links.get(name).index }
    try world.host.links.delete(index: try index("br\(number)"))
    try await expectRepair([.bridgeMissing, .portSettings], "the bridge is gone")
    try world.host.links.delete(index: try index("bd\(number)"))
    try await expectRepair([.bridgeSettings], "the trunk is gone")
    for name in ["br", "bd", "bu"] {
      try world.host.links.setDown(index: try index(name + number))
      try await expectRepair([.bridgeSettings], "\(name) is down")
    }
    for name in ["bd", "bu"] {
      try world.host.links.clearMaster(of: try index(name + number))
      try await expectRepair([.bridgeSettings], "\(name) is not a port")
    }
    // On the wrong one of its network's bridges.
    let port = try index("\(try #require(all[2].endpoints[0].hostInterface))")
    try world.host.links.setMaster(try index(first), of: port)
    try await expectRepair([.portSettings], "a veth is on the first bridge")
    try world.host.links.delete(index: port)
    try await expectRepair([.linkMissing], "a veth is gone")
    try world.host.links.delete(index: try index(first))
    try await expectRepair([.bridgeMissing, .portSettings], "the first bridge is gone")
    let rules = try world.output("nft", "-s", "list", "ruleset", in: world.host)
    _ = try world.output("nft", "flush", "ruleset", in: world.host)
    try await expectRepair([.rules], "the rules are gone")
    #expect(try world.output("nft", "-s", "list", "ruleset", in: world.host) == rules)
    // Named as ours are, and of no record.
    try world.host.links.createVeth(
      VethEnd(try InterfaceName("vethdeadbeef"), master: try index("br\(number)")),
      peer: VethEnd(try InterfaceName("peer0")))
    try await expectRepair([.strayPort], "a stray")
    try await expectNothingLeft(before)
  }

  @Test func aDeletedBridgeHealsByItself() async throws {
    var settings = Self.settings
    settings.heals = true
    let watching = try await NetworkController(host: world.host, settings: settings)
    let network = try await watching.createNetwork("net", options: try NetworkOptions(["10.60.0.0/24"]))
    var all: [Sandbox] = []
    for number in 0..<3 { all.append(try await watching.attach("c\(number)", to: .network("net"))) }
    for name in ["br", "bd"] {
      try world.host.links.delete(index: try world.host.links.get("\(name)-\(network.id.prefix(8))-1").index)
      let isWhole = try await eventually { try await watching.differences().isEmpty }
      #expect(isWhole)
      #expect(try world.pings("10.60.0.2", from: all[2].namespace, within: 5))
    }
    try await watching.removeAll()
  }

  /// Containers from before networks could grow, more than the capacity now.
  @Test func aNetworkThatIsFullGrowsWhenItIsOpenedAgain() async throws {
    let store = MemoryStore()
    let old = try await NetworkController(host: world.host, store: store)
    try await old.createNetwork("net", options: try NetworkOptions(["10.60.0.0/24"]))
    for number in 0..<5 { try await old.attach("c\(number)", to: .network("net")) }
    #expect(try await old.network("net").furtherBridges == nil)
    let new = try await NetworkController(host: world.host, store: store, settings: Self.settings)
    let more = try await new.attach("more", to: .network("net"))
    #expect(more.endpoints[0].bridge != nil)
    #expect(try world.pings("10.60.0.2", from: more.namespace, within: 5))
    // Another start of the machine: the kernel has forgotten all, and the further bridge is made when it is needed.
    let afterwards = try Playground()
    var settings = Self.settings
    settings.bootID = "another"
    let next = try await NetworkController(host: afterwards.host, store: store, settings: settings)
    #expect(try await next.network("net").furtherBridges == nil)
    #expect(try await next.differences() == [])
    for number in 0..<2 { #expect(try await next.attach("d\(number)", to: .network("net")).endpoints[0].bridge == nil) }
    let last = try await next.attach("d2", to: .network("net"))
    #expect(last.endpoints[0].bridge != nil)
    #expect(try afterwards.pings("10.60.0.1", from: last.namespace, within: 5))
    #expect(try await next.differences() == [])
    try await next.removeAll()
    #expect(try afterwards.host.links.list().map(\.name).sorted() == ["eth0", "lo"])
  }

  @Test func manyAtOnceAndKeptReady() async throws {
    let before = try world.host.contents(world)
    _ = try await create()
    let results = await controller.attach((0..<5).map { AttachRequest("c\($0)", to: .network("net")) })
    let all = try results.map { try $0.get() }
    #expect(all.map { $0.endpoints[0].bridge == nil } == [true, true, false, false, false])
    try await controller.keepReady(3, on: "net", refillsPerSecond: 0.000_1)
    let ready = try await controller.attach("ready", to: .network("net"))
    #expect(ready.endpoints[0].bridge != nil)
    await world.check([
      .ping(("ready", ready.namespace), ("c0", "10.60.0.2"), true),
      .ping(("c4", all[4].namespace), ("ready", "\(ready.endpoints[0].address.address)"), true),
    ])
    // Ready sandboxes are released.
    #expect(try await controller.attach("late", to: .network("net")).endpoints[0].bridge != nil)
    try await controller.keepReady(0, on: "net")
    let connected = try await controller.attach("elsewhere")
    let endpoint = try await controller.connect("elsewhere", to: "net")
    #expect(endpoint.bridge != nil)
    await world.check([.ping(("elsewhere", connected.namespace), ("c0", "10.60.0.2"), true)])
    try await controller.disconnect("elsewhere", from: "net")
    try await expectNothingLeft(before)
  }

  @Test func aTraceShowsEachBridge() async throws {
    try world.setBridgeNetfilter(false)
    let network = try await create()
    _ = try await attach(0..<6)
    let trace = try await controller.trace(TraceRequest(from: "c2", to: "c5", timeout: .seconds(20)))
    #expect(trace.outcome.kind == .answered)
    let text = "\(trace)"
    for name in ["br-\(network.id.prefix(8))-1", "\(try #require(network.bridge))", "br-\(network.id.prefix(8))-2"] {
      #expect(text.contains("comes to bridge \(name)"), "\(text)")
    }
    try await controller.removeAll()
  }
}
