public import Netlink
public import NetworkPrimitives

/// The forwarding entries of a namespace's bridges and VXLANs (bridge-fdb in bridge(8)). Calls block; see
/// ``NetworkNamespace``.
///
/// A port of a bridge that is a VXLAN needs two entries for each address behind it: one in its own table, which says to
/// which host, and one in the bridge's, without which the bridge floods frames to all ports.
///
/// Every change may throw `.permissionDenied` without `CAP_NET_ADMIN`, and `.notFound` (`ENODEV`) for the link.
public struct ForwardingEntries: Sendable {
  let namespace: NetworkNamespace

  /// The entries of a link: of a VXLAN's own table, one for each destination, and of the bridge's whose port it is. A
  /// bridge's table holds the hardware addresses of its ports, too, as permanent.
  ///
  /// - Throws: `.interrupted` when the table changes on every try.
  public func list(link: Int32) throws(NetworkError) -> [ForwardingEntry] {
    try list(ForwardingRequests.list(link: link))
  }

  /// The entries of a bridge's table and of its ports' own.
  ///
  /// - Throws: As ``list(link:)``; `.notFound` (`ENODEV`) for the bridge.
  public func list(bridge: Int32) throws(NetworkError) -> [ForwardingEntry] {
    try list(ForwardingRequests.list(bridge: bridge))
  }

  private func list(_ request: NetlinkRequest) throws(NetworkError) -> [ForwardingEntry] {
    var entries: [ForwardingEntry] = []
    for message in try connection().dump(request) {
      if let entry = try ForwardingEntry(message) { entries.append(entry) }
    }
    return entries
  }

  /// The entry for an address. In a bridge's table it may be behind another port than the link; in a VXLAN's it has the
  /// first of its destinations.
  ///
  /// - Throws: `.notFound` (`ENOENT`, `ENODEV`); the kernel's `EINVAL` for the bridge's table of a link that is no
  ///   port.
  public func get(
    _ macAddress: MACAddress, on link: Int32, in table: ForwardingEntry.Table
  ) throws(NetworkError) -> ForwardingEntry {
    let request = ForwardingRequests.get(macAddress, on: link, in: table)
    guard let message = try connection().execute(request).first, let entry = try ForwardingEntry(message) else {
      throw NetworkError(.replyLost, operation: request.purpose, reason: "the kernel acknowledged, but sent none")
    }
    return entry
  }

  /// Adds an entry.
  ///
  /// - Throws: `.alreadyExists` when the table has one for that address; `.invalidValue`; `.unsupported` for the
  ///   bridge's table of a link that is no port, and for a destination of another family than the VXLAN's.
  public func add(_ entry: ForwardingEntry) throws(NetworkError) {
    try change(entry, ForwardingRequests.add(entry))
  }

  /// Adds a destination to a VXLAN's entry for all zeros or a group, so that a frame goes to several hosts; does
  /// nothing if it is there. Of another address the kernel keeps the one destination, and says nothing.
  ///
  /// - Throws: `.invalidValue` for an address of one station, and in a bridge's table.
  public func append(_ entry: ForwardingEntry) throws(NetworkError) {
    guard entry.table == .link, entry.macAddress.isMulticast || entry.macAddress.rawValue == 0 else {
      throw .invalid(
        "append forwarding entry \(entry.macAddress)",
        "only a VXLAN's entries for 00:00:00:00:00:00 and groups have several destinations; replace this one")
    }
    try change(entry, ForwardingRequests.append(entry))
  }

  /// Adds an entry, or changes the one for that address: the destination, or the port of the bridge.
  ///
  /// - Throws: As ``add(_:)``, but not `.alreadyExists`; `.unsupported` for all zeros and groups in a VXLAN's table.
  public func replace(_ entry: ForwardingEntry) throws(NetworkError) {
    try change(entry, ForwardingRequests.replace(entry))
  }

  /// Adds or changes many entries, some 100 in one send. The kernel goes on after one that it refuses.
  ///
  /// - Throws: As ``replace(_:)``: of the entries that are refused, the first.
  public func replace(_ entries: [ForwardingEntry]) throws(NetworkError) {
    for entry in entries { try entry.validate() }
    let outcomes = try connection().perform(entries.map { ForwardingRequests.replace($0) })
    for (entry, outcome) in zip(entries, outcomes) {
      if let error = outcome.error { throw Self.explained(error, entry) }
    }
  }

  /// Deletes an entry; of several destinations, that one. A destination that a VXLAN's entry does not have is no fault,
  /// and nothing is removed.
  ///
  /// - Throws: `.notFound` (`ENOENT`) for an unknown address, and for one behind another port of the bridge.
  public func delete(_ entry: ForwardingEntry) throws(NetworkError) {
    try change(entry, ForwardingRequests.delete(entry))
  }

  /// Deletes the entry for an address, with every destination.
  ///
  /// - Throws: As the call for an entry.
  public func delete(_ macAddress: MACAddress, on link: Int32, in table: ForwardingEntry.Table) throws(NetworkError) {
    try connection().execute(ForwardingRequests.delete(macAddress, on: link, in: table))
  }

  /// Deletes many entries, some 100 in one send; those that are not there are no fault.
  public func delete(_ entries: [ForwardingEntry]) throws(NetworkError) {
    for outcome in try connection().perform(entries.map { ForwardingRequests.delete($0) }) {
      if let error = outcome.error, error.code != .notFound { throw error }
    }
  }

  private func connection() throws(NetworkError) -> NetlinkConnection { try namespace.connection(.route) }

  private func change(_ entry: ForwardingEntry, _ request: NetlinkRequest) throws(NetworkError) {
    try entry.validate()
    do { try connection().execute(request) } catch { throw Self.explained(error, entry) }
  }

  /// The kernel says little of forwarding entries.
  private static func explained(_ error: NetworkError, _ entry: ForwardingEntry) -> NetworkError {
    guard error.kernel?.message == nil else { return error }
    var error = error
    switch (error.kernel?.errno.rawValue, entry.table) {
    case (95, .bridge):  // EOPNOTSUPP, rtnl_fdb_add in net/core/rtnetlink.c
      error.reason = "link \(entry.link) is no port of a bridge; give it a master first"
    case (97, .link):  // EAFNOSUPPORT, vxlan_fdb_add in drivers/net/vxlan/vxlan_core.c
      error.reason =
        "the destination, \(entry.destination.map { "\($0)" } ?? "none"), is of another family than VXLAN \(entry.link)"
    case (22, .link) where entry.destination == nil:  // EINVAL, vxlan_fdb_add
      error.reason = "an entry of a VXLAN has a destination; give it one, as 192.0.2.2"
    default: break
    }
    return error
  }
}

extension NetworkNamespace {
  /// The forwarding entries of its bridges and VXLANs.
  public var forwardingEntries: ForwardingEntries { ForwardingEntries(namespace: self) }
}
