public import Netlink
public import NetworkPrimitives

extension NetworkNamespace {
  /// What happens to links, addresses, routes and neighbours from now on, whoever does it.
  ///
  /// Call it before listing what there is: what happens between is told then, and nothing is missed.
  ///
  /// - Parameters:
  ///   - kinds: What to be told of.
  ///   - capacity: How many changes wait for the reader; past that they are dropped for one `lost`.
  /// - Throws: The kernel's refusal of a socket.
  public func changes(
    of kinds: NetworkChange.Kinds = .all, capacity: Int = EventStream<NetworkChange>.defaultCapacity
  ) throws(NetworkError) -> EventStream<NetworkChange> {
    try EventStream(
      of: try kernel.openSocket(.route, in: handle), groups: kinds.groups, capacity: capacity, lost: .lost
    ) { (message) throws(NetworkError) in
      try NetworkChange(message).map { [$0] } ?? []
    }
  }

  /// What happens to nftables from now on, whoever does it.
  ///
  /// - Parameter capacity: How many changes wait for the reader; past that they are dropped for one
  ///   `lost`.
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
