import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// Macvlan networks on the host's `eth0`, whose link leads to the outside.
@Suite(.timeLimit(.minutes(10))) struct MacvlanTests {
  let world: Playground
  let controller: NetworkController
  let before: String

  init() async throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
    controller = try await NetworkController(host: world.host)
  }

  private func removeAll() async throws {
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  private func options(
    _ mode: MacvlanMode = .bridge, isDualStack: Bool = false, isInternal: Bool = false
  ) throws -> NetworkOptions {
    var options = NetworkOptions(
      driver: .macvlan, subnet: try Subnet("203.0.113.0/24"), gateway: try IPAddress(Playground.outsideAddress),
      isInternal: isInternal, parent: try InterfaceName("eth0"), macvlanMode: mode)
    if isDualStack {
      options.subnets.append(try Subnet("2001:db8::/64"))
      options.gateways.append(try IPAddress(Playground.outsideIPv6Address))
    }
    return options
  }

  @Test func containersAreOnTheWire() async throws {
    let network = try await controller.createNetwork("lan", options: try options(isDualStack: true))
    #expect(network.bridge == nil && network.parent?.description == "eth0" && network.macvlanMode == .bridge)
    let web = try await controller.attach("web", to: .network("lan"))
    let db = try await controller.attach("db", to: .network("lan"))
    // .1 is the host's own address on the parent, .2 the router's.
    #expect(web.endpoints[0].addresses.map(\.description) == ["203.0.113.3/24", "2001:db8::3/64"])
    #expect(web.endpoints[0].hostInterface == nil)
    #expect(
      try web.namespace.defaultRoutes()
        == ["via \(Playground.outsideIPv6Address) dev eth0", "via \(Playground.outsideAddress) dev eth0"].sorted())
    let link = try web.namespace.links.get("eth0")
    #expect(link.kind == "macvlan" && link.macvlanMode == .bridge && link.flags.contains(.running))
    #expect(try web.namespace.sysctl("net/ipv6/conf/eth0/accept_ra") == "0")

    let beyond = "198.51.100.7"
    try world.outside.addresses.add(try InterfaceAddress("\(beyond)/32"), to: 1)
    let (inside, other) = (("web", web.namespace), ("db", db.namespace))
    let (outside, host) = (("outside", world.outside), ("host", world.host))
    await world.check([
      .ping(inside, ("outside", Playground.outsideAddress), true),
      .ping(inside, ("outside", Playground.outsideIPv6Address), true),
      .ping(inside, ("beyond the router", beyond), true),
      .ping(outside, ("web", "203.0.113.3"), true), .ping(outside, ("web", "2001:db8::3"), true),
      .ping(inside, ("db", "203.0.113.4"), true), .ping(other, ("web", "2001:db8::3"), true),
      // A macvlan and its parent do not see each other.
      .ping(host, ("web", "203.0.113.3"), false), .ping(inside, ("host", Playground.hostAddress), false),
      .ping(host, ("outside", Playground.outsideAddress), true),
    ])
    // By its own hardware address, not the host's.
    let neighbors = try world.outside.neighbors.list()
    let seen = neighbors.first { "\($0.address)" == "203.0.113.3" }
    #expect(seen?.macAddress == web.endpoints[0].macAddress && link.macAddress == seen?.macAddress)
    // Nothing of it is on the host: no link, no rule, no setting.
    #expect(try world.host.contents(world) == before)
    #expect(try await controller.differences() == [])

    try await controller.detach("db")
    #expect(await refusal { try await controller.removeNetwork("lan") }?.reason.contains("web") == true)
    try await controller.detach("web")
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    try await controller.removeNetwork("lan")
    #expect(try await controller.networks().isEmpty)
    try await removeAll()
  }

  /// The reachability on one parent; the switch at the other end, the outside, reflects no frame.
  @Test(arguments: [(MacvlanMode.bridge, true), (.private, false), (.vepa, false)])
  func modesDecideWhoReachesWhom(_ mode: MacvlanMode, _ isReached: Bool) async throws {
    try await controller.createNetwork("lan", options: try options(mode))
    let web = try await controller.attach("web", to: .network("lan"))
    let db = try await controller.attach("db", to: .network("lan"))
    #expect(try web.namespace.links.get("eth0").macvlanMode == mode)
    await world.check([
      .ping(("web", web.namespace), ("db", "203.0.113.4"), isReached),
      .ping(("db", db.namespace), ("outside", Playground.outsideAddress), true),
      .ping(("outside", world.outside), ("web", "203.0.113.3"), true),
    ])
    try await removeAll()
  }

  @Test func passthruIsForOne() async throws {
    let own = try world.host.links.get("eth0").macAddress
    try await controller.createNetwork("lan", options: try options(.passthru))
    let mac = try MACAddress("02:42:00:00:00:07")
    let wrong = await refusal {
      try await controller.attach("web", to: .network("lan"), options: AttachOptions(macAddress: mac))
    }
    #expect(wrong?.code == .conflictingOptions, "\(wrong as Any)")
    let web = try await controller.attach("web", to: .network("lan"))
    #expect(web.endpoints[0].macAddress == own)
    #expect(try web.namespace.links.get("eth0").macAddress == own)
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    let second = await refusal { try await controller.attach("db", to: .network("lan")) }
    #expect(second?.code == .inUse && second?.description.contains("\"web\"") == true, "\(second as Any)")
    try await controller.detach("web")
    #expect(try world.host.links.get("eth0").macAddress == own)
    try await controller.attach("db", to: .network("lan"))
    try await removeAll()
  }

  @Test func whatCannotBeIsRefusedInWords() async throws {
    let bridge = try world.host.links.createBridge(try InterfaceName("br9"))
    try world.host.links.createVeth(
      VethEnd(try InterfaceName("port9"), master: bridge.index), peer: VethEnd(try InterfaceName("p9")))
    var cases: [(NetworkOptions, NetworkError.Code, String)] = []
    func expect(
      _ code: NetworkError.Code, _ text: String, _ change: (inout NetworkOptions) throws -> Void
    ) throws {
      var options = try options()
      try change(&options)
      cases.append((options, code, text))
    }
    try expect(.conflictingOptions, "needs a parent") { $0.parent = nil }
    try expect(.notFound, "\"eth7\" is no link of the host; there are: eth0, br9, p9") {
      $0.parent = try InterfaceName("eth7")
    }
    try expect(.conflictingOptions, "is the loopback") { $0.parent = try InterfaceName("lo") }
    try expect(.conflictingOptions, "is a port of a bridge") { $0.parent = try InterfaceName("port9") }
    try expect(.conflictingOptions, "has no bridge") { $0.bridge = try InterfaceName("br9") }
    try expect(.conflictingOptions, "are the bridge driver's") { $0.policy.allowsContainerTraffic = false }
    try expect(.invalidValue, "the mtu 1501 is above the 1500") { $0.mtu = 1501 }
    try expect(.conflictingOptions, "are the macvlan driver's or the ipvlan driver's") { $0.driver = .bridge }
    try expect(.unsupported, "there is no driver \"overlay\"") { $0.driver = .overlay }
    for (options, code, text) in cases {
      let error = await refusal { try await controller.createNetwork("lan", options: options) }
      let all = error?.causes.map(\.code) ?? []
      #expect(error?.code == code || all.contains(code), "\(text): \(error as Any)")
      #expect(error?.description.contains(text) == true, "\(text): \(error?.description ?? "")")
    }

    try await controller.createNetwork("lan", options: try options())
    var second = try options()
    second.subnets = [try Subnet("10.60.0.0/24")]
    second.gateways = []
    let taken = await refusal { [second] in try await controller.createNetwork("other", options: second) }
    #expect(taken?.code == .inUse)
    #expect(taken?.description.contains("\"eth0\" is that of network \"lan\"") == true, "\(taken as Any)")
    #expect(taken?.operation.contains("\"other\"") == true)
    try await controller.removeNetwork("lan")
    // A parent that the kernel has given away.
    let end = try world.host.links.get("p9").index
    try world.host.links.createMacvlan(VethEnd(try InterfaceName("theirs")), parent: end, mode: .passthru)
    var given = try options()
    given.parent = try InterfaceName("p9")
    let error = await refusal { [given] in try await controller.createNetwork("lan", options: given) }
    #expect(error?.description.contains("the kernel makes no macvlan on \"p9\"") == true, "\(error as Any)")
    try world.host.links.delete(index: try world.host.links.get("theirs").index)
    try world.host.links.delete(index: end)
    try world.host.links.delete(index: bridge.index)
    try await removeAll()
  }

  @Test func optionsHaveDockersNames() async throws {
    var text = NetworkOptions.Text()
    text.driver = "macvlan"
    text.subnets = ["203.0.113.0/24"]
    text.gateways = ["203.0.113.2"]
    text.driverOptions = ["parent=eth0", "macvlan_mode=private"]
    let options = try NetworkOptions(parsing: text)
    #expect(options.parent?.description == "eth0" && options.macvlanMode == .private)
    text.driverOptions = ["parent=eth0", "macvlan-mode=vepa"]
    #expect(try NetworkOptions(parsing: text).macvlanMode == .vepa)
    text.driverOptions = ["parent=a name too long", "macvlan_mode=open"]
    let error = await refusal { [text] in try NetworkOptions(parsing: text) }
    #expect(error?.causes.count == 2)
    #expect(error?.description.contains("private, vepa, bridge, passthru") == true, "\(error as Any)")

    try await controller.createNetwork("lan", options: options)
    let json = try JSONEncoder().encode(try await controller.inspect("lan"))
    let document = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
    #expect(document["Driver"] as? String == "macvlan")
    #expect(document["Options"] as? [String: String] == ["parent": "eth0", "macvlan_mode": "private"])
    var filter = NetworkFilter()
    try filter.add("driver=macvlan")
    #expect(try await controller.networks(matching: filter).map(\.name) == ["lan"])
    #expect(try await controller.prune(matching: filter).removed.map(\.name) == ["lan"])
    try await removeAll()
  }

  @Test func nothingIsPublished() async throws {
    try await controller.createNetwork("lan", options: try options())
    let port = try PortMapping("8080:80")
    let web = try await controller.attach("web", to: .network("lan"), options: AttachOptions(ports: [port]))
    #expect(web.warnings == [.portDiscarded(port, "lan")])
    #expect(web.warnings[0].description.contains("reached by their own addresses"))
    #expect(web.endpoints[0].ports.isEmpty)
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    await world.check([.fetch(("outside", world.outside), ("web", "203.0.113.3"), 80, "hello", true)])
    try await removeAll()
  }

  @Test func aBridgeBesideItComesAndGoes() async throws {
    try await controller.createNetwork("lan", options: try options(isDualStack: true))
    let web = try await controller.attach("web")
    #expect(try web.namespace.defaultRoutes() == ["via 172.17.0.1 dev eth0"])
    try await controller.connect("web", to: "lan", options: EndpointOptions(gatewayPriority: 1))
    let byLan = ["via \(Playground.outsideIPv6Address) dev eth1", "via \(Playground.outsideAddress) dev eth1"].sorted()
    #expect(try web.namespace.defaultRoutes() == byLan)
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    #expect(try await controller.differences() == [])
    try await controller.disconnect("web", from: "lan")
    #expect(try web.namespace.links.list().map(\.name) == ["lo", "eth0"])
    #expect(try web.namespace.defaultRoutes() == ["via 172.17.0.1 dev eth0"])
    try await controller.connect("web", to: "lan")
    try await controller.disconnect("web", from: "bridge")
    #expect(try web.namespace.defaultRoutes() == byLan)
    try await controller.detach("web")
    // The table and forwarding are the bridge's, and go with it alone.
    try await controller.attach("db", to: .network("lan"))
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "1")
    #expect(try await controller.differences() == [])
    try await removeAll()
  }

  @Test func anInternalOneHasNoWayOn() async throws {
    try await controller.createNetwork("lan", options: try options(isInternal: true))
    let web = try await controller.attach("web", to: .network("lan"))
    #expect(try web.namespace.defaultRoutes() == [])
    #expect(web.endpoints[0].gateways.isEmpty)
    try await removeAll()
  }

  @Test func theNamespaceOfARuntimeIsLeftAsItWas() async throws {
    try await controller.createNetwork("lan", options: try options())
    let namespace = try NetworkNamespace.create()
    try namespace.links.createVeth(VethEnd(try InterfaceName("eth0")), peer: VethEnd(try InterfaceName("x")))
    let before = try namespace.contents(world)
    let web = try await controller.attach("web", to: .network("lan"), namespace: namespace)
    #expect(web.endpoints[0].interface.description == "eth1")
    try await controller.attach("side", to: .container("web"))
    try await controller.detach("web")
    #expect(try namespace.links.list().contains { $0.kind == "macvlan" })
    try await controller.detach("side")
    #expect(try namespace.contents(world) == before)
    let taken = await refusal {
      let endpoint = EndpointOptions(interface: try InterfaceName("x"))
      try await controller.attach(
        "web", to: .network("lan"), options: AttachOptions(endpoint: endpoint), namespace: namespace)
    }
    #expect(taken?.code == .inUse)
    #expect(try namespace.contents(world) == before)
    try await removeAll()
  }

  @Test func whatIsMissingIsFoundAndMadeAgain() async throws {
    try await controller.createNetwork("lan", options: try options(isDualStack: true))
    let web = try await controller.attach("web", to: .network("lan"))
    let whole = try web.namespace.contents(world)
    let expectRepair = { (kind: Difference.Kind) in
      let report = try await controller.reconcile()
      #expect(report.found.map(\.kind) == [kind])
      #expect(report.failures == [])
      #expect(report.remaining == [])
      #expect(try web.namespace.contents(world) == whole)
      #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    }
    let link = { try web.namespace.links.get("eth0").index }
    try web.namespace.links.delete(index: try link())
    try await expectRepair(.linkMissing)
    try web.namespace.addresses.remove(web.endpoints[0].address, from: try link())
    try await expectRepair(.containerSettings)
    // A container may change its MAC address: the link is still recognized as ours.
    var change = LinkChange()
    change.macAddress = try MACAddress("02:42:00:00:00:07")
    try web.namespace.links.change(try link(), change)
    try await controller.detach("web")
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    // A link of the container's own under that name is not.
    let db = try await controller.attach("db", to: .network("lan"))
    try db.namespace.links.delete(index: try db.namespace.links.get("eth0").index)
    try db.namespace.links.createBridge(try InterfaceName("eth0"))
    try await controller.detach("db")
    #expect(try db.namespace.links.list().map(\.name) == ["lo", "eth0"])
    try await removeAll()
  }

  @Test func aParentThatIsGoneIsTold() async throws {
    try await controller.createNetwork("lan", options: try options())
    let web = try await controller.attach("web", to: .network("lan"))
    try world.host.links.delete(index: try world.host.links.get("eth0").index)
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.parentMissing, .linkMissing])
    let report = try await controller.reconcile()
    #expect(report.remaining == found && report.failures.map(\.code) == [])
    // It comes back, and with it the containers'.
    let peer = VethEnd(try InterfaceName("eth0"), namespace: world.outside.handle.descriptor)
    let cable = try world.host.links.createVeth(VethEnd(try InterfaceName("eth0")), peer: peer)
    try world.host.links.setUp(index: cable.index)
    let end = try world.outside.links.get("eth0").index
    try world.outside.addresses.add(try InterfaceAddress("\(Playground.outsideAddress)/24"), to: end)
    try world.outside.links.setUp(index: end)
    let again = try await controller.reconcile()
    #expect(again.found.map(\.kind) == [.linkMissing] && again.remaining == [])
    #expect(try web.namespace.defaultRoutes() == ["via \(Playground.outsideAddress) dev eth0"])
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    try await controller.removeAll()
    #expect(try world.host.links.list().map(\.name) == ["lo", "eth0"])
  }

  @Test func aSmallerParentDecidesTheSize() async throws {
    try world.host.links.setMTU(1400, of: try world.host.links.get("eth0").index)
    let network = try await controller.createNetwork("lan", options: try options())
    #expect(network.mtu == 1400)
    let web = try await controller.attach("web", to: .network("lan"))
    #expect(try web.namespace.links.get("eth0").mtu == 1400)
    try await removeAll()
  }

  /// The kernel has macvlans that are there follow their parent down, and not up again; a new one above it, it refuses.
  @Test func aParentsSizeThatFallsIsFollowedAndTold() async throws {
    try await controller.createNetwork("lan", options: try options(isDualStack: true))
    let web = try await controller.attach("web", to: .network("lan"))
    let eth0 = try world.host.links.get("eth0").index
    try world.host.links.setMTU(1400, of: eth0)
    #expect(try web.namespace.links.get("eth0").mtu == 1400)
    let refused = #expect(throws: NetworkError.self) {
      try world.host.links.createMacvlan(VethEnd(try InterfaceName("m0")), parent: eth0, mtu: 1500)
    }
    #expect(refused?.kernel?.errno == .invalidArgument)
    let db = try await controller.attach("db", to: .network("lan"))
    #expect(try db.namespace.links.get("eth0").mtu == 1400)
    #expect(try world.pings(Playground.outsideAddress, from: db.namespace, within: 4))
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.parentMTU])
    #expect(found.first?.detail == "the mtu 1500 of network \"lan\" is above the 1400 of its parent eth0")
    #expect(try await controller.reconcile().remaining == found)
    try world.host.links.setMTU(1500, of: eth0)
    #expect(try web.namespace.links.get("eth0").mtu == 1400)
    #expect(try await controller.differences() == [])
    try await removeAll()
  }

  /// A parent that has no list of unicast addresses to listen for, such as a veth, listens to all.
  @Test func itsParentListensToAll() async throws {
    let promiscuity = {
      try #require(try world.output("ip", "-d", "link", "show", "eth0", in: world.host))
        .split(separator: " ").drop { $0 != "promiscuity" }.dropFirst().first
    }
    try await controller.createNetwork("lan", options: try options())
    #expect(try promiscuity() == "0")
    try await controller.attach("web", to: .network("lan"))
    #expect(try promiscuity() == "1")
    try await controller.detach("web")
    #expect(try promiscuity() == "0")
    try await removeAll()
  }
}
