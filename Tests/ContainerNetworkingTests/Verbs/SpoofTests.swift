import ContainerNetworking
import Playground
import Testing

/// A container sends only from its own addresses.
@Suite(.timeLimit(.minutes(10))) struct SpoofTests {
  let world: Playground
  let controller: NetworkController
  let one: Sandbox
  let two: Sandbox
  let bridge: String

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    let options = try NetworkOptions(["10.60.0.0/24", "fd00:60::/64"])
    let network = try await controller.createNetwork("net", options: options)
    bridge = try #require(network.bridge).description
    one = try await controller.attach("one", to: .network("net"))
    two = try await controller.attach("two", to: .network("net"))
  }

  private func removeAll() async throws {
    try await controller.removeAll()
    #expect(try world.output("nft", "list", "ruleset", in: world.host) == "")
  }

  /// One row of a table: a frame, and whether it arrives.
  private struct Row {
    var what: String
    var frame: Frame
    var isExpected: Bool
  }

  private func rows() throws -> [Row] {
    let (own, other) = (one.endpoints[0].macAddress, two.endpoints[0].macAddress)
    let (ownLocal, otherLocal) = ("\(own.linkLocalAddress)", "\(other.linkLocalAddress)")
    var rows: [Row] = []
    func add(
      _ what: String, _ isExpected: Bool, _ type: UInt16, from mac: MACAddress? = nil,
      _ payload: (Int) throws -> [UInt8]
    ) rethrows {
      let payload = try payload(rows.count)
      rows.append(Row(what: what, frame: Frame(from: mac ?? own, type: type, payload), isExpected: isExpected))
    }
    let (ipv4, ipv6, arp, vlan, provider) = (
      0x0800 as UInt16, 0x86dd as UInt16, 0x0806 as UInt16, 0x8100 as UInt16, 0x88a8 as UInt16
    )
    try add("IPv4, own address", true, ipv4) { try Frame.ipv4(from: "10.60.0.2", $0) }
    try add("IPv4, another's", false, ipv4) { try Frame.ipv4(from: "10.60.0.3", $0) }
    try add("IPv4, the gateway's", false, ipv4) { try Frame.ipv4(from: "10.60.0.1", $0) }
    try add("IPv4, nobody's", false, ipv4) { try Frame.ipv4(from: "192.0.2.1", $0) }
    try add("IPv4, 0.0.0.0 as DHCP", false, ipv4) { try Frame.ipv4(from: "0.0.0.0", $0) }
    try add("IPv4, multicast", false, ipv4) { try Frame.ipv4(from: "224.0.0.1", $0) }
    try add("IPv4, own address, another's MAC", false, ipv4, from: other) { try Frame.ipv4(from: "10.60.0.2", $0) }

    try add("IPv6, own address", true, ipv6) { try Frame.ipv6(from: "fd00:60::2", Frame.udp($0)) }
    try add("IPv6, own link-local", true, ipv6) { try Frame.ipv6(from: ownLocal, Frame.udp($0)) }
    try add("IPv6, another's", false, ipv6) { try Frame.ipv6(from: "fd00:60::3", Frame.udp($0)) }
    try add("IPv6, another's link-local", false, ipv6) { try Frame.ipv6(from: otherLocal, Frame.udp($0)) }
    try add("IPv6, :: and UDP", false, ipv6) { try Frame.ipv6(from: "::", Frame.udp($0)) }
    try add("IPv6, own address, another's MAC", false, ipv6, from: other) {
      try Frame.ipv6(from: "fd00:60::2", Frame.udp($0))
    }
    try add("duplicate address detection", true, ipv6) {
      try Frame.ipv6(from: "::", next: 58, Frame.neighbor(135, of: "fd00:60::2", $0))
    }
    try add("solicitation of another", true, ipv6) {
      try Frame.ipv6(from: "fd00:60::2", next: 58, Frame.neighbor(135, of: "fd00:60::3", $0))
    }
    try add("advertisement of its own", true, ipv6) {
      try Frame.ipv6(from: ownLocal, next: 58, Frame.neighbor(136, of: "fd00:60::2", $0))
    }
    try add("advertisement of another's", false, ipv6) {
      try Frame.ipv6(from: "fd00:60::2", next: 58, Frame.neighbor(136, of: "fd00:60::3", $0))
    }
    try add("advertisement of the gateway's", false, ipv6) {
      try Frame.ipv6(from: "::", next: 58, Frame.neighbor(136, of: "fd00:60::1", $0))
    }
    try add("router advertisement", false, ipv6) {
      try Frame.ipv6(from: ownLocal, next: 58, Frame.neighbor(134, of: ownLocal, $0))
    }
    try add("advertisement of another's behind hop-by-hop options", false, ipv6) {
      try Frame.ipv6(
        from: "fd00:60::2", next: 0, [58, 0, 1, 4, 0, 0, 0, 0] + Frame.neighbor(136, of: "fd00:60::3", $0))
    }

    try add("ARP, own", true, arp) { try Frame.arp(from: own, "10.60.0.2", $0) }
    try add("ARP, probe", true, arp) { try Frame.arp(from: own, "0.0.0.0", $0) }
    try add("ARP, another's address", false, arp) { try Frame.arp(from: own, "10.60.0.3", $0) }
    try add("ARP, the gateway's address", false, arp) { try Frame.arp(from: own, "10.60.0.1", $0) }
    try add("ARP, another's MAC within", false, arp) { try Frame.arp(from: other, "10.60.0.2", $0) }
    try add("ARP, another's MAC", false, arp, from: other) { try Frame.arp(from: other, "10.60.0.3", $0) }

    // 88b5 is for experiments (IEEE 802).
    add("another protocol", true, 0x88b5) { Frame.mark($0) }
    add("another protocol, another's MAC", false, 0x88b5, from: other) { Frame.mark($0) }
    try add("VLAN 0, own address", true, vlan) { Frame.tagged(ipv4, try Frame.ipv4(from: "10.60.0.2", $0)) }
    try add("VLAN 0, another's", false, vlan) { Frame.tagged(ipv4, try Frame.ipv4(from: "10.60.0.3", $0)) }
    try add("VLAN 7, another's", false, vlan) { Frame.tagged(ipv4, vlan: 7, try Frame.ipv4(from: "10.60.0.3", $0)) }
    try add("VLAN 0 twice, another's", false, vlan) {
      Frame.tagged(vlan, Frame.tagged(ipv4, try Frame.ipv4(from: "10.60.0.3", $0)))
    }
    try add("802.1ad and VLAN 0, another's", false, provider) {
      Frame.tagged(vlan, Frame.tagged(ipv4, try Frame.ipv4(from: "10.60.0.3", $0)))
    }
    try add("VLAN 0 and 802.1ad, another's", false, vlan) {
      Frame.tagged(provider, Frame.tagged(ipv4, try Frame.ipv4(from: "10.60.0.3", $0)))
    }
    return rows
  }

  /// Sends all rows, and checks which arrive at the other container and at the host's bridge.
  ///
  /// - Parameter isExpected: Whether a row must arrive at a container, and at the bridge; nil for the row's own
  ///   expectation.
  private func check(
    _ rows: [Row], by interface: String, in namespace: NetworkNamespace,
    isExpected: (Row) -> (container: Bool, bridge: Bool) = { ($0.isExpected, $0.isExpected) }
  ) throws {
    let listeners = [try FrameListener(on: "eth0", in: two.namespace), try FrameListener(on: bridge, in: world.host)]
    let end = Frame(from: one.endpoints[0].macAddress, type: 0x88b5, Frame.mark(255))
    try world.send(rows.map(\.frame) + [end], by: interface, in: namespace)
    for (listener, place) in zip(listeners, ["two", "the bridge"]) {
      let seen = Set(try #require(try listener.numbers(), "the end did not come to \(place)"))
      for (number, row) in rows.enumerated() {
        let isToCome = place == "two" ? isExpected(row).container : isExpected(row).bridge
        #expect(seen.contains(number) == isToCome, "\(row.what) → \(place)")
      }
    }
  }

  @Test(arguments: [true, false]) func framesMadeByHand(callsRules: Bool) async throws {
    try world.setBridgeNetfilter(callsRules)
    try check(rows(), by: "eth0", in: one.namespace)
    // A foreign port may send anything, even on our bridge.
    let guest = try NetworkNamespace.create()
    try world.host.links.createVeth(
      VethEnd(try InterfaceName("vm0"), master: try world.host.links.get(bridge).index),
      peer: VethEnd(try InterfaceName("eth0"), namespace: guest.handle.descriptor))
    for (namespace, name) in [(guest, "eth0"), (world.host, "vm0")] {
      try namespace.links.setUp(index: try namespace.links.get(name).index)
    }
    let untagged = try rows().filter { !$0.what.contains("802.1ad") }
    // Containers do not receive its announcements (all the ARP above), until it has the settings of their ports.
    let announcements = ["ARP, ", "advertisement of ", "duplicate address"]
    try check(untagged, by: "eth0", in: guest) { row in
      (!announcements.contains { row.what.hasPrefix($0) } || row.what.contains("hop-by-hop"), true)
    }
    var marked = BridgePortOptions()
    marked.suppressesNeighbors = true
    try world.host.links.changeBridgePort(world.host.links.get("vm0").index, marked)
    try check(untagged, by: "eth0", in: guest) { _ in (true, true) }
    try await removeAll()
  }

  /// Frames to the bridge itself, from which it would learn that another is here: groups of 802.1D. Of those to 0e, LLDP, an
  /// adopted bridge's owner must take care.
  @Test(arguments: [(adopts: false, [0x00, 0x02, 0x03, 0x0e]), (true, [0x00, 0x02, 0x03])] as [(Bool, [UInt8])])
  func theBridgeLearnsNoOthersAddress(adopts: Bool, groups: [UInt8]) async throws {
    var (network, bridge) = ("net", self.bridge)
    if adopts {
      (network, bridge) = ("adopting", "br-own")
      try world.host.links.createBridge(try InterfaceName(bridge))
      try await controller.createNetwork(
        network, options: NetworkOptions(subnet: try Subnet("10.61.0.0/24"), bridge: try InterfaceName(bridge)))
    }
    let liar = try await controller.attach("liar", to: .network(network))
    let victim = try await controller.attach("victim", to: .network(network))
    let liarsPort = try #require(liar.endpoints[0].hostInterface)
    let victimsPort = try #require(victim.endpoints[0].hostInterface)
    let mac = victim.endpoints[0].macAddress
    #expect(try world.pings("\(victim.endpoints[0].address.address)", from: world.host, within: 4))
    for group in groups {
      let frame = Frame(from: mac, type: 0x88b5, to: [0x01, 0x80, 0xc2, 0, 0, group], Frame.mark(1))
      try world.send([frame, frame], by: "\(liar.endpoints[0].interface)", in: liar.namespace)
      let known = try #require(try world.output("bridge", "fdb", "show", "br", bridge, in: world.host))
      let ports = known.split(separator: "\n").filter { $0.hasPrefix("\(mac) ") }.map { $0.split(separator: " ")[2] }
      #expect(ports.contains("\(victimsPort)") && !ports.contains("\(liarsPort)"), "01:80:c2:00:00:\(group)")
    }
    try await removeAll()
  }

  /// A container's own changes by ip(8): a second address, another MAC.
  @Test func aContainersOwnChangesGetItNowhere() async throws {
    let inside = try one.namespace.links.get("eth0").index
    for (second, peer) in [("10.60.0.77/24", "10.60.0.3"), ("fd00:60::77/64", "fd00:60::3")] {
      let address = try InterfaceAddress(second)
      try one.namespace.addresses.add(address, to: inside)
      let pings = { (source: String) in
        try world.busybox("ping", "-c", "1", "-W", "2", "-I", source, peer, in: one.namespace) != nil
      }
      #expect(try pings(peer == "10.60.0.3" ? "10.60.0.2" : "fd00:60::2"))
      #expect(try !pings("\(address.address)"))
      try one.namespace.addresses.remove(address, from: inside)
    }
    for mac in [two.endpoints[0].macAddress, try MACAddress("02:00:00:00:00:77")] {
      for (address, isAnswered) in [(mac, false), (one.endpoints[0].macAddress, true)] {
        #expect(
          try world.output("ip", "link", "set", "eth0", "address", "\(address)", in: one.namespace) != nil)
        for peer in ["10.60.0.3", "10.60.0.1", "fd00:60::3"] {
          #expect(
            try world.pings(peer, from: one.namespace, within: isAnswered ? 4 : 1) == isAnswered,
            "\(address) → \(peer)")
        }
      }
    }
    try await removeAll()
  }
}
