import Netlink
import NetworkPrimitives

/// The elements of our tables, grouped by their record.
struct FirewallContent {
  /// The version of each existing table, by its family.
  var versions: [NftFamily: Int] = [:]
  /// The number of rules in the tables.
  var ruleCount = 0
  /// Our existing sets.
  var sets: Set<String> = []
  /// Ours, by sets.
  var own: [String: [NftElement.Found]] = [:]
  /// Elements that all records share.
  var shared: [String: [NftElement.Found]] = [:]
  /// Other records'.
  var foreign: [String: [(element: NftElement.Found, id: RecordID)]] = [:]
  /// Elements without a record: written by hand, or by a version that recorded no owner.
  var nobodys: [String: [NftElement.Found]] = [:]

  /// Whether both tables exist with everything that this version creates, or a newer one created them.
  var isWhole: Bool {
    if isNewer { return true }
    return FirewallSets.tables.allSatisfy { versions[$0.family] == Firewall.version }
      && ruleCount == Firewall.staticRuleCount && sets.count == FirewallSets.all.count
  }

  /// Whether a newer version of this library created both tables: their chains stay as they are.
  var isNewer: Bool { FirewallSets.tables.allSatisfy { versions[$0.family] ?? 0 > Firewall.version } }

  /// Whether an older version of this library created one of them.
  var isOlder: Bool { versions.values.contains { $0 < Firewall.version } }

  /// Sorts the elements of a set by their record.
  mutating func take(_ elements: [NftElement.Found], of set: NftSet, _ id: RecordID) {
    sets.insert(set.name)
    let mine = id.comment
    for element in elements {
      if element.comment == mine {
        own[set.name, default: []].append(element)
      } else if element.comment == RecordID.shared {
        shared[set.name, default: []].append(element)
      } else if let comment = element.comment, let other = RecordID(comment: comment) {
        foreign[set.name, default: []].append((element, other))
      } else {
        nobodys[set.name, default: []].append(element)
      }
    }
  }

  /// Our elements of a set, whichever version wrote them.
  func has(_ set: String) -> Set<[UInt8]> {
    Set([own, shared, nobodys].flatMap { ($0[set] ?? []).map(\.identity) })
  }

  /// The keys of a set that other, known records hold.
  func others(in set: String) -> Set<[UInt8]> {
    Set((foreign[set] ?? []).filter { $0.id != .unclaimed }.map { Array($0.element.key) })
  }

  /// Whether a bridge exists whose element was written by a version that recorded no owner.
  func hasUnclaimedBridge(_ links: [String: Int32], besides wanted: Set<[UInt8]> = []) -> Bool {
    let bridges = FirewallSets.bridges.name
    let unclaimed = (foreign[bridges] ?? []).filter { $0.id == .unclaimed }.map(\.element) + (nobodys[bridges] ?? [])
    return unclaimed.contains { element in
      !wanted.contains(Array(element.key))
        && links[String(decoding: element.key.prefix { $0 != 0 }, as: UTF8.self)] != nil
    }
  }
}

extension Firewall {
  /// Reads our tables.
  ///
  /// - Throws: `.notFound` if none of our sets exists.
  func content() throws(NetworkError) -> FirewallContent {
    var content = FirewallContent()
    content.versions = try versions()
    content.ruleCount = try ruleCount()
    var gone: NetworkError?
    for set in FirewallSets.all {
      do throws(NetworkError) {
        content.take(try found(in: set), of: set, id)
      } catch {
        guard error.code == .notFound else { throw error }
        gone = error
      }
    }
    if let gone, content.sets.isEmpty { throw gone }
    return content
  }

  /// The elements of one set.
  func found(in set: NftSet) throws(NetworkError) -> [NftElement.Found] {
    try NftElement.found(host.connection(.netfilter).dump(NftRequests.elements(of: set)))
  }

  /// The elements of one set; empty for a missing set.
  func foundIfAny(in set: NftSet) throws(NetworkError) -> [NftElement.Found] {
    do throws(NetworkError) { return try found(in: set) } catch {
      if error.code == .notFound { return [] }
      throw error
    }
  }

  /// The versions of our existing tables, by family; 1 for a table without a version.
  func versions() throws(NetworkError) -> [NftFamily: Int] {
    var versions: [NftFamily: Int] = [:]
    for table in FirewallSets.tables {
      for message in try host.connection(.netfilter).dump(NftRequests.tables(table.family)) {
        let found = try NftTable(message)
        guard found.family == table.family, found.name == table.name else { continue }
        let comment = try NftTable.comment(message) ?? ""
        versions[table.family] =
          comment.hasPrefix(Self.versionPrefix) ? Int(comment.dropFirst(Self.versionPrefix.count)) ?? 1 : 1
      }
    }
    return versions
  }

  /// The number of rules in our tables; complete tables have ``staticRuleCount``.
  func ruleCount() throws(NetworkError) -> Int {
    var count = 0
    for table in FirewallSets.tables {
      do throws(NetworkError) {
        count += try host.connection(.netfilter).dump(NftRequests.rules(of: table)).count
      } catch { if error.code != .notFound { throw error } }
    }
    return count
  }

  // MARK: - Others

  /// The other records in our tables.
  func others(in set: NftSet = FirewallSets.records) throws(NetworkError) -> Set<RecordID> {
    let ids = try foundIfAny(in: set).compactMap { $0.comment.flatMap { RecordID(comment: $0) } }
    return Set(ids).subtracting([id])
  }

  /// Others' bridges, by their names.
  func othersBridges() throws(NetworkError) -> [String: RecordID] {
    var bridges: [String: RecordID] = [:]
    for set in [FirewallSets.bridges, FirewallSets.furtherBridges] {
      for element in try foundIfAny(in: set) {
        guard let other = element.comment.flatMap({ RecordID(comment: $0) }), other != id else { continue }
        bridges[String(decoding: element.key.prefix { $0 != 0 }, as: UTF8.self)] = other
      }
    }
    return bridges
  }
}
