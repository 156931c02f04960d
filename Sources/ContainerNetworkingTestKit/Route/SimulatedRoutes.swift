import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// A route: its destination and next hop.
struct SimulatedRoute: Hashable {
  var isIPv6: Bool
  var destination: [UInt8]
  var prefixLength: UInt8
  var table: UInt32
  var kind: UInt8 = UInt8(RTN_UNICAST)
  var scope: UInt8 = 0
  var origin: UInt8 = UInt8(RTPROT_KERNEL)
  var typeOfService: UInt8 = 0
  var gateway: [UInt8]?
  var link: Int32?
  var metric: UInt32?
  var source: [UInt8]?

  static let mainTable: UInt32 = 254
  static let localTable: UInt32 = 255

  /// Whether the destination contains an address.
  func contains(_ address: [UInt8]) -> Bool {
    address.count == destination.count && masked(address, Int(prefixLength)) == destination
  }
}

/// An address with the bits behind the prefix cleared.
func masked(_ address: [UInt8], _ prefixLength: Int) -> [UInt8] {
  address.enumerated().map { position, byte in
    let bits = min(8, max(0, prefixLength - position * 8))
    return byte & UInt8(truncatingIfNeeded: 0xff00 >> bits)
  }
}

extension SimulatedNamespace {
  /// The connected routes of the addresses of links that are up.
  var connectedRoutes: [SimulatedRoute] {
    links.values.sorted { $0.index < $1.index }.filter(\.isUp).flatMap { link in
      var nets: Set<[UInt8]> = []
      return link.addresses.flatMap { address in
        let made = routes(of: address, on: link.index, isLoopback: link.isLoopback)
        // A second address of a subnet shares the first one's routes.
        let isFirst = nets.insert(masked(address.bytes, Int(address.prefixLength)) + [address.prefixLength]).inserted
        return isFirst ? made : Array(made.prefix(1))
      }
    }
    .filter { !removedRoutes.contains($0) }
  }

  var allRoutes: [SimulatedRoute] { connectedRoutes + routes }

  func routes(of address: SimulatedAddress, on index: Int32, isLoopback: Bool) -> [SimulatedRoute] {
    let width = UInt8(address.bytes.count * 8)
    let network = masked(address.bytes, Int(address.prefixLength))
    var own = SimulatedRoute(
      isIPv6: address.isIPv6, destination: address.bytes, prefixLength: width, table: SimulatedRoute.localTable)
    own.kind = UInt8(RTN_LOCAL)
    own.link = index
    own.scope = address.isIPv6 ? 0 : 254
    own.source = address.isIPv6 ? nil : address.bytes
    own.metric = address.isIPv6 ? 0 : nil
    var made = [own]
    guard address.prefixLength < width || address.isIPv6 else { return made }
    var net = own
    net.destination = network
    net.prefixLength = address.prefixLength
    net.kind = isLoopback && !address.isIPv6 ? UInt8(RTN_LOCAL) : UInt8(RTN_UNICAST)
    net.table = isLoopback && !address.isIPv6 ? SimulatedRoute.localTable : SimulatedRoute.mainTable
    net.scope = address.isIPv6 ? 0 : net.kind == UInt8(RTN_LOCAL) ? 254 : 253
    net.metric = address.isIPv6 ? 256 : nil
    made.append(net)
    if !address.isIPv6, address.prefixLength < 31 {
      var broadcast = own
      broadcast.kind = UInt8(RTN_BROADCAST)
      broadcast.scope = 253
      broadcast.destination = zip(network, masked([255, 255, 255, 255], Int(address.prefixLength))).map { $0 | ~$1 }
      made.append(broadcast)
    }
    return made
  }
}

