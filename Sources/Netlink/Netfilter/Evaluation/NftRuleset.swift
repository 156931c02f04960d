import CContainerNetworking
package import NetworkPrimitives

/// A snapshot of a namespace's rules, for computing the fate of a packet.
///
/// A rule that reads an unknown part of the packet, or has an expression unknown here, counts as not matching. The
/// answer then says that such a rule was skipped.
package struct NftRuleset {
  /// Every chain of the namespace.
  package let chains: [NftChain]
  private var rules: [String: [NftRuleRecord]] = [:]
  private var sets: [String: (set: NftSet, elements: [NftElement])] = [:]
  private let readElements: (NftTable, String) throws(NetworkError) -> (NftSet, [NftElement])?

  /// Reads the chains and rules of a namespace except those of the tables in `own`. Elements of sets are read on
  /// demand.
  ///
  /// - Throws: The kernel's refusals; objects that vanish meanwhile are skipped.
  package init(
    over connection: NetlinkConnection, without own: [NftTable]
  ) throws(NetworkError) {
    let isOwn = { (table: NftTable) in own.contains { $0.family == table.family && $0.name == table.name } }
    // Packets of a bridge never traverse families and chains that this library has no type for.
    chains = try connection.dump(NftRequests.chains()).compactMap { try? NftChain($0) }.filter { !isOwn($0.table) }
    readElements = { (table, name) throws(NetworkError) in
      do throws(NetworkError) {
        let sets = try connection.dump(NftRequests.sets(of: table)).compactMap { try? NftSet($0) }
        guard let set = sets.first(where: { $0.name == name }) else { return nil }
        return (set, try NftElement.list(try connection.dump(NftRequests.elements(of: set)), of: set))
      } catch {
        guard error.code == .notFound || error.code == .malformedMessage else { throw error }
        return nil
      }
    }
    var tables: [NftTable] = []
    for table in chains.map(\.table) where !tables.contains(table) { tables.append(table) }
    for table in tables {
      do throws(NetworkError) {
        for message in try connection.dump(NftRequests.rules(of: table)) {
          let rule = try NftRuleRecord(message)
          rules[Self.key(table, rule.chain.name), default: []].append(rule)
        }
      } catch { if error.code != .notFound { throw error } }
    }
  }

  private static func key(_ table: NftTable, _ name: String) -> String { "\(table.family) \(table.name) \(name)" }

  func rules(_ table: NftTable, _ chain: String) -> [NftRuleRecord] { rules[Self.key(table, chain)] ?? [] }

  /// The elements of a set; nil if they cannot be read.
  mutating func elements(_ table: NftTable, _ name: String) throws(NetworkError) -> (NftSet, [NftElement])? {
    if let known = sets[Self.key(table, name)] { return known }
    guard let read = try readElements(table, name) else { return nil }
    sets[Self.key(table, name)] = read
    return read
  }

  /// The base chains at a hook that a family's packets traverse, in order.
  package func baseChains(at hook: NftChain.Hook, _ family: NftFamily) -> [NftChain] {
    let families: [NftFamily] = family == .bridge ? [.bridge] : [family, .inet]
    return chains.filter { families.contains($0.table.family) && $0.base?.hook == hook && $0.base?.type == .filter }
      .sorted { ($0.base?.priority ?? 0) < ($1.base?.priority ?? 0) }
  }

  /// The fate of a packet in a chain.
  package enum Fate {
    /// It passes the chain.
    case passes
    /// It is dropped, by a rule or by the chain's policy.
    case dropped(Drop)
  }

  /// The place and reason of a drop.
  package struct Drop {
    /// The base chain.
    package var base: NftChain
    /// The chain of the rule, to which the base chain may have jumped; the base chain itself for its policy.
    package var chain: String
    /// The rule; nil for the chain's policy.
    package var rule: NftRuleRecord?
    /// Whether the decision is certain: no earlier rule with an unknown result might have accepted the packet.
    package var isCertain: Bool
  }

  /// The fate of a packet in a base chain.
  package mutating func fate(of packet: NftPacket, in base: NftChain) throws(NetworkError) -> Fate {
    var run = Run(packet: packet, table: base.table)
    switch try decide(&run, base.name, depth: 0) {
    case .accept: return .passes
    case .drop(let chain, let rule):
      return .dropped(Drop(base: base, chain: chain, rule: rule, isCertain: !run.mayHavePassed))
    case nil:
      guard base.base?.policy == .drop else { return .passes }
      return .dropped(Drop(base: base, chain: base.name, rule: nil, isCertain: !run.mayHavePassed))
    }
  }

  private struct Run {
    let packet: NftPacket
    let table: NftTable
    /// Whether a skipped rule might have accepted the packet.
    var mayHavePassed = false
  }

  private enum Decision {
    case accept
    case drop(chain: String, NftRuleRecord?)
  }

  /// Runs a chain; nil at its end.
  private mutating func decide(_ run: inout Run, _ chain: String, depth: Int) throws(NetworkError) -> Decision? {
    // NFT_JUMP_STACK_SIZE; the kernel forbids loops of chains.
    guard depth < 16 else { return nil }
    for rule in rules(run.table, chain) {
      var evaluation = NftRuleEvaluation(packet: run.packet, table: run.table)
      let (isMatch, outcome) = try evaluation.run(rule, &self)
      guard isMatch != .no, let outcome else { continue }
      guard isMatch == .yes else {
        switch outcome {
        case .drop, .verdict(.drop), .verdict(.continue): break
        default: run.mayHavePassed = true
        }
        continue
      }
      switch outcome {
      case .drop, .verdict(.drop): return .drop(chain: chain, rule)
      case .accept, .verdict(.accept): return .accept
      case .verdict(.return): return nil
      case .verdict(.continue): continue
      case .verdict(.jump(let target)):
        if let decision = try decide(&run, target, depth: depth + 1) { return decision }
      case .verdict(.goto(let target)): return try decide(&run, target, depth: depth + 1)
      }
    }
    return nil
  }
}
