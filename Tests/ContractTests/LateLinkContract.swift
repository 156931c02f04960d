import ContainerNetworking
import ContainerNetworkingTestKit
import Netlink
import Synchronization
import TestSupport
import Testing

/// Links that come later, and switches that are thrown: the same on every kernel.
@Suite(.timeLimit(.minutes(5))) struct LateLinkContract {
  /// A kernel that counts what is sent to it.
  private final class CountingKernel: ForwardingKernel {
    let base: any Kernel
    let sends = Atomic(0)

    init(_ base: any Kernel) { self.base = base }

    func openSocket(
      _ family: NetlinkFamily, in namespace: NamespaceHandle
    ) throws(NetworkError) -> any NetlinkSocket { CountingSocket(try base.openSocket(family, in: namespace), self) }

    /// How many datagrams a call sends.
    func sends(of body: () async throws -> Void) async throws -> Int {
      let before = sends.load(ordering: .relaxed)
      try await body()
      return sends.load(ordering: .relaxed) - before
    }
  }

  private final class CountingSocket: ForwardingSocket {
    let base: any NetlinkSocket
    private let kernel: CountingKernel

    init(_ base: any NetlinkSocket, _ kernel: CountingKernel) {
      self.base = base
      self.kernel = kernel
    }

    func send(_ datagram: [UInt8]) throws(NetworkError) {
      kernel.sends.add(1, ordering: .relaxed)
      try base.send(datagram)
    }
  }

  /// What a socket that watches has been told: the names of links that are new, and what was switched.
  private func taken(_ socket: any NetlinkSocket) throws -> [ForwardingChange] {
    var changes: [ForwardingChange] = []
    while let datagram = try socket.takeEvent() {
      for message in try NetlinkMessage.parse(datagram[...]) {
        if let change = try ForwardingChange(message) { changes.append(change) }
      }
    }
    return changes
  }

  @Test(arguments: KernelUnderTest.available) func switchesAreTold(_ which: KernelUnderTest) throws {
    let host = try NetworkNamespace.create(on: which.make())
    let socket = try host.kernel.openSocket(.route, in: host.handle)
    for group in ForwardingChange.groups { try socket.join(group: group) }
    #expect(try socket.takeEvent() == nil)
    let link = try host.links.createVeth(VethEnd(try InterfaceName("a")), peer: VethEnd(try InterfaceName("b")))
    let made = try taken(socket)
    for family in AddressFamily.allCases {
      let of = made.filter { $0.family == family && $0.link == link.index }
      #expect(of.map(\.isNewLink) == [true] && of.map(\.isOn) == [false], "\(made)")
    }
    func changed(_ name: String, to value: String) throws -> [ForwardingChange] {
      try host.setSysctl(name, to: value)
      return try taken(socket)
    }
    let on = try changed("net/ipv4/conf/a/forwarding", to: "1")
    #expect(on.map(\.link) == [link.index] && on.map(\.isOn) == [true] && on.map(\.isNewLink) == [false])
    #expect(try changed("net/ipv4/conf/a/forwarding", to: "1").isEmpty)
    #expect(try changed("net/ipv4/conf/a/forwarding", to: "0").map(\.isOn) == [false])
    if (try? host.sysctl("net/ipv6/conf/a/force_forwarding")) != nil {
      let forced = try changed("net/ipv6/conf/a/force_forwarding", to: "1")
      #expect(forced.map(\.link) == [link.index] && forced.map(\.isOn) == [nil] && forced.map(\.family) == [.ipv6])
    }
    let all = try changed("net/ipv4/ip_forward", to: "1")
    #expect(Set(all.filter { $0.isOn == true }.map(\.link)).isSuperset(of: [-1, link.index]))
    #expect(try socket.takeEvent() == nil)
  }

  @Test(arguments: KernelUnderTest.available) func linksThatAreNoPorts(_ which: KernelUnderTest) throws {
    let host = try NetworkNamespace.create(on: which.make())
    let bridge = try host.links.createBridge(InterfaceName("br0"))
    let ends = (VethEnd(try InterfaceName("port"), master: bridge.index), VethEnd(try InterfaceName("free")))
    try host.links.createVeth(ends.0, peer: ends.1)
    try host.setSysctl("net/ipv4/conf/free/forwarding", to: "1")
    let hasForce = (try? host.sysctl("net/ipv6/conf/br0/force_forwarding")) != nil
    if hasForce { try host.setSysctl("net/ipv6/conf/br0/force_forwarding", to: "1") }
    let links = try host.links.withoutMaster()
    #expect(Set(links.map(\.name)) == ["lo", "br0", "free"])
    let forwards = Dictionary(uniqueKeysWithValues: links.map { ($0.name, $0.forwards) })
    #expect(forwards["free"]?[.ipv4] == true && forwards["br0"]?[.ipv4] == false)
    if hasForce { #expect(forwards["free"]?[.ipv6] == false && forwards["br0"]?[.ipv6] == true) }
  }

  /// A link that came later, and a switch that was thrown, are seen to by the next attach; no attach else asks for that.
  @Test(arguments: KernelUnderTest.available) func attachesSeeToThem(_ which: KernelUnderTest) async throws {
    let kernel = CountingKernel(which.make())
    let host = try NetworkNamespace.create(on: kernel)
    func addLink(_ name: String) throws {
      let link = try host.links.createVeth(
        VethEnd(try InterfaceName(name)), peer: VethEnd(try InterfaceName("\(name)p")))
      try host.links.setUp(index: link.index)
    }
    try addLink("eth0")
    let controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    func attach(_ name: String) async throws -> Int {
      try await kernel.sends { try await controller.attach(name, to: .network("net")) }
    }
    // The first one looks.
    _ = try await attach("first")
    let usual = try await attach("second")
    #expect(try await attach("third") == usual)
    try addLink("tun7")
    #expect(try host.sysctl("net/ipv4/conf/tun7/forwarding") == "0")
    #expect(try await attach("fourth") > usual)
    #expect(try host.sysctl("net/ipv4/conf/tun7/forwarding") == "1")
    // What it did itself is told of too, and looked at once.
    _ = try await attach("fifth")
    #expect(try await attach("sixth") == usual)
    try host.setSysctl("net/ipv4/conf/eth0/forwarding", to: "0")
    #expect(try await controller.differences().map(\.kind) == [.forwarding])
    #expect(try await attach("seventh") > usual)
    #expect(try host.sysctl("net/ipv4/conf/eth0/forwarding") == "1")
    #expect(try await controller.differences() == [])
    let bridge = "\(try #require(try await controller.network("net").bridge))"
    for name in ["net/ipv4/conf/\(bridge)/route_localnet", "net/ipv4/conf/\(bridge)/forwarding"] {
      try host.setSysctl(name, to: "0")
      #expect(try await controller.differences().map(\.kind) == [.bridgeSettings], "\(name)")
      try await controller.attach("after", to: .network("net"))
      #expect(try host.sysctl(name) == "1")
      try await controller.detach("after")
    }
    #expect(try await controller.differences() == [])
    // Off on purpose, where the owner forwards for all.
    try host.setSysctl("net/ipv4/ip_forward", to: "1")
    try host.setSysctl("net/ipv4/conf/eth0/forwarding", to: "0")
    _ = try await attach("eighth")
    #expect(try host.sysctl("net/ipv4/conf/eth0/forwarding") == "0")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  /// A link that its owner has forward, alone.
  @Test(arguments: KernelUnderTest.available) func anOwnersLinkIsTold(_ which: KernelUnderTest) async throws {
    let host = try NetworkNamespace.create(on: which.make())
    for name in ["eth0", "lab0"] {
      let ends = (VethEnd(try InterfaceName(name)), VethEnd(try InterfaceName("\(name)p")))
      try host.links.setUp(index: try host.links.createVeth(ends.0, peer: ends.1).index)
    }
    let controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    #expect(try await controller.keptUplinks() == [])
    try host.setSysctl("net/ipv4/conf/lab0/forwarding", to: "1")
    try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    let kept = try #require(try await controller.keptUplinks().first)
    #expect(kept.family == .ipv4 && kept.others == ["lab0"] && kept.droppedPackets == 0)
    #expect(kept.uplinks == ["eth0", "eth0p", "lab0p"])
    #expect(kept.rule?.hasPrefix("inet containernetworking forward rule ") == true)
    #expect(kept.remedies.last?.contains("oifname { \"lab0\" } meta mark set 0x636e6574") == true)
    // Where all links forward for all, nothing is kept.
    try host.setSysctl("net/ipv4/ip_forward", to: "1")
    #expect(try await controller.keptUplinks() == [])
    try await controller.removeAll()
  }

  /// A kernel that has one switch of IPv6 for all links, as before Linux 6.17.
  private final class OlderKernel: ForwardingKernel {
    let base: any Kernel

    init(_ base: any Kernel) { self.base = base }

    private func check(_ name: String) throws(NetworkError) {
      guard name.hasSuffix("/force_forwarding") else { return }
      throw NetworkError(.notFound, operation: "open sysctl \(name)", reason: "this kernel does not have it")
    }

    func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
      try check(name)
      return try base.readSysctl(name, in: namespace)
    }

    func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
      try check(name)
      try base.writeSysctl(name, to: value, in: namespace)
    }
  }

  /// Where one switch is for all links, one that comes later forwards at once: it is kept to our networks, too.
  @Test(arguments: KernelUnderTest.available) func oneSwitchForAllLinks(_ which: KernelUnderTest) async throws {
    let host = try NetworkNamespace.create(on: OlderKernel(which.make()))
    func addLink(_ name: String) throws -> Int32 {
      let ends = (VethEnd(try InterfaceName(name)), VethEnd(try InterfaceName("\(name)p")))
      let link = try host.links.createVeth(ends.0, peer: ends.1)
      try host.links.setUp(index: link.index)
      return link.index
    }
    let store = MemoryStore()
    func guarded() -> Set<Int32> {
      let hosts = store.read(since: 0).changes.compactMap { change in
        if case .save(.host(let host)) = change { host } else { nil }
      }
      return Set((hosts.first?.uplinks ?? []).filter { $0.family == .ipv6 }.compactMap(\.index))
    }
    let first = try addLink("eth0")
    let controller = try await NetworkController(host: host, store: store, settings: ControllerSettings(resolvers: []))
    var options = NetworkOptions()
    options.subnets = [try Subnet("fd00:1::/64")]
    try await controller.createNetwork("net", options: options)
    #expect(try host.sysctl("net/ipv6/conf/all/forwarding") == "1")
    #expect(guarded().contains(first))
    let second = try addLink("tun7")
    #expect(
      try await controller.differences().contains { $0.kind == .forwarding && $0.detail.hasPrefix("tun7 forwards") })
    try await controller.attach("web", to: .network("net"))
    #expect(guarded().isSuperset(of: [first, second]))
    #expect(try await controller.differences() == [])
    let third = try addLink("tun8")
    #expect(try await controller.reconcile().remaining == [])
    #expect(guarded().contains(third))
    // Switched off behind us.
    try host.setSysctl("net/ipv6/conf/all/forwarding", to: "0")
    try await controller.attach("db", to: .network("net"))
    #expect(try host.sysctl("net/ipv6/conf/all/forwarding") == "1")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try host.sysctl("net/ipv6/conf/all/forwarding") == "0")
  }

  @Test(arguments: KernelUnderTest.available) func healersHearOfThem(_ which: KernelUnderTest) async throws {
    let host = try NetworkNamespace.create(on: which.make())
    let link = try host.links.createVeth(VethEnd(try InterfaceName("eth0")), peer: VethEnd(try InterfaceName("eth0p")))
    try host.links.setUp(index: link.index)
    let settings = ControllerSettings(resolvers: [], heals: true)
    let controller = try await NetworkController(host: host, settings: settings)
    let network = try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    for name in ["eth0", "\(try #require(network.bridge))"] {
      try host.setSysctl("net/ipv4/conf/\(name)/forwarding", to: "0")
      let isHealed = try await eventually { try host.sysctl("net/ipv4/conf/\(name)/forwarding") == "1" }
      #expect(isHealed, "\(name)")
    }
    try await controller.removeAll()
  }
}
