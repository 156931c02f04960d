import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// A transaction's changes of tables, chains and rules.
extension SimulatedNamespace {
  mutating func apply(_ request: NetlinkMessage) throws(NetworkError) {
    guard request.type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES) else { throw refusal(.invalidArgument) }
    let message = try NetfilterMessage(request)
    switch UInt32(request.type & 0xff) {
    case NFT_MSG_NEWTABLE.rawValue: try newTable(message)
    case NFT_MSG_DELTABLE.rawValue: try deleteTable(message)
    case NFT_MSG_NEWCHAIN.rawValue: try newChain(message)
    case NFT_MSG_DELCHAIN.rawValue: try deleteChain(message)
    case NFT_MSG_NEWRULE.rawValue: try newRule(message)
    case NFT_MSG_DELRULE.rawValue: try deleteRules(message)
    case NFT_MSG_NEWSET.rawValue: try newSet(message)
    case NFT_MSG_DELSET.rawValue: try deleteSet(message)
    case NFT_MSG_NEWSETELEM.rawValue: try newElements(message)
    case NFT_MSG_DELSETELEM.rawValue: try deleteElements(message)
    // DESTROY, since Linux 6.3, is a DELETE that ignores a missing object.
    case 26: try unlessAbsent { (state) throws(NetworkError) in try state.deleteTable(message) }
    case 27: try unlessAbsent { (state) throws(NetworkError) in try state.deleteChain(message) }
    case 28: try unlessAbsent { (state) throws(NetworkError) in try state.deleteRules(message) }
    case 29: try unlessAbsent { (state) throws(NetworkError) in try state.deleteSet(message) }
    case 30: try unlessAbsent { (state) throws(NetworkError) in try state.deleteElements(message) }
    default: throw refusal(.notSupportedOnSocket)
    }
  }

  private mutating func unlessAbsent(
    _ body: (inout SimulatedNamespace) throws(NetworkError) -> Void
  ) throws(NetworkError) {
    do { try body(&self) } catch {
      if error.kernel?.errno != .noSuchFileOrDirectory { throw error }
    }
  }

  mutating func makeHandle() -> UInt64 {
    defer { nextHandle += 1 }
    return nextHandle
  }

  /// The table that a message names.
  func table(_ message: NetfilterMessage, _ type: Int) throws(NetworkError) -> Int {
    guard let name = message.name(type) else { throw refusal(.invalidArgument, missing: type) }
    let index = tables.firstIndex { $0.family == message.family && $0.name == name }
    guard let index else { throw refusal(.noSuchFileOrDirectory) }
    return index
  }

  // MARK: - Tables

  private mutating func newTable(_ message: NetfilterMessage) throws(NetworkError) {
    guard let name = message.name(number(NFTA_TABLE_NAME)) else { throw refusal(.invalidArgument) }
    guard [1, 2, 3, 5, 7, 10].contains(message.family) else { throw refusal(.notSupportedOnSocket) }
    // Tables here cannot belong to a socket, or be dormant.
    let flags: UInt32 = try message.attributes[type: number(NFTA_TABLE_FLAGS)]?.bigEndian() ?? 0
    guard flags == 0 else { throw refusal(.notSupportedOnSocket) }
    if tables.contains(where: { $0.family == message.family && $0.name == name }) {
      if message.flags.contains(.exclusive) { throw refusal(.fileExists) }
      return
    }
    let attributes = message.bytes(without: [number(NFTA_TABLE_HANDLE)])
    let table = SimulatedTable(family: message.family, name: name, handle: makeHandle(), attributes: attributes)
    tables.append(table)
    changes.append(table.describe(NFT_MSG_NEWTABLE))
  }

  private mutating func deleteTable(_ message: NetfilterMessage) throws(NetworkError) {
    if message.attributes[type: number(NFTA_TABLE_NAME)] == nil {
      if let handle = try message.handle(number(NFTA_TABLE_HANDLE)) {
        guard let index = tables.firstIndex(where: { $0.handle == handle }) else {
          throw refusal(.noSuchFileOrDirectory)
        }
        removeTable(index)
      } else {
        for index in tables.indices.reversed() where message.family == 0 || tables[index].family == message.family {
          removeTable(index)
        }
      }
      return
    }
    removeTable(try table(message, number(NFTA_TABLE_NAME)))
  }

  private mutating func removeTable(_ index: Int) { changes += tables.remove(at: index).describeRemoval() }

  // MARK: - Chains

  private mutating func newChain(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_CHAIN_TABLE))
    guard let name = message.name(number(NFTA_CHAIN_NAME)) else { throw refusal(.invalidArgument) }
    if tables[table].chains.contains(where: { $0.name == name }) {
      if message.flags.contains(.exclusive) { throw refusal(.fileExists) }
      return
    }
    if let hook = try message.attributes[type: number(NFTA_CHAIN_HOOK)]?.nested() {
      try hook.check(NetfilterPolicy.hook)
      let isPlaced = hook[type: number(NFTA_HOOK_HOOKNUM)] != nil && hook[type: number(NFTA_HOOK_PRIORITY)] != nil
      guard isPlaced else { throw refusal(.noSuchFileOrDirectory) }
      let type = message.name(number(NFTA_CHAIN_TYPE)) ?? "filter"
      guard ["filter", "nat", "route"].contains(type) else { throw refusal(.noSuchFileOrDirectory) }
    }
    let attributes = message.bytes(without: [number(NFTA_CHAIN_HANDLE), number(NFTA_CHAIN_ID)])
    let chain = SimulatedChain(name: name, handle: makeHandle(), attributes: attributes)
    tables[table].chains.append(chain)
    changes.append(tables[table].describe(chain, NFT_MSG_NEWCHAIN))
  }

  /// The chain with a message's name or handle.
  private func chain(
    _ message: NetfilterMessage, in table: Int, name: Int, handle: Int?
  ) throws(NetworkError) -> Int {
    let wanted = try handle.flatMap { (type) throws(NetworkError) in try message.handle(type) }
    let text = message.name(name)
    guard wanted != nil || text != nil else { throw refusal(.invalidArgument, missing: name) }
    let index = tables[table].chains.firstIndex { wanted.map { [$0] }?.contains($0.handle) ?? ($0.name == text) }
    guard let index else { throw refusal(.noSuchFileOrDirectory) }
    return index
  }

  private mutating func deleteChain(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_CHAIN_TABLE))
    let index = try chain(
      message, in: table, name: number(NFTA_CHAIN_NAME), handle: number(NFTA_CHAIN_HANDLE))
    let name = tables[table].chains[index].name
    // Its own rules are deleted with it; other rules that jump to it prevent the deletion.
    let isUsed = references(in: table, except: index).contains { $0.chains.contains(name) }
    if isUsed { throw refusal(.resourceBusy) }
    removeRules(tables[table].chains[index].rules.indices, of: index, in: table)
    changes.append(tables[table].describe(tables[table].chains.remove(at: index), NFT_MSG_DELCHAIN))
  }

  func references(in table: Int, except chain: Int? = nil) -> [NftReferences] {
    let rules = tables[table].chains.enumerated().filter { $0.offset != chain }.flatMap { $0.element.rules }
    return rules.map(\.references) + tables[table].sets.flatMap { $0.elements.map(\.references) }
  }

  // MARK: - Rules

  private mutating func newRule(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_RULE_TABLE))
    let chain = try chain(message, in: table, name: number(NFTA_RULE_CHAIN), handle: nil)
    let references = try NftReferences(rule: message.attributes, sets: tables[table].sets)
    try check(references, in: table)
    let attributes = message.bytes(without: [
      number(NFTA_RULE_HANDLE), number(NFTA_RULE_POSITION), number(NFTA_RULE_ID), number(NFTA_RULE_POSITION_ID),
    ])
    var rules = tables[table].chains[chain].rules
    if let handle = try message.handle(number(NFTA_RULE_HANDLE)) {
      guard let index = rules.firstIndex(where: { $0.handle == handle }) else {
        throw refusal(.noSuchFileOrDirectory)
      }
      if message.flags.contains(.exclusive) { throw refusal(.fileExists) }
      guard message.flags.contains(.replace) else { throw refusal(.notSupportedOnSocket) }
      changes.append(tables[table].describe(rules[index], NFT_MSG_DELRULE))
      rules[index] = SimulatedRule(handle: makeHandle(), attributes: attributes, references: references)
      changes.append(tables[table].describe(rules[index], NFT_MSG_NEWRULE))
    } else {
      guard message.flags.contains(.create), !message.flags.contains(.replace) else {
        throw refusal(.invalidArgument)
      }
      let isLast = message.flags.contains(.append)
      var place = isLast ? rules.count : 0
      if let position = try message.handle(number(NFTA_RULE_POSITION)) {
        guard let index = rules.firstIndex(where: { $0.handle == position }) else {
          throw refusal(.noSuchFileOrDirectory)
        }
        place = isLast ? index + 1 : index
      }
      let rule = SimulatedRule(handle: makeHandle(), attributes: attributes, references: references)
      rules.insert(rule, at: place)
      changes.append(tables[table].describe(rule, NFT_MSG_NEWRULE))
    }
    tables[table].chains[chain].rules = rules
  }

  /// Whether all that is referred to exists.
  func check(_ references: NftReferences, in table: Int) throws(NetworkError) {
    let chains = Set(tables[table].chains.map(\.name))
    let known = tables[table].sets
    let isComplete =
      references.chains.isSubset(of: chains) && references.sets.isSubset(of: known.map(\.name))
    guard isComplete else { throw refusal(.noSuchFileOrDirectory) }
  }

  private mutating func deleteRules(_ message: NetfilterMessage) throws(NetworkError) {
    let table = try table(message, number(NFTA_RULE_TABLE))
    guard message.attributes[type: number(NFTA_RULE_CHAIN)] != nil else {
      for index in tables[table].chains.indices {
        removeRules(tables[table].chains[index].rules.indices, of: index, in: table)
      }
      return
    }
    let chain = try chain(message, in: table, name: number(NFTA_RULE_CHAIN), handle: nil)
    guard let handle = try message.handle(number(NFTA_RULE_HANDLE)) else {
      removeRules(tables[table].chains[chain].rules.indices, of: chain, in: table)
      return
    }
    guard let index = tables[table].chains[chain].rules.firstIndex(where: { $0.handle == handle }) else {
      throw refusal(.noSuchFileOrDirectory)
    }
    removeRules(index..<index + 1, of: chain, in: table)
  }

  private mutating func removeRules(_ range: Range<Int>, of chain: Int, in table: Int) {
    changes += tables[table].chains[chain].rules[range].map { tables[table].describe($0, NFT_MSG_DELRULE) }
    tables[table].chains[chain].rules.removeSubrange(range)
  }
}

