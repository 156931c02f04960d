public import Netlink
public import NetworkPrimitives
import SystemPackage

/// The routes of a namespace. Calls block; see ``NetworkNamespace``.
///
/// Every change may throw `.permissionDenied` without `CAP_NET_ADMIN`, and `.notFound` (`ENODEV`) for the link.
public struct Routes: Sendable {
  let namespace: NetworkNamespace

  /// The routes of every table, IPv4 and IPv6, or of one table or family. A missing table is empty.
  public func list(table: UInt32? = nil, family: AddressFamily? = nil) throws(NetworkError) -> [Route] {
    var routes: [Route] = []
    // For a single family, the kernel refuses a missing table; so each family is requested separately.
    let families: [AddressFamily?] = family == nil && table != nil ? [.ipv4, .ipv6] : [family]
    for family in families {
      do {
        for message in try namespace.connection(.route).dump(RouteRequests.list(table: table, family: family)) {
          if let route = try Route(message), table == nil || route.table == table { routes.append(route) }
        }
      } catch {
        guard table != nil, error.kernel?.errno == .noSuchFileOrDirectory else { throw error }
      }
    }
    return routes
  }

  /// The current route of a packet to an address, as `ip route get` prints it: to that address alone, with its gateway,
  /// link, table, and source address.
  ///
  /// - Throws: `.notFound` without a route, or for an `unreachable` one; the kernel's `EINVAL` of a `blackhole` and
  ///   `EACCES` of a `prohibit` route, as `.kernelRefused`.
  public func get(to address: IPAddress) throws(NetworkError) -> Route {
    let request = RouteRequests.get(to: address)
    let replies: [NetlinkMessage]
    do { replies = try namespace.connection(.route).execute(request) } catch {
      var error = error
      switch error.kernel?.errno {
      case .networkUnreachable?, .noRouteToHost?:
        error.code = .notFound
        error.reason = "no route leads to \(address), or only one of kind unreachable; add one, such as a default route"
      case .permissionDenied?:
        error.code = .kernelRefused
        error.reason = "a route of kind prohibit leads to \(address)"
      case .invalidArgument? where error.kernel?.message == nil:
        error.reason = "a route of kind blackhole leads to \(address)"
      default: break
      }
      throw error
    }
    guard let message = replies.first, let route = try Route(message) else {
      throw NetworkError(
        .replyLost, operation: request.purpose, reason: "the kernel acknowledged the request, but sent no route")
    }
    return route
  }

  /// Adds a route.
  ///
  /// - Throws: `.alreadyExists` for a route to the same destination with the same metric and table; `.invalidValue`;
  ///   the kernel's `ENETUNREACH` for a gateway that no link reaches.
  public func add(_ route: Route) throws(NetworkError) {
    try route.validate()
    try namespace.connection(.route).execute(RouteRequests.add(route))
  }

  /// Adds a route, or replaces the one to the same destination with the same metric and table.
  ///
  /// - Throws: As ``add(_:)``, except `.alreadyExists`.
  public func replace(_ route: Route) throws(NetworkError) {
    try route.validate()
    try namespace.connection(.route).execute(RouteRequests.replace(route))
  }

  /// Deletes a route; its nil properties match any.
  ///
  /// - Throws: `.notFound` (`ESRCH`).
  public func delete(_ route: Route) throws(NetworkError) {
    try namespace.connection(.route).execute(RouteRequests.delete(route))
  }
}

extension NetworkNamespace {
  /// Its routes.
  public var routes: Routes { Routes(namespace: self) }
}
