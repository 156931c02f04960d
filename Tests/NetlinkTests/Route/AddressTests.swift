import Netlink
import NetworkPrimitives
import Testing

@Suite struct AddressTests {
  private func expect(_ request: NetlinkRequest, is other: String) throws {
    #expect(try taken(apart: request.body, header: 8) == taken(apart: hex(other), header: 8))
  }

  // strace -e trace=sendmsg -e write=all ip addr add 10.1.0.1/24 broadcast 10.1.0.255 dev v0
  // ip addr add fd00:1::1/64 dev v0 nodad
  @Test func requestsAreWhatIPSends() throws {
    let first = AddressRequests.add(try InterfaceAddress("10.1.0.1/24"), to: 3)
    #expect(first.type == 20)
    #expect(first.flags == [.create, .exclusive])
    #expect(first.purpose == "add address 10.1.0.1/24 to link 3")
    try expect(
      first,
      is: """
        02 18 00 00 03 00 00 00  08 00 02 00 0a 01 00 01
        08 00 04 00 0a 01 00 ff  08 00 01 00 0a 01 00 01
        """)
    try expect(
      AddressRequests.add(try InterfaceAddress("fd00:1::1/64"), to: 3),
      is: """
        0a 40 02 00 03 00 00 00  14 00 02 00 fd 00 00 01
        00 00 00 00 00 00 00 00  00 00 00 01 14 00 01 00
        fd 00 00 01 00 00 00 00  00 00 00 00 00 00 00 01
        """)
    #expect(AddressRequests.remove(try InterfaceAddress("10.1.0.1/24"), from: 3).type == 21)
  }

  // ip addr add 10.0.0.1/24 dev v0; ip -6 addr add fd00::1/64 dev v0 nodad
  // strace -e trace=recvmsg -e read=all ip addr show dev v0
  private static let ipv4 = hex(
    """
    02 18 80 00 03 00 00 00  08 00 01 00 0a 00 00 01
    08 00 02 00 0a 00 00 01  07 00 03 00 76 30 00 00
    08 00 08 00 80 00 00 00  14 00 06 00 ff ff ff ff
    ff ff ff ff cf 43 0d 00  cf 43 0d 00
    """)
  private static let ipv6 = hex(
    """
    0a 40 82 00 03 00 00 00  14 00 01 00 fd 00 00 00
    00 00 00 00 00 00 00 00  00 00 00 01 14 00 06 00
    ff ff ff ff ff ff ff ff  d0 43 0d 00 d0 43 0d 00
    08 00 08 00 82 00 00 00
    """)

  @Test(arguments: [(ipv4, "10.0.0.1/24"), (ipv6, "fd00::1/64")])
  func readsWhatTheKernelSends(body: [UInt8], text: String) throws {
    let address = try AssignedAddress(NetlinkMessage(type: 20, payload: body[...]))
    #expect(address.address == (try InterfaceAddress(text)))
    #expect(address.link == 3)
  }

  @Test(arguments: [ipv4, ipv6]) func damagedBytesNeverTrap(body: [UInt8]) {
    expectNoTrap(body, header: 8) { message throws(NetworkError) in try AssignedAddress(message) }
  }

  @Test(arguments: ["10.1.0.1/24", "10.1.0.1/31", "10.1.0.1/32", "fd00:1::1/64", "fd00:1::1/128"])
  func kernelTakesAndGivesBack(text: String) throws {
    let host = try VethNamespace()
    let address = try InterfaceAddress(text)
    func list() throws -> [AssignedAddress] {
      try host.connection.dump(AddressRequests.list()).map { try AssignedAddress($0) }
        .filter { $0.link == host.link.index && $0.address == address }
    }
    try host.connection.execute(AddressRequests.add(address, to: host.link.index))
    #expect(try list().count == 1)
    let error = #expect(throws: NetworkError.self) {
      try host.connection.execute(AddressRequests.add(address, to: host.link.index))
    }
    #expect(error?.code == .alreadyExists)
    try host.connection.execute(AddressRequests.remove(address, from: host.link.index))
    #expect(try list().isEmpty)
  }
}
