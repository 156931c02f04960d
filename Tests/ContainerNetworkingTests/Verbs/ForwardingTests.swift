import ContainerNetworking
import Playground
import TestSupport
import Testing

/// A host forwards for our networks, and for no other traffic because of us.
@Suite(.timeLimit(.minutes(10))) struct ForwardingTests {
  let world: Playground
  /// A second machine outside, on a link of the host's of its own: 198.51.100.2, 2001:db8:51::2.
  let far: NetworkNamespace
  let before: String

  init() throws {
    world = try Playground(isDualStack: true)
    far = try NetworkNamespace.create()
    let cable = try world.host.links.createVeth(
      VethEnd(try InterfaceName("eth1")), peer: VethEnd(try InterfaceName("eth0"), namespace: far.handle.descriptor))
    let end = try far.links.get("eth0").index
    for (namespace, link, number) in [(world.host, cable.index, 1), (far, end, 2)] {
      try namespace.addresses.add(InterfaceAddress("198.51.100.\(number)/24"), to: link)
      try namespace.addresses.add(InterfaceAddress("2001:db8:51::\(number)/64"), to: link)
      try namespace.links.setUp(index: link)
    }
    // All have routes to each other through the host.
    for (namespace, gateways) in [
      (world.outside, [Playground.hostAddress, Playground.hostIPv6Address]), (far, ["198.51.100.1", "2001:db8:51::1"]),
    ] {
      for gateway in try gateways.map({ try IPAddress($0) }) {
        try namespace.routes.add(
          Route(to: .all(gateway.family), via: gateway, link: try namespace.links.get("eth0").index))
      }
    }
    before = try world.host.contents(world)
  }

  /// Between the two uplinks, both ways, both families.
  private func between(_ isExpected: Bool) -> [Reach] {
    [
      .ping(("outside", world.outside), ("far", "198.51.100.2"), isExpected),
      .ping(("outside", world.outside), ("far", "2001:db8:51::2"), isExpected),
      .ping(("far", far), ("outside", Playground.outsideAddress), isExpected),
      .ping(("far", far), ("outside", Playground.outsideIPv6Address), isExpected),
    ]
  }

  private func out(_ web: Sandbox) -> [Reach] {
    [Playground.outsideAddress, Playground.outsideIPv6Address, "198.51.100.2", "2001:db8:51::2"].map {
      .ping(("web", web.namespace), ("outside", $0), true)
    }
  }

  @Test(.timeLimit(.minutes(5))) func betweenUplinksNothingPasses() async throws {
    let controller = try await NetworkController(host: world.host)
    await world.check(between(false))
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let web = try await controller.attach("web", to: .network("net"))
    await world.check(between(false) + out(web))
    // The switch for all is not ours.
    #expect(try world.host.sysctl("net/ipv4/ip_forward") == "0")
    if (try? world.host.sysctl("net/ipv6/conf/all/force_forwarding")) != nil {
      #expect(try world.host.sysctl("net/ipv6/conf/all/forwarding") == "0")
    }
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// Traffic that the host's owner permits later passes: Docker, libvirt and others enable forwarding on all links.
  @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func theOwnerMayForwardForAllLater(heals: Bool) async throws
  {
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(heals: heals))
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let web = try await controller.attach("web", to: .network("net"))
    let hasForce = (try? world.host.sysctl("net/ipv6/conf/all/force_forwarding")) != nil
    try world.host.setSysctl("net/ipv4/ip_forward", to: "1")
    try world.host.setSysctl("net/ipv6/conf/all/forwarding", to: "1")
    #expect(try world.output("nft", "add table inet theirs", in: world.host) != nil)
    if heals {
      let isWhole = try await eventually { try await controller.differences().isEmpty }
      #expect(isWhole)
    } else {
      let found = try await controller.differences()
      #expect(Set(found.map(\.kind)) == [.uplinks])
      #expect(found.count == (hasForce ? 2 : 1))
      #expect(found.first?.detail.contains("eth0") == true)
      #expect(try await controller.reconcile().remaining == [])
    }
    #expect(try await controller.differences() == [])
    if hasForce { #expect(try world.host.sysctl("net/ipv6/conf/eth0/force_forwarding") == "0") }
    await world.check((hasForce ? between(true) : Array(between(true).filter { !$0.address.contains(":") })) + out(web))
    // Their setting stays on when our networks are removed.
    try await controller.removeAll()
    for name in ["net/ipv4/ip_forward", "net/ipv4/conf/eth0/forwarding", "net/ipv4/conf/eth1/forwarding"] {
      #expect(try world.host.sysctl(name) == "1", "\(name)")
    }
    if hasForce { #expect(try world.host.sysctl("net/ipv6/conf/all/forwarding") == "1") }
    await world.check(hasForce ? between(true) : [])
  }

  /// Where the owner has the host forward for all, no link is switched on, and none kept to our networks.
  @Test(.timeLimit(.minutes(5))) func theOwnerForwardsForAllAlready() async throws {
    let general = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]
    for name in general { try world.host.setSysctl(name, to: "1") }
    // A link that must not forward.
    try addLink("mgmt0")
    try world.host.setSysctl("net/ipv4/conf/mgmt0/forwarding", to: "0")
    let uplinks = switches(of: ["mgmt0", "eth0", "eth1"])
    let controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let web = try await controller.attach("web", to: .network("net"))
    #expect(try await controller.differences() == [])
    for family in [4, 6] {
      let set = try world.output(
        "nft", "list", "set", "inet", "containernetworking", "uplinks\(family)", in: world.host)
      #expect(set?.contains("elements") == false)
    }
    await world.check(between(true) + out(web))
    try addLink("late0")
    #expect(try await controller.reconcile().found == [])
    #expect(switches(of: ["mgmt0", "eth0", "eth1"]) == uplinks)
    await world.check(between(true))
    // When they end that, it is as on any host.
    for name in general { try world.host.setSysctl(name, to: "0") }
    #expect(try await controller.reconcile().found.contains { $0.kind == .forwarding && $0.detail.hasPrefix("late0 ") })
    #expect(try await controller.differences() == [])
    await world.check(between(false) + out(web))
    try await controller.removeAll()
    #expect(switches(of: ["mgmt0", "eth0", "eth1"]).allSatisfy { $0.hasSuffix("= 0") })
  }

  /// A link of the host's that is up; its other end is not.
  private func addLink(_ name: String) throws {
    let pair = try world.host.links.createVeth(
      VethEnd(try InterfaceName(name)), peer: VethEnd(try InterfaceName(name), namespace: far.handle.descriptor))
    try world.host.links.setUp(index: pair.index)
  }

  /// Whether links forward, as text.
  private func switches(of links: [String]) -> [String] {
    links.flatMap { ["ipv4/conf/\($0)/forwarding", "ipv6/conf/\($0)/force_forwarding"] }
      .compactMap { name in (try? world.host.sysctl("net/\(name)")).map { "\(name) = \($0)" } }
  }

  /// A link is identified by its index: a renamed one stays guarded, and is disabled under its new name.
  @Test(.timeLimit(.minutes(5)), arguments: [true, false]) func renamedLinksStayGuarded(heals: Bool) async throws {
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(heals: heals))
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let web = try await controller.attach("web", to: .network("net"))
    func rename(_ old: String, _ new: String) throws {
      #expect(try world.output("ip", "link", "set", "dev", old, "name", new, in: world.host) != nil, "\(old)")
    }
    try rename("eth0", "enp7s0")
    try rename("eth1", "eth0")
    await world.check(between(false) + out(web))
    #expect(try await controller.differences() == [])
    #expect(try await controller.reconcile().found == [])
    // A network that is made after it finds nothing new.
    try await controller.createNetwork("more", options: NetworkOptions(["10.61.0.0/24"]))
    try rename("enp7s0", "lan.0")
    await world.check(between(false) + out(web))
    #expect(switches(of: ["lan.0", "eth0"]).allSatisfy { $0.hasSuffix("= 1") })
    // A disabled sysctl is reported under the current name.
    try world.host.setSysctl("net/ipv4/conf/lan.0/forwarding", to: "0")
    #expect(try await controller.differences().map(\.detail).contains { $0.contains("net/ipv4/conf/lan.0/forwarding") })
    #expect(try await controller.reconcile().remaining == [])
    await world.check(between(false) + out(web))
    try await controller.removeAll()
    #expect(switches(of: ["lan.0", "eth0"]).allSatisfy { $0.hasSuffix("= 0") })
    try rename("eth0", "eth1")
    try rename("lan.0", "eth0")
    #expect(try world.host.contents(world) == before)
  }

  /// A forwarding bridge of the host that a network then adopts belongs to the network, and is no longer an uplink.
  @Test(.timeLimit(.minutes(5))) func anUplinkThatIsAdopted() async throws {
    let index = try world.host.links.createBridge(InterfaceName("br0")).index
    try world.host.addresses.add(InterfaceAddress("10.62.0.1/24"), to: index)
    try world.host.links.setUp(index: index)
    let controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24"]))
    #expect(try world.host.sysctl("net/ipv4/conf/br0/forwarding") == "1")
    try await controller.createNetwork("own", options: NetworkOptions(bridge: InterfaceName("br0")))
    let web = try await controller.attach("web", to: .network("own"))
    await world.check([.ping(("web", web.namespace), ("outside", Playground.outsideAddress), true)])
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.sysctl("net/ipv4/conf/br0/forwarding") == "0")
    try world.host.links.delete(index: index)
    #expect(try world.host.contents(world) == before)
  }

  /// A network that is made after the owner's change sees to it too.
  @Test(.timeLimit(.minutes(5))) func aNewNetworkYieldsToo() async throws {
    let controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24"]))
    try world.host.setSysctl("net/ipv4/ip_forward", to: "1")
    try await controller.createNetwork("later", options: NetworkOptions(["10.61.0.0/24"]))
    await world.check(between(true).filter { !$0.address.contains(":") })
    #expect(try await controller.differences() == [])
    try await controller.removeNetwork("later")
    try await controller.removeNetwork("net")
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "1")
  }

  /// A link that comes after the last network was made is a difference, and forwards for our networks when that is repaired.
  @Test(.timeLimit(.minutes(5))) func aLinkThatComesLater() async throws {
    let store = MemoryStore()
    let controller = try await NetworkController(host: world.host, store: store)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let web = try await controller.attach("web", to: .network("net"))
    #expect(try await controller.differences() == [])
    let late = try NetworkNamespace.create()
    let cable = try world.host.links.createVeth(
      VethEnd(try InterfaceName("late0")), peer: VethEnd(try InterfaceName("eth0"), namespace: late.handle.descriptor))
    let end = try late.links.get("eth0").index
    for (namespace, link, number) in [(world.host, cable.index, 1), (late, end, 2)] {
      try namespace.addresses.add(InterfaceAddress("192.0.2.\(number)/24"), to: link)
      try namespace.links.setUp(index: link)
    }
    await world.check([.ping(("web", web.namespace), ("late", "192.0.2.2"), false)])
    let found = try await controller.differences()
    #expect(Set(found.map(\.kind)) == [.forwarding] && found.allSatisfy { $0.detail.hasPrefix("late0 ") }, "\(found)")
    #expect(try await controller.reconcile().remaining == [])
    await world.check([.ping(("web", web.namespace), ("late", "192.0.2.2"), true)] + between(false))
    // And by itself, where the controller heals.
    let healing = try await NetworkController(
      host: world.host, store: store, settings: ControllerSettings(heals: true))
    // A link that comes back, even under a known name.
    for round in 1...3 {
      if round > 1 { try world.host.links.delete(index: try world.host.links.get("later0").index) }
      try addLink("later0")
      let forwards = try await eventually { try world.host.sysctl("net/ipv4/conf/later0/forwarding") == "1" }
      #expect(forwards, "round \(round)")
      let isWhole = try await eventually { try await healing.differences().isEmpty }
      #expect(isWhole, "round \(round)")
    }
    try await healing.removeAll()
    #expect(try world.host.sysctl("net/ipv4/conf/late0/forwarding") == "0")
    #expect(try world.host.sysctl("net/ipv4/conf/later0/forwarding") == "0")
  }

  /// A link that is gone leaves nothing in the record and in our sets, once the next comes or a network is made.
  @Test(.timeLimit(.minutes(5))) func shortLivedLinksAreForgotten() async throws {
    let store = MemoryStore()
    let controller = try await NetworkController(host: world.host, store: store)
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    func record() throws -> HostRecord {
      let found = store.read(since: 0).changes.compactMap { change in
        if case .save(.host(let host)) = change { host } else { nil }
      }
      return try #require(found.first)
    }
    func sets() throws -> [String] {
      try [4, 6].map { family in
        try world.output("nft", "list", "set", "inet", "containernetworking", "uplinks\(family)", in: world.host) ?? ""
      }
    }
    let before = (record: try record(), sets: try sets())
    #expect(before.record.uplinks.count >= 4)
    for number in 0..<20 {
      try addLink("tap\(number)")
      #expect(try await controller.reconcile().found.contains { $0.detail.hasPrefix("tap\(number) ") })
      #expect(try world.host.sysctl("net/ipv4/conf/tap\(number)/forwarding") == "1")
      #expect(try record().sysctls.count <= before.record.sysctls.count + 2)
      #expect(try record().uplinks.count <= before.record.uplinks.count + 2)
      try world.host.links.delete(index: try world.host.links.get("tap\(number)").index)
      #expect(try await controller.differences() == [])
    }
    try await controller.createNetwork("other", options: NetworkOptions(["10.61.0.0/24"]))
    try await controller.removeNetwork("other")
    #expect(try record() == before.record)
    #expect(try sets() == before.sets)
    try await controller.removeAll()
  }
}
