import ContainerNetworking
import Playground
import SystemPackage
import Testing

/// Frames through a VXLAN whose entries the library sets: what arrives, and what never leaves a host.
@Suite(.timeLimit(.minutes(5))) struct TunnelTests {
  @Test(arguments: AddressFamily.allCases) func theFirstPingAcrossIsAnswered(_ underlay: AddressFamily) throws {
    let world = try TunnelWorld(underlay)
    #expect(world.hosts.map(\.mtu) == [UInt32](repeating: underlay == .ipv4 ? 1450 : 1430, count: 3))
    let (a, b, c) = (
      try world.makeContainer(11, on: 0), try world.makeContainer(21, on: 1), try world.makeContainer(31, on: 2)
    )
    #expect(try !world.playground.pings("\(b.ipv4)", from: a.namespace))
    try world.announce(a, b, c)
    for (from, to) in [(a, b), (b, a), (a, c), (c, b)] {
      #expect(try world.isReached(to.ipv4, from: from))
      #expect(try world.isReached(to.ipv6, from: from))
    }
    // The largest packet, which may not be fragmented, is carried whole.
    let before = try world.carried()
    let mtu = Int(world.hosts[0].mtu)
    #expect(try world.isReached(b.ipv4, from: a, bytes: mtu - 28))
    #expect(try world.isReached(b.ipv6, from: a, bytes: mtu - 48))
    let carried = try world.carried()
    #expect(carried.full >= before.full + 1 && carried.frames >= before.frames + 4)
    #expect(carried.fragments == 0)
    // Each host has the gateway itself.
    #expect(try world.isReached(IPAddress("10.77.0.1"), from: a))
    #expect(try world.isReached(IPAddress("fd77::1"), from: c))
    #expect(try world.carried().frames == carried.frames)
    #expect(carried.groups == 0 && carried.arp == 0 && carried.neighborDiscovery == 0 && carried.unknown == 0)
  }

  @Test(arguments: AddressFamily.allCases) func nothingIsFlooded(_ underlay: AddressFamily) throws {
    let world = try TunnelWorld(underlay)
    let (a, b) = (try world.makeContainer(11, on: 0), try world.makeContainer(21, on: 1))
    try world.announce(a, b)
    #expect(try world.isReached(b.ipv4, from: a))
    let before = try world.carried()
    // Somebody who is not there; all; a group; a hardware address that nobody has.
    #expect(try !world.playground.pings("10.77.0.200", from: a.namespace))
    #expect(try world.playground.busybox("ping6", "-c", "1", "-W", "1", "fd77::200", in: a.namespace) == nil)
    let nobody: [UInt8] = [0x02, 0x99, 0, 0, 0, 1]
    try world.playground.send(
      [
        Frame(from: a.macAddress, type: 0x0800, try Frame.ipv4(from: "\(a.ipv4)", 1)),
        Frame(
          from: a.macAddress, type: 0x86dd, to: [0x33, 0x33, 0, 0, 0, 1],
          try Frame.ipv6(from: "\(a.ipv6)", Frame.udp(2))),
        Frame(from: a.macAddress, type: 0x0806, try Frame.arp(from: a.macAddress, "\(a.ipv4)", 3)),
        Frame(from: a.macAddress, type: 0x0800, to: nobody, try Frame.ipv4(from: "\(a.ipv4)", 4)),
        // So that something is seen at all.
        Frame(
          from: a.macAddress, type: 0x0800, to: b.macAddress.bytes,
          try Frame.ipv4(from: "\(a.ipv4)", to: "\(b.ipv4)", 5)),
      ], by: "eth0", in: a.namespace)
    #expect(try world.isReached(b.ipv4, from: a))
    let carried = try world.carried()
    #expect(carried.frames > before.frames)
    #expect(carried.groups == 0 && carried.arp == 0 && carried.neighborDiscovery == 0 && carried.unknown == 0)
  }

  /// Without its entry in the bridge's table, a frame for elsewhere is flooded to the host's other containers.
  @Test func aBystanderSeesNothing() throws {
    let world = try TunnelWorld(.ipv4)
    let (a, b) = (try world.makeContainer(11, on: 0), try world.makeContainer(21, on: 1))
    let bystander = try world.makeContainer(12, on: 0)
    try world.announce(a, b, bystander)
    #expect(try world.isReached(b.ipv4, from: a))
    func seen(_ number: Int, by container: TunnelWorld.Container) throws -> [Int]? {
      let listener = try FrameListener(on: "eth0", in: container.namespace)
      let far = Frame(
        from: a.macAddress, type: 0x0800, to: b.macAddress.bytes,
        try Frame.ipv4(from: "\(a.ipv4)", to: "\(b.ipv4)", number))
      let end = Frame(
        from: a.macAddress, type: 0x0800, to: container.macAddress.bytes,
        try Frame.ipv4(from: "\(a.ipv4)", to: "\(container.ipv4)", 255))
      try world.playground.send([far, end], by: "eth0", in: a.namespace)
      return try listener.numbers()
    }
    #expect(try seen(2, by: bystander) == [])
    let host = world.hosts[0]
    try host.namespace.forwardingEntries.delete(b.macAddress, on: host.tunnel, in: .bridge)
    #expect(try seen(3, by: bystander) == [3])
  }

  /// A container that is on another host, with its hardware address, is reached after one replacement.
  @Test func aMovedContainerIsReachedAfterOneReplacement() throws {
    let world = try TunnelWorld(.ipv4)
    let (a, b) = (try world.makeContainer(11, on: 0), try world.makeContainer(21, on: 1))
    try world.announce(a, b)
    #expect(try world.isReached(b.ipv4, from: a))
    try world.hosts[1].namespace.links.delete(index: b.port)
    let moved = try world.plugged(b, into: 2)
    // The new host no longer looks for it elsewhere.
    let (old, new) = (world.hosts[1], world.hosts[2])
    try new.namespace.forwardingEntries.delete([
      ForwardingEntry(b.macAddress, on: new.tunnel, to: old.address), ForwardingEntry(b.macAddress, behind: new.tunnel),
    ])
    for address in [b.ipv4, b.ipv6] { try new.namespace.neighbors.delete(address, on: new.tunnel) }
    #expect(try !world.playground.pings("\(b.ipv4)", from: a.namespace))
    let host = world.hosts[0]
    try host.namespace.forwardingEntries.replace(ForwardingEntry(b.macAddress, on: host.tunnel, to: new.address))
    #expect(try world.isReached(moved.ipv4, from: a))
    #expect(try world.isReached(moved.ipv6, from: a))
    let carried = try world.carried()
    #expect(carried.groups == 0 && carried.arp == 0 && carried.neighborDiscovery == 0 && carried.unknown == 0)
  }

  /// A host that gets another address goes on with it.
  @Test func anotherAddressOfTheHostIsTaken() throws {
    let world = try TunnelWorld(.ipv4, hosts: 2)
    let (a, b) = (try world.makeContainer(11, on: 0), try world.makeContainer(21, on: 1))
    try world.announce(a, b)
    #expect(try world.isReached(b.ipv4, from: a))
    let (first, second) = (world.hosts[0], world.hosts[1])
    let uplink = try first.namespace.links.get("eth0").index
    try first.namespace.addresses.remove(InterfaceAddress("192.0.2.1/24"), from: uplink)
    try first.namespace.addresses.add(InterfaceAddress("192.0.2.101/24"), to: uplink)
    #expect(try !world.playground.pings("\(b.ipv4)", from: a.namespace))
    try first.namespace.links.changeVxlan(first.tunnel, VxlanChange(local: IPAddress("192.0.2.101")))
    let far = ForwardingEntry(a.macAddress, on: second.tunnel, to: try IPAddress("192.0.2.101"))
    try second.namespace.forwardingEntries.replace(far)
    #expect(try world.isReached(b.ipv4, from: a))
  }
}
