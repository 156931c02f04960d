import CBenchmarkFloor
import ContainerNetworking
import Glibc

/// What is the same for every attach of the floor: a bridge that is there, a table with two sets, two sockets.
struct FloorHost {
  let home: Int32
  let route: Int32
  let netfilter: Int32
  let bridge: Int32
  let endpoints: NftSet
  let published: NftSet

  init(_ host: NetworkNamespace, bridge: String) throws {
    home = try NetworkNamespace.current().duplicate()
    route = try check(floor_socket(home, host.handle.descriptor, NetlinkFamily.route.rawValue))
    netfilter = try check(floor_socket(home, host.handle.descriptor, NetlinkFamily.netfilter.rawValue))
    self.bridge = try host.links.get(bridge).index
    let table = NftTable(family: .inet, name: "floor")
    endpoints = NftSet(table: table, name: "endpoints", key: [.ipv4Address, .interfaceName])
    published = NftSet(
      table: table, name: "published", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port]))
    var changes = NftTransaction()
    try changes.add(table, exclusive: true)
    try changes.add(endpoints, exclusive: true)
    try changes.add(published, exclusive: true)
    try changes.commit(over: host.connection(.netfilter))
  }
}

/// One container of the floor. Everything is built by ``init(_:on:)``; the rest only sends.
final class Floor {
  private let host: FloorHost
  /// Where the namespace's descriptor will be, so that the request that names it can be built before there is one.
  private let place: Int32
  private var inside: Int32 = -1
  private let loopback, link, container, add, unlink, remove: Datagram

  init(_ number: Int, on host: FloorHost) throws {
    self.host = host
    place = try check(unsafe open("/dev/null", O_RDONLY | O_CLOEXEC))
    let port = try InterfaceName("floor\(number)")
    let address = IPv4Address(rawValue: 0xac11_8000 + UInt32(number))
    let eth0 = try InterfaceName("eth0")
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false

    loopback = Datagram([LinkRequests.change(1, LinkChange(isUp: true))])
    link = Datagram([
      LinkRequests.createVeth(
        VethEnd(port, master: host.bridge),
        peer: VethEnd(eth0, macAddress: MACAddress(ipv4: address), namespace: place), mtu: 1500),
      LinkRequests.change(named: port, quiet), LinkRequests.change(named: port, LinkChange(isUp: true)),
    ])
    // The first link of a namespace after lo has index 2.
    container = Datagram([
      LinkRequests.change(2, quiet),
      AddressRequests.add(try InterfaceAddress(address: .v4(address), prefixLength: 16), to: 2),
      LinkRequests.change(2, LinkChange(isUp: true)),
      RouteRequests.add(Route(to: .all(.ipv4), via: try IPAddress("172.17.0.1"), link: 2)),
    ])

    let endpoint = NftElement(.concatenation(.address(.v4(address)), .interface(try InterfaceName("cn0"))))
    let mapping = NftElement(
      .concatenation(.tcp, .port(UInt16(20_000 + number))),
      data: .value(.concatenation(.address(.v4(address)), .port(80))))
    var changes = NftTransaction()
    try changes.add([endpoint], to: host.endpoints)
    try changes.add([mapping], to: host.published)
    add = Datagram(changes)
    changes = NftTransaction()
    try changes.delete([endpoint], from: host.endpoints)
    try changes.delete([mapping], from: host.published)
    remove = Datagram(changes)

    var body = PayloadWriter()
    body.appendZeros(16)  // struct ifinfomsg
    body.attribute(3, string: "\(port)")  // IFLA_IFNAME
    unlink = Datagram([NetlinkRequest(type: 17, body: body.bytes, name: "RTM_DELLINK", purpose: "delete link")])
  }

  deinit {
    close(place)
    if inside >= 0 { close(inside) }
  }

  /// A namespace, a route socket of it, and its `lo` up: what ``NetworkNamespace/create(on:)`` makes.
  func makeNamespace() throws {
    try check(floor_namespace(host.home, place))
    inside = try check(floor_socket(host.home, place, NetlinkFamily.route.rawValue))
    try loopback.exchange(over: inside)
  }

  func attach() throws {
    try link.exchange(over: host.route)
    try container.exchange(over: inside)
    try add.exchange(over: host.netfilter)
  }

  /// The elements first: what the kernel frees of them it frees while the deletion of the link waits.
  func detach() throws {
    try remove.exchange(over: host.netfilter)
    try unlink.exchange(over: host.route)
  }
}

/// Requests as one datagram, with an acknowledgement of the last; errors come without being asked for.
private struct Datagram {
  private var bytes: [UInt8]
  private let last: UInt32

  init(_ requests: [NetlinkRequest]) { self.init(requests, acknowledging: requests.count) }

  init(_ changes: NftTransaction) {
    self.init(
      [NftTransaction.begin()] + changes.requests + [NftTransaction.end], acknowledging: changes.requests.count + 1)
  }

  private init(_ requests: [NetlinkRequest], acknowledging last: Int) {
    var datagram = PayloadWriter()
    for (number, request) in zip(1..., requests) {
      var flags = request.flags.subtracting(.echo).union(.request)
      if number == last { flags.insert(.acknowledge) }
      NetlinkMessage(type: request.type, flags: flags, sequence: UInt32(number), payload: request.body[...])
        .encode(into: &datagram)
    }
    bytes = datagram.bytes
    self.last = UInt32(last)
  }

  func exchange(over socket: Int32) throws { try check(unsafe floor_exchange(socket, bytes, bytes.count, last)) }
}

extension NetworkNamespace {
  /// A descriptor of it that stays open.
  fileprivate func duplicate() throws -> Int32 { try check(fcntl(handle.descriptor, F_DUPFD_CLOEXEC, 0)) }
}

@discardableResult
private func check(_ result: Int32) throws -> Int32 {
  guard result < 0 else { return result }
  throw NetworkError(.kernelRefused, operation: "measure the floor", reason: "errno \(-result)")
}
