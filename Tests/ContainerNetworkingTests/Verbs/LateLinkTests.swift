import ContainerNetworking
import Playground
import Synchronization
import TestSupport
import Testing

/// What the host comes to be after our networks were made: links that come, switches that are thrown, others' forwarding.
@Suite(.timeLimit(.minutes(10))) struct LateLinkTests {
  let world: Playground
  let store = MemoryStore()
  private let reports = Reports()

  private final class Reports: Sendable { let all = Mutex<[ReconcileReport]>([]) }

  init() throws { world = try Playground(isDualStack: true) }

  private func makeController(heals: Bool = false) async throws -> NetworkController {
    var settings = ControllerSettings(resolvers: [], heals: heals)
    settings.onHeal = { [reports] report in reports.all.withLock { $0.append(report) } }
    let controller = try await NetworkController(host: world.host, store: store, settings: settings)
    if try await controller.networks().isEmpty {
      try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    }
    return controller
  }

  /// A machine behind a link of the host's that is new: 192.0.2.2 and 2001:db8:77::2.
  private func addLink(_ name: String, _ subnet: String = "192.0.2", _ prefix: String = "2001:db8:77") throws
    -> NetworkNamespace
  {
    let far = try NetworkNamespace.create()
    let cable = try world.host.links.createVeth(
      VethEnd(try InterfaceName(name)), peer: VethEnd(try InterfaceName("eth0"), namespace: far.handle.descriptor))
    let end = try far.links.get("eth0").index
    for (namespace, link, number) in [(world.host, cable.index, 1), (far, end, 2)] {
      try namespace.addresses.add(InterfaceAddress("\(subnet).\(number)/24"), to: link)
      try namespace.addresses.add(InterfaceAddress("\(prefix)::\(number)/64"), to: link)
      try namespace.links.setUp(index: link)
    }
    for gateway in ["\(subnet).1", "\(prefix)::1"] {
      let via = try IPAddress(gateway)
      try far.routes.add(Route(to: .all(via.family), via: via, link: end))
    }
    return far
  }

  private func reaches(_ sandbox: Sandbox, _ address: String, _ isExpected: Bool) -> Reach {
    .ping((sandbox.container, sandbox.namespace), ("far", address), isExpected)
  }

  private enum Verb: CaseIterable { case attach, several, ready, connect, publish, anotherProcess }

  private func act(_ verb: Verb, _ controller: NetworkController) async throws {
    switch verb {
    case .attach: try await controller.attach("new", to: .network("net"))
    case .several:
      for result in await controller.attach((0..<3).map { AttachRequest("new\($0)", to: .network("net")) }) {
        _ = try result.get()
      }
    case .ready: try await controller.attach("fast", to: .network("net"))
    case .connect: try await controller.connect("bare", to: "net")
    case .publish: try await controller.publish([PortMapping("8080:80")], of: "web")
    case .anotherProcess: try await makeController().attach("other", to: .network("net"))
    }
  }

  @Test func theNextAttachReachesIt() async throws {
    let controller = try await makeController()
    let web = try await controller.attach("web", to: .network("net"))
    var inner = NetworkOptions(subnet: try Subnet("10.61.0.0/24"))
    inner.isInternal = true
    try await controller.createNetwork("inner", options: inner)
    try await controller.attach("bare", to: .network("inner"))
    var machines: [NetworkNamespace] = []
    defer { machines.removeAll() }
    for (number, verb) in Verb.allCases.enumerated() {
      if verb == .ready {
        try await controller.keepReady(1, on: "net")
        try await controller.attach("warm", to: .network("net"))
        let isReady = try await eventually { try await controller.differences().isEmpty }
        #expect(isReady)
      }
      let name = "late\(number)"
      machines.append(try addLink(name, "198.18.\(number)", "2001:db8:\(number + 10)"))
      await world.check([reaches(web, "198.18.\(number).2", false), reaches(web, "2001:db8:\(number + 10)::2", false)])
      if number == 0 {
        // What leads nowhere asks for nothing.
        try await controller.attach("idle", to: .network("inner"))
        #expect(try world.host.sysctl("net/ipv4/conf/\(name)/forwarding") == "0")
      }
      try await act(verb, controller)
      #expect(try await controller.differences() == [], "\(verb)")
      await world.check([reaches(web, "198.18.\(number).2", true), reaches(web, "2001:db8:\(number + 10)::2", true)])
    }
    // Guarded as those that were there before, and given back as they.
    let end = try #require(
      try world.output("nft", "list", "set", "inet", "containernetworking", "uplinks4", in: world.host))
    for number in Verb.allCases.indices { #expect(end.contains("\"late\(number)\""), "\(end)") }
    #expect(reports.all.withLock(\.self) == [])
    try await controller.removeAll()
    for number in Verb.allCases.indices {
      #expect(try world.host.sysctl("net/ipv4/conf/late\(number)/forwarding") == "0")
    }
  }

  /// What somebody switches off; and, to be thrown at all, what is switched on before.
  private func switches(_ bridge: String) -> [(name: String, isOnBefore: Bool)] {
    var all = [
      ("net/ipv4/conf/eth0/forwarding", false), ("net/ipv4/conf/\(bridge)/forwarding", false),
      ("net/ipv4/ip_forward", true),
    ]
    if (try? world.host.sysctl("net/ipv6/conf/all/force_forwarding")) != nil {
      all += [("net/ipv6/conf/eth0/force_forwarding", false), ("net/ipv6/conf/\(bridge)/force_forwarding", false)]
    }
    return all
  }

  @Test(arguments: [true, false]) func whatIsSwitchedOffIsSwitchedOn(heals: Bool) async throws {
    let controller = try await makeController(heals: heals)
    let web = try await controller.attach("web", to: .network("net"))
    let bridge = "\(try #require(try await controller.network("net").bridge))"
    let out = [reaches(web, Playground.outsideAddress, true), reaches(web, Playground.outsideIPv6Address, true)]
    await world.check(out)
    for (number, (name, isOnBefore)) in switches(bridge).enumerated() {
      if isOnBefore { try world.host.setSysctl(name, to: "1") }
      try world.host.setSysctl(name, to: "0")
      if heals {
        let isHealed = try await eventually { try await controller.differences().isEmpty }
        #expect(isHealed, "\(name)")
      } else {
        let kinds = Set(try await controller.differences().map(\.kind))
        #expect(kinds.isSubset(of: [.forwarding, .bridgeSettings]) && !kinds.isEmpty, "\(name): \(kinds)")
        try await controller.attach("new\(number)", to: .network("net"))
        #expect(try await controller.differences() == [], "\(name)")
      }
      if !isOnBefore { #expect(try world.host.sysctl(name) == "1") }
      await world.check(out)
    }
    try await controller.removeAll()
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "0")
  }

  /// Where the owner has the host forward for all, a link that is off is so on purpose; and none is kept to our networks any more.
  @Test func anAttachLeavesTheOwnersSettings() async throws {
    let controller = try await makeController()
    try await controller.attach("web", to: .network("net"))
    try world.host.setSysctl("net/ipv4/ip_forward", to: "1")
    try world.host.setSysctl("net/ipv4/conf/eth0/forwarding", to: "0")
    let far = try addLink("mgmt0")
    try world.host.setSysctl("net/ipv4/conf/mgmt0/forwarding", to: "0")
    try await controller.attach("new", to: .network("net"))
    for name in ["eth0", "mgmt0"] { #expect(try world.host.sysctl("net/ipv4/conf/\(name)/forwarding") == "0") }
    let set = try world.output("nft", "list", "set", "inet", "containernetworking", "uplinks4", in: world.host)
    #expect(set?.contains("elements") == false, "\(set ?? "")")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    withExtendedLifetime(far) {}
  }

  /// A link that its owner has forward, alone, after our networks were made: what is kept from it is told of, and how to allow it.
  @Test func anOwnersOwnLinkIsToldOf() async throws {
    let controller = try await makeController()
    try await controller.attach("web", to: .network("net"))
    #expect(try await controller.keptUplinks() == [])
    let lab = try addLink("lab0")
    let hasForce = (try? world.host.sysctl("net/ipv6/conf/all/force_forwarding")) != nil
    try world.host.setSysctl("net/ipv4/conf/lab0/forwarding", to: "1")
    if hasForce { try world.host.setSysctl("net/ipv6/conf/lab0/force_forwarding", to: "1") }
    for subnet in ["192.0.2.0/24", "2001:db8:77::/64"] { try world.routeFromOutside(to: try Subnet(subnet)) }
    // It stays its owner's.
    try await controller.attach("new", to: .network("net"))
    #expect(try await controller.differences() == [])
    let families: [AddressFamily] = hasForce ? [.ipv4, .ipv6] : [.ipv4]
    let outside = [Playground.outsideAddress, Playground.outsideIPv6Address].prefix(families.count)
    let before = try await controller.keptUplinks()
    #expect(before.map(\.family) == families)
    for kept in before {
      #expect(kept.uplinks == ["eth0"] && kept.others == ["lab0"] && kept.droppedPackets == 0)
      #expect(
        kept.description.contains("eth0 forwards \(kept.family) for our networks alone; lab0 forwards by its owner's"))
    }
    // New addresses of IPv6 are looked at for a second before they are used.
    await world.check(
      ["192.0.2.1", "2001:db8:77::1"].map { .ping(("lab", lab), ("host", $0), true) } + [
        .ping(("outside", world.outside), ("host", Playground.hostIPv6Address), true)
      ])
    await world.check(outside.map { .ping(("lab", lab), ("outside", $0), false) })
    for kept in try await controller.keptUplinks() {
      #expect(kept.droppedPackets > 0)
      let rule = try #require(kept.rule?.split(separator: " ").last)
      let listed = try world.output(
        "nft", "-a", "list", "chain", "inet", "containernetworking", "forward", in: world.host)
      let line = listed?.split(separator: "\n").first { $0.hasSuffix("# handle \(rule)") }
      #expect(line?.contains("@uplinks\(kept.family == .ipv4 ? 4 : 6)") == true && line?.contains("drop") == true)
    }
    // The answers alone are missing: what is said to allow them does.
    for line in try #require(before.first).remedies {
      #expect(try world.output("bash", "-c", line, in: world.host) != nil, "\(line)")
    }
    await world.check(outside.map { .ping(("lab", lab), ("outside", $0), true) })
    try await controller.removeAll()
    #expect(try world.host.sysctl("net/ipv4/conf/lab0/forwarding") == "1")
    #expect(try await controller.keptUplinks() == [])
  }
}
