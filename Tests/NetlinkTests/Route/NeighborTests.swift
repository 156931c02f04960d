import Netlink
import NetworkPrimitives
import Testing

@Suite struct NeighborTests {
  private func neighbor(_ address: String, link: Int32, last: UInt8 = 2) throws -> Neighbor {
    let mac = try #require(MACAddress(bytes: [2, 0, 0, 0, 0, last]))
    return Neighbor(try IPAddress(address), macAddress: mac, link: link)
  }

  // strace -e trace=sendmsg -e write=all ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 nud permanent dev v0
  // ip neigh replace fd00::2 lladdr 02:00:00:00:00:02 nud permanent dev v0
  // ip neigh del 10.0.0.2 dev v0
  @Test func requestsAreWhatIPSends() throws {
    let add = NeighborRequests.add(try neighbor("10.0.0.2", link: 3))
    #expect(add.type == 28)
    #expect(add.flags.rawValue == 0x600)
    #expect(
      add.body
        == hex(
          """
          02 00 00 00 03 00 00 00  80 00 00 00 08 00 01 00
          0a 00 00 02 0a 00 02 00  02 00 00 00 00 02 00 00
          """))
    let replace = NeighborRequests.replace(try neighbor("fd00::2", link: 3))
    #expect(replace.flags.rawValue == 0x500)
    #expect(
      replace.body
        == hex(
          """
          0a 00 00 00 03 00 00 00  80 00 00 00 14 00 01 00
          fd 00 00 00 00 00 00 00  00 00 00 00 00 00 00 02
          0a 00 02 00 02 00 00 00  00 02 00 00
          """))
    let delete = NeighborRequests.delete(try neighbor("10.0.0.2", link: 3))
    #expect(delete.type == 29)
    #expect(delete.flags == [])
    #expect(delete.body == hex("02 00 00 00 03 00 00 00  80 00 00 00 08 00 01 00  0a 00 00 02"))
  }

  // strace -e trace=recvmsg -e read=all ip neigh show
  private static let permanent = hex(
    """
    02 00 00 00 03 00 00 00  80 00 00 01 08 00 01 00
    0a 00 00 02 0a 00 02 00  02 00 00 00 00 02 00 00
    08 00 04 00 00 00 00 00  14 00 03 00 00 00 00 00
    00 00 00 00 00 00 00 00  00 00 00 00
    """)
  private static let multicast = hex(
    """
    0a 00 00 00 02 00 00 00  40 00 00 05 14 00 01 00
    ff 02 00 00 00 00 00 00  00 00 00 00 00 00 00 16
    0a 00 02 00 33 33 00 00  00 16 00 00 08 00 04 00
    00 00 00 00 14 00 03 00  70 17 00 00 00 00 00 00
    00 00 00 00 00 00 00 00
    """)

  @Test func readsWhatTheKernelSends() throws {
    #expect(
      try Neighbor(NetlinkMessage(type: 28, payload: Self.permanent[...])) == neighbor("10.0.0.2", link: 3))
    let multicast = try #require(try Neighbor(NetlinkMessage(type: 28, payload: Self.multicast[...])))
    #expect(multicast.address == (try IPAddress("ff02::16")))
    #expect(multicast.state == .noARP)
    #expect(multicast.macAddress == MACAddress(bytes: [0x33, 0x33, 0, 0, 0, 0x16]))
    var bridge = Self.permanent
    bridge[0] = 7  // AF_BRIDGE
    #expect(try Neighbor(NetlinkMessage(type: 28, payload: bridge[...])) == nil)
  }

  @Test(arguments: [permanent, multicast]) func damagedBytesNeverTrap(body: [UInt8]) {
    expectNoTrap(body, header: 12) { message throws(NetworkError) in try Neighbor(message) }
  }

  @Test(arguments: ["10.0.0.2", "fd00::2"]) func kernelTakesAndGivesBack(address: String) throws {
    let host = try VethNamespace()
    let first = try neighbor(address, link: host.link.index)
    let second = try neighbor(address, link: host.link.index, last: 3)
    func list() throws -> [Neighbor] {
      try host.connection.dump(NeighborRequests.list()).compactMap { try Neighbor($0) }
        .filter { $0.address == first.address }
    }
    try host.connection.execute(NeighborRequests.add(first))
    #expect(try list() == [first])
    let error = #expect(throws: NetworkError.self) { try host.connection.execute(NeighborRequests.add(second)) }
    #expect(error?.code == .alreadyExists)
    try host.connection.execute(NeighborRequests.replace(second))
    #expect(try list() == [second])
    try host.connection.execute(NeighborRequests.delete(first))
    // After its deletion it may stay for a moment as failed.
    #expect(try list().allSatisfy { $0.state != .permanent })
  }
}
