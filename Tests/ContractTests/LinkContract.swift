import Dispatch
import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// Links: the same on every kernel.
@Suite(.timeLimit(.minutes(10))) struct LinkContract {
  @Test(arguments: KernelUnderTest.available) func loopbackIsThereAndDown(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let lo = try #require(try contract.links().first)
    #expect(lo.name == "lo" && lo.index == 1 && lo.mtu == 65536 && lo.kind == nil)
    #expect(lo.flags == .loopback)
    try contract.route.execute(LinkRequests.change(1, LinkChange(isUp: true)))
    #expect(try contract.link("lo").flags.contains([.up, .running, .loopback]))
    #expect(try contract.addresses() == ["127.0.0.1/8", "::1/128"])
  }

  @Test(arguments: KernelUnderTest.available) func bridgeIsMadeOnce(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let bridge = try contract.makeBridge("br0")
    #expect(bridge.index == 2 && bridge.kind == "bridge" && bridge.flags == [.broadcast, .multicast])
    let request = LinkRequests.createBridge(try InterfaceName("br0"), macAddress: nil, mtu: 1500)
    #expect(contract.refusal(request)?.kernel?.errno == .fileExists)
    try contract.route.execute(LinkRequests.delete(bridge.index))
    #expect(contract.refusal(LinkRequests.delete(bridge.index))?.kernel?.errno == Errno(rawValue: 19))
    #expect(contract.refusal(LinkRequests.get(4711))?.kernel?.errno == Errno(rawValue: 19))
  }

  @Test(arguments: KernelUnderTest.available) func glancesAreLooksWithoutIPv6Counters(_ kernel: KernelUnderTest) throws
  {
    let contract = try Contract(kernel)
    let bridge = try contract.makeBridge("br0")
    for request in [LinkRequests.glance(at: bridge.index), LinkRequests.glance(at: try InterfaceName("br0"))] {
      let message = try #require(try contract.route.execute(request).first)
      let link = try Link(message)
      #expect(link.name == "br0" && link.index == bridge.index)
      // struct ifinfomsg, IFLA_AF_SPEC, AF_INET6, IFLA_INET6_STATS.
      let families = try Attributes(message.payload.dropFirst(16))[type: 26]?.nested()
      #expect(try families?[type: 10]?.nested()[type: 3] == nil)
    }
    #expect(contract.refusal(LinkRequests.glance(at: 4711))?.kernel?.errno == Errno(rawValue: 19))
  }

  /// In a batch, the last change's answer confirms the others.
  @Test(arguments: KernelUnderTest.available) func oneAnswerTellsOfAll(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let bridge = try contract.makeBridge("br0")
    let up = LinkRequests.change(bridge.index, LinkChange(isUp: true))
    let bad = LinkRequests.change(4711, LinkChange(isUp: true))
    let outcomes = try contract.route.perform([up, bad, LinkRequests.get(bridge.index), bad, up])
    #expect(outcomes.map { $0.error?.kernel?.errno.rawValue } == [nil, 19, nil, 19, nil])
    #expect(outcomes.map(\.replies.count) == [0, 0, 1, 0, 0])
    let ending = try contract.route.perform([up, bad])
    #expect(ending.map { $0.error?.kernel?.errno.rawValue } == [nil, 19])
  }

  /// A deletion started without waiting is complete when the call returns.
  @Test(arguments: KernelUnderTest.available) func aDeletionThatIsBegunIsMade(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let bridge = try contract.makeBridge("br0")
    let isDone = DispatchSemaphore(value: 0)
    try contract.route.begin(LinkRequests.delete(bridge.index)) { isDone.signal() }
    #expect(contract.refusal(LinkRequests.get(bridge.index))?.kernel?.errno == Errno(rawValue: 19))
    #expect(isDone.wait(timeout: .now() + 60) == .success)
    // A late answer to one request is not taken for an answer to the next.
    try contract.makeBridge("br0")
    #expect(throws: NetworkError.self) { try contract.route.begin(LinkRequests.delete(4711)) }
    #expect(try contract.link("br0").kind == "bridge")
  }

  @Test(arguments: KernelUnderTest.available) func vethReachesAnotherNamespace(_ kernel: KernelUnderTest) throws {
    let host = try Contract(kernel)
    let container = try host.another()
    let bridge = try host.makeBridge("br0")
    let peer = VethEnd(try InterfaceName("eth0"), namespace: container.namespace.descriptor)
    let request = LinkRequests.createVeth(
      VethEnd(try InterfaceName("port0"), master: bridge.index), peer: peer, mtu: 1400)
    let echo = try Link(#require(try host.route.execute(request).first))
    // Sent before it gets its bridge.
    #expect(echo.name == "port0" && echo.master == nil && echo.mtu == 1400)
    let port = try host.link("port0")
    let eth0 = try container.link("eth0")
    #expect(port.kind == "veth" && port.master == bridge.index && port.transmitQueues == 1)
    #expect(port.peer == eth0.index && eth0.peer == port.index)
    #expect(port.peerNamespaceID != nil)

    try host.route.execute(LinkRequests.change(port.index, LinkChange(isUp: true)))
    #expect(!(try host.link("port0").flags.contains(.running)))
    try container.route.execute(LinkRequests.change(eth0.index, LinkChange(isUp: true)))
    #expect(try host.link("port0").flags.contains([.up, .running]))

    try container.route.execute(LinkRequests.delete(eth0.index))
    #expect(try host.links().map(\.name) == ["lo", "br0"])
  }

  @Test(arguments: KernelUnderTest.available) func bothEndsInOneNamespace(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let ends = (VethEnd(try InterfaceName("a")), VethEnd(try InterfaceName("b")))
    try contract.route.execute(LinkRequests.createVeth(ends.0, peer: ends.1, mtu: 1500))
    #expect(try contract.links().map(\.name) == ["lo", "b", "a"])
    #expect(try contract.link("a").peerNamespaceID == nil)
    let again = contract.refusal(LinkRequests.createVeth(VethEnd(try InterfaceName("c")), peer: ends.0, mtu: 1500))
    #expect(again?.kernel?.errno == .fileExists)
    #expect(try contract.links().count == 3)
  }

  @Test(arguments: KernelUnderTest.available) func changes(_ kernel: KernelUnderTest) throws {
    let contract = try Contract(kernel)
    let other = try contract.another()
    let ends = (VethEnd(try InterfaceName("a")), VethEnd(try InterfaceName("b")))
    try contract.route.execute(LinkRequests.createVeth(ends.0, peer: ends.1, mtu: 1500))
    let a = try contract.link("a")
    var change = LinkChange(isUp: true)
    change.name = try InterfaceName("renamed")
    change.mtu = 1300
    change.macAddress = try MACAddress("02:42:00:00:00:09")
    change.forwardsIPv4 = true
    try contract.route.execute(LinkRequests.change(a.index, change))
    let renamed = try contract.link("renamed")
    #expect(renamed.index == a.index && renamed.mtu == 1300 && renamed.macAddress == change.macAddress)
    #expect(try contract.kernel.readSysctl("net/ipv4/conf/renamed/forwarding", in: contract.namespace) == "1")

    var taken = LinkChange()
    taken.name = try InterfaceName("b")
    #expect(contract.refusal(LinkRequests.change(a.index, taken))?.kernel?.errno == .fileExists)
    var small = LinkChange()
    small.mtu = 1
    #expect(contract.refusal(LinkRequests.change(a.index, small))?.kernel?.message == "mtu less than device minimum")
    var bad = LinkChange()
    bad.master = 4711
    #expect(contract.refusal(LinkRequests.change(a.index, bad))?.kernel?.errno == .invalidArgument)

    var move = LinkChange()
    move.namespace = other.namespace.descriptor
    try contract.route.execute(LinkRequests.change(a.index, move))
    #expect(try contract.links().map(\.name) == ["lo", "b"])
    #expect(!(try other.link("renamed").flags.contains(.up)))
  }

  @Test(arguments: KernelUnderTest.available) func macvlanFollowsItsParent(_ kernel: KernelUnderTest) throws {
    let host = try Contract(kernel)
    let container = try host.another()
    let bridge = try host.makeBridge("parent")
    let end = VethEnd(try InterfaceName("eth0"), namespace: container.namespace.descriptor)
    try host.route.execute(LinkRequests.createMacvlan(end, parent: bridge.index, mtu: 1500))
    #expect(try container.link("eth0").kind == "macvlan")
    #expect(try container.link("eth0").peer == bridge.index)
    try host.route.execute(LinkRequests.delete(bridge.index))
    #expect(try container.links().map(\.name) == ["lo"])
    let absent = host.refusal(LinkRequests.createMacvlan(end, parent: 4711, mtu: 1500))
    #expect(absent?.kernel?.errno == Errno(rawValue: 19))
  }

  @Test(arguments: KernelUnderTest.available) func macvlanIsNoLargerThanItsParent(_ kernel: KernelUnderTest) throws {
    let host = try Contract(kernel)
    let container = try host.another()
    let parent = try host.makeBridge("parent")
    let end = { (name: String) in VethEnd(try InterfaceName(name), namespace: container.namespace.descriptor) }
    func setMTU(_ mtu: UInt32) throws {
      var change = LinkChange()
      change.mtu = mtu
      try host.route.execute(LinkRequests.change(parent.index, change))
    }
    try host.route.execute(LinkRequests.createMacvlan(end("eth0"), parent: parent.index, mtu: 1500))
    try setMTU(1400)
    #expect(try container.link("eth0").mtu == 1400)
    let larger = host.refusal(LinkRequests.createMacvlan(try end("eth1"), parent: parent.index, mtu: 1401))
    #expect(larger?.kernel?.errno == .invalidArgument)
    #expect(try container.links().map(\.name) == ["lo", "eth0"])
    try host.route.execute(LinkRequests.createMacvlan(end("eth1"), parent: parent.index, mtu: 1400))
    // It does not follow up again.
    try setMTU(1500)
    #expect(try container.link("eth0").mtu == 1400)
  }
}
