public import Netlink
public import NetworkPrimitives

/// The neighbour entries of a namespace: hardware addresses of the hosts on its links. Calls block; see
/// ``NetworkNamespace``.
///
/// Every change may throw `.permissionDenied` without `CAP_NET_ADMIN`, and `.notFound` (`ENODEV`) for the link.
public struct Neighbors: Sendable {
  let namespace: NetworkNamespace

  /// Every neighbour, IPv4 and IPv6, of all links or of one. Bridges' forwarding entries are not included.
  public func list(link: Int32? = nil) throws(NetworkError) -> [Neighbor] {
    var neighbors: [Neighbor] = []
    for message in try namespace.connection(.route).dump(NeighborRequests.list(link: link)) {
      if let neighbor = try Neighbor(message) { neighbors.append(neighbor) }
    }
    return neighbors
  }

  /// The neighbour of that address on a link, whatever its origin.
  ///
  /// - Throws: `.notFound` (`ENOENT`, `ENODEV`).
  public func get(_ address: IPAddress, on link: Int32) throws(NetworkError) -> Neighbor {
    let request = NeighborRequests.get(address, on: link)
    guard let message = try namespace.connection(.route).execute(request).first, let neighbor = try Neighbor(message)
    else {
      throw NetworkError(
        .replyLost, operation: request.purpose, reason: "the kernel acknowledged the request, but sent no answer")
    }
    return neighbor
  }

  /// Adds a neighbour.
  ///
  /// - Throws: `.alreadyExists` when the link has one of that address, whatever its origin; `.invalidValue`.
  public func add(_ neighbor: Neighbor) throws(NetworkError) {
    try neighbor.validate()
    try namespace.connection(.route).execute(NeighborRequests.add(neighbor))
  }

  /// Adds a neighbour, or changes the one of that address.
  ///
  /// - Throws: `.invalidValue`.
  public func replace(_ neighbor: Neighbor) throws(NetworkError) {
    try neighbor.validate()
    try namespace.connection(.route).execute(NeighborRequests.replace(neighbor))
  }

  /// Adds or changes many neighbours, some 100 in one send. The kernel goes on after one that it refuses.
  ///
  /// - Throws: As ``replace(_:)``: of the neighbours that are refused, the first.
  public func replace(_ neighbors: [Neighbor]) throws(NetworkError) {
    for neighbor in neighbors { try neighbor.validate() }
    for outcome in try namespace.connection(.route).perform(neighbors.map { NeighborRequests.replace($0) }) {
      if let error = outcome.error { throw error }
    }
  }

  /// Deletes the neighbour of that address on a link. It may stay listed for a moment, as failed.
  ///
  /// - Throws: `.notFound` (`ENOENT`).
  public func delete(_ address: IPAddress, on link: Int32) throws(NetworkError) {
    try namespace.connection(.route).execute(NeighborRequests.delete(address, on: link))
  }
}

extension NetworkNamespace {
  /// Its neighbours.
  public var neighbors: Neighbors { Neighbors(namespace: self) }
}
