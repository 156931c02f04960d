import Netlink
import NetworkPrimitives

/// The intents that the controller has towards the host's firewall, as one nftables table of ours.
///
/// Chains and rules are static; a network, an endpoint or a port is an element of a set or map. So the cost of a packet
/// and of a change does not grow with their number, and nothing of another owner's is touched. Other tables' base
/// chains run too: a user's own rules go into a table of their own, at a priority before or after ours.
struct Firewall: Sendable {
  static let table = "containernetworking"

  let host: NetworkNamespace

  enum Names {
    /// Our bridges.
    static let bridges = "bridges"
    /// Our bridges by which packets may leave, masqueraded.
    static let natBridges = "nat_bridges"
    /// Bridge twice: what comes in by a bridge and leaves by the same.
    static let sameBridge = "same_bridge"
    /// Links that forward because we need it: only from and to our bridges.
    static let uplinks = "uplinks"
    /// Address and bridge of each endpoint.
    static let endpoints = "endpoints4"
    /// Published on every address: protocol and port, to address and port.
    static let published = "published4"
    /// Published on one address.
    static let publishedAt = "published_at4"
  }

  private enum Bits {
    static let none = [UInt8](repeating: 0, count: 4)
    /// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED)`.
    static let established = host(0x2 | 0x4)
    /// `IPS_DST_NAT`.
    static let redirected = host(1 << 5)
    /// `RTN_LOCAL`.
    static let local = host(2)

    private static func host(_ value: UInt32) -> [UInt8] {
      var writer = PayloadWriter()
      writer.append(value)
      return writer.bytes
    }
  }

  /// Makes the table with all its chains, and no elements.
  func create() throws(NetworkError) {
    var changes = transaction()
    changes.addTable()
    addSets(&changes)
    addFilterChains(&changes)
    addTranslationChains(&changes)
    try commit(changes)
  }

  /// Removes the table; one that is gone already was what was wanted.
  func remove() throws(NetworkError) {
    var changes = transaction()
    changes.deleteTable()
    do throws(NetworkError) { try commit(changes) } catch {
      if error.code != .notFound { throw error }
    }
  }

  func add(_ network: NetworkRecord) throws(NetworkError) { try change(network) { $0.addElements($1, $2) } }

  func remove(_ network: NetworkRecord) throws(NetworkError) { try change(network) { $0.deleteElements($1, $2) } }

