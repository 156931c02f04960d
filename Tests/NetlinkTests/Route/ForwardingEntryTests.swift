import Netlink
import NetworkPrimitives
import Testing

/// Against bridge(8) 6.1: strace -e trace=sendmsg -e write=all and the command at each test.
@Suite struct ForwardingEntryTests {
  private let mac = MACAddress(rawValue: 0x02_0000_0000_01)

  private func entry() throws -> ForwardingEntry {
    var entry = ForwardingEntry(try #require(mac), on: 6, to: try IPAddress("10.9.0.9"))
    entry.port = 4791
    entry.identifier = 77
    entry.outgoingLink = 3
    return entry
  }

  // bridge fdb add 02:00:00:00:00:01 dev v7 self dst 10.9.0.9 port 4791 vni 77 via va
  private static let added = """
    07 00 00 00 06 00 00 00  c0 00 02 00 0a 00 02 00
    02 00 00 00 00 01 00 00  08 00 01 00 0a 09 00 09
    06 00 06 00 12 b7 00 00  08 00 07 00 4d 00 00 00
    08 00 08 00 03 00 00 00
    """

  @Test func requestsAreWhatBridgeSends() throws {
    let add = ForwardingRequests.add(try entry())
    #expect(add.type == 28 && add.flags.rawValue == 0x600 && add.body == hex(Self.added))
    #expect(ForwardingRequests.append(try entry()).flags.rawValue == 0xc00)
    #expect(ForwardingRequests.replace(try entry()).flags.rawValue == 0x500)
    // bridge fdb del 02:00:00:00:00:01 dev v7 self dst 10.9.0.9
    let delete = ForwardingRequests.delete(
      ForwardingEntry(try #require(mac), on: 6, to: try IPAddress("10.9.0.9")))
    #expect(delete.type == 29 && delete.flags == [])
    #expect(
      delete.body
        == hex("07 00 00 00 06 00 00 00  c0 00 02 00 0a 00 02 00 02 00 00 00 00 01 00 00  08 00 01 00 0a 09 00 09"))
    // bridge fdb replace 02:00:00:00:00:01 dev v7 master static, which adds NUD_REACHABLE
    let place = ForwardingRequests.replace(ForwardingEntry(try #require(mac), behind: 6))
    #expect(place.body == hex("07 00 00 00 06 00 00 00  40 00 04 00 0a 00 02 00 02 00 00 00 00 01 00 00"))
  }

  @Test func readsWhatIsWritten() throws {
    let written = try entry()
    let body = hex(Self.added)
    #expect(try ForwardingEntry(NetlinkMessage(type: 28, payload: body[...])) == written)
    #expect(try Neighbor(NetlinkMessage(type: 28, payload: body[...])) == nil)
    let change = try NetworkChange(NetlinkMessage(type: 28, payload: body[...]))
    #expect(change == .forwardingEntryChanged(written))
    #expect(try NetworkChange(NetlinkMessage(type: 29, payload: body[...])) == .forwardingEntryRemoved(written))
    #expect(try NetworkChange(NetlinkMessage(type: 28, payload: body[...]), of: .neighbors) == nil)
    for lifetime in ForwardingEntry.Lifetime.allCases {
      for table in ForwardingEntry.Table.allCases {
        var entry = ForwardingEntry(try #require(mac), behind: 6)
        entry.table = table
        entry.lifetime = lifetime
        entry.vlan = 7
        let body = ForwardingRequests.replace(entry).body
        #expect(try ForwardingEntry(NetlinkMessage(type: 28, payload: body[...])) == entry)
      }
    }
    expectNoTrap(body, header: 12) { message throws(NetworkError) in try ForwardingEntry(message) }
    expectNoTrap(body, header: 12) { message throws(NetworkError) in
      // A change of this kind is read only with its type.
      try NetworkChange(NetlinkMessage(type: 28, payload: message.payload))
    }
  }

  @Test func badEntriesAreNamed() throws {
    func expect(_ reason: String, _ change: (inout ForwardingEntry) throws -> Void) throws {
      var entry = ForwardingEntry(try #require(mac), on: 6, to: try IPAddress("10.9.0.9"))
      try change(&entry)
      let error = #expect(throws: NetworkError.self) { try entry.validate() }
      #expect(error?.code == .invalidValue && error?.reason == reason)
    }
    try expect("the VNI is 16777216; it has 24 bits, so it is 0 to 16777215 (RFC 7348)") { $0.identifier = 1 << 24 }
    try expect("the port is 0; it is 1 to 65535, or nil for the VXLAN's own") { $0.port = 0 }
    try expect("the VLAN is 4095; it is 1 to 4094") { $0.vlan = 4095 }
    try expect("the destination, 0.0.0.0, is none; it is a host's address") {
      $0.destination = try IPAddress("0.0.0.0")
    }
    try expect(
      "a bridge's entry names a port, and no destination, UDP port, VNI or outgoing link; these are a VXLAN's"
    ) { $0.table = .bridge }
    try expect("a bridge has no entry for all zeros; it floods frames to unknown addresses by itself") {
      $0 = ForwardingEntry(try MACAddress("00:00:00:00:00:00"), behind: 6)
    }
  }
}
