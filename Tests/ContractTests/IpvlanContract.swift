import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// Ipvlans, the same on every kernel that has them; the simulated one has.
@Suite(.timeLimit(.minutes(10))) struct IpvlanContract {
  /// The kernels that have ipvlans.
  static var available: [KernelUnderTest] {
    KernelUnderTest.available.filter { kernel in
      guard kernel != .simulated else { return true }
      do {
        let host = try NetworkNamespace.create(on: kernel.make())
        let pair = try host.links.createVeth(VethEnd(InterfaceName("a")), peer: VethEnd(InterfaceName("b")))
        try host.links.createIpvlan(VethEnd(InterfaceName("i0")), parent: pair.index)
        return true
      } catch { return false }
    }
  }

  private struct World {
    let host: NetworkNamespace
    let container: NetworkNamespace
    let parent: Link

    init(_ kernel: KernelUnderTest) throws {
      let kernel = kernel.make()
      host = try NetworkNamespace.create(on: kernel)
      container = try NetworkNamespace.create(on: kernel)
      parent = try host.links.createVeth(VethEnd(InterfaceName("lan0")), peer: VethEnd(InterfaceName("lan1")))
      for name in ["lan0", "lan1"] { try host.links.setUp(index: try host.links.get(name).index) }
    }

    func make(_ name: String, _ mode: IpvlanMode = .l2, _ flag: IpvlanFlag? = nil) throws {
      let end = VethEnd(try InterfaceName(name), namespace: container.handle.descriptor)
      try host.connection(.route).execute(
        LinkRequests.createIpvlan(end, parent: parent.index, mode: mode, flag: flag))
    }
  }

  private func refusal(_ body: () throws -> Void) -> NetworkError? {
    #expect(throws: NetworkError.self, performing: body)
  }

  @Test(arguments: available) func itSharesItsParentsAddress(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    try world.make("eth0")
    let link = try world.container.links.get("eth0")
    #expect(link.kind == "ipvlan" && link.peer == world.parent.index && link.macAddress == world.parent.macAddress)
    #expect(link.mtu == world.parent.mtu && link.ipvlanMode == .l2 && link.ipvlanFlag == .bridge)
    var change = LinkChange()
    change.macAddress = try MACAddress("02:42:00:00:00:07")
    #expect(refusal { try world.container.links.change(link.index, change) }?.kernel?.errno == .notSupportedOnSocket)
    // It follows its parent, up too.
    for mtu in [UInt32(1400), 1500] {
      try world.host.links.setMTU(mtu, of: world.parent.index)
      #expect(try world.container.links.get("eth0").mtu == mtu)
    }
    try world.host.links.delete(index: world.parent.index)
    #expect(try world.container.links.list().map(\.name) == ["lo"])
  }

  /// Mode and flag are those of all ipvlans of a parent, and the latest decide.
  @Test(arguments: available) func modesAreTheParents(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    try world.make("eth0", .l2)
    for (number, mode) in [IpvlanMode.l3, .l3s, .l2].enumerated() {
      try world.make("next\(number)", mode, number == 1 ? .private : nil)
      for name in ["eth0", "next\(number)"] {
        let link = try world.container.links.get(name)
        #expect(link.ipvlanMode == mode && link.flags.contains(.noARP) == (mode != .l2))
        #expect(link.ipvlanFlag == (number == 0 ? .bridge : .private))
      }
    }
  }

  @Test(arguments: available) func noAddressIsOnTwo(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    try world.make("eth0")
    try world.make("eth1")
    for text in ["10.1.0.2/24", "fd00::2/64"] {
      let address = try InterfaceAddress(text)
      try world.container.addresses.add(address, to: try world.container.links.get("eth0").index)
      let taken = refusal {
        try world.container.addresses.add(address, to: try world.container.links.get("eth1").index)
      }
      #expect(taken?.kernel?.errno == .addressInUse, "\(text): \(taken as Any)")
    }
  }

  @Test(arguments: available) func aParentCarriesOneKind(_ kernel: KernelUnderTest) throws {
    let world = try World(kernel)
    try world.make("eth0")
    let macvlan = refusal {
      try world.host.links.createMacvlan(VethEnd(InterfaceName("m0")), parent: world.parent.index)
    }
    #expect(macvlan?.kernel?.errno == .resourceBusy)
    let bridge = try world.host.links.createBridge(InterfaceName("br0"))
    var change = LinkChange()
    change.master = bridge.index
    #expect(refusal { try world.host.links.change(world.parent.index, change) }?.kernel?.errno == .resourceBusy)
    try world.container.links.delete(index: try world.container.links.get("eth0").index)
    try world.host.links.createMacvlan(VethEnd(InterfaceName("m0")), parent: world.parent.index)
    #expect(refusal { try world.make("eth0") }?.kernel?.errno == .resourceBusy)
    let loopback = refusal { try world.host.links.createIpvlan(VethEnd(InterfaceName("i0")), parent: 1) }
    #expect(loopback?.kernel?.errno == .invalidArgument)
    let absent = refusal { try world.host.links.createIpvlan(VethEnd(InterfaceName("i0")), parent: 4711) }
    #expect(absent?.code == .notFound)
  }
}

/// A parent's frames go to one taker: the same on every kernel.
@Suite(.timeLimit(.minutes(10))) struct ParentContract {
  @Test(arguments: KernelUnderTest.available) func aPortOfABridgeCarriesNone(_ kernel: KernelUnderTest) throws {
    let host = try NetworkNamespace.create(on: kernel.make())
    let bridge = try host.links.createBridge(InterfaceName("br0"))
    let port = try host.links.createVeth(
      VethEnd(InterfaceName("a"), master: bridge.index), peer: VethEnd(InterfaceName("b")))
    let onPort = #expect(throws: NetworkError.self) {
      try host.links.createMacvlan(VethEnd(InterfaceName("m0")), parent: port.index)
    }
    #expect(onPort?.kernel?.errno == .resourceBusy)
    let parent = try host.links.get("b").index
    try host.links.createMacvlan(VethEnd(InterfaceName("m0")), parent: parent)
    var change = LinkChange()
    change.master = bridge.index
    let intoBridge = #expect(throws: NetworkError.self) { try host.links.change(parent, change) }
    #expect(intoBridge?.kernel?.errno == .resourceBusy)
    #expect(try host.links.list().map(\.name).sorted() == ["a", "b", "br0", "lo", "m0"])
  }
}
