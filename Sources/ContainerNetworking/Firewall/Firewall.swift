import Netlink
import NetworkPrimitives

/// The intents that the controller has towards the host's firewall, as one nftables table of ours.
///
/// Chains and rules are static; a network, an endpoint or a port is an element of a set or map. So the cost of a packet
/// and of a change does not grow with their number, and nothing of another owner's is touched. Other tables' base
/// chains run too: a user's own rules go into a table of their own, at a priority before or after ours.
struct Firewall: Sendable {
  static let table = NftTable(family: .inet, name: "containernetworking")

  let host: NetworkNamespace

  private enum Sets {
    /// Our bridges.
    static let bridges = set("bridges", [.interfaceName])
    /// Our bridges by which packets may leave, masqueraded.
    static let natBridges = set("nat_bridges", [.interfaceName])
    /// Bridge twice: what comes in by a bridge and leaves by the same.
    static let sameBridge = set("same_bridge", [.interfaceName, .interfaceName])
    /// Links that forward because we need it: only from and to our bridges.
    static let uplinks = set("uplinks", [.interfaceName])
    /// Address and bridge of each endpoint.
    static let endpoints = set("endpoints4", [.ipv4Address, .interfaceName])
    /// Published on every address: protocol and port, to address and port.
    static let published = set(
      "published4", [.transportProtocol, .port], data: .values([.ipv4Address, .port]))
    /// Published on one address.
    static let publishedAt = set(
      "published_at4", [.ipv4Address, .transportProtocol, .port], data: .values([.ipv4Address, .port]))

    static let all = [bridges, natBridges, sameBridge, uplinks, endpoints, published, publishedAt]

    private static func set(_ name: String, _ key: [NftDataType], data: NftSet.Data = .none) -> NftSet {
      NftSet(table: Firewall.table, name: name, key: key, data: data)
    }
  }

  /// Makes the table with all its chains, and no elements.
  func create() throws(NetworkError) {
    var changes = NftTransaction()
    try changes.add(Self.table, exclusive: true)
    for set in Sets.all { try changes.add(set, exclusive: true) }
    try addFilterChains(&changes)
    try addTranslationChains(&changes)
    try commit(changes)
  }

  /// Removes the table; one that is gone already was what was wanted.
  func remove() throws(NetworkError) {
    var changes = NftTransaction()
    changes.delete(Self.table)
    do throws(NetworkError) { try commit(changes) } catch {
      if error.code != .notFound { throw error }
    }
  }

  func add(_ network: NetworkRecord) throws(NetworkError) { try change(network, Self.addElements) }

  func remove(_ network: NetworkRecord) throws(NetworkError) { try change(network, Self.deleteElements) }

