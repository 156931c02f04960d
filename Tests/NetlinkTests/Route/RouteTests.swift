import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

@Suite struct RouteTests {
  private func expect(_ request: NetlinkRequest, is other: String) throws {
    #expect(try taken(apart: request.body, header: 12) == taken(apart: hex(other), header: 12))
  }

  // strace -e trace=sendmsg -e write=all ip route add 10.9.0.0/16 via 10.0.0.2 dev v0 metric 7 proto static table 1000
  // ip route add default dev v0 proto static table 1000
  // ip -6 route add fd09::/48 via fd00::2 dev v0 proto static table 1000
  @Test func unicastIsWhatIPSends() throws {
    let first = RouteRequests.add(
      Route(to: try Subnet("10.9.0.0/16"), via: try IPAddress("10.0.0.2"), link: 3, metric: 7, table: 1000))
    #expect(first.type == 24)
    #expect(first.flags == [.create, .exclusive])
    try expect(
      first,
      is: """
        02 10 00 00 00 04 00 01  00 00 00 00 08 00 01 00
        0a 09 00 00 08 00 05 00  0a 00 00 02 08 00 06 00
        07 00 00 00 08 00 0f 00  e8 03 00 00 08 00 04 00
        03 00 00 00
        """)
    try expect(
      RouteRequests.add(Route(to: try Subnet("0.0.0.0/0"), link: 3, table: 1000)),
      is: """
        02 00 00 00 00 04 fd 01  00 00 00 00 08 00 0f 00
        e8 03 00 00 08 00 04 00  03 00 00 00
        """)
    try expect(
      RouteRequests.add(Route(to: try Subnet("fd09::/48"), via: try IPAddress("fd00::2"), link: 3, table: 1000)),
      is: """
        0a 30 00 00 00 04 00 01  00 00 00 00 14 00 01 00
        fd 09 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        14 00 05 00 fd 00 00 00  00 00 00 00 00 00 00 00
        00 00 00 02 08 00 0f 00  e8 03 00 00 08 00 04 00
        03 00 00 00
        """)
  }

  // ip route add blackhole 10.8.0.0/16 proto static table 1000
  // ip -6 route add unreachable fd09::/48 metric 4000 proto static table 1000
  @Test func blackholeAndUnreachableAreWhatIPSends() throws {
    try expect(
      RouteRequests.add(Route(to: try Subnet("10.8.0.0/16"), table: 1000, kind: .blackhole)),
      is: "02 10 00 00 00 04 00 06  00 00 00 00 08 00 01 00  0a 08 00 00 08 00 0f 00  e8 03 00 00")
    try expect(
      RouteRequests.add(Route(to: try Subnet("fd09::/48"), metric: 4000, table: 1000, kind: .unreachable)),
      is: """
        0a 30 00 00 00 04 00 07  00 00 00 00 14 00 01 00
        fd 09 00 00 00 00 00 00  00 00 00 00 00 00 00 00
        08 00 06 00 a0 0f 00 00  08 00 0f 00 e8 03 00 00
        """)
  }

  // ip addr add 10.0.0.1/24 dev v0; ip -6 addr add fd00::1/64 dev v0 nodad
  // strace -e trace=recvmsg -e read=all ip route show table all; the IPv6 one without its last two attributes
  private static let connected = hex(
    """
    02 18 00 00 fe 02 fd 01  00 00 00 00 08 00 0f 00
    fe 00 00 00 08 00 01 00  0a 00 00 00 08 00 07 00
    0a 00 00 01 08 00 04 00  03 00 00 00
    """)
  private static let local = hex(
    """
    02 20 00 00 ff 02 fe 02  00 00 00 00 08 00 0f 00
    ff 00 00 00 08 00 01 00  0a 00 00 01 08 00 07 00
    0a 00 00 01 08 00 04 00  03 00 00 00
    """)
  private static let ipv6 = hex(
    """
    0a 40 00 00 fe 02 00 01  00 00 00 00 08 00 0f 00
    fe 00 00 00 14 00 01 00  fd 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00  08 00 06 00 00 01 00 00
    08 00 04 00 03 00 00 00
    """)