extension SimulatedNamespace {
  /// The route to an address, with the source: the longest matching prefix of the local table, then of main.
  fileprivate func lookUp(_ asked: SimulatedRoute) throws(NetworkError) -> SimulatedRoute {
    let tables = [SimulatedRoute.localTable, SimulatedRoute.mainTable].map { table in
      allRoutes.filter { $0.isIPv6 == asked.isIPv6 && $0.table == table && $0.contains(asked.destination) }
        .max { ($0.prefixLength, $1.metric ?? 0) < ($1.prefixLength, $0.metric ?? 0) }
    }
    guard var way = tables.compactMap({ $0 }).first else { throw refusal(.netUnreachable) }
    switch way.kind {
    case UInt8(RTN_BLACKHOLE): throw refusal(.invalidArgument)
    case UInt8(RTN_UNREACHABLE): throw refusal(.noHostRoute)
    case UInt8(RTN_PROHIBIT): throw refusal(.permissionDenied)
    default: break
    }
    let own = way.link.flatMap { links[$0]?.addresses.filter { $0.isIPv6 == asked.isIPv6 } } ?? []
    let hop = way.gateway ?? asked.destination
    let near = own.first { masked($0.bytes, Int($0.prefixLength)) == masked(hop, Int($0.prefixLength)) }
    way.source = way.source ?? (way.kind == UInt8(RTN_LOCAL) ? asked.destination : (near ?? own.first)?.bytes)
    if way.kind == UInt8(RTN_LOCAL) { way.link = 1 }
    if !asked.isIPv6 { way.metric = nil }
    way.destination = asked.destination
    way.prefixLength = asked.prefixLength
    return way
  }
}

/// `RTM_NEWROUTE`, `RTM_DELROUTE` and `RTM_GETROUTE`.
extension SimulatedState {
  mutating func newRoute(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    guard let content = namespaces[namespace] else { throw refusal(.invalidArgument) }
    var route = try Self.route(request.payload)
    if route.isIPv6, route.metric ?? 0 == 0 { route.metric = 1024 }
    try check(&route, in: content)
    let existing = content.routes.firstIndex { other in
      other.isIPv6 == route.isIPv6 && other.table == route.table && other.destination == route.destination
        && other.prefixLength == route.prefixLength && (other.metric ?? 0) == (route.metric ?? 0)
        && other.typeOfService == route.typeOfService
    }
    if let existing {
      if request.flags.contains(.exclusive) { throw refusal(.fileExists) }
      guard request.flags.contains(.replace) else {
        if content.routes.contains(route) { throw refusal(.fileExists) }
        namespaces[namespace]?.routes.append(route)
        return []
      }
      namespaces[namespace]?.routes[existing] = route
    } else {
      guard request.flags.contains(.create) else { throw refusal(.noSuchFileOrDirectory) }
      namespaces[namespace]?.routes.append(route)
    }
    notifyRoute(route, in: namespace, type: Int32(RTM_NEWROUTE))
    return []
  }

  mutating func deleteRoute(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let asked = try Self.route(request.payload)
    guard let content = namespaces[namespace] else { throw refusal(.invalidArgument) }
    let matches = { (route: SimulatedRoute) in
      route.isIPv6 == asked.isIPv6 && route.table == asked.table && route.destination == asked.destination
        && route.prefixLength == asked.prefixLength && (asked.gateway == nil || route.gateway == asked.gateway)
        && (asked.link == nil || route.link == asked.link)
        && (asked.metric ?? 0 == 0 || route.metric == asked.metric)
        && (asked.source == nil || route.source == asked.source)
        && (asked.isIPv6 || asked.kind == 0 || route.kind == asked.kind)
    }
    if let index = content.routes.firstIndex(where: matches) {
      namespaces[namespace]?.routes.remove(at: index)
      notifyRoute(content.routes[index], in: namespace, type: Int32(RTM_DELROUTE))
    } else if let connected = content.connectedRoutes.first(where: matches) {
      namespaces[namespace]?.removedRoutes.insert(connected)
      notifyRoute(connected, in: namespace, type: Int32(RTM_DELROUTE))
    } else {
      throw refusal(.noSuchObject)
    }
    return []
  }

