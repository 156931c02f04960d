import CContainerNetworking

/// The operand of a rule: a field of the packet or the kernel's knowledge about it.
///
/// Fields of the IP header include the check of the packet's family. Ports do not include a check of the protocol:
/// match ``transportProtocol`` first, or make it part of the key.
public struct NftSelector: Hashable, Sendable {
  enum Source: Hashable, Sendable {
    case meta(UInt32)
    case payload(base: UInt32, offset: Int)
    case conntrack(UInt32, direction: UInt8?)
    case fib(UInt32)
  }

  /// The condition for the field to be present.
  enum Requirement: Hashable, Sendable {
    case ipv4
    case ipv6
    case arp
    case ethernet
  }

  let source: Source
  let requirement: Requirement?
  /// The type of the values.
  public let type: NftDataType

  init(_ source: Source, _ type: NftDataType, _ requirement: Requirement? = nil) {
    self.source = source
    self.type = type
    self.requirement = requirement
  }

  private static func network(_ offset: Int, _ type: NftDataType, _ requirement: Requirement) -> NftSelector {
    NftSelector(.payload(base: NFT_PAYLOAD_NETWORK_HEADER.rawValue, offset: offset), type, requirement)
  }
  private static func transport(_ offset: Int, _ type: NftDataType) -> NftSelector {
    NftSelector(.payload(base: NFT_PAYLOAD_TRANSPORT_HEADER.rawValue, offset: offset), type)
  }
  private static func link(_ offset: Int, _ type: NftDataType) -> NftSelector {
    NftSelector(.payload(base: NFT_PAYLOAD_LL_HEADER.rawValue, offset: offset), type, .ethernet)
  }
  private static func meta(_ key: nft_meta_keys, _ type: NftDataType) -> NftSelector {
    NftSelector(.meta(key.rawValue), type)
  }
  private static func conntrack(_ key: nft_ct_keys, _ type: NftDataType, direction: UInt8? = nil) -> NftSelector {
    NftSelector(.conntrack(key.rawValue, direction: direction), type)
  }

  /// `meta iifname`: the incoming interface.
  public static let incomingInterface = meta(NFT_META_IIFNAME, .interfaceName)
  /// `meta iif`: the index of the incoming interface, independent of its name.
  public static let incomingInterfaceIndex = meta(NFT_META_IIF, .interfaceIndex)
  /// `meta oifname`: the outgoing interface.
  public static let outgoingInterface = meta(NFT_META_OIFNAME, .interfaceName)
  /// `meta ibrname`: the bridge of the incoming port; bridge family, and a kernel with `CONFIG_NFT_BRIDGE_META`.
  public static let incomingBridge = meta(NFT_META_BRI_IIFNAME, .interfaceName)
  /// `meta obrname`: the bridge of the outgoing port; bridge family, and a kernel with `CONFIG_NFT_BRIDGE_META`.
  public static let outgoingBridge = meta(NFT_META_BRI_OIFNAME, .interfaceName)
  /// `meta mark`, in the host's byte order.
  public static let mark = meta(NFT_META_MARK, .mark)
  /// `meta l4proto`.
  public static let transportProtocol = meta(NFT_META_L4PROTO, .transportProtocol)
  /// `meta nfproto`: 2 for IPv4, 10 for IPv6.
  public static let family = meta(NFT_META_NFPROTO, .bytes(1))
  /// `meta protocol`: the EtherType.
  public static let etherType = meta(NFT_META_PROTOCOL, .bytes(2))
  /// `meta pkttype`: `PACKET_HOST` 0, `PACKET_BROADCAST` 1, `PACKET_MULTICAST` 2, `PACKET_OTHERHOST` 3.
  public static let packetType = meta(NFT_META_PKTTYPE, .bytes(1))

