import CContainerNetworking
public import NetworkPrimitives

/// The options of a VXLAN, a tunnel of Ethernet frames in UDP (`IFLA_VXLAN_*` in `linux/if_link.h`, `ip link … type
/// vxlan` in ip-link(8), RFC 7348). A VXLAN is of one family, IPv4 or IPv6: that of its own address or its destination.
public struct VxlanOptions: Hashable, Sendable {
  /// The VXLAN network identifier, VNI (`id`): 0 to 16,777,215. The namespace has each once per port and family.
  public var identifier: UInt32
  /// Index of the link that packets leave by (`dev`); nil for that of the route.
  public var underlay: Int32?
  /// The largest number of learned and other forwarding entries (`maxaddress`); 0 for any.
  public var maximumEntries: UInt32 = 0
  /// The UDP port of this end and of others (`dstport`): 1 to 65,535, 4,789 by RFC 7348.
  public var port: UInt16
  /// The time to live of packets (`ttl`); 0 for the kernel's choice.
  public var timeToLive: UInt8 = 0
  /// Whether senders' addresses are learned from packets (`learning`).
  public var learnsAddresses = true
  /// Whether ARP and neighbour solicitations end here, and are answered from this link's neighbour entries (`proxy`).
  /// Fixed at creation.
  public var answersNeighbors = false
  /// Whether packets have a UDP checksum (`udpcsum`; over IPv6 the inverse of `udp6zerocsumtx`). Fixed at creation.
  public var sendsChecksums = true
  /// Whether routers may fragment packets (`df`), over IPv4.
  public var fragmentation = Fragmentation.allowed
  /// The time until an unused learned address is forgotten (`ageing`), in whole seconds.
  public var ageingTime: Duration = .seconds(300)
  // Keep the addresses last, as in ``PortBinding``.
  /// The destination of frames to addresses without a forwarding entry, and the first one of floods (`remote`,
  /// `group`); nil for none, so that such frames are dropped.
  public var remote: IPAddress?
  /// The source of packets (`local`); nil for the route's.
  public var local: IPAddress?

  /// Whether routers may fragment packets over IPv4 (`VXLAN_DF_*`).
  public enum Fragmentation: UInt8, Hashable, Sendable, CaseIterable {
    /// They may.
    case allowed = 0
    /// They may not: a packet that is too large is dropped, and the sender told.
    case forbidden = 1
    /// As the frame's own packet says.
    case inherited = 2
  }

  /// The port of RFC 7348.
  public static let standardPort: UInt16 = 4789

  /// Options of a VXLAN.
  public init(_ identifier: UInt32, port: UInt16 = standardPort, local: IPAddress? = nil) {
    self.identifier = identifier
    self.port = port
    self.local = local
  }

  /// The family of its packets.
  public var family: AddressFamily { (local ?? remote)?.family ?? .ipv4 }

  /// The headers around a frame's payload, in bytes: 50 over IPv4, 70 over IPv6. The MTU of the underlay less this is
  /// the largest of a VXLAN whose packets need no fragmentation.
  public var overhead: UInt32 { family == .ipv4 ? 50 : 70 }

