import Netlink
import NetworkPrimitives

/// The static part of our tables.
extension Firewall {
  /// Adds a table of ours with its sets, its chains and their rules.
  static func add(_ table: NftTable, to changes: inout NftTransaction) throws(NetworkError) {
    try changes.add(table, exclusive: true, comment: "\(versionPrefix)\(version)")
    for set in FirewallSets.all where set.table == table { try changes.add(set, exclusive: true) }
    guard table == FirewallSets.table else { return try addFrameChains(&changes) }
    try addFilterChains(&changes)
    try addTranslationChains(&changes)
  }

  private static func chain(_ name: String, _ base: NftChain.Base? = nil) -> NftChain {
    NftChain(table: FirewallSets.table, name: name, base: base)
  }

  static func match(_ fields: NftSelector..., in set: NftSet) -> NftStatement {
    .match(fields, .inSet(NftSetReference(name: set.name)))
  }

  static func match(_ fields: NftSelector..., notIn set: NftSet) -> NftStatement {
    .match(fields, .notInSet(NftSetReference(name: set.name)))
  }

  /// 127.0.0.0/8.
  private static let loopback = NftCondition.prefix(.ipv4(IPv4Address(127, 0, 0, 0)), bits: 8, inverted: false)

  /// The host's own loopback link.
  private static let own = NftValue.bytes(Array("lo".utf8) + [UInt8](repeating: 0, count: 14))

  private static func isFamily(_ family: AddressFamily) -> NftStatement {
    .match(.family, .equal(.number(family.rawValue)))
  }

  private static func addFilterChains(_ changes: inout NftTransaction) throws(NetworkError) {
    let fromBridge = match(.incomingInterface, in: FirewallSets.bridges)

    // Packets to ports published at 127.0.0.1 are translated before the kernel drops martians, so such packets from any
    // link are dropped here. route_localnet, through which the host reaches those ports, also exempts packets from our
    // bridges: they must not have the source 127.0.0.1 either.
    let guardian = chain("guard", NftChain.Base(.filter, hook: .prerouting, priority: -300))
    try changes.add(guardian, exclusive: true)
    // With br_netfilter, a frame that crosses two bridges passes these hooks twice. Track it on the first bridge only;
    // otherwise conntrack would take the translated packet for a new one.
    try changes.add(
      NftRule(guardian, [match(.incomingInterface, in: FirewallSets.furtherBridges), .notrack, .verdict(.accept)]))
    try changes.add(
      NftRule(
        guardian,
        [.match(.incomingInterface, .notEqual(own)), .match(.destinationIPv4, loopback), .counter, .verdict(.drop)]))
    try changes.add(NftRule(guardian, [fromBridge, .match(.sourceIPv4, loopback), .counter, .verdict(.drop)]))
    for rule in internalRules { try changes.add(NftRule(guardian, rule)) }

    let forward = chain("forward", NftChain.Base(.filter, hook: .forward, priority: 0))
    try changes.add(forward, exclusive: true)
    for rule in forwardRules { try changes.add(NftRule(forward, rule)) }
  }

  /// Containers of an internal network reach the host by the bridge's addresses, and by none of its other addresses.
  private static var internalRules: [[NftStatement]] {
    let fromInternal = match(.incomingInterface, in: FirewallSets.internalBridges)
    let toHost = NftStatement.match(.destinationAddressType, .equal(local))
    return [
      [
        fromInternal, match(.destinationIPv4, .incomingInterface, notIn: FirewallSets.internalGateways.ipv4), toHost,
        .counter, .verdict(.drop),
      ],
      // Neighbour discovery uses link-local addresses.
      [
        fromInternal, .match(.destinationIPv6, linkLocal),
        match(.destinationIPv6, .incomingInterface, notIn: FirewallSets.internalGateways.ipv6), toHost, .counter,
        .verdict(.drop),
      ],
    ]
  }

  /// Not fe80::/10.
  private static let linkLocal = NftCondition.prefix(
    .bytes([0xfe, 0x80] + [UInt8](repeating: 0, count: 14)), bits: 10, inverted: true)

