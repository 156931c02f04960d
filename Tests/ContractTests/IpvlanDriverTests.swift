import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// Ipvlan networks on the simulated kernel, which has ipvlans.
@Suite(.timeLimit(.minutes(10))) struct IpvlanDriverTests {
  private let kernel = SimulatedKernel()
  private let store = MemoryStore()
  private let host: NetworkNamespace

  init() throws {
    host = try NetworkNamespace.create(on: kernel)
    let parent = try host.links.createVeth(VethEnd(InterfaceName("lan0")), peer: VethEnd(InterfaceName("lan1")))
    for index in [parent.index, try #require(parent.peer)] { try host.links.setUp(index: index) }
  }

  private func makeController() async throws -> NetworkController {
    try await NetworkController(host: host, store: store, settings: ControllerSettings(resolvers: []))
  }

  private func options(_ mode: IpvlanMode? = nil, isInternal: Bool = false) throws -> NetworkOptions {
    var options = NetworkOptions(
      driver: .ipvlan, subnets: [try Subnet("10.3.0.0/24"), try Subnet("fd00:3::/64")],
      gateways: [try IPAddress("10.3.0.1"), try IPAddress("fd00:3::1")], isInternal: isInternal,
      parent: try InterfaceName("lan0"))
    options.ipvlanMode = mode
    return options
  }

  private func defaultRoutes(_ namespace: NetworkNamespace) throws -> [String] {
    try namespace.routes.list().filter { $0.destination.prefixLength == 0 && $0.table == 254 }
      .map { "\($0.destination) via \($0.gateway.map { "\($0)" } ?? "the link")" }.sorted()
  }

  @Test func containersShareTheParentsAddressAndDifferByTheirs() async throws {
    let controller = try await makeController()
    let before = kernel.snapshot()
    let network = try await controller.createNetwork("lan", options: try options())
    #expect(network.bridge == nil && network.parent?.description == "lan0" && network.macvlanMode == nil)
    #expect(network.ipvlanMode == .l2 && network.ipvlanFlag == .bridge)
    #expect(kernel.snapshot() == before)
    let web = try await controller.attach("web", to: .network("lan"))
    let db = try await controller.attach("db", to: .network("lan"))
    let mac = try host.links.get("lan0").macAddress
    for (sandbox, addresses) in [
      (web, ["10.3.0.2/24", "fd00:3::2/64"]), (db, ["10.3.0.3/24", "fd00:3::3/64"]),
    ] {
      #expect(sandbox.endpoints[0].addresses.map(\.description) == addresses)
      #expect(sandbox.endpoints[0].macAddress == mac && sandbox.endpoints[0].hostInterface == nil)
      let link = try sandbox.namespace.links.get("eth0")
      #expect(
        link.kind == "ipvlan" && link.macAddress == mac && link.ipvlanMode == .l2 && link.flags.contains(.running))
      #expect(try sandbox.namespace.sysctl("net/ipv6/conf/eth0/accept_ra") == "0")
      #expect(try defaultRoutes(sandbox.namespace) == ["0.0.0.0/0 via 10.3.0.1", "::/0 via fd00:3::1"])
    }
    // Each has a link-local address of its own, though the hardware address is the same.
    let own = try [web, db].map { sandbox in
      try sandbox.namespace.addresses.list().map(\.address).filter(\.address.isLinkLocal).map(\.description)
    }
    #expect(own == [["fe80::2/64"], ["fe80::3/64"]])
    #expect(try await controller.differences() == [])
    let port = try PortMapping("8080:80")
    let third = try await controller.attach("third", to: .network("lan"), options: AttachOptions(ports: [port]))
    #expect(third.warnings == [.portDiscarded(port, "lan")])
    let other = await refusal {
      let options = AttachOptions(macAddress: try MACAddress("02:42:00:00:00:07"))
      return try await controller.attach("fourth", to: .network("lan"), options: options)
    }
    #expect(other?.code == .conflictingOptions && other?.description.contains("it is the parent's") == true)
    try await controller.removeAll()
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    #expect(kernel.snapshot().contains("ipvlan") == false)
    #expect(try host.links.list().map(\.name) == ["lo", "lan1", "lan0"])
  }

  /// In modes that route there is nobody to ask for a next hop: the default route is the link.
  @Test(arguments: [IpvlanMode.l3, .l3s]) func modesThatRouteHaveNoNextHop(_ mode: IpvlanMode) async throws {
    let controller = try await makeController()
    try await controller.createNetwork("lan", options: try options(mode))
    let web = try await controller.attach("web", to: .network("lan"))
    let link = try web.namespace.links.get("eth0")
    #expect(link.ipvlanMode == mode && link.flags.contains(.noARP))
    let byLink = ["0.0.0.0/0 via the link", "::/0 via the link"]
    #expect(try defaultRoutes(web.namespace) == byLink)
    #expect(try web.namespace.addresses.list().contains { $0.address.address.isLinkLocal } == false)
    // Beside a bridge it takes the default route, and gives it back.
    try await controller.createNetwork("other", options: NetworkOptions(subnet: try Subnet("10.9.0.0/24")))
    try await controller.connect("web", to: "other", options: EndpointOptions(gatewayPriority: 1))
    #expect(try defaultRoutes(web.namespace) == ["0.0.0.0/0 via 10.9.0.1", "::/0 via the link"])
    try await controller.disconnect("web", from: "other")
    #expect(try defaultRoutes(web.namespace) == byLink)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  @Test func anInternalOneHasNoWayOn() async throws {
    let controller = try await makeController()
    try await controller.createNetwork("lan", options: try options(.l3, isInternal: true))
    let web = try await controller.attach("web", to: .network("lan"))
    #expect(try defaultRoutes(web.namespace) == [] && web.endpoints[0].gateways.isEmpty)
    try await controller.removeAll()
  }

  @Test func dockersNamesAreTaken() async throws {
    var text = NetworkOptions.Text()
    text.driver = "ipvlan"
    text.subnets = ["10.3.0.0/24"]
    text.driverOptions = ["parent=lan0", "ipvlan_mode=l3s", "ipvlan_flag=vepa"]
    let options = try NetworkOptions(parsing: text)
    #expect(options.ipvlanMode == .l3s && options.ipvlanFlag == .vepa)
    let controller = try await makeController()
    let network = try await controller.createNetwork("lan", options: options)
    #expect(network.ipvlanMode == .l3s && network.ipvlanFlag == .vepa)
    #expect(network.options == ["parent": "lan0", "ipvlan_mode": "l3s", "ipvlan_flag": "vepa"])
    let web = try await controller.attach("web", to: .network("lan"))
    #expect(try web.namespace.links.get("eth0").ipvlanFlag == .vepa)
    text.driverOptions = ["ipvlan-mode=l4", "ipvlan-flag=none"]
    let wrong = #expect(throws: NetworkError.self) { try NetworkOptions(parsing: text) }
    #expect(wrong?.causes.count == 2 && wrong?.description.contains("l2, l3, l3s") == true, "\(wrong as Any)")
    #expect(wrong?.description.contains("bridge, private, vepa") == true)
    try await controller.removeAll()
  }

  @Test func whatCannotBeIsRefusedInWords() async throws {
    let controller = try await makeController()
    let before = kernel.snapshot()
    func expect(_ code: NetworkError.Code, _ part: String, _ change: (inout NetworkOptions) throws -> Void) async throws
    {
      var changed = try options()
      try change(&changed)
      let error = await refusal { [changed] in try await controller.createNetwork("lan", options: changed) }
      #expect(error?.code == code || error?.causes.contains { $0.code == code } == true, "\(part): \(error as Any)")
      #expect(error?.description.contains(part) == true, "\(part): \(error?.description ?? "")")
      #expect(kernel.snapshot() == before, "\(part)")
    }
    try await expect(.conflictingOptions, "the driver \"ipvlan\" needs a parent") { $0.parent = nil }
    try await expect(.notFound, "\"eth7\" is no link of the host; there are:") { $0.parent = try InterfaceName("eth7") }
    try await expect(.conflictingOptions, "is the loopback") { $0.parent = try InterfaceName("lo") }
    try await expect(.conflictingOptions, "no packet of an ipvlan passes") { $0.policy.masquerades = false }
    try await expect(.conflictingOptions, "macvlan_mode is the macvlan driver's") { $0.macvlanMode = .vepa }
    try await expect(.invalidValue, "\"l4\" is no mode of an ipvlan") { $0.driverOptions["ipvlan_mode"] = "l4" }
    for driver in [NetworkDriver.bridge, .macvlan] {
      try await expect(.conflictingOptions, "\"ipvlan_mode\" is the ipvlan driver's") { options in
        (options.driver, options.ipvlanMode) = (driver, .l3)
        if driver == .bridge { options.parent = nil }
      }
    }
    // A parent carries ipvlans or macvlans.
    let index = try host.links.get("lan0").index
    try host.links.createMacvlan(VethEnd(InterfaceName("theirs")), parent: index)
    let busy = await refusal { try await controller.createNetwork("lan", options: try options()) }
    #expect(busy?.description.contains("the kernel makes no ipvlan on \"lan0\"") == true, "\(busy as Any)")
    try host.links.delete(index: try host.links.get("theirs").index)
    try await controller.createNetwork("lan", options: try options())
    var second = try options()
    (second.driver, second.subnets, second.gateways) = (.macvlan, [try Subnet("10.4.0.0/24")], [])
    let taken = await refusal { [second] in try await controller.createNetwork("other", options: second) }
    #expect(taken?.code == .inUse && taken?.description.contains("is that of network \"lan\"") == true)
    try await controller.removeAll()
  }

  @Test func whatIsMissingIsFoundAndMadeAgain() async throws {
    let controller = try await makeController()
    try await controller.createNetwork("lan", options: try options(.l3))
    let web = try await controller.attach("web", to: .network("lan"))
    let index = { try web.namespace.links.get("eth0").index }
    let whole = try defaultRoutes(web.namespace)
    try web.namespace.links.delete(index: try index())
    var report = try await controller.reconcile()
    #expect(report.found.map(\.kind) == [.linkMissing] && report.remaining == [] && report.failures == [])
    #expect(try defaultRoutes(web.namespace) == whole)
    try web.namespace.addresses.remove(web.endpoints[0].address, from: try index())
    report = try await controller.reconcile()
    #expect(report.found.map(\.kind) == [.containerSettings] && report.remaining == [] && report.failures == [])
    try host.links.setMTU(1400, of: try host.links.get("lan0").index)
    #expect(try await controller.differences().map(\.kind) == [.parentMTU])
    try host.links.delete(index: try host.links.get("lan0").index)
    #expect(try await controller.differences().map(\.kind) == [.parentMissing, .linkMissing])
    let parent = try host.links.createVeth(VethEnd(InterfaceName("lan0")), peer: VethEnd(InterfaceName("lan1")))
    for end in [parent.index, try #require(parent.peer)] { try host.links.setUp(index: end) }
    report = try await controller.reconcile()
    #expect(report.found.map(\.kind) == [.linkMissing] && report.remaining == [])
    #expect(try defaultRoutes(web.namespace) == whole)
    try await controller.removeAll()
  }

  /// Another controller on the same record knows the mode, and misses nothing.
  @Test func recordLeadsToIt() async throws {
    let maker = try await makeController()
    try await maker.createNetwork("lan", options: try options(.l3s))
    let web = try await maker.attach("web", to: .network("lan"), namespace: try NetworkNamespace.create(on: kernel))
    let controller = try await makeController()
    #expect(try await controller.network("lan").ipvlanMode == .l3s)
    #expect(try await controller.differences() == [])
    // Who holds its namespace takes it away.
    try await maker.detach("web")
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    try await controller.removeNetwork("lan")
    #expect(try await maker.networks().isEmpty)
  }

  @Test func severalComeAtOnce() async throws {
    let controller = try await makeController()
    try await controller.createNetwork("lan", options: try options())
    let results = await controller.attach((0..<5).map { AttachRequest("c\($0)", to: .network("lan")) })
    let addresses = try results.map { try $0.get().endpoints[0].address.description }
    #expect(addresses == (2...6).map { "10.3.0.\($0)/24" })
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(kernel.snapshot().contains("ipvlan") == false)
  }
}