  /// The endpoint and its published ports, in one transaction.
  func add(_ endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {
    try change(endpoint, on: network, Self.addElements)
  }

  func remove(_ endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {
    try change(endpoint, on: network, Self.deleteElements)
  }

  func addUplinks(_ names: [InterfaceName]) throws(NetworkError) {
    var changes = NftTransaction()
    try changes.add(names.map { NftElement(.interface($0)) }, to: Sets.uplinks, exclusive: true)
    try commit(changes)
  }

  // MARK: - Elements

  private typealias Change = (inout NftTransaction, NftSet, [NftElement]) throws(NetworkError) -> Void

  private static func addElements(
    _ changes: inout NftTransaction, _ set: NftSet, _ elements: [NftElement]
  ) throws(NetworkError) {
    try changes.add(elements, to: set, exclusive: true)
  }

  private static func deleteElements(
    _ changes: inout NftTransaction, _ set: NftSet, _ elements: [NftElement]
  ) throws(NetworkError) {
    try changes.delete(elements, from: set)
  }

  private func change(_ network: NetworkRecord, _ apply: Change) throws(NetworkError) {
    let bridge = NftValue.interface(network.bridge)
    var changes = NftTransaction()
    try apply(&changes, Sets.bridges, [NftElement(bridge)])
    try apply(&changes, Sets.sameBridge, [NftElement(.concatenation(bridge, bridge))])
    if !network.isInternal { try apply(&changes, Sets.natBridges, [NftElement(bridge)]) }
    try commit(changes)
  }

  private func change(_ endpoint: Endpoint, on network: NetworkRecord, _ apply: Change) throws(NetworkError) {
    let address = NftValue.address(endpoint.address.address)
    var changes = NftTransaction()
    try apply(&changes, Sets.endpoints, [NftElement(.concatenation(address, .interface(network.bridge)))])
    var everywhere: [NftElement] = []
    var somewhere: [NftElement] = []
    for port in endpoint.ports {
      let key = NftValue.concatenation(.number(port.transport.number), .port(port.hostPort))
      let target = NftElement.Data.value(.concatenation(address, .port(port.containerPort)))
      if let host = port.hostAddress {
        somewhere.append(NftElement(.concatenation(.address(host), key), data: target))
      } else {
        everywhere.append(NftElement(key, data: target))
      }
    }
    try apply(&changes, Sets.published, everywhere)
    try apply(&changes, Sets.publishedAt, somewhere)
    try commit(changes)
  }

  // MARK: - Static part

  private static func chain(_ name: String, _ base: NftChain.Base? = nil) -> NftChain {
    NftChain(table: table, name: name, base: base)
  }

  private static func match(_ fields: NftSelector..., in set: NftSet) -> NftStatement {
    .match(fields, .inSet(NftSetReference(name: set.name)))
  }

  private static func match(_ field: NftSelector, notIn set: NftSet) -> NftStatement {
    .match(field, .notInSet(NftSetReference(name: set.name)))
  }

  /// 127.0.0.0/8.
  private static let loopback = NftCondition.prefix(.ipv4(IPv4Address(127, 0, 0, 0)), bits: 8, inverted: false)

  private func addFilterChains(_ changes: inout NftTransaction) throws(NetworkError) {
    let toBridge = Self.match(.outgoingInterface, in: Sets.bridges)
    let fromBridge = Self.match(.incomingInterface, in: Sets.bridges)

    // route_localnet lets the host reach published ports by 127.0.0.1; it must not let a container reach the host's.
    let guardian = Self.chain("guard", NftChain.Base(.filter, hook: .prerouting, priority: -300))
    try changes.add(guardian, exclusive: true)
    try changes.add(
      NftRule(
        guardian, [fromBridge, .match(.destinationIPv4, Self.loopback), .counter, .verdict(.drop)]))

    let forward = Self.chain("forward", NftChain.Base(.filter, hook: .forward, priority: 0))
    try changes.add(forward, exclusive: true)
    let rules: [[NftStatement]] = [
      // Forwarding was switched on for us alone: what came in by an uplink goes to a bridge or nowhere.
      [
        Self.match(.incomingInterface, in: Sets.uplinks), Self.match(.outgoingInterface, notIn: Sets.bridges),
        .counter, .verdict(.drop),
      ],
      [Self.match(.incomingInterface, .outgoingInterface, in: Sets.sameBridge), .verdict(.accept)],
      [toBridge, .match(.connectionState, .state([.established, .related])), .verdict(.accept)],
      [fromBridge, .match(.connectionState, .state([.established, .related])), .verdict(.accept)],
      [toBridge, .match(.connectionStatus, .status(.destinationNAT)), .verdict(.accept)],
      [toBridge, .counter, .verdict(.drop)],
      [Self.match(.incomingInterface, in: Sets.natBridges), .verdict(.accept)],
      [fromBridge, .counter, .verdict(.drop)],
    ]
    for rule in rules { try changes.add(NftRule(forward, rule)) }
  }

  private func addTranslationChains(_ changes: inout NftTransaction) throws(NetworkError) {
    let publish = Self.chain("publish")
    try changes.add(publish, exclusive: true)
    let ipv4 = NftStatement.match(.family, .equal(.number(NftFamily.ipv4.rawValue)))
    let port: [NftSelector] = [.transportProtocol, .destinationPort]
    try changes.add(NftRule(publish, [Self.redirect([.destinationIPv4] + port, by: Sets.publishedAt)]))
    try changes.add(NftRule(publish, [ipv4, Self.redirect(port, by: Sets.published)]))
    for (name, hook) in [("prerouting", NftChain.Hook.prerouting), ("output", .output)] {
      let chain = Self.chain(name, NftChain.Base(.nat, hook: hook, priority: -100))
      try changes.add(chain, exclusive: true)
      try changes.add(
        NftRule(chain, [.match(.destinationAddressType, .equal(Self.local)), .verdict(.jump("publish"))]))
    }

    let postrouting = Self.chain("postrouting", NftChain.Base(.nat, hook: .postrouting, priority: 100))
    try changes.add(postrouting, exclusive: true)
    // Hairpin: a container that reaches another of its bridge by the host's address must get the answer from there.
    try changes.add(
      NftRule(
        postrouting,
        [
          .match(.connectionStatus, .status(.destinationNAT)),
          Self.match(.sourceIPv4, .outgoingInterface, in: Sets.endpoints), .masquerade([]),
        ]))
    // The host by 127.0.0.1: a container cannot answer to that.
    try changes.add(
      NftRule(
        postrouting,
        [
          Self.match(.outgoingInterface, in: Sets.bridges), .match(.sourceIPv4, Self.loopback), .masquerade([]),
        ]))
    try changes.add(
      NftRule(
        postrouting,
        [
          ipv4, Self.match(.incomingInterface, in: Sets.natBridges),
          Self.match(.outgoingInterface, notIn: Sets.bridges), .masquerade([]),
        ]))
  }

  /// `RTN_LOCAL`: an address of this host.
  private static let local = NftValue.host(2)

  private static func redirect(_ key: [NftSelector], by map: NftSet) -> NftStatement {
    .translate(
      NftTranslation(
        .destination, to: .map(NftSetReference(name: map.name), key: key, family: .ipv4, port: true)))
  }

  private func commit(_ changes: NftTransaction) throws(NetworkError) {
    try changes.commit(over: try host.connection(.netfilter))
  }
}