  private static var forwardRules: [[NftStatement]] {
    let toBridge = match(.outgoingInterface, in: FirewallSets.bridges)
    let fromBridge = match(.incomingInterface, in: FirewallSets.bridges)
    let fromOutside = match(.incomingInterface, notIn: FirewallSets.bridges)
    let established = NftStatement.match(.connectionState, .state([.established, .related]))
    // A packet marked by a user's rule passes, whatever our rules say.
    var rules: [[NftStatement]] = [[.match(.mark, .equal(acceptMark)), .verdict(.accept)]]
    // Forwarding was enabled for us alone: packets from an uplink go to a bridge or nowhere. An uplink that a network
    // has adopted since is a bridge.
    rules += AddressFamily.allCases.map { family in
      [
        isFamily(family), match(.incomingInterfaceIndex, in: FirewallSets.uplinks.of(family)),
        match(.outgoingInterface, notIn: FirewallSets.bridges), fromOutside, .counter, .verdict(.drop),
      ]
    }
    rules += [
      [match(.incomingInterface, .outgoingInterface, in: FirewallSets.sameBridge), .verdict(.accept)],
      [match(.incomingInterface, in: FirewallSets.internalBridges), .counter, .verdict(.drop)],
      [match(.outgoingInterface, in: FirewallSets.internalBridges), .counter, .verdict(.drop)],
      [toBridge, established, .verdict(.accept)],
      [fromBridge, established, .verdict(.accept)],
      [toBridge, .match(.connectionStatus, .status(.destinationNAT)), .verdict(.accept)],
    ]
    for family in AddressFamily.allCases {
      let address = family == .ipv4 ? NftSelector.destinationIPv4 : .destinationIPv6
      let echo: [NftStatement] =
        family == .ipv4
        ? [.match(.transportProtocol, .equal(.number(1))), .match(.icmpType, .equal(.number(8)))]
        : [.match(.transportProtocol, .equal(.number(58))), .match(.icmpType, .equal(.number(128)))]
      rules += [
        [
          isFamily(family), fromOutside, match(.outgoingInterface, in: FirewallSets.openBridges.of(family)),
          .verdict(.accept),
        ],
        [isFamily(family), match(.outgoingInterface, in: FirewallSets.pingBridges.of(family))] + echo
          + [.verdict(.accept)],
        [
          toBridge,
          match(address, .transportProtocol, .destinationPort, in: FirewallSets.routedPorts.of(family)),
          .verdict(.accept),
        ],
        [
          fromOutside, match(.incomingInterface, .outgoingInterface, in: FirewallSets.trustedLinks),
          match(address, .transportProtocol, .destinationPort, in: FirewallSets.directPorts.of(family)),
          .verdict(.accept),
        ],
      ]
    }
    rules += [
      [toBridge, .counter, .verdict(.drop)],
      [fromBridge, .verdict(.accept)],
    ]
    return rules
  }

  private static func addTranslationChains(_ changes: inout NftTransaction) throws(NetworkError) {
    let publish = chain("publish")
    try changes.add(publish, exclusive: true)
    // The kernel forwards nothing from or to ::1: it stays with its local listener.
    try changes.add(
      NftRule(publish, [.match(.destinationIPv6, .equal(.address(.loopback(.ipv6)))), .verdict(.return)]))
    for family in AddressFamily.allCases {
      let address = family == .ipv4 ? NftSelector.destinationIPv4 : .destinationIPv6
      let port: [NftSelector] = [.transportProtocol, .destinationPort]
      try changes.add(
        NftRule(publish, [redirect([address] + port, by: FirewallSets.publishedAt.of(family), family)]))
      try changes.add(
        NftRule(publish, [isFamily(family), redirect(port, by: FirewallSets.published.of(family), family)]))
    }
    for (name, hook) in [("prerouting", NftChain.Hook.prerouting), ("output", .output)] {
      let chain = chain(name, NftChain.Base(.nat, hook: hook, priority: -100))
      try changes.add(chain, exclusive: true)
      try changes.add(
        NftRule(chain, [.match(.destinationAddressType, .equal(local)), .verdict(.jump("publish"))]))
    }

    let postrouting = chain("postrouting", NftChain.Base(.nat, hook: .postrouting, priority: 100))
    try changes.add(postrouting, exclusive: true)
    for rule in translationRules { try changes.add(NftRule(postrouting, rule)) }
  }

  private static var translationRules: [[NftStatement]] {
    var rules: [[NftStatement]] = []
    for family in AddressFamily.allCases {
      let (source, destination) =
        family == .ipv4
        ? (NftSelector.sourceIPv4, NftSelector.destinationIPv4) : (.sourceIPv6, .destinationIPv6)
      let isPublished = NftStatement.match(.connectionStatus, .status(.destinationNAT))
      // Hairpin: a container that reaches its bridge's container by the host's address must get the answer from that
      // address.
      rules.append([
        isPublished, match(source, .outgoingInterface, in: FirewallSets.endpoints.of(family)), .masquerade([]),
      ])
      // The same applies to a container that shares another network with the reached one, or is the reached one.
      rules.append([
        isPublished, match(destination, .incomingInterface, in: FirewallSets.besides.of(family)), .masquerade([]),
      ])
    }
    // The host by 127.0.0.1: a container cannot answer to that.
    rules.append([
      match(.outgoingInterface, in: FirewallSets.bridges), .match(.sourceIPv4, loopback), .masquerade([]),
    ])
    for family in AddressFamily.allCases {
      let source = NftTranslation.Target.map(
        NftSetReference(name: FirewallSets.sourceAddresses.of(family).name), key: [.incomingInterface], family: family,
        port: false)
      rules.append([
        isFamily(family), match(.outgoingInterface, notIn: FirewallSets.bridges),
        .translate(NftTranslation(.source, to: source)),
      ])
    }
    for family in AddressFamily.allCases {
      rules.append([
        isFamily(family), match(.incomingInterface, in: FirewallSets.natBridges.of(family)),
        match(.outgoingInterface, notIn: FirewallSets.bridges), .masquerade([]),
      ])
    }
    return rules
  }

  /// `RTN_LOCAL`: an address of this host.
  private static let local = NftValue.host(2)

  private static func redirect(_ key: [NftSelector], by map: NftSet, _ family: AddressFamily) -> NftStatement {
    .translate(
      NftTranslation(.destination, to: .map(NftSetReference(name: map.name), key: key, family: family, port: true)))
  }
}