  /// Reads `IFLA_INFO_DATA` of a VXLAN.
  package init(_ attributes: Attributes) throws(NetworkError) {
    identifier = try attributes[type: Int(IFLA_VXLAN_ID)]?.integer() ?? 0
    port = try attributes[type: Int(IFLA_VXLAN_PORT)]?.bigEndian() ?? Self.standardPort
    underlay = try attributes[type: Int(IFLA_VXLAN_LINK)]?.integer()
    maximumEntries = try attributes[type: Int(IFLA_VXLAN_LIMIT)]?.integer() ?? 0
    timeToLive = try attributes[type: Int(IFLA_VXLAN_TTL)]?.integer() ?? 0
    learnsAddresses = try attributes[type: Int(IFLA_VXLAN_LEARNING)]?.integer(UInt8.self).isSet ?? true
    answersNeighbors = try attributes[type: Int(IFLA_VXLAN_PROXY)]?.integer(UInt8.self).isSet ?? false
    let number = try attributes[type: Int(IFLA_VXLAN_DF)]?.integer(UInt8.self)
    fragmentation = number.flatMap { Fragmentation(rawValue: $0) } ?? .allowed
    ageingTime = .seconds(Int64(try attributes[type: Int(IFLA_VXLAN_AGEING)]?.integer(UInt32.self) ?? 300))
    func address(_ types: (some BinaryInteger, some BinaryInteger)) -> IPAddress? {
      let attribute = attributes[type: Int(types.0)] ?? attributes[type: Int(types.1)]
      return attribute.flatMap { IPAddress(bytes: $0.payload) }
    }
    remote = address((IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6))
    local = address((IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6))
    sendsChecksums =
      family == .ipv4
      ? try attributes[type: Int(IFLA_VXLAN_UDP_CSUM)]?.integer(UInt8.self).isSet ?? true
      : try !(attributes[type: Int(IFLA_VXLAN_UDP_ZERO_CSUM6_TX)]?.integer(UInt8.self).isSet ?? false)
  }

  func write(to data: inout PayloadWriter) {
    data.attribute(Int(IFLA_VXLAN_ID), identifier)
    data.attribute(Int(IFLA_VXLAN_PORT), bigEndian: port)
    if let underlay { data.attribute(Int(IFLA_VXLAN_LINK), underlay) }
    if maximumEntries != 0 { data.attribute(Int(IFLA_VXLAN_LIMIT), maximumEntries) }
    if timeToLive != 0 { data.attribute(Int(IFLA_VXLAN_TTL), timeToLive) }
    data.attribute(Int(IFLA_VXLAN_LEARNING), UInt8(learnsAddresses ? 1 : 0))
    // Flags that are absent are off, except for checksums over IPv4.
    if answersNeighbors { data.attribute(Int(IFLA_VXLAN_PROXY), UInt8(1)) }
    if !sendsChecksums {
      let isIPv4 = family == .ipv4
      data.attribute(Int(isIPv4 ? IFLA_VXLAN_UDP_CSUM : IFLA_VXLAN_UDP_ZERO_CSUM6_TX), UInt8(isIPv4 ? 0 : 1))
    }
    if fragmentation != .allowed { data.attribute(Int(IFLA_VXLAN_DF), fragmentation.rawValue) }
    if ageingTime != .seconds(300) {
      data.attribute(Int(IFLA_VXLAN_AGEING), UInt32(clamping: ageingTime.components.seconds))
    }
    if let remote {
      data.attribute(Int(remote.family == .ipv4 ? IFLA_VXLAN_GROUP : IFLA_VXLAN_GROUP6), bytes: remote.bytes)
    }
    if let local {
      data.attribute(Int(local.family == .ipv4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6), bytes: local.bytes)
    }
  }

  /// Checks for values that the kernel would refuse or misinterpret.
  ///
  /// - Throws: `.invalidValue` naming the first option that is wrong.
  public func validate() throws(NetworkError) {
    let operation = "check VXLAN options"
    guard identifier < 1 << 24 else {
      throw .invalid(operation, "the VNI is \(identifier); it has 24 bits, so it is 0 to 16777215 (RFC 7348)")
    }
    guard port != 0 else {
      throw .invalid(operation, "the port is 0; it is 1 to 65535, \(Self.standardPort) by RFC 7348")
    }
    try VxlanChange.check(ageingTime: ageingTime, operation)
    if let local {
      try VxlanChange.check(local: local, operation)
      guard underlay != nil || local.family == .ipv4 || !local.isLinkLocal else {
        throw .invalid(operation, "the local address, \(local), is of one link alone; name that as the underlay")
      }
    }
    guard let remote else { return }
    guard remote.family == family else {
      throw .invalid(
        operation, "the destination, \(remote), is of another family than the local address; both are IPv4 or both IPv6"
      )
    }
    guard underlay != nil || !remote.isMulticast else {
      throw .invalid(operation, "the destination, \(remote), is a group's; name the link to it as the underlay")
    }
  }
}

