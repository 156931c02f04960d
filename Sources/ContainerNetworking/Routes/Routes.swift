public import Netlink
public import NetworkPrimitives

/// The routes of a namespace. Calls block; see ``NetworkNamespace``.
public struct Routes: Sendable {
  let namespace: NetworkNamespace

  /// The routes of every table, IPv4 and IPv6.
  public func list() throws(NetworkError) -> [Route] {
    var routes: [Route] = []
    for message in try namespace.connection(.route).dump(RouteRequests.list()) {
      if let route = try Route(message) { routes.append(route) }
    }
    return routes
  }

  /// Adds a route.
  ///
  /// - Throws: `.alreadyExists`; the kernel's `ENETUNREACH` for a gateway that no link reaches.
  public func add(_ route: Route) throws(NetworkError) {
    try namespace.connection(.route).execute(RouteRequests.add(route))
  }

  /// Deletes a route.
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
