import Netlink
import NetworkPrimitives
import SystemPackage

/// The controller's part of the host's firewall, as two nftables tables: one for packets, one for frames between a
/// bridge's ports.
///
/// Chains and rules are static; a network, an endpoint or a port is an element of a set or map. The cost of a packet
/// and of a change therefore does not grow with their number, and other owners' objects stay untouched. Other tables'
/// base chains run too: a user's rules belong in a table of their own, at a priority before or after ours.
struct Firewall: Sendable {
  let host: NetworkNamespace
  /// Reports of missing objects of ours.
  let losses = Losses()

  private let identity = RecordIdentity()

  /// The record of its elements.
  var id: RecordID {
    get { identity.id }
    nonmutating set { identity.id = newValue }
  }

  init(host: NetworkNamespace) { self.host = host }

  /// The version of our sets, chains and rules; raised with every change of them, so that tables of another version are
  /// recognized.
  static let version = 2
  /// The prefix of the version in a table's comment.
  static let versionPrefix = "rules of version "

  /// The result of ``ensure()``.
  struct Presence {
    /// Whether both tables were made just now.
    var areNew: Bool
    /// Whether an older version created one of them.
    var areOlder: Bool
  }

  /// Ensures that our tables exist with all chains, and contain this record.
  ///
  /// Reads before it writes: refusing an existing table takes the kernel tens of milliseconds, since it waits until no
  /// reader of the undone objects is left (`nf_tables_abort`).
  ///
  /// - Throws: `.inUse` when others create and remove them again and again.
  func ensure() throws(NetworkError) -> Presence {
    for _ in 0..<100 {
      let versions = try versions()
      let missing = FirewallSets.tables.filter { versions[$0.family] == nil }
      if !missing.isEmpty { losses.note() }
      let areOlder = versions.values.contains { $0 < Self.version }
      var changes = NftTransaction()
      for table in missing { try Self.add(table, to: &changes) }
      // Tables of an older version lack the set of records: they are renewed first.
      if !areOlder || missing.contains(FirewallSets.table) {
        for (set, elements) in FirewallElements(id).tagged(id).list { try changes.add(elements, to: set) }
      }
      do throws(NetworkError) {
        if !changes.requests.isEmpty { try commit(changes) }
        return Presence(areNew: missing == FirewallSets.tables, areOlder: areOlder)
      } catch {
        // Another record was faster, or removed them with its last network.
        if error.code != .alreadyExists && error.code != .notFound { throw error }
      }
    }
    throw NetworkError(
      .inUse, operation: "make our firewall tables",
      reason: "other programs keep making and removing them; find those, and try again")
  }

  /// Removes this record from our tables, and the tables too unless they contain other records.
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
      reason: "other programs keep changing rules; try again")
  }

  /// Whether another record is in a set of records. An unclaimed record counts while one of its bridges exists.
  func isShared(_ set: NftSet, _ links: [String: Int32]) throws(NetworkError) -> Bool {
    let others = try others(in: set)
    if others.isEmpty { return false }
    if others != [.unclaimed] { return true }
    return try content().hasUnclaimedBridge(links)
  }

  /// `ERESTART`: the kernel's refusal of a transaction whose generation is outdated.
  static let restart = Errno(rawValue: 85)

  /// The generation of the host's rules.
  func generation() throws(NetworkError) -> UInt32 {
    let request = NftRequests.generation()
    guard let message = try host.connection(.netfilter).execute(request).first else {
      throw NetworkError(
        .replyLost, operation: request.purpose, reason: "the kernel acknowledged the request, but sent no answer")
    }
    return try NftRequests.generation(message)
  }

  /// The number of rules that ``ensure()`` creates.
  static let staticRuleCount: Int = {
    var changes = NftTransaction()
    for table in FirewallSets.tables { try? add(table, to: &changes) }
    return changes.requests.count { $0.name == "NFT_MSG_NEWRULE" }
  }()

  /// Adds the elements of a network or an endpoint, in one transaction.
  ///
  /// - Throws: `.alreadyExists` for an existing element, `.inUse` for another record's; then nothing was changed.
  func add(_ elements: FirewallElements) throws(NetworkError) {
    guard !elements.list.isEmpty else { return }
    var changes = NftTransaction()
    for (set, elements) in elements.tagged(id).list { try changes.add(elements, to: set, exclusive: true) }
    do throws(NetworkError) { try commit(changes) } catch {
      guard error.code == .alreadyExists else { throw error }
      throw try conflict(of: elements) ?? error
    }
  }

  /// Removes the elements of a network or an endpoint, in one transaction. Missing elements, missing tables and other
  /// records' elements are skipped.
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

  /// The elements without those whose key another record holds: the kernel deletes by key alone.
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

  /// Tries every element, and throws the first failure.
  private func removeOneByOne(_ elements: FirewallElements) throws(NetworkError) {
    let single = elements.list.flatMap { set, elements in elements.map { (set, $0) } }
    try all(single) { (set, element) throws(NetworkError) in
      var changes = NftTransaction()
      try changes.delete([element], from: set)
      do throws(NetworkError) { try commit(changes) } catch { if error.code != .notFound { throw error } }
    }
  }

  /// Adds elements; existing ones are no failure.
  func include(_ elements: FirewallElements) throws(NetworkError) {
    var changes = NftTransaction()
    for (set, elements) in elements.tagged(id).list { try changes.add(elements, to: set) }
    try commit(changes)
  }

  /// Adds elements, and replaces those of this record with the same keys in our maps.
  ///
  /// - Throws: `.inUse` for another record's element; then nothing was changed.
  func replace(_ elements: FirewallElements) throws(NetworkError) {
    do throws(NetworkError) { return try include(elements) } catch {
      // For another value under the same key the kernel returns EEXIST or EBUSY.
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
