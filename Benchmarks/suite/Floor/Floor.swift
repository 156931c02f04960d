import CBenchmarkFloor
import ContainerNetworking
import Glibc

/// One container of the floor. Everything is built by ``init(_:on:)``; the rest only sends.
final class Floor {
  private let host: FloorHost
  private let hostPort: UInt16
  /// Where the namespace's descriptor will be, so that the request that names it can be built before there is one.
  private let place: Int32
  private var inside: Int32 = -1
  private let loopback, link, container, settle, settleWithPorts, add, wire, publish, hairpin, unlink, remove: Datagram
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
    var options = BridgePortOptions()
    options.suppressesNeighbors = true
    let looks = [LinkRequests.glance(at: port), LinkRequests.glance(at: host.bridge)]
    settle = Datagram([LinkRequests.changeBridgePort(named: port, options)] + looks)
    options.isHairpin = true
    settleWithPorts = Datagram([LinkRequests.changeBridgePort(named: port, options)] + looks)

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
    options.suppressesNeighbors = nil
    hairpin = Datagram([LinkRequests.changeBridgePort(named: port, options)])
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
    try settleWithPorts.exchange(over: host.route)
    if let records { try host.store?.update(records.made) }
  }

  /// Makes all but the published port, ahead of time.
  func prepare() throws {
    try makeNamespace()
    try wire.exchange(over: host.netfilter)
    try link.exchange(over: host.route)
    try container.exchange(over: inside)
    try settle.exchange(over: host.route)
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
