public import Netlink
public import NetworkPrimitives

extension NetworkNamespace {
  /// All later changes of links, addresses, routes, neighbours and forwarding entries, whatever their origin.
  ///
  /// Subscribe before listing the current state: changes in between are reported, and none is missed.
  ///
  /// - Parameters:
  ///   - kinds: The kinds of change to report.
  ///   - capacity: The maximum number of pending changes; beyond it one `lost` replaces them.
  /// - Throws: The kernel's refusal of a socket.
  public func changes(
    of kinds: NetworkChange.Kinds = .all, capacity: Int = EventStream<NetworkChange>.defaultCapacity
  ) throws(NetworkError) -> EventStream<NetworkChange> {
    try EventStream(
      of: try kernel.openSocket(.route, in: handle), groups: kinds.groups, capacity: capacity, lost: .lost
    ) { (message) throws(NetworkError) in
      try NetworkChange(message, of: kinds).map { [$0] } ?? []
    }
  }

  /// All later changes of nftables, whatever their origin.
  ///
  /// - Parameter capacity: The maximum number of pending changes; beyond it one `lost` replaces them.
  /// - Throws: The kernel's refusal of a socket or, without `CAP_NET_ADMIN`, of the group.
  public func rulesetChanges(
    capacity: Int = EventStream<RulesetChange>.defaultCapacity
  ) throws(NetworkError) -> EventStream<RulesetChange> {
    try EventStream(
      of: try kernel.openSocket(.netfilter, in: handle), groups: [RulesetChange.group], capacity: capacity, lost: .lost
    ) { (message) throws(NetworkError) in
      try RulesetChange(message).map { [$0] } ?? []
    }
  }
}