  /// `ether saddr`.
  public static let sourceMAC = link(6, .macAddress)
  /// `ether daddr`.
  public static let destinationMAC = link(0, .macAddress)
  /// `ip saddr`.
  public static let sourceIPv4 = network(12, .ipv4Address, .ipv4)
  /// `ip daddr`.
  public static let destinationIPv4 = network(16, .ipv4Address, .ipv4)
  /// `ip6 saddr`.
  public static let sourceIPv6 = network(8, .ipv6Address, .ipv6)
  /// `ip6 daddr`.
  public static let destinationIPv6 = network(24, .ipv6Address, .ipv6)
  /// `arp saddr ether` (RFC 826); bridge and arp families.
  public static let arpSenderMAC = network(8, .macAddress, .arp)
  /// `arp saddr ip` (RFC 826); bridge and arp families.
  public static let arpSenderIPv4 = network(14, .ipv4Address, .arp)
  /// `arp daddr ip` (RFC 826): the requested address; bridge and arp families.
  public static let arpTargetIPv4 = network(24, .ipv4Address, .arp)
  /// `th sport`.
  public static let sourcePort = transport(0, .port)
  /// `th dport`.
  public static let destinationPort = transport(2, .port)
  /// `icmp type` or `icmpv6 type`, depending on the protocol matched before.
  public static let icmpType = transport(0, .bytes(1))
  /// `icmp id` or `icmpv6 id`: the identifier that an echo and its answer share; match ``icmpType`` before.
  public static let icmpIdentifier = transport(4, .bytes(2))
  /// `icmpv6 taddr`: the target of a neighbour advertisement or solicitation (RFC 4861, 4.3 and 4.4); match
  /// ``icmpType`` before.
  public static let advertisedIPv6 = transport(8, .ipv6Address)

  /// `ct state`: ``NftConnectionState`` bits.
  public static let connectionState = conntrack(NFT_CT_STATE, .mark)
  /// `ct status`: ``NftConnectionStatus`` bits.
  public static let connectionStatus = conntrack(NFT_CT_STATUS, .mark)
  /// `ct mark`, in the host's byte order.
  public static let connectionMark = conntrack(NFT_CT_MARK, .mark)
  /// `ct direction`: 0 original, 1 reply.
  public static let connectionDirection = conntrack(NFT_CT_DIRECTION, .bytes(1))
  /// `ct original ip daddr`: before any rewriting.
  public static let originalDestinationIPv4 = conntrack(NFT_CT_DST_IP, .ipv4Address, direction: 0)
  /// `ct original ip6 daddr`: before any rewriting.
  public static let originalDestinationIPv6 = conntrack(NFT_CT_DST_IP6, .ipv6Address, direction: 0)
  /// `ct original proto-dst`: the port before any rewriting.
  public static let originalDestinationPort = conntrack(NFT_CT_PROTO_DST, .port, direction: 0)
  /// `ct original ip saddr`: before any rewriting.
  public static let originalSourceIPv4 = conntrack(NFT_CT_SRC_IP, .ipv4Address, direction: 0)
  /// `ct original ip6 saddr`: before any rewriting.
  public static let originalSourceIPv6 = conntrack(NFT_CT_SRC_IP6, .ipv6Address, direction: 0)
  /// `ct original proto-src`: the port before any rewriting; the identifier of an echo.
  public static let originalSourcePort = conntrack(NFT_CT_PROTO_SRC, .port, direction: 0)

  /// `fib daddr type`: `RTN_*` of `linux/rtnetlink.h` in the host's byte order; 2 is one of this host's addresses.
  public static let destinationAddressType = NftSelector(.fib(NFTA_FIB_F_DADDR.rawValue), .mark)
  /// `fib saddr type`: `RTN_*` of `linux/rtnetlink.h` in the host's byte order.
  public static let sourceAddressType = NftSelector(.fib(NFTA_FIB_F_SADDR.rawValue), .mark)
}

/// Bits of `ct state` (`NF_CT_STATE_BIT` in `linux/netfilter/nf_conntrack_common.h`).
public struct NftConnectionState: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// States from their bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Belongs to no possible connection.
  public static let invalid = NftConnectionState(rawValue: 1)
  /// Belongs to a connection that has seen packets both ways.
  public static let established = NftConnectionState(rawValue: 2)
  /// Starts a connection that another announced, or is an ICMP error about one.
  public static let related = NftConnectionState(rawValue: 4)
  /// Starts a connection.
  public static let new = NftConnectionState(rawValue: 8)
  /// Is exempt from tracking.
  public static let untracked = NftConnectionState(rawValue: 64)
}

/// Bits of `ct status` (`enum ip_conntrack_status` in `linux/netfilter/nf_conntrack_common.h`).
public struct NftConnectionStatus: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Status from its bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Its source is rewritten.
  public static let sourceNAT = NftConnectionStatus(rawValue: 0x10)
  /// Its destination is rewritten.
  public static let destinationNAT = NftConnectionStatus(rawValue: 0x20)
}
