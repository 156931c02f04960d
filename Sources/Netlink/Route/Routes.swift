import CContainerNetworking
public import NetworkPrimitives

/// A route (`RTM_NEWROUTE`, `struct rtmsg` in `linux/rtnetlink.h`).
public struct Route: Hashable, Sendable {
  /// Where to; `0.0.0.0/0` or `::/0` is the default route.
  public var destination: Subnet
  /// The next hop; nil for a destination on the link.
  public var gateway: IPAddress?
  /// Index of the link it leaves by.
  public var link: Int32?
  /// Metric; the lowest wins. Nil for the kernel's: 0 for IPv4, 1,024 for IPv6.
  public var metric: UInt32?
  /// Table; 254 is main.
  public var table: UInt32
  /// What becomes of packets.
  public var kind: Kind

  /// What becomes of packets that a route matches (`RTN_*`).
  public enum Kind: UInt8, Hashable, Sendable {
    /// Forwarded to the gateway or the link.
    case unicast = 1
    /// For this host.
    case local = 2
    /// Broadcast on the link.
    case broadcast = 3
    /// Anycast address of this host.
    case anycast = 4
    /// Multicast.
    case multicast = 5
    /// Dropped silently.
    case blackhole = 6
    /// Refused: host unreachable.
    case unreachable = 7
    /// Refused: administratively prohibited.
    case prohibit = 8
  }

  /// Makes a route; of the main table unless said.
  public init(
    to destination: Subnet, via gateway: IPAddress? = nil, link: Int32? = nil, metric: UInt32? = nil,
    table: UInt32 = 254, kind: Kind = .unicast
  ) {
    self.destination = destination
    self.gateway = gateway
    self.link = link
    self.metric = metric
    self.table = table
    self.kind = kind
  }

  /// Reads an `RTM_NEWROUTE` message; nil for a kind or family that this library does not know.
  ///
  /// - Throws: `.malformedMessage`.
  public init?(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    guard let family = AddressFamily(rawValue: try header.read()) else { return nil }
    let prefixLength = Int(try header.read(UInt8.self))
    try header.skip(2)
    table = UInt32(try header.read(UInt8.self))
    try header.skip(2)
    guard let kind = Kind(rawValue: try header.read()) else { return nil }
    self.kind = kind
    try header.skip(4)
    let attributes = try Attributes(header.rest)
    let network = attributes[type: Int(RTA_DST.rawValue)].flatMap { IPAddress(bytes: $0.payload) } ?? .any(family)
    do { destination = try Subnet(containing: network, prefixLength: prefixLength) } catch {
      throw NetworkError(.malformedMessage, operation: "read route message", reason: error.reason)
    }
    gateway = attributes[type: Int(RTA_GATEWAY.rawValue)].flatMap { IPAddress(bytes: $0.payload) }
    link = try attributes[type: Int(RTA_OIF.rawValue)]?.integer()
    metric = try attributes[type: Int(RTA_PRIORITY.rawValue)]?.integer()
    if let wide = try attributes[type: Int(RTA_TABLE.rawValue)]?.integer(UInt32.self) { table = wide }
  }
}

/// Requests about routes, as bytes.
public enum RouteRequests {
  /// Adds a route.
  public static func add(_ route: Route) -> NetlinkRequest {
    let isOnLink = route.gateway == nil && route.link != nil && route.kind == .unicast
    let scope = isOnLink ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
    return request(
      route, UInt16(RTM_NEWROUTE), "RTM_NEWROUTE", [.create, .exclusive], "add", protocol: UInt8(RTPROT_STATIC),
      scope: UInt8(scope.rawValue))
  }

  /// Deletes a route, whoever made it: no protocol and `RT_SCOPE_NOWHERE` match any.
  public static func delete(_ route: Route) -> NetlinkRequest {
    request(
      route, UInt16(RTM_DELROUTE), "RTM_DELROUTE", [], "delete", protocol: UInt8(RTPROT_UNSPEC),
      scope: UInt8(RT_SCOPE_NOWHERE.rawValue))
  }

  /// Gets every route; to be dumped.
  public static func list() -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(12)
    return NetlinkRequest(type: UInt16(RTM_GETROUTE), body: body.bytes, name: "RTM_GETROUTE", purpose: "list routes")
  }

  private static func request(
    _ route: Route, _ type: UInt16, _ name: String, _ flags: MessageFlags, _ verb: String,
    protocol: UInt8, scope: UInt8
  ) -> NetlinkRequest {
    var body = PayloadWriter()
    body.append(route.destination.family.rawValue)
    body.append(UInt8(route.destination.prefixLength))
    body.append(UInt16(0))  // source prefix, TOS
    body.append(UInt8(route.table < 256 ? route.table : 0))
    body.append(`protocol`)
    body.append(scope)
    body.append(route.kind.rawValue)
    body.append(UInt32(0))
    body.attribute(Int(RTA_TABLE.rawValue), route.table)
    if route.destination.prefixLength > 0 {
      body.attribute(Int(RTA_DST.rawValue), bytes: route.destination.network.bytes)
    }
    if let gateway = route.gateway { body.attribute(Int(RTA_GATEWAY.rawValue), bytes: gateway.bytes) }
    if let link = route.link { body.attribute(Int(RTA_OIF.rawValue), link) }
    if let metric = route.metric { body.attribute(Int(RTA_PRIORITY.rawValue), metric) }
    let via = route.gateway.map { " via \($0)" } ?? ""
    return NetlinkRequest(
      type: type, flags: flags, body: body.bytes, name: name, purpose: "\(verb) route \(route.destination)\(via)")
  }
}
