public import Netlink
public import NetworkPrimitives

/// The connections that a namespace's kernel tracks, for its firewall and its translation of addresses. Calls block; see
/// ``NetworkNamespace``.
///
/// Every call throws `.permissionDenied` without `CAP_NET_ADMIN`. There is none in a namespace without rules that need
/// them tracked.
public struct Connections: Sendable {
  let namespace: NetworkNamespace

  /// Those of a protocol; of one family, if said.
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

  /// Has the kernel forget a connection: its next packet is taken for a first one.
  ///
  /// - Throws: `.notFound` (`ENOENT`).
  public func delete(_ entry: ConntrackEntry) throws(NetworkError) {
    try namespace.connection(.netfilter).execute(ConntrackRequests.delete(entry))
  }

  /// Has the kernel forget connections, in one send; those that are gone already are passed over.
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
