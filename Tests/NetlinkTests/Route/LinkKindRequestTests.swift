import Netlink
import NetworkPrimitives
import Testing

/// Against ip(8) 6.1: strace -e trace=sendmsg -e write=all and the command at each test.
@Suite struct LinkKindRequestTests {
  private func expect(_ request: NetlinkRequest, is other: String, nests: [String: Int]) throws {
    #expect(
      try taken(apart: request.body, header: 16, nests: nests) == taken(apart: hex(other), header: 16, nests: nests))
  }

  // ip link add name br1 type bridge forward_delay 400 hello_time 150 max_age 1200 ageing_time 1000 stp_state 1
  //   priority 100 group_fwd_mask 8 mcast_snooping 0
  @Test func bridgeOptionsAreWhatIPSends() throws {
    var options = BridgeOptions()
    options.forwardDelay = .seconds(4)
    options.helloTime = .milliseconds(1500)
    options.maximumAge = .seconds(12)
    options.ageingTime = .seconds(10)
    options.usesSpanningTree = true
    options.priority = 100
    options.groupForwardMask = 8
    options.snoopsMulticast = false
    let body = """
      00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
      08 00 03 00 62 72 31 00  54 00 12 00 0a 00 01 00
      62 72 69 64 67 65 00 00  44 00 02 00 08 00 01 00
      90 01 00 00 08 00 02 00  96 00 00 00 08 00 03 00
      b0 04 00 00 08 00 04 00  e8 03 00 00 08 00 05 00
      01 00 00 00 06 00 06 00  64 00 00 00 06 00 09 00
      08 00 00 00 05 00 17 00  00 00 00 00
      """
    let request = LinkRequests.createBridge(try InterfaceName("br1"), macAddress: nil, mtu: 1500, options: options)
    // ip(8) sends no MTU.
    try expect(request, is: body + " 08 00 04 00 dc 05 00 00", nests: ["18": 0, "18/2": 0])
    #expect(try Link(NetlinkMessage(type: 16, payload: request.body[...])).bridge == options)
  }

  // ip link set dev v0 type bridge_slave cost 100 priority 5 hairpin on isolated on learning off flood off neigh_suppress on
  @Test func portOptionsAreWhatIPSends() throws {
    var options = BridgePortOptions()
    options.cost = 100
    options.priority = 5
    options.isHairpin = true
    options.isIsolated = true
    options.learnsAddresses = false
    options.floodsUnicast = false
    options.suppressesNeighbors = true
    let request = LinkRequests.changeBridgePort(4, options)
    let nests = ["18": 0, "18/5": 0]
    var mine = try taken(apart: request.body, header: 16, nests: nests)
    var other = try taken(
      apart: hex(
        """
        00 00 00 00 04 00 00 00  00 00 00 00 00 00 00 00
        50 00 12 00 10 00 01 00  62 72 69 64 67 65 5f 73
        6c 61 76 65 3c 00 05 00  08 00 03 00 64 00 00 00
        06 00 02 00 05 00 00 00  05 00 04 00 01 00 00 00
        05 00 21 00 01 00 00 00  05 00 08 00 00 00 00 00
        05 00 09 00 00 00 00 00  05 00 20 00 01 00 00 00
        """), header: 16, nests: nests)
    // ip(8) calls the link's kind `bridge_slave`, which the kernel reads as none; we name the master's.
    #expect(mine.removeValue(forKey: "18/4") == Array("bridge\0".utf8))
    #expect(other.removeValue(forKey: "18/1") == Array("bridge_slave".utf8))
    #expect(mine == other)
    #expect(try Link(NetlinkMessage(type: 16, payload: request.body[...])).bridgePort == options)
  }

  // ip link set dev v0 alias hello group 7
  // ip link del group 7
  @Test func aliasAndGroupAreWhatIPSends() throws {
    var change = LinkChange()
    change.alias = "hello"
    change.group = 7
    try expect(
      LinkRequests.change(4, change),
      is: """
        00 00 00 00 04 00 00 00  00 00 00 00 00 00 00 00
        09 00 14 00 68 65 6c 6c  6f 00 00 00 08 00 1b 00
        07 00 00 00
        """, nests: [:])
    try expect(
      LinkRequests.delete(group: 7),
      is: "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 08 00 1b 00 07 00 00 00", nests: [:])
  }

  // ip link add name i0 link br0 numtxqueues 1 numrxqueues 1 type ipvlan mode l3
  @Test func ipvlanIsWhatIPSends() throws {
    // ip(8) sends the flags too, none of them set.
    let other = """
      00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
      08 00 1f 00 01 00 00 00  08 00 20 00 01 00 00 00
      08 00 05 00 02 00 00 00  07 00 03 00 69 30 00 00
      1c 00 12 00 0a 00 01 00  69 70 76 6c 61 6e 00 00
      0c 00 02 00 06 00 01 00  01 00 00 00
      """
    let request = LinkRequests.createIpvlan(VethEnd(try InterfaceName("i0")), parent: 2, mode: .l3)
    try expect(request, is: other, nests: ["18": 0, "18/2": 0])
  }

  @Test func damagedBytesNeverTrap() throws {
    var options = BridgeOptions()
    options.forwardDelay = .seconds(4)
    options.priority = 100
    options.defaultVLAN = 5
    options.filtersVLANs = true
    let bridge = LinkRequests.createBridge(try InterfaceName("br1"), macAddress: nil, mtu: 1500, options: options)
    var port = BridgePortOptions()
    port.cost = 5
    port.isHairpin = false
    let macvlan = LinkRequests.createMacvlan(VethEnd(try InterfaceName("m0")), parent: 2, mtu: 1500, mode: .vepa)
    for body in [bridge.body, LinkRequests.changeBridgePort(4, port).body, macvlan.body] {
      expectNoTrap(body, header: 16) { message throws(NetworkError) in try Link(message) }
    }
  }

  @Test func badOptionsAreNamed() {
    func expect(_ reason: String, _ change: (inout BridgeOptions) -> Void) {
      var options = BridgeOptions()
      options.usesSpanningTree = true
      change(&options)
      let error = #expect(throws: NetworkError.self) { try options.validate() }
      #expect(error?.code == .invalidValue)
      #expect(error?.reason == reason)
    }
    expect("the forward delay is 1.0 seconds; it is 2 to 30 seconds") { $0.forwardDelay = .seconds(1) }
    expect("the hello time is 11.0 seconds; it is 1 to 10 seconds") { $0.helloTime = .seconds(11) }
    expect("the maximum age is 5.0 seconds; it is 6 to 40 seconds") { $0.maximumAge = .seconds(5) }
    expect("the ageing time is -1.0 seconds; it is 0 to 1000000 seconds") { $0.ageingTime = .seconds(-1) }
    expect("the ageing time is 0.001 seconds; the kernel counts whole hundredths of a second") {
      $0.ageingTime = .milliseconds(1)
    }
    expect("the default VLAN is 4095; it is 1 to 4094, or 0 for none") { $0.defaultVLAN = 4095 }
    expect("the group forward mask is 0x5; bits 0 to 2, for 01:80:c2:00:00:00 to :02, cannot be set") {
      $0.groupForwardMask = 5
    }
  }
}
