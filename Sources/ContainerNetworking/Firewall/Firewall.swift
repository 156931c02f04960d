import Netlink
import NetworkPrimitives

/// The intents that the controller has towards the host's firewall, as two nftables tables of ours: one for packets, one for
/// frames between a bridge's ports.
///
/// Chains and rules are static; a network, an endpoint or a port is an element of a set or map. So the cost of a packet
/// and of a change does not grow with their number, and nothing of another owner's is touched. Other tables' base
/// chains run too: a user's own rules go into a table of their own, at a priority before or after ours.
struct Firewall: Sendable {
  let host: NetworkNamespace

  /// Of our sets, chains and rules: raised with every change of them, so that tables that another version made are known.
  static let version = 1

  /// Makes our tables with all their chains, and no elements, unless they are there.
  ///
  /// It looks first: to refuse what is there takes the kernel tens of milliseconds, since it waits until nobody can still be
  /// reading what it takes back (`nf_tables_abort`).
  ///
  /// - Returns: Whether both were made.
  func ensure() throws(NetworkError) -> Bool {
    var areNew = true
    for table in FirewallSets.tables {
      guard try !isThere(table) else {
        areNew = false
        continue
      }
      var changes = NftTransaction()
      try Self.add(table, to: &changes)
      do throws(NetworkError) { try commit(changes) } catch {
        if error.code != .alreadyExists { throw error }
        areNew = false
      }
    }
    return areNew
  }

  private func isThere(_ table: NftTable) throws(NetworkError) -> Bool {
    for message in try host.connection(.netfilter).dump(NftRequests.tables(table.family)) {
      let found = try NftTable(message)
      if found.family == table.family, found.name == table.name { return true }
    }
    return false
  }

  /// Removes our tables; one that is gone already was what was wanted.
  func remove() throws(NetworkError) {
    do throws(NetworkError) { try remove(FirewallSets.tables) } catch {
      guard error.code == .notFound else { throw error }
      for table in FirewallSets.tables {
        do throws(NetworkError) { try remove([table]) } catch {
          if error.code != .notFound { throw error }
        }
      }
    }
  }

  private func remove(_ tables: [NftTable]) throws(NetworkError) {
    var changes = NftTransaction()
    for table in tables { changes.delete(table) }
    try commit(changes)
  }

  /// Puts our tables in the place of whatever there is under their names, with these elements, at once: no packet passes
  /// between the old and the new.
  ///
  /// - Parameter generation: Of the rules that this is based on; the kernel refuses with `ERESTART` if they were changed
  ///   since.
  func restore(_ elements: FirewallElements, generation: UInt32) throws(NetworkError) {
    try Self.restoration(elements).commit(over: try host.connection(.netfilter), generation: generation)
  }

  /// What ``restore(_:generation:)`` changes.
  static func restoration(_ elements: FirewallElements) throws(NetworkError) -> NftTransaction {
    var changes = NftTransaction()
    for table in FirewallSets.tables {
      // An add that finds it changes nothing, and lets the deletion find one.
      try changes.add(table)
      changes.delete(table)
      try add(table, to: &changes)
    }
    for (set, elements) in elements.list { try changes.add(elements, to: set, exclusive: true) }
    return changes
  }

  /// The generation of the host's rules.
  func generation() throws(NetworkError) -> UInt32 {
    let request = NftRequests.generation()
    guard let message = try host.connection(.netfilter).execute(request).first else {
      throw NetworkError(.replyLost, operation: request.purpose, reason: "the kernel acknowledged, but sent none")
    }
    return try NftRequests.generation(message)
  }

  /// What is in our sets, by their names (``NftElement/identity``); a set that is gone is not among them.
  ///
  /// - Throws: `.notFound` without any of them.
  func elements() throws(NetworkError) -> [String: Set<[UInt8]>] {
    var elements: [String: Set<[UInt8]>] = [:]
    var gone: NetworkError?
    for set in FirewallSets.all {
      do throws(NetworkError) {
        elements[set.name] = try NftElement.identities(
          host.connection(.netfilter).dump(NftRequests.elements(of: set)))
      } catch {
        guard error.code == .notFound else { throw error }
        gone = error
      }
    }
    if let gone, elements.isEmpty { throw gone }
    return elements
  }

  /// How many rules our tables have; what they have whole is ``staticRuleCount``.
  func ruleCount() throws(NetworkError) -> Int {
    var count = 0
    for table in FirewallSets.tables {
      do throws(NetworkError) {
        count += try host.connection(.netfilter).dump(NftRequests.rules(of: table)).count
      } catch { if error.code != .notFound { throw error } }
    }
    return count
  }

  /// How many rules ``ensure()`` makes.
  static let staticRuleCount: Int = {
    var changes = NftTransaction()
    for table in FirewallSets.tables { try? add(table, to: &changes) }
    return changes.requests.count { $0.name == "NFT_MSG_NEWRULE" }
  }()

  /// Adds what a network or an endpoint is, in one transaction.
  ///
  /// - Throws: `.alreadyExists` for what is there; nothing was changed then.
  func add(_ elements: FirewallElements) throws(NetworkError) {
    var changes = NftTransaction()
    for (set, elements) in elements.list { try changes.add(elements, to: set, exclusive: true) }
    if !elements.list.isEmpty { try commit(changes) }
  }

  /// Removes what a network or an endpoint is, in one transaction; whatever of it is gone, with its table or alone, is
  /// passed over.
  func remove(_ elements: FirewallElements) throws(NetworkError) {
    var changes = NftTransaction()
    for (set, elements) in elements.list { try changes.delete(elements, from: set) }
    guard !elements.list.isEmpty else { return }
    do throws(NetworkError) { try commit(changes) } catch {
      guard error.code == .notFound else { throw error }
      try removeOneByOne(elements)
    }
  }

  private func removeOneByOne(_ elements: FirewallElements) throws(NetworkError) {
    for (set, elements) in elements.list {
      for element in elements {
        var changes = NftTransaction()
        try changes.delete([element], from: set)
        do throws(NetworkError) { try commit(changes) } catch {
          guard error.code == .notFound else { throw error }
        }
      }
    }
  }

  /// Adds what may be there already.
  func include(_ elements: FirewallElements) throws(NetworkError) {
    var changes = NftTransaction()
    for (set, elements) in elements.list { try changes.add(elements, to: set) }
    try commit(changes)
  }

  private func commit(_ changes: NftTransaction) throws(NetworkError) {
    try changes.commit(over: try host.connection(.netfilter))
  }
}
