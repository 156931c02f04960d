import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// `namespace.links`: the same on every kernel.
@Suite struct LinkServiceContract {
  private func make(_ kernel: KernelUnderTest) throws -> NetworkNamespace {
    try NetworkNamespace.create(on: kernel.make())
  }

  private func veth(_ namespace: NetworkNamespace, _ names: (String, String) = ("a", "b")) throws -> Link {
    try namespace.links.createVeth(VethEnd(InterfaceName(names.0)), peer: VethEnd(InterfaceName(names.1)))
  }

  @discardableResult
  private func refusal(_ body: () throws -> Void) -> NetworkError? {
    #expect(throws: NetworkError.self, performing: body)
  }

  // MARK: - Bridges

  @Test(arguments: KernelUnderTest.available) func bridgeOptions(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let plain = try namespace.links.createBridge(InterfaceName("plain"))
    let defaults = try #require(plain.bridge)
    #expect(defaults.usesSpanningTree == false && defaults.snoopsMulticast == true)
    #expect(defaults.forwardDelay == .seconds(15) && defaults.helloTime == .seconds(2))
    #expect(defaults.maximumAge == .seconds(20) && defaults.ageingTime == .seconds(300))
    #expect(defaults.priority == 32768 && defaults.groupForwardMask == 0 && defaults.learnsFromGroups == true)

    var options = BridgeOptions()
    options.usesSpanningTree = true
    options.forwardDelay = .seconds(4)
    options.helloTime = .milliseconds(1500)
    options.maximumAge = .seconds(12)
    options.ageingTime = .seconds(10)
    options.priority = 100
    options.snoopsMulticast = false
    options.groupForwardMask = 1 << 14
    options.learnsFromGroups = false
    let bridge = try namespace.links.createBridge(InterfaceName("br0"), options: options)
    func isAsAsked(_ read: BridgeOptions?) -> Bool {
      var read = read
      read?.filtersVLANs = nil
      read?.defaultVLAN = nil
      return read == options
    }
    #expect(isAsAsked(bridge.bridge))
    var change = BridgeOptions()
    change.ageingTime = .zero
    change.usesSpanningTree = false
    options.ageingTime = .zero
    options.usesSpanningTree = false
    try namespace.links.changeBridge(bridge.index, change)
    #expect(isAsAsked(try namespace.links.get("br0").bridge))
    #expect(try namespace.links.get("plain").bridge == defaults)

    #expect(refusal { try namespace.links.changeBridge(1, change) }?.code == .unsupported)
    #expect(refusal { try namespace.links.changeBridge(4711, change) }?.code == .notFound)
  }

  @Test(arguments: KernelUnderTest.available) func bridgeVLANsOrWhyNot(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let plain = try namespace.links.createBridge(InterfaceName("plain"))
    let isKnown = plain.bridge?.filtersVLANs != nil
    #expect(isKnown == (plain.bridge?.defaultVLAN != nil))
    var filtering = BridgeOptions()
    filtering.filtersVLANs = true
    var numbered = BridgeOptions()
    numbered.defaultVLAN = 7
    for options in [filtering, numbered] {
      if isKnown {
        let bridge = try namespace.links.createBridge(InterfaceName("br0"), options: options)
        #expect(bridge.bridge?.filtersVLANs == (options.filtersVLANs ?? false))
        #expect(bridge.bridge?.defaultVLAN == (options.defaultVLAN ?? 1))
        try namespace.links.changeBridge(plain.index, options)
        try namespace.links.delete(index: bridge.index)
      } else {
        for error in [
          refusal { try namespace.links.createBridge(InterfaceName("br0"), options: options) },
          refusal { try namespace.links.changeBridge(plain.index, options) },
        ] {
          #expect(error?.code == .unsupported)
          #expect(error?.reason.contains("CONFIG_BRIDGE_VLAN_FILTERING") == true)
        }
        #expect(try namespace.links.list().map(\.name) == ["lo", "plain"])
      }
    }
  }

