import Netlink
import NetworkPrimitives

/// Restores our elements of the tables. Others' elements stay as they are.
extension Firewall {
  /// Makes `wanted` our elements: one by one in complete tables, otherwise by recreating the tables, with others'
  /// elements as found.
  ///
  /// - Parameters:
  ///   - wanted: The elements of the record.
  ///   - content: The current content; nil for none.
  ///   - links: The host's links by their names, with their indices.
  ///   - generation: The generation of `content`; the kernel refuses with `ERESTART` if the rules were changed since.
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

  /// Replaces all objects of our tables' names atomically: no packet passes between the old and the new.
  func restoration(
    _ wanted: FirewallElements, keeping content: FirewallContent = FirewallContent(), _ links: [String: Int32] = [:]
  ) throws(NetworkError) -> NftTransaction {
    var changes = NftTransaction()
    for table in FirewallSets.tables {
      // Adding an existing table changes nothing; afterwards the deletion cannot fail.
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

  /// Elements of another record that a version without owners wrote. They stay until that record claims them, as long
  /// as one of its bridges exists; without a bridge they have no owner.
  private func unclaimed(_ content: FirewallContent, _ set: NftSet, _ links: [String: Int32]) -> [NftElement] {
    let family = AddressFamily.allCases.first { FirewallSets.forwarding.of($0).name == set.name }
    let needsForwarding = family.map { content.nobodys[FirewallSets.uplinks.of($0).name]?.isEmpty == false } ?? false
    if set.name == FirewallSets.records.name || needsForwarding {
      let marker = NftElement(.host(RecordID.unclaimed.number), comment: RecordID.unclaimed.comment)
      return content.foreign[set.name]?.contains { $0.id == .unclaimed } == true ? [] : [marker]
    }
    return (content.nobodys[set.name] ?? []).compactMap { found in
      // Up to version 1, uplinks were identified by name.
      if AddressFamily.allCases.contains(where: { FirewallSets.uplinks.of($0).name == set.name }) {
        let name = String(decoding: found.key.prefix { $0 != 0 }, as: UTF8.self)
        return links[name].map { NftElement(.interface(index: $0), comment: RecordID.shared) }
      }
      var element = try? found.element(of: set)
      element?.comment = RecordID.unclaimed.comment
      return element
    }
  }

  /// Removes all elements of another record.
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

  /// The missing and the superfluous elements of ours in complete tables.
  private func adjustment(
    _ wanted: FirewallElements, _ content: FirewallContent
  ) throws(NetworkError) -> NftTransaction {
    var changes = NftTransaction()
    let wanted = wanted.tagged(id).list
    // Once the last unclaimed element is claimed, the marker of an unclaimed record goes, too.
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