extension NftReferences {
  /// The names that a rule's expressions refer to.
  init(rule: Attributes, sets known: [SimulatedSet]) throws(NetworkError) {
    guard let expressions = try rule[type: number(NFTA_RULE_EXPRESSIONS)]?.nested() else { return }
    guard expressions.count <= 128 else { throw refusal(.invalidArgument) }  // NFT_RULE_MAXEXPRS
    for expression in expressions {
      let parts = try expression.nested()
      guard expression.type == number(NFTA_LIST_ELEM), let name = parts[type: number(NFTA_EXPR_NAME)]?.string else {
        throw refusal(.invalidArgument)
      }
      guard let data = try parts[type: number(NFTA_EXPR_DATA)]?.nested() else { continue }
      switch name {
      case "lookup":
        let id: UInt32? = try data[type: number(NFTA_LOOKUP_SET_ID)]?.bigEndian()
        add(set: data[type: number(NFTA_LOOKUP_SET)]?.string, id: id, of: known)
      case "dynset":
        let id: UInt32? = try data[type: number(NFTA_DYNSET_SET_ID)]?.bigEndian()
        add(set: data[type: number(NFTA_DYNSET_SET_NAME)]?.string, id: id, of: known)
      case "immediate": try add(verdict: data[type: number(NFTA_IMMEDIATE_DATA)])
      default: continue
      }
    }
  }