  func getRoutes(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    guard let content = namespaces[namespace] else { throw refusal(.invalidArgument) }
    var header = PayloadReader(request.payload)
    let family: UInt8 = try header.read()
    let isWanted = { (route: SimulatedRoute) in family == 0 || route.isIPv6 == (family == AddressFamily.ipv6.rawValue) }
    if request.flags.contains(.dump) {
      try header.skip(3)
      let short: UInt8 = try header.read()
      try header.skip(7)
      let table: UInt32 = try Attributes(header.rest)[type: Int(RTA_TABLE.rawValue)]?.integer() ?? UInt32(short)
      let isThere =
        [0, 253, 254, 255].contains(table) || content.allRoutes.contains { isWanted($0) && $0.table == table }
      guard family == 0 || isThere else { throw refusal(.noSuchFileOrDirectory, "FIB table does not exist") }
      return content.allRoutes.filter { isWanted($0) && (table == 0 || $0.table == table) }
        .map { Self.describe($0, type: Int32(RTM_NEWROUTE)) }
    }
    // No packet arrives here, so a query about an arriving one has no answer.
    var rest = PayloadReader(request.payload)
    try rest.skip(12)
    guard try Attributes(rest.rest)[type: Int(RTA_IIF.rawValue)] == nil else { throw refusal(.notSupportedOnSocket) }
    return [Self.describe(try content.lookUp(try Self.route(request.payload)), type: Int32(RTM_NEWROUTE))]
  }

  /// The kernel's check of a next hop.
  private func check(_ route: inout SimulatedRoute, in content: SimulatedNamespace) throws(NetworkError) {
    if let source = route.source {
      let isOwn = content.links.values.contains { link in link.addresses.contains { $0.bytes == source } }
      guard isOwn else {
        throw refusal(.invalidArgument, route.isIPv6 ? "Invalid source address" : "Invalid prefsrc address")
      }
    }
    guard [UInt8(RTN_UNICAST), UInt8(RTN_LOCAL)].contains(route.kind) else { return }
    if let index = route.link {
      guard let link = content.links[index] else { throw refusal(.noDevice) }
      guard link.isUp else {
        throw refusal(.netDown, route.isIPv6 ? nil : "Device for nexthop is not up")
      }
    }
    guard let gateway = route.gateway else {
      if route.link == nil { throw refusal(.noDevice) }
      return
    }
    let isOwn = content.links.values.contains { link in link.addresses.contains { $0.bytes == gateway } }
    let link = route.link
    let isLinkLocal = route.isIPv6 && gateway[0] == 0xfe && gateway[1] & 0xc0 == 0x80
    let hop = content.allRoutes.first { other in
      other.table == SimulatedRoute.mainTable && other.gateway == nil && other.contains(gateway)
        && other.kind == UInt8(RTN_UNICAST) && (link == nil || other.link == link)
    }
    if isLinkLocal, link != nil { return }
    guard !isOwn, let hop else {
      if route.isIPv6 { throw refusal(isOwn ? .invalidArgument : .noHostRoute) }
      throw refusal(isOwn ? .invalidArgument : .netUnreachable, "Nexthop has invalid gateway")
    }
    route.link = hop.link
  }

  // MARK: - Bytes

