import CContainerNetworking
public import NetworkPrimitives

/// A network interface as the kernel describes it (`RTM_NEWLINK`, `struct ifinfomsg` in `linux/rtnetlink.h`).
public struct Link: Hashable, Sendable {
  /// Its index in its namespace.
  public var index: Int32
  /// Its name (`IFLA_IFNAME`).
  public var name: String
  /// `IFF_*` of `linux/if.h`.
  public var flags: LinkFlags
  /// Its kind: `bridge`, `veth`, `macvlan`, `ipvlan`, `vxlan`; nil for hardware and `lo` (`IFLA_INFO_KIND`).
  public var kind: String?
  /// Hardware address; nil if it does not have six bytes.
  public var macAddress: MACAddress?
  /// Maximum transmission unit, bytes.
  public var mtu: UInt32
  /// Index of the bridge of which it is a port.
  public var master: Int32?
  /// Index of the other end of a veth pair, or of the parent (`IFLA_LINK`).
  public var peer: Int32?
  /// The namespace of ``peer``, as this namespace's id for it; nil for this namespace.
  public var peerNamespaceID: Int32?
  /// Group number (`IFLA_GROUP`).
  public var group: UInt32
  /// Number of transmit queues.
  public var transmitQueues: UInt32
  /// The operational state (`IFLA_OPERSTATE`, RFC 2863): 0 unknown, 2 down, 3 lower layer down, 6 up.
  public var operationalState: UInt8?
  /// Alternative names (`IFLA_ALT_IFNAME`).
  public var alternativeNames: [String]
  /// A text for people (`IFLA_IFALIAS`).
  public var alias: String?
  /// The raw attributes of its kind: `IFLA_BR_*`, `IFLA_MACVLAN_*`, `IFLA_VXLAN_*` (`IFLA_INFO_DATA`).
  public var kindAttributes: Attributes?
  /// The options of a bridge; nil for other kinds.
  public var bridge: BridgeOptions?
  /// The options of a bridge's port (`IFLA_INFO_SLAVE_DATA`).
  public var bridgePort: BridgePortOptions?
  /// The mode of a macvlan; nil for an unknown one.
  public var macvlanMode: MacvlanMode?
  /// The mode of an ipvlan; nil for an unknown one.
  public var ipvlanMode: IpvlanMode?
  /// The flag of an ipvlan; nil for an unknown one.
  public var ipvlanFlag: IpvlanFlag?
  /// The options of a VXLAN; nil for other kinds.
  public var vxlan: VxlanOptions?
  /// Packets and bytes so far.
  public var statistics: LinkStatistics?

  /// Reads an `RTM_NEWLINK` message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    try header.skip(4)
    index = try header.read()
    flags = LinkFlags(rawValue: try header.read())
    try header.skip(4)
    let attributes = try Attributes(header.rest)
    name = attributes[type: Int(IFLA_IFNAME)]?.string ?? ""
    let info = try attributes[type: Int(IFLA_LINKINFO)]?.nested()
    kind = info?[type: Int(IFLA_INFO_KIND)]?.string
    kindAttributes = try info?[type: Int(IFLA_INFO_DATA)]?.nested()
    if kind == "bridge", let kindAttributes { bridge = try BridgeOptions(kindAttributes) }
    if kind == "macvlan" {
      let mode: UInt32? = try kindAttributes?[type: Int(IFLA_MACVLAN_MODE)]?.integer()
      macvlanMode = mode.flatMap { MacvlanMode(rawValue: $0) }
    }
    if kind == "ipvlan" {
      let mode: UInt16? = try kindAttributes?[type: Int(IFLA_IPVLAN_MODE)]?.integer()
      ipvlanMode = mode.flatMap { IpvlanMode(rawValue: $0) }
      let flag: UInt16? = try kindAttributes?[type: Int(IFLA_IPVLAN_FLAGS)]?.integer()
      ipvlanFlag = flag.flatMap { IpvlanFlag(rawValue: $0) }
    }
    if kind == "vxlan", let kindAttributes { vxlan = try VxlanOptions(kindAttributes) }
    if info?[type: Int(IFLA_INFO_SLAVE_KIND)]?.string == "bridge", let data = info?[type: Int(IFLA_INFO_SLAVE_DATA)] {
      bridgePort = try BridgePortOptions(data.nested())
    }
    macAddress = attributes[type: Int(IFLA_ADDRESS)].flatMap { MACAddress(bytes: $0.payload) }
    mtu = try attributes[type: Int(IFLA_MTU)]?.integer() ?? 0
    master = try attributes[type: Int(IFLA_MASTER)]?.integer()
    peer = try attributes[type: Int(IFLA_LINK)]?.integer()
    peerNamespaceID = try attributes[type: Int(IFLA_LINK_NETNSID)]?.integer()
    group = try attributes[type: Int(IFLA_GROUP)]?.integer() ?? 0
    transmitQueues = try attributes[type: Int(IFLA_NUM_TX_QUEUES)]?.integer() ?? 1
    operationalState = try attributes[type: Int(IFLA_OPERSTATE)]?.integer()
    alternativeNames =
      try attributes[type: Int(IFLA_PROP_LIST)]?.nested().filter { $0.type == Int(IFLA_ALT_IFNAME) }.map(\.string) ?? []
    alias = attributes[type: Int(IFLA_IFALIAS)]?.string
    if let counters = attributes[type: Int(IFLA_STATS64)] {
      statistics = try LinkStatistics(counters.payload)
    }
  }
}