  /// A set by its name or, within the batch that creates it under a pattern, by its number.
  private mutating func add(set name: String?, id: UInt32?, of known: [SimulatedSet]) {
    let found = known.first { $0.name == name } ?? known.first { $0.id != 0 && $0.id == id }
    if let name = found?.name ?? name { sets.insert(name) }
  }

  /// The chain that a verdict jumps to.
  mutating func add(verdict data: Attribute?) throws(NetworkError) {
    guard let verdict = try data?.nested()[type: number(NFTA_DATA_VERDICT)]?.nested() else { return }
    guard let code: UInt32 = try verdict[type: number(NFTA_VERDICT_CODE)]?.bigEndian() else {
      throw refusal(.invalidArgument)
    }
    // NFT_CONTINUE, BREAK, RETURN are -1, -2, -5; JUMP and GOTO, -3 and -4, need a chain.
    let needsChain = [-3, -4].contains(Int32(bitPattern: code))
    let isKnown = needsChain || [0, 1, -1, -2, -5].contains(Int32(bitPattern: code)) || code & 0xff == 3  // NF_QUEUE
    guard isKnown, !needsChain || verdict[type: number(NFTA_VERDICT_CHAIN)] != nil else {
      throw refusal(.invalidArgument)
    }
    if needsChain, let chain = verdict[type: number(NFTA_VERDICT_CHAIN)]?.string { chains.insert(chain) }
  }
}
