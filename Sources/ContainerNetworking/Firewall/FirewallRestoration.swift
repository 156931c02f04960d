import Netlink
import NetworkPrimitives

/// What puts our part of the tables back. Others' part stays as it is.
extension Firewall {
  /// Makes our elements be these: in tables that are whole one by one, else with the tables, in which others' are then as
  /// they were found.
  ///
  /// - Parameters:
  ///   - wanted: What the record says.
  ///   - content: What there is; nil for nothing.
  ///   - links: The host's links by their names, with their indices.
  ///   - generation: Of the rules that this is based on; the kernel refuses with `ERESTART` if they were changed since.
  func restore(
    _ wanted: FirewallElements, over content: FirewallContent?, links: [String: Int32], generation: UInt32
  ) throws(NetworkError) {
    let changes =
      content?.isWhole == true
      ? try adjustment(wanted, content ?? FirewallContent())
      : try restoration(wanted, keeping: content ?? FirewallContent(), links)
    if !changes.requests.isEmpty {
      try changes.commit(over: try host.connection(.netfilter), generation: generation)
    }
  }

  /// Puts our tables in the place of whatever there is under their names, at once: no packet passes between the old and the new.
  func restoration(
    _ wanted: FirewallElements, keeping content: FirewallContent = FirewallContent(), _ links: [String: Int32] = [:]
  ) throws(NetworkError) -> NftTransaction {
    var changes = NftTransaction()
    for table in FirewallSets.tables {
      // An add that finds it changes nothing, and lets the deletion find one.
      try changes.add(table)
      changes.delete(table)
      try Self.add(table, to: &changes)
    }
    let own = wanted.tagged(id).list
    for (set, elements) in own {
      let others = content.others(in: set.name)
      try changes.add(elements.filter { !others.contains($0.keyBytes) }, to: set, exclusive: true)
    }
    let isShared =
      content.isOlder
      && content.hasUnclaimedBridge(
        links, besides: Set(own.first { $0.set.name == FirewallSets.bridges.name }?.elements.map(\.keyBytes) ?? []))
    let ownKeys = Dictionary(uniqueKeysWithValues: own.map { ($0.set.name, Set($0.elements.map(\.keyBytes))) })
    for set in FirewallSets.all {
      let taken = ownKeys[set.name] ?? []
      var kept: [NftElement] = []
      for (element, id) in content.foreign[set.name] ?? [] where id != .unclaimed || !taken.contains(Array(element.key))
      {
        if let element = try? element.element(of: set) { kept.append(element) }
      }
      for element in content.shared[set.name] ?? [] where !taken.contains(Array(element.key)) {
        if let element = try? element.element(of: set) { kept.append(element) }
      }
      if isShared { kept += unclaimed(content, set, links).filter { !taken.contains($0.keyBytes) } }
      try changes.add(kept, to: set, exclusive: true)
    }
    return changes
  }

  /// What a version that wrote nobody down has left of another record, whose bridges are there: it stays until that record
  /// claims it. Without such a bridge it is nobody's.
  private func unclaimed(_ content: FirewallContent, _ set: NftSet, _ links: [String: Int32]) -> [NftElement] {
    let family = AddressFamily.allCases.first { FirewallSets.forwarding.of($0).name == set.name }
    let needsForwarding = family.map { content.nobodys[FirewallSets.uplinks.of($0).name]?.isEmpty == false } ?? false
    if set.name == FirewallSets.records.name || needsForwarding {
      let marker = NftElement(.host(RecordID.unclaimed.number), comment: RecordID.unclaimed.comment)
      return content.foreign[set.name]?.contains { $0.id == .unclaimed } == true ? [] : [marker]
    }
    return (content.nobodys[set.name] ?? []).compactMap { found in
      // Up to version 1 uplinks were known by their names.
      if AddressFamily.allCases.contains(where: { FirewallSets.uplinks.of($0).name == set.name }) {
        let name = String(decoding: found.key.prefix { $0 != 0 }, as: UTF8.self)
        return links[name].map { NftElement(.interface(index: $0), comment: RecordID.shared) }
      }
      var element = try? found.element(of: set)
      element?.comment = RecordID.unclaimed.comment
      return element
    }
  }

  /// Removes all that another record has.
  func remove(_ other: RecordID, in content: FirewallContent, generation: UInt32) throws(NetworkError) {
    var changes = NftTransaction()
    for set in FirewallSets.all {
      for (element, id) in content.foreign[set.name] ?? [] where id == other {
        try changes.delete([element.element(of: set)], from: set)
      }
    }
    if !changes.requests.isEmpty {
      try changes.commit(over: try host.connection(.netfilter), generation: generation)
    }
  }

  /// What tables that are whole lack of ours, and have too much.
  private func adjustment(
    _ wanted: FirewallElements, _ content: FirewallContent
  ) throws(NetworkError) -> NftTransaction {
    var changes = NftTransaction()
    let wanted = wanted.tagged(id).list
    // With the last that a version left which wrote nobody down goes that somebody is there whom nobody knows.
    let isClaimed = FirewallSets.all.allSatisfy { set in
      let identities = Set((wanted.first { $0.set.name == set.name }?.elements ?? []).map(\.identity))
      return FirewallSets.isOfRecords(set)
        || (content.foreign[set.name] ?? []).allSatisfy {
          $0.id != .unclaimed || identities.contains($0.element.identity)
        }
    }
    for set in FirewallSets.all where content.sets.contains(set.name) {
      let elements = wanted.first { $0.set.name == set.name }?.elements ?? []
      let identities = Set(elements.map(\.identity))
      var gone = (content.own[set.name] ?? []).filter { !identities.contains($0.identity) }
      let present = Set(
        (content.own[set.name] ?? []).map(\.identity) + (content.shared[set.name] ?? []).map(\.identity))
      gone += content.nobodys[set.name] ?? []
      gone += (content.foreign[set.name] ?? []).filter { other in
        other.id == .unclaimed
          && (identities.contains(other.element.identity) || isClaimed && FirewallSets.isOfRecords(set))
      }.map(\.element)
      for element in gone { try changes.delete([element.element(of: set)], from: set) }
      let others = content.others(in: set.name)
      let missing = elements.filter { !present.contains($0.identity) && !others.contains($0.keyBytes) }
      try changes.add(missing, to: set, exclusive: true)
    }
    return changes
  }
}