  private static func route(_ payload: ArraySlice<UInt8>) throws(NetworkError) -> SimulatedRoute {
    var header = PayloadReader(payload)
    let family: UInt8 = try header.read()
    guard let family = AddressFamily(rawValue: family) else { throw refusal(.notSupportedOnSocket) }
    let isIPv6 = family == .ipv6
    let width = isIPv6 ? 16 : 4
    let prefixLength: UInt8 = try header.read()
    guard Int(prefixLength) <= width * 8 else { throw refusal(.invalidArgument, "Invalid prefix length") }
    try header.skip(1)
    let typeOfService: UInt8 = try header.read()
    let table: UInt8 = try header.read()
    let origin: UInt8 = try header.read()
    let scope: UInt8 = try header.read()
    let kind: UInt8 = try header.read()
    try header.skip(4)
    let attributes = try Attributes(header.rest)
    let destination = attributes[type: Int(RTA_DST.rawValue)].map { Array($0.payload) }
    let bytes = destination ?? [UInt8](repeating: 0, count: width)
    guard bytes.count == width else { throw refusal(.invalidArgument) }
    if !isIPv6, masked(bytes, Int(prefixLength)) != bytes {
      throw refusal(.invalidArgument, "Invalid prefix for given prefix length")
    }
    var route = SimulatedRoute(
      isIPv6: isIPv6, destination: masked(bytes, Int(prefixLength)), prefixLength: prefixLength,
      table: try attributes[type: Int(RTA_TABLE.rawValue)]?.integer() ?? UInt32(table))
    if route.table == 0 { route.table = SimulatedRoute.mainTable }
    route.kind = kind
    route.scope = scope
    route.origin = origin
    route.typeOfService = typeOfService
    route.gateway = attributes[type: Int(RTA_GATEWAY.rawValue)].map { Array($0.payload) }
    if let gateway = route.gateway, gateway.count != width { throw refusal(.invalidArgument) }
    route.link = try attributes[type: Int(RTA_OIF.rawValue)]?.integer()
    route.metric = try attributes[type: Int(RTA_PRIORITY.rawValue)]?.integer()
    route.source = attributes[type: Int(RTA_PREFSRC.rawValue)].map { Array($0.payload) }
    if let source = route.source, source.count != width { throw refusal(.invalidArgument) }
    return route
  }

  private static func describe(_ route: SimulatedRoute, type: Int32) -> SimulatedReply {
    var body = PayloadWriter()
    body.append(route.isIPv6 ? AddressFamily.ipv6.rawValue : AddressFamily.ipv4.rawValue)
    body.append(route.prefixLength)
    body.append(UInt8(0))
    body.append(route.typeOfService)
    body.append(UInt8(route.table < 256 ? route.table : 252))  // RT_TABLE_COMPAT
    body.append(route.origin)
    body.append(route.scope)
    body.append(route.kind)
    body.append(UInt32(0))
    body.attribute(Int(RTA_TABLE.rawValue), route.table)
    if route.prefixLength > 0 { body.attribute(Int(RTA_DST.rawValue), bytes: route.destination) }
    if let metric = route.metric { body.attribute(Int(RTA_PRIORITY.rawValue), metric) }
    if let source = route.source { body.attribute(Int(RTA_PREFSRC.rawValue), bytes: source) }
    if let gateway = route.gateway { body.attribute(Int(RTA_GATEWAY.rawValue), bytes: gateway) }
    if let link = route.link { body.attribute(Int(RTA_OIF.rawValue), link) }
    return SimulatedReply(type: UInt16(type), payload: body.bytes)
  }

  /// Notifies of the connected routes that addresses add or remove.
  mutating func notifyConnectedRoutes(of addresses: [SimulatedAddress], on place: LinkReference, type: Int32) {
    guard let content = namespaces[place.namespace], let link = link(place), link.isUp else { return }
    for address in addresses {
      let routes = content.routes(of: address, on: link.index, isLoopback: link.isLoopback)
      for route in routes where !content.removedRoutes.contains(route) {
        notifyRoute(route, in: place.namespace, type: type)
      }
    }
  }

  private mutating func notifyRoute(_ route: SimulatedRoute, in namespace: UInt64, type: Int32) {
    let group = route.isIPv6 ? RTNLGRP_IPV6_ROUTE : RTNLGRP_IPV4_ROUTE
    notify(Self.describe(route, type: type), group: Int(group.rawValue), in: namespace)
  }
}