  /// The endpoint and its published ports, in one transaction.
  func add(_ endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {
    try change(endpoint, on: network) { $0.addElements($1, $2) }
  }

  func remove(_ endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {
    try change(endpoint, on: network) { $0.deleteElements($1, $2) }
  }

  func addUplinks(_ names: [InterfaceName]) throws(NetworkError) {
    var changes = transaction()
    changes.addElements(Names.uplinks, names.map { NftElement([NftElement.bytes(of: $0)]) })
    try commit(changes)
  }

  // MARK: - Elements

  private typealias Change = (inout NftTransaction, String, [NftElement]) -> Void

  private func change(_ network: NetworkRecord, _ apply: Change) throws(NetworkError) {
    let bridge = NftElement.bytes(of: network.bridge)
    var changes = transaction()
    apply(&changes, Names.bridges, [NftElement([bridge])])
    apply(&changes, Names.sameBridge, [NftElement([bridge, bridge])])
    if !network.isInternal { apply(&changes, Names.natBridges, [NftElement([bridge])]) }
    try commit(changes)
  }

  private func change(_ endpoint: Endpoint, on network: NetworkRecord, _ apply: Change) throws(NetworkError) {
    let address = endpoint.address.address.bytes
    var changes = transaction()
    apply(&changes, Names.endpoints, [NftElement([address, NftElement.bytes(of: network.bridge)])])
    var everywhere: [NftElement] = []
    var somewhere: [NftElement] = []
    for port in endpoint.ports {
      let key = [[port.transport.number], NftElement.bytes(port.hostPort)]
      let target = [address, NftElement.bytes(port.containerPort)]
      if let host = port.hostAddress {
        somewhere.append(NftElement([host.bytes] + key, value: target))
      } else {
        everywhere.append(NftElement(key, value: target))
      }
    }
    if !everywhere.isEmpty { apply(&changes, Names.published, everywhere) }
    if !somewhere.isEmpty { apply(&changes, Names.publishedAt, somewhere) }
    try commit(changes)
  }

  // MARK: - Static part

  private func addSets(_ changes: inout NftTransaction) {
    changes.addSet(Names.bridges, of: [.outputInterface])
    changes.addSet(Names.natBridges, of: [.outputInterface])
    changes.addSet(Names.sameBridge, of: [.inputInterface, .outputInterface])
    changes.addSet(Names.uplinks, of: [.inputInterface])
    changes.addSet(Names.endpoints, of: [.sourceIPv4, .outputInterface])
    changes.addSet(
      Names.published, of: [.transportProtocol, .destinationPort], values: [.destinationIPv4, .destinationPort])
    changes.addSet(
      Names.publishedAt, of: [.destinationIPv4, .transportProtocol, .destinationPort],
      values: [.destinationIPv4, .destinationPort])
  }

  private func addFilterChains(_ changes: inout NftTransaction) {
    // route_localnet lets the host reach published ports by 127.0.0.1; it must not let a container reach the host's.
    changes.addChain("guard", hook: NftHook(.prerouting, .filter, priority: -300))
    changes.addRule(
      "guard",
      [
        .match(.networkProtocol, [2]), .matchSet([.inputInterface], set: Names.bridges),
        .matchBits(.destinationIPv4, mask: [255, 0, 0, 0], value: [127, 0, 0, 0]), .counter, .verdict(.drop),
      ])

    changes.addChain("forward", hook: NftHook(.forward, .filter, priority: 0))
    let toBridge = NftStatement.matchSet([.outputInterface], set: Names.bridges)
    let fromBridge = NftStatement.matchSet([.inputInterface], set: Names.bridges)
    // Forwarding was switched on for us alone: what came in by an uplink goes to a bridge or nowhere.
    changes.addRule(
      "forward",
      [
        .matchSet([.inputInterface], set: Names.uplinks),
        .matchSet([.outputInterface], set: Names.bridges, isMember: false), .counter, .verdict(.drop),
      ])
    changes.addRule(
      "forward", [.matchSet([.inputInterface, .outputInterface], set: Names.sameBridge), .verdict(.accept)])
    for direction in [toBridge, fromBridge] {
      changes.addRule(
        "forward",
        [
          direction, .matchBits(.connectionState, mask: Bits.established, value: Bits.none, isEqual: false),
          .verdict(.accept),
        ])
    }
    changes.addRule(
      "forward",
      [
        toBridge, .matchBits(.connectionStatus, mask: Bits.redirected, value: Bits.none, isEqual: false),
        .verdict(.accept),
      ])
    changes.addRule("forward", [toBridge, .counter, .verdict(.drop)])
    changes.addRule("forward", [.matchSet([.inputInterface], set: Names.natBridges), .verdict(.accept)])
    changes.addRule("forward", [fromBridge, .counter, .verdict(.drop)])
  }

  private func addTranslationChains(_ changes: inout NftTransaction) {
    changes.addChain("publish")
    let ipv4 = NftStatement.match(.networkProtocol, [2])
    let port: [NftField] = [.transportProtocol, .destinationPort]
    changes.addRule("publish", [ipv4, .redirectIPv4([.destinationIPv4] + port, map: Names.publishedAt)])
    changes.addRule("publish", [ipv4, .redirectIPv4(port, map: Names.published)])
    for (chain, point) in [("prerouting", NftHook.Point.prerouting), ("output", .output)] {
      changes.addChain(chain, hook: NftHook(point, .nat, priority: -100))
      changes.addRule(chain, [.match(.destinationType, Bits.local), .verdict(.jump("publish"))])
    }

    changes.addChain("postrouting", hook: NftHook(.postrouting, .nat, priority: 100))
    // Hairpin: a container that reaches another of its bridge by the host's address must get the answer from there.
    changes.addRule(
      "postrouting",
      [
        ipv4, .matchBits(.connectionStatus, mask: Bits.redirected, value: Bits.none, isEqual: false),
        .matchSet([.sourceIPv4, .outputInterface], set: Names.endpoints), .masquerade,
      ])
    // The host by 127.0.0.1: a container cannot answer to that.
    changes.addRule(
      "postrouting",
      [
        ipv4, .matchSet([.outputInterface], set: Names.bridges),
        .matchBits(.sourceIPv4, mask: [255, 0, 0, 0], value: [127, 0, 0, 0]), .masquerade,
      ])
    changes.addRule(
      "postrouting",
      [
        ipv4, .matchSet([.inputInterface], set: Names.natBridges),
        .matchSet([.outputInterface], set: Names.bridges, isMember: false), .masquerade,
      ])
  }

  private func transaction() -> NftTransaction { NftTransaction(family: .inet, table: Self.table) }

  private func commit(_ changes: NftTransaction) throws(NetworkError) {
    try changes.commit(over: try host.connection(.netfilter))
  }
}
