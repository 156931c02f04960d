import Netlink
import NetworkPrimitives

/// Shared objects of a host's networks: our tables, and links that forward. Within a record, one process at a time
/// changes them. Other records of the host change the same tables concurrently, without a lock: each first adds its own
/// needs there, and then reads the others'.
extension Engine {
  /// Creates the tables, and enables forwarding if the network needs it.
  func prepareHost(for network: NetworkRecord) throws(NetworkError) {
    guard passesHost(network) else { return }
    try store.exclusively { () throws(NetworkError) in
      try haveTables()
      let families = network.isInternal ? [] : network.families
      try firewall.include(FirewallElements(firewall.id, forwards: families))
      try switchOnUplinks(families)
    }
  }

  /// Ensures that our tables have this version's form and contain this record.
  private func haveTables() throws(NetworkError) {
    for _ in 0..<20 {
      let presence = try firewall.ensure()
      try settleRules(areNew: presence.areNew)
      if !presence.areOlder { return }
      try restoreRules()
    }
    throw NetworkError(
      .inUse, operation: "renew our firewall tables",
      reason: "an older version of this library keeps replacing them; stop that process, or update it")
  }

  /// The elements of this record's presence and its forwarding needs: those wanted now, and those in transition.
  func presence(_ state: EngineState) -> (wanted: FirewallElements, open: FirewallElements) {
    let networks = state.networks.values.filter(mayPassHost)
    let isWanted = { (network: NetworkRecord) in network.phase == .ready && self.knows(network) }
    let (ready, others) = (networks.filter(isWanted), networks.filter { !isWanted($0) })
    let elements = { (networks: [NetworkRecord]) in
      var elements = FirewallElements()
      if networks.isEmpty { return elements }
      elements.add(FirewallElements(self.firewall.id))
      let families = Set(networks.filter { !$0.isInternal }.flatMap(\.families))
      elements.add(FirewallElements(self.firewall.id, forwards: families.sorted()))
      return elements
    }
    return (elements(ready), elements(others))
  }

  /// Reverts unneeded changes of the host: forwarding of a family without a network that reaches outside, and the
  /// tables without any network.
  ///
  /// - Parameters:
  ///   - network: The id of a network that is about to be forgotten, and does not count.
  ///   - forget: Forgets it, before another process can read the needs.
  func releaseHost(
    without network: String? = nil, _ forget: () throws(NetworkError) -> Void = {}
  ) throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in
      try yieldUplinksNow()
      let networks = try look { state in
        state.networks.filter { $0.key != network && mayPassHost($0.value) }
      }
      let needed = Set(networks.values.filter { !$0.isInternal }.flatMap(\.families))
      let unneeded = AddressFamily.allCases.filter { !needed.contains($0) }
      if !unneeded.isEmpty { try switchOffUplinks(unneeded) }
      if networks.isEmpty { try firewall.leave(linkIndices()) }
      try forget()
    }
  }

  /// The host's links by their names, with their indices.
  func linkIndices() throws(NetworkError) -> [String: Int32] {
    Dictionary(try host.links.glances().map { ($0.name, $0.index) }) { first, _ in first }
  }

  // MARK: - The record's id

  /// Gives the record an id, which distinguishes it from other records of the host.
  func identify(_ stamp: String) throws(NetworkError) {
    var known = try lookAtUnsettled { $0.host?.id }
    if known == nil {
      // A version that does not know the id may have dropped it; the kernel still has it.
      let found = try idInTables() ?? .random()
      known = try transaction { transaction in
        var host = transaction.state.host ?? HostRecord(stamp: stamp, sysctls: [:], uplinks: [])
        if let id = host.id { return id }
        host.id = "\(found)"
        transaction.save(.host(host))
        return found.description
      }
    }
    guard let known, let id = RecordID(known) else {
      throw NetworkError(
        .damagedRecord, operation: "open controller",
        reason: "the record's own id \"\(known ?? "")\" is not eight hexadecimal digits; recover the store")
    }
    firewall.id = id
  }

  /// The id of our bridges' elements in our tables; nil for none.
  private func idInTables() throws(NetworkError) -> RecordID? {
    let own = try lookAtUnsettled { state in Set(state.networks.values.compactMap { $0.bridge?.description }) }
    guard !own.isEmpty else { return nil }
    return try firewall.othersBridges().first { own.contains($0.key) && $0.value != .unclaimed }?.value
  }
}
