import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// `namespace.forwardingEntries`: the same on every kernel.
@Suite(.timeLimit(.minutes(5))) struct ForwardingEntryContract {
  /// A bridge with two ports, a VXLAN and a veth, all up; and a VXLAN beside it.
  private struct World {
    let namespace: NetworkNamespace
    let bridge: Int32
    let tunnel: Int32
    let port: Int32
    let other: Int32

    init(_ kernel: KernelUnderTest, local: String = "192.0.2.1") throws {
      namespace = try NetworkNamespace.create(on: kernel.make())
      let links = namespace.links
      let mac = try MACAddress("06:00:00:00:00:01")
      bridge = try links.createBridge(InterfaceName("br0"), macAddress: mac).index
      var options = VxlanOptions(7, local: try IPAddress(local))
      options.learnsAddresses = false
      options.answersNeighbors = true
      tunnel = try links.createVxlan(
        VethEnd(InterfaceName("vx0"), macAddress: MACAddress("06:00:00:00:00:02"), master: bridge), options
      ).index
      let veth = try links.createVeth(
        VethEnd(InterfaceName("p0"), macAddress: MACAddress("06:00:00:00:00:03"), master: bridge),
        peer: VethEnd(InterfaceName("p0x"), macAddress: MACAddress("06:00:00:00:00:04")))
      port = veth.index
      options.identifier = 8
      other = try links.createVxlan(VethEnd(InterfaceName("vx1")), options).index
      for link in try [bridge, tunnel, port, links.get("p0x").index, other] { try links.setUp(index: link) }
      // So that it carries packets at once.
      _ = try links.get("p0")
    }

    var entries: ForwardingEntries { namespace.forwardingEntries }

    /// The entries of the test, not those of the ports' own addresses and groups.
    func list(_ link: Int32) throws -> [ForwardingEntry] {
      try entries.list(link: link).filter { $0.macAddress.rawValue >> 40 == 2 || $0.macAddress.rawValue == 0 }
    }
  }

  private func mac(_ last: UInt8) throws -> MACAddress { try #require(MACAddress(bytes: [2, 0, 0, 0, 0, last])) }

  private func host(_ last: Int, _ family: AddressFamily = .ipv4) throws -> IPAddress {
    try IPAddress(family == .ipv4 ? "192.0.2.\(last)" : "2001:db8::\(last)")
  }

  private func refusal<Value>(_ body: () throws -> Value) -> NetworkError? {
    #expect(throws: NetworkError.self) { _ = try body() }
  }

  @Test(arguments: KernelUnderTest.available, AddressFamily.allCases)
  func aTunnelIsToldWhereSomebodyIs(_ kernel: KernelUnderTest, _ family: AddressFamily) throws {
    let world = try World(kernel, local: family == .ipv4 ? "192.0.2.1" : "2001:db8::1")
    let first = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(2, family))
    #expect(refusal { try world.entries.get(mac(1), on: world.tunnel, in: .link) }?.code == .notFound)
    try world.entries.add(first)
    #expect(try world.entries.get(mac(1), on: world.tunnel, in: .link) == first)
    #expect(try world.list(world.tunnel) == [first])
    #expect(try world.list(world.other) == [])
    #expect(refusal { try world.entries.add(first) }?.code == .alreadyExists)

    var second = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(3, family))
    try world.entries.replace(second)
    #expect(try world.list(world.tunnel) == [second])
    // One of one station has one destination; more is not refused, and changes nothing.
    try world.namespace.connection(.route).execute(ForwardingRequests.append(first))
    #expect(try world.list(world.tunnel) == [second])
    #expect(refusal { try world.entries.append(first) }?.code == .invalidValue)

    second.port = 4790
    second.identifier = 99
    second.outgoingLink = world.port
    second.lifetime = .static
    try world.entries.replace(second)
    #expect(try world.list(world.tunnel) == [second])
    // Its own port and VNI are not told.
    var plain = second
    plain.port = 4789
    plain.identifier = 7
    plain.outgoingLink = nil
    try world.entries.replace(plain)
    plain.port = nil
    plain.identifier = nil
    #expect(try world.list(world.tunnel) == [plain])

    try world.entries.delete(mac(1), on: world.tunnel, in: .link)
    #expect(try world.list(world.tunnel) == [])
    #expect(refusal { try world.entries.delete(plain) }?.code == .notFound)
  }

  @Test(arguments: KernelUnderTest.available) func aBridgeIsToldWhereSomebodyIs(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    let behind = ForwardingEntry(try mac(1), behind: world.tunnel)
    try world.entries.add(behind)
    #expect(try world.list(world.tunnel) == [behind])
    #expect(refusal { try world.entries.add(behind) }?.code == .alreadyExists)
    // A bridge has it behind one port.
    let moved = ForwardingEntry(try mac(1), behind: world.port)
    #expect(refusal { try world.entries.add(moved) }?.code == .alreadyExists)
    try world.entries.replace(moved)
    #expect(try world.list(world.tunnel) == [])
    #expect(try world.list(world.port) == [moved])
    #expect(try world.entries.get(mac(1), on: world.tunnel, in: .bridge) == moved)
    #expect(refusal { try world.entries.delete(behind) }?.code == .notFound)

    // Both tables know it, each by itself.
    let far = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(2))
    try world.entries.add(far)
    try world.entries.replace(behind)
    #expect(try world.list(world.tunnel) == [behind, far])
    let all = try world.entries.list(bridge: world.bridge)
    #expect(all.contains(behind) && all.contains(far))
    // The ports' own addresses are the bridge's.
    for (link, number) in [(world.bridge, UInt8(1)), (world.tunnel, 2), (world.port, 3)] {
      var own = ForwardingEntry(try #require(MACAddress(bytes: [6, 0, 0, 0, 0, number])), behind: link)
      own.lifetime = .permanent
      #expect(all.contains(own))
      #expect(try world.entries.list(link: link).contains(own))
    }
    try world.entries.delete(behind)
    #expect(try world.list(world.tunnel) == [far])
    try world.entries.delete([far, far, behind])
    #expect(try world.list(world.tunnel) == [])
  }

  @Test(arguments: KernelUnderTest.available) func floodsHaveSeveralDestinations(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    for address in ["00:00:00:00:00:00", "01:00:5e:00:00:fb"] {
      let mac = try MACAddress(address)
      func destinations() throws -> [IPAddress?] {
        try world.entries.list(link: world.tunnel).filter { $0.macAddress == mac && $0.table == .link }.map(
          \.destination)
      }
      let hosts = try (2...4).map { ForwardingEntry(mac, on: world.tunnel, to: try host($0)) }
      for host in hosts { try world.entries.append(host) }
      try world.entries.append(hosts[0])
      #expect(try destinations() == hosts.map(\.destination))
      #expect(refusal { try world.entries.replace(hosts[0]) }?.code == .unsupported)
      // A destination that is not there is no fault.
      try world.entries.delete(ForwardingEntry(mac, on: world.tunnel, to: host(9)))
      #expect(try destinations() == hosts.map(\.destination))
      try world.entries.delete(hosts[1])
      #expect(try destinations() == [hosts[0], hosts[2]].map(\.destination))
      try world.entries.delete(mac, on: world.tunnel, in: .link)
      #expect(try destinations() == [])
    }
  }

  @Test(arguments: KernelUnderTest.available) func whatIsNotPossibleIsNamed(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    let family = refusal { try world.entries.add(ForwardingEntry(mac(1), on: world.tunnel, to: host(2, .ipv6))) }
    #expect(family?.code == .unsupported)
    #expect(
      family?.reason == "the destination, 2001:db8::2, is of another family than VXLAN \(world.tunnel)")
    var nowhere = ForwardingEntry(try mac(1), behind: world.tunnel)
    nowhere.table = .link
    let destination = refusal { try world.entries.add(nowhere) }
    #expect(destination?.kernel?.errno == .invalidArgument)
    #expect(destination?.reason == "an entry of a VXLAN has a destination; give it one, as 192.0.2.2")
    let port = refusal { try world.entries.add(ForwardingEntry(mac(1), behind: world.other)) }
    #expect(port?.code == .unsupported)
    #expect(port?.reason == "link \(world.other) is no port of a bridge; give it a master first")
    #expect(refusal { try world.entries.get(mac(1), on: world.other, in: .bridge) }?.kernel?.errno == .invalidArgument)
    #expect(refusal { try world.entries.get(mac(1), on: 4711, in: .link) }?.code == .notFound)
    #expect(refusal { try world.entries.add(ForwardingEntry(mac(1), on: 4711, to: host(2))) }?.code == .notFound)
    #expect(refusal { try world.entries.list(bridge: 4711) }?.code == .notFound)
    #expect(try world.entries.list(link: 4711).isEmpty)
    #expect(refusal { try world.entries.add(ForwardingEntry(mac(1), behind: 1)) }?.kernel?.errno == .invalidArgument)
    // An entry of the bridge's own, in the bridge's own table, is for the host.
    var zero = ForwardingEntry(try MACAddress("00:00:00:00:00:00"), behind: world.port)
    #expect(refusal { try world.entries.add(zero) }?.code == .invalidValue)
    let bypassed = refusal { try world.namespace.connection(.route).execute(ForwardingRequests.add(zero)) }
    #expect(bypassed?.kernel?.errno == .invalidArgument)
    zero = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(2))
    zero.outgoingLink = 4711
    #expect(refusal { try world.entries.add(zero) }?.kernel?.message == "Device not found")
    #expect(try world.list(world.tunnel) == [])
  }

  /// What lasts when a link goes down, leaves its bridge, or goes with it.
  @Test(arguments: KernelUnderTest.available) func whatLasts(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    var entries: [ForwardingEntry] = []
    for (number, lifetime) in [ForwardingEntry.Lifetime.permanent, .static, .dynamic].enumerated() {
      var far = ForwardingEntry(try mac(UInt8(number)), on: world.tunnel, to: try host(2))
      far.lifetime = lifetime
      entries.append(far)
    }
    let fixed = ForwardingEntry(try mac(1), behind: world.tunnel)
    var learned = ForwardingEntry(try mac(2), behind: world.tunnel)
    learned.lifetime = .dynamic
    try world.entries.replace(entries + [fixed, learned])
    func list() throws -> Set<ForwardingEntry> { try Set(world.list(world.tunnel)) }
    #expect(try list() == Set(entries + [fixed, learned]))
    let neighbor = Neighbor(try IPAddress("10.0.0.2"), macAddress: try mac(1), link: world.tunnel)
    let neighbor6 = Neighbor(try IPAddress("fd00::2"), macAddress: try mac(1), link: world.tunnel)
    try world.namespace.neighbors.replace([neighbor, neighbor6])
    #expect(try Set(world.namespace.neighbors.list(link: world.tunnel)).isSuperset(of: [neighbor, neighbor6]))

    try world.namespace.links.setDown(index: world.tunnel)
    #expect(try list() == Set(entries[..<2] + [fixed]))
    #expect(try Set(world.namespace.neighbors.list(link: world.tunnel)).isDisjoint(with: [neighbor, neighbor6]))
    // What does not age can be told to a port that is down.
    let other = ForwardingEntry(try mac(7), behind: world.tunnel)
    try world.entries.add(other)
    #expect(try list() == Set(entries[..<2] + [fixed, other]))

    try world.namespace.links.clearMaster(of: world.tunnel)
    #expect(try list() == Set(entries[..<2]))
    try world.namespace.links.setMaster(world.bridge, of: world.tunnel)
    try world.entries.add(fixed)
    try world.namespace.links.delete(index: world.bridge)
    #expect(try list() == Set(entries[..<2]))
  }

  /// A batch goes on after a refusal, and the refusal is told.
  @Test(arguments: KernelUnderTest.available) func manyAtOnce(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    let count = 300
    func entries(to last: Int) throws -> [ForwardingEntry] {
      try (0..<count).flatMap { number in
        let mac = try #require(MACAddress(bytes: [2, 0, 0, 1, UInt8(number >> 8), UInt8(number & 255)]))
        return [
          ForwardingEntry(mac, on: world.tunnel, to: try host(last)), ForwardingEntry(mac, behind: world.tunnel),
        ]
      }
    }
    let first = try entries(to: 2)
    try world.entries.replace(first)
    #expect(try Set(world.list(world.tunnel)) == Set(first))
    let second = try entries(to: 3)
    try world.entries.replace(second)
    #expect(try Set(world.list(world.tunnel)) == Set(second))
    try world.entries.delete(second)
    #expect(try world.list(world.tunnel) == [])

    let good = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(2))
    let bad = ForwardingEntry(try mac(2), on: world.tunnel, to: try host(2, .ipv6))
    let after = ForwardingEntry(try mac(3), on: world.tunnel, to: try host(2))
    #expect(refusal { try world.entries.replace([good, bad, after]) }?.reason.contains("another family") == true)
    #expect(try Set(world.list(world.tunnel)) == [good, after])
  }

  /// Changes are told, and what changes nothing is not.
  @Test(arguments: KernelUnderTest.available) func changesAreTold(_ kernel: KernelUnderTest) async throws {
    let world = try World(kernel)
    let stream = try world.namespace.changes(of: .forwardingEntries)
    let neighbors = try world.namespace.changes(of: .neighbors)
    let far = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(2))
    let farther = ForwardingEntry(try mac(1), on: world.tunnel, to: try host(3))
    let behind = ForwardingEntry(try mac(1), behind: world.tunnel)
    let moved = ForwardingEntry(try mac(1), behind: world.port)
    try world.entries.add(far)
    try world.entries.replace(far)
    try world.entries.replace(farther)
    try world.entries.replace(behind)
    try world.entries.replace(behind)
    try world.entries.replace(moved)
    try world.entries.delete(farther)
    try world.entries.delete(moved)
    let last = ForwardingEntry(try mac(9), on: world.tunnel, to: try host(9))
    try world.entries.add(last)
    let neighbor = Neighbor(try IPAddress("10.0.0.2"), macAddress: try mac(1), link: world.tunnel)
    try world.namespace.neighbors.add(neighbor)

    var seen: [NetworkChange] = []
    for try await change in stream {
      if change == .forwardingEntryChanged(last) { break }
      // The bridge learns where the far end of the veth is.
      switch change {
      case .forwardingEntryChanged(let entry), .forwardingEntryRemoved(let entry):
        if entry.macAddress.rawValue >> 40 == 2 { seen.append(change) }
      default: seen.append(change)
      }
    }
    #expect(
      seen == [
        .forwardingEntryChanged(far), .forwardingEntryChanged(farther), .forwardingEntryChanged(behind),
        .forwardingEntryChanged(moved), .forwardingEntryRemoved(farther), .forwardingEntryRemoved(moved),
      ])
    // Who asks for neighbours gets nothing of it, by the same group.
    for try await change in neighbors {
      guard case .neighborChanged(let other) = change else {
        Issue.record("\(change)")
        break
      }
      if other == neighbor { break }
    }
  }
}
