public import Netlink
public import NetworkPrimitives

/// The connections that a namespace's kernel tracks, for its firewall and its NAT. Calls block; see
/// ``NetworkNamespace``.
///
/// Every call throws `.permissionDenied` without `CAP_NET_ADMIN`. The list is empty in a namespace whose rules need no
/// tracking.
public struct Connections: Sendable {
  let namespace: NetworkNamespace

  /// The connections of a protocol, of one family or both.
  public func list(
    _ transport: TransportProtocol, family: AddressFamily? = nil
  ) throws(NetworkError) -> [ConntrackEntry] {
    var entries: [ConntrackEntry] = []
    for family in family.map({ [$0] }) ?? AddressFamily.allCases {
      for message in try namespace.connection(.netfilter).dump(ConntrackRequests.list(transport, family)) {
        if let entry = try ConntrackEntry(message), entry.original.transport == transport { entries.append(entry) }
      }
    }
    return entries
  }

  /// Makes the kernel forget a connection: its next packet starts a new one.
  ///
  /// - Throws: `.notFound` (`ENOENT`).
  public func delete(_ entry: ConntrackEntry) throws(NetworkError) {
    try namespace.connection(.netfilter).execute(ConntrackRequests.delete(entry))
  }

  /// Makes the kernel forget connections, in one send; missing ones are ignored.
  public func delete(_ entries: [ConntrackEntry]) throws(NetworkError) {
    guard !entries.isEmpty else { return }
    for outcome in try namespace.connection(.netfilter).perform(entries.map { ConntrackRequests.delete($0) }) {
      if let error = outcome.error, error.code != .notFound { throw error }
    }
  }
}

extension NetworkNamespace {
  /// Its tracked connections.
  public var connections: Connections { Connections(namespace: self) }
}
