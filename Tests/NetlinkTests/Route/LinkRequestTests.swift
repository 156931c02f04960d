import Netlink
import NetworkPrimitives
import Testing

/// Against ip(8): strace -e trace=sendmsg -e write=all and the command at each test.
@Suite struct LinkRequestTests {
  private let nests = ["18": 0, "18/2": 0, "18/2/1": 16, "26": 0, "26/10": 0, "26/2": 0, "26/2/1": 0]

  private func expect(_ request: NetlinkRequest, is other: String, nests: [String: Int]? = nil) throws {
    let nests = nests ?? self.nests
    #expect(
      try taken(apart: request.body, header: 16, nests: nests) == taken(apart: hex(other), header: 16, nests: nests))
  }

  // ip link add br0 mtu 1400 address 02:00:00:00:00:01 type bridge
  @Test func bridgeIsWhatIPSends() throws {
    let request = LinkRequests.createBridge(
      try InterfaceName("br0"), macAddress: MACAddress(bytes: [2, 0, 0, 0, 0, 1]), mtu: 1400)
    #expect(request.type == 16)
    #expect(request.flags == [.create, .exclusive, .echo])
    try expect(
      request,
      is: """
        00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        08 00 04 00 78 05 00 00  0a 00 01 00 02 00 00 00
        00 01 00 00 08 00 03 00  62 72 30 00 10 00 12 00
        0a 00 01 00 62 72 69 64  67 65 00 00
        """)
  }

  // ip link add name v0 mtu 1400 address 02:00:00:00:00:01 master br0 numtxqueues 1 numrxqueues 1 type veth
  //   peer name eth0 mtu 1400 address 02:00:00:00:00:02 netns capx numtxqueues 1 numrxqueues 1
  @Test func vethIsWhatIPSends() throws {
    let request = LinkRequests.createVeth(
      VethEnd(try InterfaceName("v0"), macAddress: MACAddress(bytes: [2, 0, 0, 0, 0, 1]), master: 2),
      peer: VethEnd(try InterfaceName("eth0"), macAddress: MACAddress(bytes: [2, 0, 0, 0, 0, 2]), namespace: 4),
      mtu: 1400)
    #expect(request.flags.contains(.echo))
    try expect(
      request,
      is: """
        00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        08 00 04 00 78 05 00 00  0a 00 01 00 02 00 00 00
        00 01 00 00 08 00 0a 00  02 00 00 00 08 00 1f 00
        01 00 00 00 08 00 20 00  01 00 00 00 07 00 03 00
        76 30 00 00 5c 00 12 00  08 00 01 00 76 65 74 68
        50 00 02 00 4c 00 01 00  00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00  08 00 04 00 78 05 00 00
        0a 00 01 00 02 00 00 00  00 02 00 00 08 00 1c 00
        04 00 00 00 08 00 1f 00  01 00 00 00 08 00 20 00
        01 00 00 00 09 00 03 00  65 74 68 30 00 00 00 00
        """)
  }

  // ip link add name m0 link v0 mtu 1400 numtxqueues 1 numrxqueues 1 type macvlan mode bridge
  @Test func macvlanIsWhatIPSends() throws {
    try expect(
      LinkRequests.createMacvlan(VethEnd(try InterfaceName("m0")), parent: 3, mtu: 1400),
      is: """
        00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        08 00 04 00 78 05 00 00  08 00 1f 00 01 00 00 00
        08 00 20 00 01 00 00 00  08 00 05 00 03 00 00 00
        07 00 03 00 6d 30 00 00  1c 00 12 00 0b 00 01 00
        6d 61 63 76 6c 61 6e 00  0c 00 02 00 08 00 01 00
        04 00 00 00
        """, nests: ["18": 0, "18/2": 0])
  }

  // ip link set dev v0 down mtu 1400 address 02:00:00:00:00:01 master br0
  // ip link set dev v0 name w0
  // ip link set dev v0 addrgenmode none
  // ip link del dev v0
  @Test func changesAreWhatIPSends() throws {
    let header = "00 00 00 00 03 00 00 00  00 00 00 00 00 00 00 00 "
    var change = LinkChange(isUp: false)
    change.mtu = 1400
    change.macAddress = MACAddress(bytes: [2, 0, 0, 0, 0, 1])
    change.master = 4
    try expect(
      LinkRequests.change(3, change),
      is: """
        00 00 00 00 03 00 00 00  00 00 00 00 01 00 00 00
        08 00 04 00 78 05 00 00  0a 00 01 00 02 00 00 00
        00 01 00 00 08 00 0a 00  04 00 00 00
        """)
    change = LinkChange()
    change.name = try InterfaceName("w0")
    try expect(LinkRequests.change(3, change), is: header + "07 00 03 00 77 30 00 00")
    change = LinkChange()
    change.makesLinkLocalAddress = false
    try expect(LinkRequests.change(3, change), is: header + "10 00 1a 00 0c 00 0a 00  05 00 08 00 01 00 00 00")
    let delete = LinkRequests.delete(3)
    #expect(delete.type == 17)
    #expect(delete.body == hex(header))
  }

  @Test func changeTouchesWhatItNamesAndNothingElse() throws {
    let host = try VethNamespace()
    let index = host.link.index
    func read() throws -> Link {
      let replies = try host.connection.execute(LinkRequests.get(index))
      return try Link(#require(replies.first))
    }
    // IFF_MULTICAST and IFF_BROADCAST survive; an `ifi_change` of all ones would clear them.
    #expect(try read().flags.isSuperset(of: [.up, .broadcast, .multicast]))

    var change = LinkChange(isUp: false)
    change.mtu = 1280
    change.macAddress = MACAddress(bytes: [2, 0, 0, 0, 0, 9])
    change.forwardsIPv4 = true
    change.routesLoopback = true
    try host.connection.execute(LinkRequests.change(index, change))
    let after = try read()
    #expect(!after.flags.contains(.up) && after.flags.isSuperset(of: [.broadcast, .multicast]))
    #expect(after.mtu == 1280)
    #expect(after.macAddress == change.macAddress)
    #expect(after.name == "v0" && after.transmitQueues == host.link.transmitQueues)
    for (name, value) in [("v0/forwarding", "1"), ("v0/route_localnet", "1"), ("v1/route_localnet", "0")] {
      #expect(try host.kernel.readSysctl("net/ipv4/conf/\(name)", in: host.namespace) == value, "\(name)")
    }

    let other = try host.kernel.makeNamespace()
    change = LinkChange()
    change.name = try InterfaceName("eth0")
    change.namespace = other.descriptor
    change.makesLinkLocalAddress = false
    try host.connection.execute(LinkRequests.change(index, change))
    #expect(try host.kernel.readSysctl("net/ipv6/conf/eth0/addr_gen_mode", in: other) == "1")
    let error = #expect(throws: NetworkError.self) { try host.connection.execute(LinkRequests.get(index)) }
    #expect(error?.code == .notFound)
  }

  @Test func takenNameIsRefused() throws {
    let host = try VethNamespace()
    let error = #expect(throws: NetworkError.self) {
      try host.connection.execute(
        LinkRequests.createBridge(try InterfaceName("v0"), macAddress: nil, mtu: 1500))
    }
    #expect(error?.code == .alreadyExists)
    #expect(error?.operation == "create bridge \"v0\"")
  }
}
