import CBenchmarkFloor
import ContainerNetworking
import Glibc

/// What is the same for every attach of the floor: a bridge that is there, two tables with their sets, two sockets, and a
/// database where the library has one too.
struct FloorHost {
  let home: Int32
  let route: Int32
  let netfilter: Int32
  let bridge: Int32
  let sets: FloorSets
  let store: FloorStore?

  init(_ host: NetworkNamespace, bridge: String, store: FloorStore?) throws {
    home = try host.duplicate()
    route = try check(floor_socket(home, host.handle.descriptor, NetlinkFamily.route.rawValue))
    netfilter = try check(floor_socket(home, host.handle.descriptor, NetlinkFamily.netfilter.rawValue))
    self.bridge = try host.links.get(bridge).index
    sets = try FloorSets(on: host)
    self.store = store
  }
}

/// The library's sets that an endpoint has elements in, in tables of the floor's own.
struct FloorSets {
  let endpoints, published, ports, hardwareAddresses, addresses: NftSet

  init(on host: NetworkNamespace) throws {
    let packets = NftTable(family: .inet, name: "floor")
    let frames = NftTable(family: .bridge, name: "floor")
    endpoints = NftSet(table: packets, name: "endpoints", key: [.ipv4Address, .interfaceName])
    published = NftSet(
      table: packets, name: "published", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port]))
    ports = NftSet(table: frames, name: "ports", key: [.interfaceName])
    hardwareAddresses = NftSet(table: frames, name: "port_macs", key: [.interfaceName, .macAddress])
    addresses = NftSet(table: frames, name: "port_addresses", key: [.interfaceName, .ipv4Address])
    var changes = NftTransaction()
    for table in [packets, frames] { try changes.add(table, exclusive: true) }
    for set in [endpoints, published, ports, hardwareAddresses, addresses] { try changes.add(set, exclusive: true) }
    try changes.commit(over: host.connection(.netfilter))
  }
}

/// One container of the floor. Everything is built by ``init(_:on:)``; the rest only sends.
final class Floor {
  private let host: FloorHost
  private let hostPort: UInt16
  /// Where the namespace's descriptor will be, so that the request that names it can be built before there is one.
  private let place: Int32
  private var inside: Int32 = -1
  private let loopback, link, container, carrier, add, wire, publish, hairpin, unlink, remove: Datagram
  private let records: FloorRecords?

  init(_ number: Int, on host: FloorHost) throws {
    self.host = host
    hostPort = UInt16(20_000 + number)
    place = try check(unsafe open("/dev/null", O_RDONLY | O_CLOEXEC))
    let port = try InterfaceName("floor\(number)")
    let address = IPv4Address(rawValue: 0xac11_8000 + UInt32(number))
    let hardware = MACAddress(ipv4: address)
    let eth0 = try InterfaceName("eth0")
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false

    loopback = Datagram([LinkRequests.change(1, LinkChange(isUp: true))])
    link = Datagram([
      LinkRequests.createVeth(
        VethEnd(port, master: host.bridge), peer: VethEnd(eth0, macAddress: hardware, namespace: place), mtu: 1500),
      LinkRequests.change(named: port, quiet), LinkRequests.change(named: port, LinkChange(isUp: true)),
      LinkRequests.setBridgePort(named: port, isHairpin: true),
    ])
    var announcing = quiet
    announcing.announcesAddresses = true
    // The first link of a namespace after lo has index 2.
    container = Datagram([
      LinkRequests.change(2, announcing),
      AddressRequests.add(try InterfaceAddress(address: .v4(address), prefixLength: 16), to: 2),
      LinkRequests.change(2, LinkChange(isUp: true)),
      RouteRequests.add(Route(to: .all(.ipv4), via: try IPAddress("172.17.0.1"), link: 2)),
      LinkRequests.glance(at: 2),
    ])
    carrier = Datagram([LinkRequests.glance(at: port), LinkRequests.glance(at: host.bridge)])

    let sets = host.sets
    let name = NftValue.interface(port)
    let elements: [(NftSet, NftElement)] = [
      (sets.ports, NftElement(name)), (sets.hardwareAddresses, NftElement(.concatenation(name, .mac(hardware)))),
      (sets.addresses, NftElement(.concatenation(name, .address(.v4(address))))),
      (sets.endpoints, NftElement(.concatenation(.address(.v4(address)), .interface(try InterfaceName("cn0"))))),
      (
        sets.published,
        NftElement(
          .concatenation(.tcp, .port(hostPort)), data: .value(.concatenation(.address(.v4(address)), .port(80))))
      ),
    ]
    var changes = NftTransaction()
    for (set, element) in elements { try changes.add([element], to: set, exclusive: true) }
    add = Datagram(changes)
    // The same in two parts: what a container is, and its published port.
    changes = NftTransaction()
    for (set, element) in elements.dropLast() { try changes.add([element], to: set, exclusive: true) }
    wire = Datagram(changes)
    changes = NftTransaction()
    for (set, element) in elements.suffix(1) { try changes.add([element], to: set, exclusive: true) }
    publish = Datagram(changes)
    hairpin = Datagram([LinkRequests.setBridgePort(named: port, isHairpin: true)])
    changes = NftTransaction()
    for (set, element) in elements { try changes.delete([element], from: set) }
    remove = Datagram(changes)

    var body = PayloadWriter()
    body.appendZeros(16)  // struct ifinfomsg
    body.attribute(3, string: "\(port)")  // IFLA_IFNAME
    unlink = Datagram([NetlinkRequest(type: 17, body: body.bytes, name: "RTM_DELLINK", purpose: "delete link")])
    records = host.store.map { FloorRecords(number, like: $0.samples) }
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
    if let records { try host.store?.update(records.planned) }
    try check(floor_probe(hostPort))
    try add.exchange(over: host.netfilter)
    try link.exchange(over: host.route)
    try container.exchange(over: inside)
    try carrier.exchange(over: host.route)
    if let records { try host.store?.update(records.made) }
  }

  /// Makes all but the published port, ahead of time.
  func prepare() throws {
    try makeNamespace()
    try wire.exchange(over: host.netfilter)
    try link.exchange(over: host.route)
    try container.exchange(over: inside)
    try carrier.exchange(over: host.route)
  }

  /// Makes of what was prepared a container's.
  func handOver() throws {
    if let records { try host.store?.update(records.handedOver) }
    try check(floor_probe(hostPort))
    try publish.exchange(over: host.netfilter)
    try hairpin.exchange(over: host.route)
    if let records { try host.store?.update(records.made) }
  }

  /// The elements first: what the kernel frees of them it frees while the deletion of the link waits.
  func detach() throws {
    if let records { try host.store?.update(records.leaving) }
    try remove.exchange(over: host.netfilter)
    try unlink.exchange(over: host.route)
    if let records { try host.store?.update(records.gone) }
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
func check(_ result: Int32) throws -> Int32 {
  guard result < 0 else { return result }
  throw NetworkError(.kernelRefused, operation: "measure the floor", reason: "errno \(-result)")
}