extension Link {
  /// The index in an `RTM_NEWLINK` message, without reading the rest.
  ///
  /// - Throws: `.malformedMessage`.
  package static func index(in message: NetlinkMessage) throws(NetworkError) -> Int32 {
    var header = PayloadReader(message.payload)
    try header.skip(4)
    return try header.read()
  }

  /// Whether the link of an `RTM_NEWLINK` message is up and, where that is told, forwards IPv4 and routes 127.0.0.0/8.
  ///
  /// - Throws: `.malformedMessage`.
  package static func works(
    in message: NetlinkMessage, forwardingIPv4: Bool, routingLoopback: Bool
  ) throws(NetworkError) -> Bool {
    var header = PayloadReader(message.payload)
    try header.skip(8)
    guard LinkFlags(rawValue: try header.read()).contains(.up) else { return false }
    let places =
      (forwardingIPv4 ? [IPV4_DEVCONF_FORWARDING] : []) + (routingLoopback ? [IPV4_DEVCONF_ROUTE_LOCALNET] : [])
    if places.isEmpty { return true }
    try header.skip(4)
    // A list of numbers by IPV4_DEVCONF_*, which begin at 1 (inet_fill_link_af in net/ipv4/devinet.c).
    guard let families = Attributes.first(Int(IFLA_AF_SPEC), in: header.rest)?.payload,
      let family = Attributes.first(2, in: families)?.payload,  // AF_INET
      let settings = Attributes.first(Int(IFLA_INET_CONF), in: family)?.payload
    else { return true }
    for place in places.map({ 4 * (Int($0) - 1) }) where settings.count >= place + 4 {
      var numbers = PayloadReader(settings)
      try numbers.skip(place)
      if try numbers.read(UInt32.self) == 0 { return false }
    }
    return true
  }

  /// The index of the other end in an `RTM_NEWLINK` message, without reading the rest; nil if absent.
  ///
  /// - Throws: `.malformedMessage`.
  package static func peer(in message: NetlinkMessage) throws(NetworkError) -> Int32? {
    var header = PayloadReader(message.payload)
    try header.skip(16)
    return try Attributes.first(Int(IFLA_LINK), in: header.rest)?.integer()
  }
}

/// `IFF_*` of `linux/if.h`.
public struct LinkFlags: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt32
  /// Flags from their bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Administratively up.
  public static let up = LinkFlags(rawValue: 0x1)
  /// It can broadcast.
  public static let broadcast = LinkFlags(rawValue: 0x2)
  /// It is `lo`.
  public static let loopback = LinkFlags(rawValue: 0x8)
  /// Up, and able to carry packets.
  public static let running = LinkFlags(rawValue: 0x40)
  /// Its neighbours are not asked for their hardware addresses: no ARP, no neighbour discovery.
  public static let noARP = LinkFlags(rawValue: 0x80)
  /// It receives everything.
  public static let promiscuous = LinkFlags(rawValue: 0x100)
  /// It can multicast.
  public static let multicast = LinkFlags(rawValue: 0x1000)
}

/// Counters of a link since its creation (`struct rtnl_link_stats64`).
public struct LinkStatistics: Hashable, Sendable {
  /// Packets received and sent.
  public var receivedPackets: UInt64, sentPackets: UInt64
  /// Bytes received and sent.
  public var receivedBytes: UInt64, sentBytes: UInt64
  /// Bad packets received, and failures to send.
  public var receiveErrors: UInt64, sendErrors: UInt64
  /// Packets dropped for want of room.
  public var receiveDrops: UInt64, sendDrops: UInt64

  init(_ bytes: ArraySlice<UInt8>) throws(NetworkError) {
    var reader = PayloadReader(bytes)
    receivedPackets = try reader.read()
    sentPackets = try reader.read()
    receivedBytes = try reader.read()
    sentBytes = try reader.read()
    receiveErrors = try reader.read()
    sendErrors = try reader.read()
    receiveDrops = try reader.read()
    sendDrops = try reader.read()
  }
}
