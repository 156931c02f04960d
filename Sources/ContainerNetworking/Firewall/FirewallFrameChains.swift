import Netlink
import NetworkPrimitives

/// The static part of our bridge-family table: the frames that a container's port may send, and to which ports.
extension Firewall {
  static func addFrameChains(_ changes: inout NftTransaction) throws(NetworkError) {
    // Runs before br_netfilter, whose priority 0 passes frames to connection tracking.
    let source = chain("source", NftChain.Base(.filter, hook: .prerouting, priority: -300))
    try changes.add(source, exclusive: true)
    for rule in sourceRules { try changes.add(NftRule(source, rule)) }

    // Frames to the sixteen addresses of 802.1D that no bridge forwards skip prerouting. Our own bridges do not learn
    // from them; an adopted one may (br_handle_local_finish in net/bridge/br_input.c).
    let reserved = NftCondition.prefix(.bytes([0x01, 0x80, 0xc2, 0, 0, 0]), bits: 44, inverted: false)
    let control = chain("control", NftChain.Base(.filter, hook: .input, priority: -200))
    try changes.add(control, exclusive: true)
    try changes.add(
      NftRule(
        control, [.match(.destinationMAC, reserved), match(.incomingInterface, in: FirewallSets.ports)] + otherMAC))
    // The host's address is on a network's first bridge; frames that a further bridge delivered locally would bypass
    // the rules.
    try changes.add(
      NftRule(control, [match(.incomingInterface, in: FirewallSets.furtherPorts), .counter, .verdict(.drop)]))

    // A frame to the bridge's own address arrives here only if br_netfilter has redirected its packet, to a published
    // port or back from one (br_nf_pre_routing_finish_bridge in net/bridge/br_netfilter_hooks.c).
    let apart = chain("apart", NftChain.Base(.filter, hook: .forward, priority: -200))
    try changes.add(apart, exclusive: true)
    // A trunk reflects only frames that br_netfilter has redirected; otherwise a broadcast would return to its sender's
    // bridge.
    try changes.add(
      NftRule(
        apart,
        [
          match(.incomingInterface, .outgoingInterface, in: FirewallSets.trunks),
          .match(.packetType, .notEqual(toHost)), .counter, .verdict(.drop),
        ]))
    // Otherwise the bridge of the reflected frame would learn its sender's address behind the trunk.
    try changes.add(
      NftRule(apart, [match(.incomingInterface, .outgoingInterface, in: FirewallSets.trunks), .setSourceMAC(nobody)]))
    try changes.add(
      NftRule(
        apart,
        [
          match(.incomingInterface, in: FirewallSets.apartPorts),
          match(.outgoingInterface, in: FirewallSets.apartPorts),
          .match(.packetType, .notEqual(toHost)), .match(.mark, .notEqual(acceptMark)), .counter, .verdict(.drop),
        ]))
  }

  /// The hardware address derived from 0.0.0.0, which no endpoint has.
  private static let nobody = MACAddress(ipv4: IPv4Address(0, 0, 0, 0))

  /// `PACKET_HOST`.
  private static let toHost = NftValue.number(0)

  private static func chain(_ name: String, _ base: NftChain.Base) -> NftChain {
    NftChain(table: FirewallSets.bridgeTable, name: name, base: base)
  }

  private static let otherMAC: [NftStatement] = [
    match(.incomingInterface, .sourceMAC, notIn: FirewallSets.portMACs), .counter, .verdict(.drop),
  ]

  private static var sourceRules: [[NftStatement]] {
    let (own4, own6) = (FirewallSets.portAddresses.of(.ipv4), FirewallSets.portAddresses.of(.ipv6))
    let isICMPv6 = NftStatement.match(.transportProtocol, .equal(.icmpv6))
    var rules: [[NftStatement]] = [
      [match(.incomingInterface, notIn: FirewallSets.ports), .verdict(.accept)],
      otherMAC,
      [match(.incomingInterface, .sourceIPv4, in: own4), .verdict(.accept)],
      // Neighbour advertisement (RFC 4861, 4.4): its target must be the sender's own.
      [
        .match(.etherType, .equal(.bytes([0x86, 0xdd]))), isICMPv6, .match(.icmpType, .equal(.number(136))),
        match(.incomingInterface, .advertisedIPv6, notIn: own6), .counter, .verdict(.drop),
      ],
      // Router advertisement (RFC 4861, 4.2): it would make the others use this container as their gateway.
      [
        .match(.etherType, .equal(.bytes([0x86, 0xdd]))), isICMPv6, .match(.icmpType, .equal(.number(134))), .counter,
        .verdict(.drop),
      ],
      [match(.incomingInterface, .sourceIPv6, in: own6), .verdict(.accept)],
      // The unspecified source address: duplicate address detection, group reports.
      [.match(.sourceIPv6, .equal(.ipv6(IPv6Address(rawValue: 0)))), isICMPv6, .verdict(.accept)],
      [match(.incomingInterface, .arpSenderMAC, notIn: FirewallSets.portMACs), .counter, .verdict(.drop)],
      [match(.incomingInterface, .arpSenderIPv4, in: own4), .verdict(.accept)],
      // A probe (RFC 5227).
      [.match(.arpSenderIPv4, .equal(.ipv4(IPv4Address(0, 0, 0, 0)))), .verdict(.accept)],
    ]
    // IPv4, IPv6, ARP; and a second VLAN tag, which may hide any of them. The receiver removes tags of VLAN 0 one by
    // one (__netif_receive_skb_core in net/core/dev.c), the bridge only the first.
    for type: [UInt8] in [[0x08, 0x00], [0x86, 0xdd], [0x08, 0x06], [0x81, 0x00], [0x88, 0xa8]] {
      rules.append([.match(.etherType, .equal(.bytes(type))), .counter, .verdict(.drop)])
    }
    return rules
  }
}