  @Test func readsWhatTheKernelSends() throws {
    func read(_ body: [UInt8]) throws -> Route? { try Route(NetlinkMessage(type: 24, payload: body[...])) }
    let own = try IPAddress("10.0.0.1")
    #expect(try read(Self.connected) == Route(to: try Subnet("10.0.0.0/24"), link: 3, preferredSource: own))
    let local = Route(to: try Subnet("10.0.0.1/32"), link: 3, table: 255, kind: .local, preferredSource: own)
    #expect(try read(Self.local) == local)
    #expect(try read(Self.ipv6) == Route(to: try Subnet("fd00::/64"), link: 3, metric: 256))
  }

  /// A request has the layout of an event, so it can be read back.
  @Test func requestsReadBack() throws {
    let routes = [
      Route(to: try Subnet("10.9.0.0/16"), via: try IPAddress("10.0.0.2"), link: 3, metric: 7, table: 1000),
      Route(to: try Subnet("::/0"), via: try IPAddress("fe80::1"), link: 9),
      Route(to: try Subnet("0.0.0.0/0"), link: 4, table: 255),
      Route(to: try Subnet("10.8.0.0/16"), table: 1, kind: .prohibit),
    ]
    for route in routes {
      let body = RouteRequests.add(route).body
      #expect(try Route(NetlinkMessage(type: 24, payload: body[...])) == route)
    }
  }

  @Test(arguments: [connected, ipv6]) func damagedBytesNeverTrap(body: [UInt8]) {
    expectNoTrap(body, header: 12) { message throws(NetworkError) in try Route(message) }
  }

  private func routes(_ host: VethNamespace) throws -> [Route] {
    try host.connection.dump(RouteRequests.list()).compactMap { try Route($0) }
  }

  @Test func kernelTakesAndGivesBack() throws {
    let host = try VethNamespace()
    let index = host.link.index
    for text in ["10.0.0.1/24", "fd00::1/64"] {
      try host.connection.execute(AddressRequests.add(try InterfaceAddress(text), to: index))
    }
    let added = [
      Route(to: try Subnet("10.9.0.0/16"), via: try IPAddress("10.0.0.2"), link: index, metric: 7, table: 1000),
      Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("10.0.0.2"), link: index),
      Route(to: try Subnet("10.7.0.0/16"), link: index),
      Route(to: try Subnet("10.8.0.0/16"), kind: .blackhole),
      Route(to: try Subnet("10.6.0.0/16"), metric: 4000, kind: .unreachable),
      Route(to: try Subnet("::/0"), via: try IPAddress("fd00::2"), link: index, metric: 5),
      Route(to: try Subnet("fd07::/48"), link: index, metric: 6, table: 300),
    ]
    for route in added {
      try host.connection.execute(RouteRequests.add(route))
      #expect(try routes(host).contains(route), "\(route)")
      let error = #expect(throws: NetworkError.self) { try host.connection.execute(RouteRequests.add(route)) }
      #expect(error?.code == .alreadyExists)
    }
    for route in added {
      try host.connection.execute(RouteRequests.delete(route))
      #expect(try !routes(host).contains(route), "\(route)")
      let error = #expect(throws: NetworkError.self) { try host.connection.execute(RouteRequests.delete(route)) }
      #expect(error?.code == .notFound)
    }
  }

  @Test func routesThatTheKernelMadeCanBeDeleted() throws {
    let host = try VethNamespace()
    try host.connection.execute(AddressRequests.add(try InterfaceAddress("10.0.0.1/24"), to: host.link.index))
    let connected = try #require(try routes(host).first { $0.table == 254 && $0.destination.family == .ipv4 })
    let own = try IPAddress("10.0.0.1")
    #expect(connected == Route(to: try Subnet("10.0.0.0/24"), link: host.link.index, preferredSource: own))
    try host.connection.execute(RouteRequests.delete(connected))
    #expect(try !routes(host).contains(connected))
  }

  @Test func gatewayThatNoLinkReachesIsRefused() throws {
    let host = try VethNamespace()
    let route = Route(to: try Subnet("0.0.0.0/0"), via: try IPAddress("10.0.0.2"))
    let error = #expect(throws: NetworkError.self) { try host.connection.execute(RouteRequests.add(route)) }
    #expect(error?.kernel?.errno == Errno.networkUnreachable)
    #expect(error?.operation == "add route 0.0.0.0/0 via 10.0.0.2")
  }
}