  /// The kernel's own refusals, with the check before them bypassed.
  @Test(arguments: KernelUnderTest.available) func kernelRefusesBadBridgeOptions(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    var tree = BridgeOptions()
    tree.usesSpanningTree = true
    let bridge = try namespace.links.createBridge(InterfaceName("br0"), options: tree)
    var hello = BridgeOptions()
    hello.helloTime = .seconds(11)
    var age = BridgeOptions()
    age.maximumAge = .seconds(5)
    var delay = BridgeOptions()
    delay.usesSpanningTree = true
    delay.forwardDelay = .seconds(1)
    var mask = BridgeOptions()
    mask.groupForwardMask = 1
    let connection = try namespace.connection(.route)
    for (options, errno) in [(hello, 34), (age, 34), (delay, 34), (mask, 22)] {
      let error = refusal { try connection.execute(LinkRequests.changeBridge(bridge.index, options)) }
      #expect(error?.kernel?.errno == Errno(rawValue: CInt(errno)))
      #expect(refusal { try options.validate() }?.code == .invalidValue)
    }
  }

  @Test(arguments: KernelUnderTest.available) func bridgePorts(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    let port = try veth(namespace)
    var options = BridgePortOptions()
    options.isHairpin = true
    options.isIsolated = true
    options.learnsAddresses = false
    options.floodsUnicast = false
    options.suppressesNeighbors = true
    options.cost = 65535
    options.priority = 63
    let early = refusal { try namespace.links.changeBridgePort(port.index, options) }
    #expect(early?.code == .unsupported)
    #expect(early?.reason.contains("not a port") == true)
    #expect(try namespace.links.get("a").bridgePort == nil)

    try namespace.links.setMaster(bridge.index, of: port.index)
    let fresh = try #require(try namespace.links.get("a").bridgePort)
    #expect(fresh.isHairpin == false && fresh.isIsolated == false)
    #expect(fresh.learnsAddresses == true && fresh.floodsUnicast == true)
    #expect(fresh.suppressesNeighbors == false)
    #expect(fresh.cost == 2 && fresh.priority == 32)
    try namespace.links.changeBridgePort(port.index, options)
    #expect(try namespace.links.get("a").bridgePort == options)
    var less = BridgePortOptions()
    less.isIsolated = false
    options.isIsolated = false
    try namespace.links.changeBridgePort(port.index, less)
    #expect(try namespace.links.get("a").bridgePort == options)

    let other = try veth(namespace, ("c", "d"))
    try namespace.links.setMaster(bridge.index, of: other.index)
    var hairpin = BridgePortOptions()
    hairpin.isHairpin = true
    try namespace.connection(.route).execute(LinkRequests.changeBridgePort(named: InterfaceName("c"), hairpin))
    #expect(try namespace.links.get("c").bridgePort?.isHairpin == true)

    var cost = BridgePortOptions()
    cost.cost = 65536
    var priority = BridgePortOptions()
    priority.priority = 64
    for bad in [cost, priority] {
      #expect(refusal { try namespace.links.changeBridgePort(port.index, bad) }?.code == .invalidValue)
      let error = refusal {
        try namespace.connection(.route).execute(LinkRequests.changeBridgePort(port.index, bad))
      }
      #expect(error?.kernel?.errno == Errno(rawValue: 34))
    }
  }

  // MARK: - Other kinds

  @Test(arguments: KernelUnderTest.available) func macvlanModes(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let parent = try namespace.links.createBridge(InterfaceName("parent"))
    for mode in MacvlanMode.allCases {
      let link = try namespace.links.createMacvlan(VethEnd(InterfaceName("m0")), parent: parent.index, mode: mode)
      #expect(link.kind == "macvlan" && link.macvlanMode == mode && link.peer == parent.index)
      #expect(try namespace.links.get("m0").macvlanMode == mode)
      #expect((link.macAddress == parent.macAddress) == (mode == .passthru))
      let second = mode == .passthru ? MacvlanMode.bridge : .passthru
      let error = refusal {
        try namespace.links.createMacvlan(VethEnd(InterfaceName("m1")), parent: parent.index, mode: second)
      }
      #expect(error?.kernel?.errno == .invalidArgument)
      try namespace.links.delete(index: link.index)
    }
  }

