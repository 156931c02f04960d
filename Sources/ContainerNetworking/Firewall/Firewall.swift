import Netlink
import NetworkPrimitives
import SystemPackage

/// The intents that the controller has towards the host's firewall, as two nftables tables of ours: one for packets, one for
/// frames between a bridge's ports.
///
/// Chains and rules are static; a network, an endpoint or a port is an element of a set or map. So the cost of a packet
/// and of a change does not grow with their number, and nothing of another owner's is touched. Other tables' base
/// chains run too: a user's own rules go into a table of their own, at a priority before or after ours.
struct Firewall: Sendable {
  let host: NetworkNamespace
  /// Of what was to be there, and is not.
  let losses = Losses()

  private let identity = RecordIdentity()

  /// The record that it writes for.
  var id: RecordID {
    get { identity.id }
    nonmutating set { identity.id = newValue }
  }

  init(host: NetworkNamespace) { self.host = host }

  /// Of our sets, chains and rules: raised with every change of them, so that tables that another version made are known.
  static let version = 2
  /// What a table says of its version.
  static let versionPrefix = "rules of version "

  /// What ``ensure()`` found.
  struct Presence {
    /// Whether both tables were made just now.
    var areNew: Bool
    /// Whether an older version made one of them.
    var areOlder: Bool
  }

  /// Has our tables be there with all their chains, and this record be in them.
  ///
  /// It looks first: to refuse what is there takes the kernel tens of milliseconds, since it waits until nobody can still be
  /// reading what it takes back (`nf_tables_abort`).
  ///
  /// - Throws: `.inUse` when others make and remove them again and again.
  func ensure() throws(NetworkError) -> Presence {
    for _ in 0..<100 {
      let versions = try versions()
      let missing = FirewallSets.tables.filter { versions[$0.family] == nil }
      if !missing.isEmpty { losses.note() }
      let areOlder = versions.values.contains { $0 < Self.version }
      var changes = NftTransaction()
      for table in missing { try Self.add(table, to: &changes) }
      // An older version's have no place for it: they are renewed first.
      if !areOlder || missing.contains(FirewallSets.table) {
        for (set, elements) in FirewallElements(id).tagged(id).list { try changes.add(elements, to: set) }
      }
      do throws(NetworkError) {
        if !changes.requests.isEmpty { try commit(changes) }
        return Presence(areNew: missing == FirewallSets.tables, areOlder: areOlder)
      } catch {
        // Another record was faster, or took them away with its last network.
        if error.code != .alreadyExists && error.code != .notFound { throw error }
      }
    }
    throw NetworkError(
      .inUse, operation: "make our firewall tables",
      reason: "others make and remove them again and again; see by whom, and try again")
  }

  /// Takes this record out of our tables, and the tables away unless others are in them.
  ///
  /// - Parameter links: The host's links by their names, with their indices.
  func leave(_ links: [String: Int32]) throws(NetworkError) {
    for _ in 0..<1_000 {
      let generation = try generation()
      let versions = try versions()
      let present = FirewallSets.tables.filter { versions[$0.family] != nil }
      if present.isEmpty { return }
      var changes = NftTransaction()
      if try isShared(FirewallSets.records, links) {
        let content = try content()
        for set in FirewallSets.all {
          let own = try (content.own[set.name] ?? []).map { (found) throws(NetworkError) in try found.element(of: set) }
          try changes.delete(own, from: set)
        }
      } else {
        for table in present { changes.delete(table) }
      }
      do throws(NetworkError) {
        if !changes.requests.isEmpty {
          try changes.commit(over: try host.connection(.netfilter), generation: generation)
        }
        return
      } catch {
        // Somebody changed rules meanwhile.
        let isChanged = error.kernel?.errno == Self.restart || error.code == .notFound
        if !isChanged { throw error }
      }
    }
    throw NetworkError(
      .inUse, operation: "remove our firewall tables",
      reason: "others change rules again and again meanwhile; try again")
  }

  /// Whether another record is in a set of records. One that nobody has claimed is, while a bridge of its is there.
  func isShared(_ set: NftSet, _ links: [String: Int32]) throws(NetworkError) -> Bool {
    let others = try others(in: set)
    if others.isEmpty { return false }
    if others != [.unclaimed] { return true }
    return try content().hasUnclaimedBridge(links)
  }

