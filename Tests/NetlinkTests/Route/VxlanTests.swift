import Netlink
import NetworkPrimitives
import Testing

/// Against ip(8) 6.1: strace -e trace=sendmsg -e write=all and the command at each test.
@Suite struct VxlanTests {
  private let nests = ["18": 0, "18/2": 0]

  private func expect(_ request: NetlinkRequest, is other: String, but extra: [String: String] = [:]) throws {
    var mine = try taken(apart: request.body, header: 16, nests: nests)
    // One queue each instead of one per processor.
    #expect(mine.removeValue(forKey: "31") == [1, 0, 0, 0] && mine.removeValue(forKey: "32") == [1, 0, 0, 0])
    var wanted = try taken(apart: hex(other), header: 16, nests: nests)
    // ip(8) sends what is so in any case.
    for (path, bytes) in extra { #expect(wanted.removeValue(forKey: path) == hex(bytes)) }
    #expect(mine == wanted)
  }

  // ip link add v77 type vxlan id 77 local 10.9.0.1 dstport 4789 nolearning proxy ttl 9 df set
  @Test func creationIsWhatIPSends() throws {
    var options = VxlanOptions(77, local: try IPAddress("10.9.0.1"))
    options.learnsAddresses = false
    options.answersNeighbors = true
    options.timeToLive = 9
    options.fragmentation = .forbidden
    let request = LinkRequests.createVxlan(VethEnd(try InterfaceName("v77")), mtu: nil, options: options)
    #expect(request.type == 16 && request.flags.rawValue == 0x608)
    try expect(
      request,
      is: """
        00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        08 00 03 00 76 37 37 00  4c 00 12 00 09 00 01 00
        76 78 6c 61 6e 00 00 00  3c 00 02 00 05 00 0b 00
        01 00 00 00 05 00 05 00  09 00 00 00 05 00 1d 00
        01 00 00 00 08 00 01 00  4d 00 00 00 08 00 04 00
        0a 09 00 01 05 00 07 00  00 00 00 00 06 00 0f 00
        12 b5 00 00
        """)
    #expect(try Link(NetlinkMessage(type: 16, payload: request.body[...])).vxlan == options)
  }

  // ip link add v78 type vxlan id 78 local fd99::1 dev va dstport 4790 ageing 20
  @Test func creationOverIPv6IsWhatIPSends() throws {
    var options = VxlanOptions(78, port: 4790, local: try IPAddress("fd99::1"))
    options.underlay = 3
    options.ageingTime = .seconds(20)
    let request = LinkRequests.createVxlan(VethEnd(try InterfaceName("v78")), mtu: nil, options: options)
    try expect(
      request,
      is: """
        00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        08 00 03 00 76 37 38 00  50 00 12 00 09 00 01 00
        76 78 6c 61 6e 00 00 00  40 00 02 00 08 00 03 00
        03 00 00 00 08 00 08 00  14 00 00 00 08 00 01 00
        4e 00 00 00 14 00 11 00  fd 99 00 00 00 00 00 00
        00 00 00 00 00 00 00 01  05 00 07 00 01 00 00 00
        06 00 0f 00 12 b6 00 00
        """)
    #expect(try Link(NetlinkMessage(type: 16, payload: request.body[...])).vxlan == options)
  }

  @Test(arguments: ["192.0.2.1", "2001:db8::1"]) func everyOptionIsReadAsWritten(_ local: String) throws {
    var options = VxlanOptions(0xff_ffff, port: 65_535, local: try IPAddress(local))
    options.remote = options.local
    options.underlay = 9
    options.maximumEntries = 100
    options.timeToLive = 255
    options.learnsAddresses = false
    options.answersNeighbors = true
    options.sendsChecksums = false
    options.fragmentation = .inherited
    options.ageingTime = .seconds(1)
    let request = LinkRequests.createVxlan(VethEnd(try InterfaceName("v0")), mtu: 1400, options: options)
    let read = try Link(NetlinkMessage(type: 16, payload: request.body[...]))
    #expect(read.vxlan == options && read.mtu == 1400 && read.bridge == nil)
    expectNoTrap(request.body, header: 16) { message throws(NetworkError) in try Link(message) }
  }

  // ip link set v77 type vxlan id 77 local 10.9.0.3, without the VNI, which cannot change
  @Test func aChangeHoldsWhatChanges() throws {
    let request = LinkRequests.changeVxlan(7, VxlanChange(local: try IPAddress("10.9.0.3")))
    #expect(request.type == 16 && request.flags == [])
    #expect(
      try taken(apart: request.body, header: 16, nests: nests) == [
        "header": hex("00 00 00 00 07 00 00 00 00 00 00 00 00 00 00 00"), "18": [], "18/1": Array("vxlan".utf8),
        "18/2": [], "18/2/4": [10, 9, 0, 3],
      ])
    var change = VxlanChange()
    change.learnsAddresses = true
    change.timeToLive = 3
    change.fragmentation = .inherited
    change.ageingTime = .seconds(7)
    change.local = try IPAddress("fd99::3")
    let parts = try taken(apart: LinkRequests.changeVxlan(7, change).body, header: 16, nests: nests)
    #expect(parts["18/2/7"] == [1] && parts["18/2/5"] == [3] && parts["18/2/29"] == [2])
    #expect(parts["18/2/8"] == [7, 0, 0, 0] && parts["18/2/17"] == change.local?.bytes && parts.count == 9)
  }

  @Test func badOptionsAreNamed() throws {
    func expect(_ reason: String, _ change: (inout VxlanOptions) throws -> Void) rethrows {
      var options = VxlanOptions(7)
      try change(&options)
      let error = #expect(throws: NetworkError.self) { try options.validate() }
      #expect(error?.code == .invalidValue)
      #expect(error?.reason == reason)
    }
    expect("the VNI is 16777216; it has 24 bits, so it is 0 to 16777215 (RFC 7348)") { $0.identifier = 1 << 24 }
    expect("the port is 0; it is 1 to 65535, 4789 by RFC 7348") { $0.port = 0 }
    expect("the ageing time is 0.5 seconds; it is a whole number of seconds, 1 to 1000000") {
      $0.ageingTime = .milliseconds(500)
    }
    expect("the ageing time is 0.0 seconds; it is a whole number of seconds, 1 to 1000000") { $0.ageingTime = .zero }
    try expect("the local address, 224.0.0.1, is a group's; it is one of this host") {
      $0.local = try IPAddress("224.0.0.1")
    }
    try expect("the local address, ::, is none; it is one of this host") { $0.local = try IPAddress("::") }
    try expect("the local address, fe80::1, is of one link alone; name that as the underlay") {
      $0.local = try IPAddress("fe80::1")
    }
    try expect(
      "the destination, fd00::1, is of another family than the local address; both are IPv4 or both IPv6"
    ) {
      $0.local = try IPAddress("10.0.0.1")
      $0.remote = try IPAddress("fd00::1")
    }
    try expect("the destination, 239.1.1.1, is a group's; name the link to it as the underlay") {
      $0.remote = try IPAddress("239.1.1.1")
    }
    var change = VxlanChange(local: try IPAddress("0.0.0.0"))
    #expect(throws: NetworkError.self) { try change.validate() }
    change = VxlanChange()
    change.ageingTime = .milliseconds(1)
    #expect(throws: NetworkError.self) { try change.validate() }
    #expect(VxlanOptions(1).overhead == 50)
    #expect(VxlanOptions(1, local: try IPAddress("fd00::1")).overhead == 70)
  }
}