/// A change of a VXLAN; nil leaves an option unchanged. Its VNI, port, `proxy` and checksums are fixed at creation.
public struct VxlanChange: Hashable, Sendable {
  /// Whether senders' addresses are learned from packets.
  public var learnsAddresses: Bool?
  /// The time to live of packets; 0 for the kernel's choice.
  public var timeToLive: UInt8?
  /// Whether routers may fragment packets.
  public var fragmentation: VxlanOptions.Fragmentation?
  /// The time until an unused learned address is forgotten, in whole seconds.
  public var ageingTime: Duration?
  /// The source of packets, of the same family.
  public var local: IPAddress?

  /// A change of nothing, to be filled in.
  public init() {}

  /// A change of the packets' source.
  public init(local: IPAddress) { self.local = local }

  /// Checks for values that the kernel would refuse.
  ///
  /// - Throws: `.invalidValue` naming the first option that is wrong.
  public func validate() throws(NetworkError) {
    let operation = "check change of VXLAN"
    if let ageingTime { try Self.check(ageingTime: ageingTime, operation) }
    if let local { try Self.check(local: local, operation) }
  }

  func write(to data: inout PayloadWriter) {
    if let learnsAddresses { data.attribute(Int(IFLA_VXLAN_LEARNING), UInt8(learnsAddresses ? 1 : 0)) }
    if let timeToLive { data.attribute(Int(IFLA_VXLAN_TTL), timeToLive) }
    if let fragmentation { data.attribute(Int(IFLA_VXLAN_DF), fragmentation.rawValue) }
    if let ageingTime { data.attribute(Int(IFLA_VXLAN_AGEING), UInt32(clamping: ageingTime.components.seconds)) }
    if let local {
      data.attribute(Int(local.family == .ipv4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6), bytes: local.bytes)
    }
  }

  fileprivate static func check(ageingTime: Duration, _ operation: String) throws(NetworkError) {
    let (seconds, rest) = ageingTime.components
    guard rest == 0, (1...1_000_000).contains(seconds) else {
      throw .invalid(operation, "the ageing time is \(ageingTime); it is a whole number of seconds, 1 to 1000000")
    }
  }

  fileprivate static func check(local: IPAddress, _ operation: String) throws(NetworkError) {
    guard !local.isMulticast, !local.isUnspecified else {
      throw .invalid(
        operation, "the local address, \(local), is \(local.isMulticast ? "a group's" : "none"); it is one of this host"
      )
    }
  }
}

extension LinkRequests {
  /// Makes a VXLAN, down.
  ///
  /// - Parameters:
  ///   - end: Its name, hardware address, bridge and namespace. Its socket is in the requester's namespace in any case.
  ///   - mtu: Maximum transmission unit, bytes; nil for the kernel's choice.
  ///   - options: Its options.
  public static func createVxlan(_ end: VethEnd, mtu: UInt32?, options: VxlanOptions) -> NetlinkRequest {
    create("vxlan", end, mtu: mtu) { options.write(to: &$0) }
  }

  /// Changes a VXLAN.
  public static func changeVxlan(_ index: Int32, _ change: VxlanChange) -> NetlinkRequest {
    var body = header(index: index)
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_KIND), string: "vxlan")
      info.nested(Int(IFLA_INFO_DATA)) { change.write(to: &$0) }
    }
    return NetlinkRequest(
      type: UInt16(RTM_NEWLINK), body: body.bytes, name: "RTM_NEWLINK", purpose: "change VXLAN \(index)")
  }
}
