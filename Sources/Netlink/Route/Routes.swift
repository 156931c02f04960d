import CContainerNetworking
public import NetworkPrimitives

/// A route (`RTM_NEWROUTE`, `struct rtmsg` in `linux/rtnetlink.h`).
public struct Route: Hashable, Sendable {
  /// The destination; `0.0.0.0/0` or `::/0` is the default route.
  public var destination: Subnet
  /// The next hop; nil for a destination on the link.
  public var gateway: IPAddress?
  /// Index of the outgoing link.
  public var link: Int32?
  /// Metric; the lowest wins. Nil for the kernel's default: 0 for IPv4, 1,024 for IPv6.
  public var metric: UInt32?
  /// Table; 254 is main.
  public var table: UInt32
  /// The kernel's treatment of matching packets.
  public var kind: Kind
  /// The source address for senders that have not chosen one (`RTA_PREFSRC`); nil for the kernel's choice.
  public var preferredSource: IPAddress?

  /// The kernel's treatment of packets that a route matches (`RTN_*`).
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

  /// Makes a route, by default of the main table.
  public init(
    to destination: Subnet, via gateway: IPAddress? = nil, link: Int32? = nil, metric: UInt32? = nil,
    table: UInt32 = 254, kind: Kind = .unicast, preferredSource: IPAddress? = nil
  ) {
    self.destination = destination
    self.gateway = gateway
    self.link = link
    self.metric = metric
    self.table = table
    self.kind = kind
    self.preferredSource = preferredSource
  }

  /// Checks for values that the kernel would refuse or misinterpret.
  ///
  /// - Throws: `.invalidValue` naming value and rule.
  public func validate() throws(NetworkError) {
    let operation = "check route \(destination)"
    for (name, address) in [("gateway", gateway), ("preferred source", preferredSource)] {
      guard let address, address.family != destination.family else { continue }
      throw .invalid(
        operation, "the \(name), \(address), is of another family than \(destination); both are IPv4 or both IPv6")
    }
    switch kind {
    case .blackhole, .unreachable, .prohibit:
      guard gateway == nil else {
        throw .invalid(operation, "a route of kind \(kind) leads nowhere; leave its gateway out")
      }
    default:
      guard gateway != nil || link != nil else {
        throw .invalid(operation, "a route of kind \(kind) has a gateway or a link; it has neither")
      }
    }
    guard table != 0 else { throw .invalid(operation, "there is no table 0; 254 is main, and 1 to 252 are free") }
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
    preferredSource = attributes[type: Int(RTA_PREFSRC.rawValue)].flatMap { IPAddress(bytes: $0.payload) }
    if let wide = try attributes[type: Int(RTA_TABLE.rawValue)]?.integer(UInt32.self) { table = wide }
  }
}

/// Requests about routes, as bytes.
public enum RouteRequests {
  /// Adds a route.
  public static func add(_ route: Route) -> NetlinkRequest { make(route, [.create, .exclusive], "add") }

  /// Adds a route, or replaces the one to the same destination with the same metric and table.
  public static func replace(_ route: Route) -> NetlinkRequest { make(route, [.create, .replace], "set") }

  private static func make(_ route: Route, _ flags: MessageFlags, _ verb: String) -> NetlinkRequest {
    let isOnLink = route.gateway == nil && route.link != nil && route.kind == .unicast
    let isNear = isOnLink || route.kind == .broadcast
    let scope = route.kind == .local ? RT_SCOPE_HOST : isNear ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
    return request(
      route, UInt16(RTM_NEWROUTE), "RTM_NEWROUTE", flags, verb, protocol: UInt8(RTPROT_STATIC),
      scope: UInt8(scope.rawValue))
  }

  /// Gets the route of a packet to an address, with its table.
  public static func get(to address: IPAddress) -> NetlinkRequest {
    var body = PayloadWriter()
    body.append(address.family.rawValue)
    body.append(UInt8(address.bytes.count * 8))
    body.appendZeros(6)
    // IPv6 always reports the table, and refuses the flag.
    body.append(address.family == .ipv4 ? UInt32(RTM_F_LOOKUP_TABLE) : 0)
    body.attribute(Int(RTA_DST.rawValue), bytes: address.bytes)
    return NetlinkRequest(
      type: UInt16(RTM_GETROUTE), body: body, name: "RTM_GETROUTE", purpose: "get route to \(address)")
  }

  /// Gets the kernel's route for a packet that arrives by a link (`RTM_GETROUTE` with `RTA_IIF`). It is refused as the
  /// packet would be. `EINVAL`: an impossible address (a martian), or the source check (`rp_filter`; before Linux 6.14
  /// `EXDEV`). `EHOSTUNREACH`: the link does not forward.
  ///
  /// - Parameters:
  ///   - address: The packet's destination.
  ///   - source: The packet's source, of the same family.
  ///   - link: Index of the incoming link.
  ///   - mark: The packet's mark.
  public static func get(to address: IPAddress, from source: IPAddress, by link: Int32, mark: UInt32 = 0)
    -> NetlinkRequest
  {
    var body = PayloadWriter()
    body.append(address.family.rawValue)
    body.append(UInt8(address.bytes.count * 8))
    body.append(UInt8(source.bytes.count * 8))
    body.appendZeros(5)
    body.append(address.family == .ipv4 ? UInt32(RTM_F_LOOKUP_TABLE) : 0)
    body.attribute(Int(RTA_DST.rawValue), bytes: address.bytes)
    body.attribute(Int(RTA_SRC.rawValue), bytes: source.bytes)
    body.attribute(Int(RTA_IIF.rawValue), link)
    if mark != 0 { body.attribute(Int(RTA_MARK.rawValue), mark) }
    return NetlinkRequest(
      type: UInt16(RTM_GETROUTE), body: body, name: "RTM_GETROUTE",
      purpose: "get route from \(source) to \(address)")
  }

  /// Deletes a route of any origin: no protocol and `RT_SCOPE_NOWHERE` match any.
  public static func delete(_ route: Route) -> NetlinkRequest {
    request(
      route, UInt16(RTM_DELROUTE), "RTM_DELROUTE", [], "delete", protocol: UInt8(RTPROT_UNSPEC),
      scope: UInt8(RT_SCOPE_NOWHERE.rawValue))
  }

  /// Gets every route, or those of a table or family; to be dumped.
  public static func list(table: UInt32? = nil, family: AddressFamily? = nil) -> NetlinkRequest {
    var body = PayloadWriter()
    body.append(family?.rawValue ?? 0)
    body.appendZeros(3)
    body.append(UInt8(table.flatMap { $0 < 256 ? $0 : nil } ?? 0))
    body.appendZeros(7)
    if let table { body.attribute(Int(RTA_TABLE.rawValue), table) }
    return NetlinkRequest(type: UInt16(RTM_GETROUTE), body: body, name: "RTM_GETROUTE", purpose: "list routes")
  }

  private static func request(
    _ route: Route, _ type: UInt16, _ name: String, _ flags: MessageFlags, _ verb: String,
    protocol: UInt8, scope: UInt8
  ) -> NetlinkRequest {
    var body = PayloadWriter(capacity: 64)
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
    if let source = route.preferredSource { body.attribute(Int(RTA_PREFSRC.rawValue), bytes: source.bytes) }
    return NetlinkRequest(
      type: type, flags: flags, body: body, name: name,
      purpose: "\(verb) route \(route.destination)\(route.gateway.map { " via \($0)" } ?? "")")
  }
}