  @Test(arguments: KernelUnderTest.available) func whatTheKernelLacksIsNamed(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let parent = try namespace.links.createBridge(InterfaceName("parent"))
    for mode in IpvlanMode.allCases {
      let end = VethEnd(try InterfaceName("i0"))
      do {
        try namespace.links.createIpvlan(end, parent: parent.index, mode: mode)
        try namespace.links.delete(index: namespace.links.get("i0").index)
      } catch {
        #expect(error.code == .unsupported)
        #expect(error.reason.contains("modprobe ipvlan") && error.reason.contains("CONFIG_IPVLAN"))
      }
    }
    let unknown = refusal { try namespace.links.create(VethEnd(InterfaceName("x0")), kind: "nonsense") }
    #expect(unknown?.code == .unsupported)
    #expect(unknown?.reason.contains("no nonsense links") == true)
    #expect(refusal { try namespace.links.create(VethEnd(InterfaceName("x0")), kind: "") }?.code == .invalidValue)
    #expect(try namespace.links.list().map(\.name) == ["lo", "parent"])
  }

  @Test(arguments: KernelUnderTest.available) func kindsWithoutOptions(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let link = try namespace.links.create(VethEnd(InterfaceName("br0")), kind: "bridge")
    #expect(link.kind == "bridge" && link.name == "br0")
    #expect(
      refusal { try namespace.links.create(VethEnd(InterfaceName("br0")), kind: "bridge") }?.code == .alreadyExists)
  }

  // MARK: - Single changes

  @Test(arguments: KernelUnderTest.available) func singleChanges(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    let bridge = try namespace.links.createBridge(InterfaceName("br0"))
    let a = try veth(namespace).index
    func read() throws -> Link { try namespace.links.get(a) }

    try namespace.links.rename(a, to: InterfaceName("renamed"))
    #expect(try read().name == "renamed")
    #expect(refusal { try namespace.links.rename(a, to: InterfaceName("b")) }?.code == .alreadyExists)
    try namespace.links.setMTU(1280, of: a)
    #expect(try read().mtu == 1280)
    let address = try MACAddress("02:42:00:00:00:09")
    try namespace.links.setMACAddress(address, of: a)
    #expect(try read().macAddress == address)
    try namespace.links.setMaster(bridge.index, of: a)
    #expect(try read().master == bridge.index)
    try namespace.links.clearMaster(of: a)
    try namespace.links.clearMaster(of: a)
    #expect(try read().master == nil)
    #expect(refusal { try namespace.links.setMaster(1, of: a) }?.code == .unsupported)
    try namespace.links.setAlias("the first; ü", of: a)
    #expect(try read().alias == "the first; ü")
    try namespace.links.setAlias("", of: a)
    #expect(try read().alias == nil)
    try namespace.links.setGroup(7, of: a)
    #expect(try read().group == 7)

    let other = try NetworkNamespace.create(on: namespace.kernel)
    try namespace.links.setUp(index: a)
    try namespace.links.move(a, to: other)
    #expect(refusal { _ = try read() }?.code == .notFound)
    let moved = try other.links.get("renamed")
    #expect(!moved.flags.contains(.up) && moved.mtu == 1280 && moved.macAddress == address)
    #expect(refusal { try namespace.links.move(bridge.index, to: other) }?.kernel?.errno == .invalidArgument)
    try other.links.createBridge(InterfaceName("b"))
    #expect(refusal { try namespace.links.move(namespace.links.get("b").index, to: other) }?.code == .alreadyExists)
  }

  @Test(arguments: KernelUnderTest.available) func groupsAreDeletedWhole(_ kernel: KernelUnderTest) throws {
    let namespace = try make(kernel)
    for number in 0..<5 {
      let link = try veth(namespace, ("a\(number)", "b\(number)"))
      if number < 4 { try namespace.links.setGroup(42, of: link.index) }
    }
    try namespace.links.delete(group: 42)
    #expect(Set(try namespace.links.list().map(\.name)) == ["lo", "a4", "b4"])
    #expect(refusal { try namespace.links.delete(group: 42) }?.code == .notFound)
    #expect(refusal { try namespace.links.delete(group: 0) }?.code == .invalidValue)
    #expect(refusal { try namespace.links.delete(index: 1) }?.code == .unsupported)
    #expect(try namespace.links.list().count == 3)
  }
}
