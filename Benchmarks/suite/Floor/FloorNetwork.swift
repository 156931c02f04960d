import ContainerNetworking

/// A network of the floor: a bridge with its address, and its elements. Everything is built by ``init(_:on:)``; the rest only
/// sends.
final class FloorNetwork {
  private let host: FloorHost
  private let create, add, unlink, remove: Datagram
  private let records: FloorNetworkRecords?

  init(_ number: Int, on host: FloorHost) throws {
    self.host = host
    let bridge = try InterfaceName("flnet\(number)")
    // An index of its own choice, so that requests that name it can be built before it is there.
    let index = Int32(100_000 + number)
    var options = BridgeOptions()
    options.learnsFromGroups = false
    let gateway = IPv4Address(10, 99, UInt8(number & 255), 1)
    var link = LinkRequests.createBridge(bridge, macAddress: MACAddress(ipv4: gateway), mtu: 1_500, options: options)
    // ifi_index of struct ifinfomsg.
    link.body.replaceSubrange(4..<8, with: (0..<4).map { UInt8(truncatingIfNeeded: index >> ($0 * 8)) })
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    settings.forwardsIPv4 = true
    settings.routesLoopback = true
    create = Datagram([
      link, LinkRequests.change(index, settings),
      AddressRequests.add(try InterfaceAddress(address: .v4(gateway), prefixLength: 24), to: index),
      LinkRequests.change(index, LinkChange(isUp: true)),
    ])
    unlink = Datagram([LinkRequests.delete(index)])
    let name = NftValue.interface(bridge)
    let elements: [(NftSet, NftElement)] = [
      (host.sets.bridges, NftElement(name)), (host.sets.natBridges, NftElement(name)),
      (host.sets.sameBridge, NftElement(.concatenation(name, name))),
    ]
    var changes = NftTransaction()
    for (set, element) in elements { try changes.add([element], to: set, exclusive: true) }
    add = Datagram(changes)
    changes = NftTransaction()
    for (set, element) in elements { try changes.delete([element], from: set) }
    remove = Datagram(changes)
    records = host.store.map { FloorNetworkRecords("flnet\(number)", like: $0.samples) }
  }

  func make() throws {
    if let records { try host.store?.update(records.planned) }
    try create.exchange(over: host.route)
    try add.exchange(over: host.netfilter)
    if let records { try host.store?.update(records.made, survivesPowerCut: true) }
  }

  func takeAway() throws {
    if let records { try host.store?.update(records.leaving) }
    try remove.exchange(over: host.netfilter)
    try unlink.exchange(over: host.route)
    if let records { try host.store?.update(records.gone, survivesPowerCut: true) }
  }
}
