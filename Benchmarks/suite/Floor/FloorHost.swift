import CBenchmarkFloor
import ContainerNetworking
import Glibc

/// What is the same for every attach of the floor: a bridge that is there, two tables with their sets, two sockets, and a
/// database where the library has one too.
struct FloorHost {
  /// This process's own namespace.
  let home: Int32
  let route: Int32
  let netfilter: Int32
  let bridge: Int32
  let sets: FloorSets
  let store: FloorStore?

  init(_ host: NetworkNamespace, bridge: String, store: FloorStore?) throws {
    home = try NetworkNamespace.current().duplicate()
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
  /// Those that a network has elements in.
  let bridges, natBridges, sameBridge: NftSet

  init(on host: NetworkNamespace) throws {
    let packets = NftTable(family: .inet, name: "floor")
    let frames = NftTable(family: .bridge, name: "floor")
    endpoints = NftSet(table: packets, name: "endpoints", key: [.ipv4Address, .interfaceName])
    published = NftSet(
      table: packets, name: "published", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port]))
    ports = NftSet(table: frames, name: "ports", key: [.interfaceName])
    hardwareAddresses = NftSet(table: frames, name: "port_macs", key: [.interfaceName, .macAddress])
    addresses = NftSet(table: frames, name: "port_addresses", key: [.interfaceName, .ipv4Address])
    bridges = NftSet(table: packets, name: "bridges", key: [.interfaceName])
    natBridges = NftSet(table: packets, name: "nat_bridges", key: [.interfaceName])
    sameBridge = NftSet(table: packets, name: "same_bridge", key: [.interfaceName, .interfaceName])
    var changes = NftTransaction()
    for table in [packets, frames] { try changes.add(table, exclusive: true) }
    let all = [endpoints, published, ports, hardwareAddresses, addresses, bridges, natBridges, sameBridge]
    for set in all { try changes.add(set, exclusive: true) }
    try changes.commit(over: host.connection(.netfilter))
  }
}