  /// `ERESTART`, which the kernel refuses a transaction with that is based on rules that were changed since.
  static let restart = Errno(rawValue: 85)

  /// The generation of the host's rules.
  func generation() throws(NetworkError) -> UInt32 {
    let request = NftRequests.generation()
    guard let message = try host.connection(.netfilter).execute(request).first else {
      throw NetworkError(.replyLost, operation: request.purpose, reason: "the kernel acknowledged, but sent none")
    }
    return try NftRequests.generation(message)
  }

  /// How many rules ``ensure()`` makes.
  static let staticRuleCount: Int = {
    var changes = NftTransaction()
    for table in FirewallSets.tables { try? add(table, to: &changes) }
    return changes.requests.count { $0.name == "NFT_MSG_NEWRULE" }
  }()

  /// Adds what a network or an endpoint is, in one transaction.
  ///
  /// - Throws: `.alreadyExists` for what is there, `.inUse` for what is there of another record; nothing was changed then.
  func add(_ elements: FirewallElements) throws(NetworkError) {
    guard !elements.list.isEmpty else { return }
    var changes = NftTransaction()
    for (set, elements) in elements.tagged(id).list { try changes.add(elements, to: set, exclusive: true) }
    do throws(NetworkError) { try commit(changes) } catch {
      guard error.code == .alreadyExists else { throw error }
      throw try conflict(of: elements) ?? error
    }
  }

  /// Removes what a network or an endpoint is, in one transaction; whatever of it is gone, with its table or alone, is
  /// passed over, and so is what another record has.
  func remove(_ elements: FirewallElements) throws(NetworkError) {
    let own = try withoutOthers(elements)
    var changes = NftTransaction()
    for (set, elements) in own.list { try changes.delete(elements, from: set) }
    guard !changes.requests.isEmpty else { return }
    do throws(NetworkError) { try commit(changes) } catch {
      guard error.code == .notFound else { throw error }
      losses.note()
      try removeOneByOne(own)
    }
  }

  /// The elements without those that another record has under the same key: the kernel deletes by keys alone.
  private func withoutOthers(_ elements: FirewallElements) throws(NetworkError) -> FirewallElements {
    guard elements.list.contains(where: { FirewallSets.isContested($0.set) }), try !others().isEmpty else {
      return elements
    }
    var requests: [NetlinkRequest] = []
    for (set, elements) in elements.list where FirewallSets.isContested(set) {
      for element in elements { requests.append(try NftRequests.element(element, of: set)) }
    }
    var outcomes = try host.connection(.netfilter).perform(requests)[...]
    var others: Set<FirewallElements.Key> = []
    for (set, elements) in elements.list where FirewallSets.isContested(set) {
      for element in elements {
        guard let outcome = outcomes.popFirst() else { break }
        if let error = outcome.error {
          guard error.code == .notFound else { throw error }
          continue
        }
        guard let found = try NftElement.found(outcome.replies).first, let comment = found.comment,
          let other = RecordID(comment: comment), other != id
        else { continue }
        others.insert(FirewallElements.Key(set: set.name, key: element.keyBytes))
      }
    }
    if others.isEmpty { return elements }
    return elements.filtered { set, element in
      !others.contains(FirewallElements.Key(set: set.name, key: element.keyBytes))
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
    for (set, elements) in elements.tagged(id).list { try changes.add(elements, to: set) }
    try commit(changes)
  }

  /// Adds what may be there already, in the place of what this record has under the same keys of our maps.
  ///
  /// - Throws: `.inUse` for what is there of another record; nothing was changed then.
  func replace(_ elements: FirewallElements) throws(NetworkError) {
    do throws(NetworkError) { return try include(elements) } catch {
      // Of another value under the same key the kernel says EEXIST or EBUSY.
      guard error.code == .alreadyExists || error.code == .inUse else { throw error }
    }
    if let conflict = try conflict(of: elements) { throw conflict }
    // The kernel compares keys alone.
    var changes = NftTransaction()
    for (set, elements) in elements.list { try changes.delete(elements, from: set) }
    for (set, elements) in elements.tagged(id).list { try changes.add(elements, to: set) }
    do throws(NetworkError) { try commit(changes) } catch {
      guard error.code == .notFound else { throw error }
      try remove(elements)
      try include(elements)
    }
  }

  private func commit(_ changes: NftTransaction) throws(NetworkError) {
    try changes.commit(over: try host.connection(.netfilter))
  }
}
