import CContainerNetworking
import NetworkPrimitives

/// Evaluates one rule for a packet with partly known contents.
struct NftRuleEvaluation {
  let packet: NftPacket
  let table: NftTable
  private var registers = NftRegisters()

  /// Whether a condition holds.
  enum Truth {
    case yes
    case no
    case unknown
  }

  /// The effect of a rule on a matching packet.
  enum Outcome {
    case verdict(NftVerdict)
    case accept
    case drop
  }

  init(packet: NftPacket, table: NftTable) {
    self.packet = packet
    self.table = table
  }

  /// Returns whether the rule matches, and its decision; nil for none.
  mutating func run(
    _ rule: NftRuleRecord, _ ruleset: inout NftRuleset
  ) throws(NetworkError) -> (Truth, Outcome?) {
    var truth = Truth.yes
    for expression in rule.expressions {
      let step: (Truth, Outcome?)
      do throws(NetworkError) { step = try evaluate(expression, &ruleset) } catch {
        guard error.code == .malformedMessage else { throw error }
        step = (.unknown, nil)
      }
      if step.0 == .no { return (.no, nil) }
      if step.0 == .unknown { truth = .unknown }
      if let outcome = step.1 { return (truth, outcome) }
    }
    return (truth, nil)
  }

  private mutating func evaluate(
    _ expression: NftRuleRecord.Expression, _ ruleset: inout NftRuleset
  ) throws(NetworkError) -> (Truth, Outcome?) {
    let data = expression.attributes
    switch expression.name {
    case "meta":
      guard let key = try data.be32(NFTA_META_KEY) else { return (.unknown, nil) }
      if let target = try data.be32(NFTA_META_DREG) { registers.store(packet.meta(key), in: target) }
      return (.yes, nil)
    case "payload":
      guard let target = try data.be32(NFTA_PAYLOAD_DREG) else { return (.yes, nil) }
      registers.store(
        packet.payload(
          base: try data.be32(NFTA_PAYLOAD_BASE) ?? 0, offset: Int(try data.be32(NFTA_PAYLOAD_OFFSET) ?? 0),
          length: min(64, Int(try data.be32(NFTA_PAYLOAD_LEN) ?? 0))), in: target)
      return (.yes, nil)
    case "ct":
      guard let target = try data.be32(NFTA_CT_DREG) else { return (.yes, nil) }
      registers.forget(target)
      if let value = packet.conntrack(try data.be32(NFTA_CT_KEY) ?? .max) { registers.store(value, in: target) }
      return (.yes, nil)
    case "cmp": return (try compare(data), nil)
    case "range": return (try range(data), nil)
    case "bitwise":
      try mask(data)
      return (.yes, nil)
    case "lookup": return try lookUp(data, &ruleset)
    case "immediate":
      let target = try data.be32(NFTA_IMMEDIATE_DREG) ?? 0
      guard let value = try data[NFTA_IMMEDIATE_DATA]?.nested() else { return (.unknown, nil) }
      if let verdict = value[NFTA_DATA_VERDICT] { return (.yes, .verdict(try NftVerdict(verdict))) }
      registers.store((value[NFTA_DATA_VALUE]?.payload ?? []).map { $0 }, in: target)
      return (.yes, nil)
    case "counter", "log", "notrack", "objref", "dup", "last": return (.yes, nil)
    case "reject": return (.yes, .drop)
    case "nat", "masq", "redir", "tproxy", "queue", "fwd", "synproxy": return (.yes, .accept)
    case "match": return (try extensionMatch(data), nil)
    case "target": return extensionTarget(data)
    default:
      // All other expressions read unknown facts: fib, rt, socket, limit, quota, hash, exthdr.
      return (.unknown, nil)
    }
  }

  // MARK: - Comparisons

  private func compare(_ data: Attributes) throws(NetworkError) -> Truth {
    guard let wanted = try data[NFTA_CMP_DATA]?.nested()[NFTA_DATA_VALUE]?.payload,
      let comparison = NftComparison(rawValue: try data.be32(NFTA_CMP_OP) ?? .max)
    else { return .unknown }
    let found = registers.load(try data.be32(NFTA_CMP_SREG) ?? 0, wanted.count)
    switch comparison {
    case .equal: return Self.same(found, wanted)
    case .notEqual: return Self.inverted(Self.same(found, wanted))
    case .less, .lessOrEqual, .greater, .greaterOrEqual:
      guard let order = Self.order(found, wanted) else { return .unknown }
      let isTrue =
        switch comparison {
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        default: order >= 0
        }
      return isTrue ? .yes : .no
    }
  }

  private func range(_ data: Attributes) throws(NetworkError) -> Truth {
    guard let from = try data[NFTA_RANGE_FROM_DATA]?.nested()[NFTA_DATA_VALUE]?.payload,
      let to = try data[NFTA_RANGE_TO_DATA]?.nested()[NFTA_DATA_VALUE]?.payload
    else { return .unknown }
    let found = registers.load(try data.be32(NFTA_RANGE_SREG) ?? 0, from.count)
    guard let low = Self.order(found, from), let high = Self.order(found, to) else { return .unknown }
    let isInside: Truth = low >= 0 && high <= 0 ? .yes : .no
    return try data.be32(NFTA_RANGE_OP) == NFT_RANGE_NEQ.rawValue ? Self.inverted(isInside) : isInside
  }

  private mutating func mask(_ data: Attributes) throws(NetworkError) {
    let target = try data.be32(NFTA_BITWISE_DREG) ?? 0
    let isMask = try data.be32(NFTA_BITWISE_OP) ?? 0 == 0  // NFT_BITWISE_BOOL; the others shift
    guard isMask, let mask = try data[NFTA_BITWISE_MASK]?.nested()[NFTA_DATA_VALUE]?.payload,
      let flips = try data[NFTA_BITWISE_XOR]?.nested()[NFTA_DATA_VALUE]?.payload, mask.count == flips.count
    else { return registers.forget(target) }
    let found = registers.load(try data.be32(NFTA_BITWISE_SREG) ?? 0, mask.count)
    registers.store(
      zip(found, zip(mask, flips)).map { byte, bits in
        bits.0 == 0 ? bits.1 : byte.map { $0 & bits.0 ^ bits.1 }
      }, in: target)
  }

  private static func inverted(_ truth: Truth) -> Truth {
    switch truth {
    case .yes: .no
    case .no: .yes
    case .unknown: .unknown
    }
  }

  /// One known byte that differs decides the comparison.
  private static func same(_ found: [UInt8?], _ wanted: ArraySlice<UInt8>) -> Truth {
    var truth = Truth.yes
    for (byte, other) in zip(found, wanted) {
      guard let byte else {
        truth = .unknown
        continue
      }
      if byte != other { return .no }
    }
    return truth
  }

  private static func order(_ found: [UInt8?], _ wanted: ArraySlice<UInt8>) -> Int? {
    let known = found.compactMap { $0 }
    guard known.count == found.count else { return nil }
    let bytes = Array(wanted)
    if known.lexicographicallyPrecedes(bytes) { return -1 }
    return bytes.lexicographicallyPrecedes(known) ? 1 : 0
  }

  // MARK: - Sets

  private mutating func lookUp(
    _ data: Attributes, _ ruleset: inout NftRuleset
  ) throws(NetworkError) -> (Truth, Outcome?) {
    let isInverted = try data.be32(NFTA_LOOKUP_FLAGS) ?? 0 & NFT_LOOKUP_F_INV.rawValue != 0
    let target = try data.be32(NFTA_LOOKUP_DREG)
    if let target, target != NftRegister.verdict.number { registers.forget(target) }
    // An unknown verdict may be any.
    let unknown: (Truth, Outcome?) = (.unknown, target == NftRegister.verdict.number ? .accept : nil)
    guard let name = data[NFTA_LOOKUP_SET]?.string else { return unknown }
    // Loads the longest possible key; the set's definition tells the length in use.
    let key = registers.load(try data.be32(NFTA_LOOKUP_SREG) ?? 0, 64)
    guard key[0] != nil, let (set, elements) = try ruleset.elements(table, name) else { return unknown }
    let found = key.prefix(set.key.size).compactMap { $0 }
    guard found.count == set.key.size else { return elements.isEmpty ? (isInverted ? .yes : .no, nil) : unknown }
    if set.key.count > 1, elements.contains(where: { $0.last != nil }) { return unknown }
    let element = elements.first { element in
      let first = element.key.encoded
      guard let last = element.last?.encoded else { return first == found }
      return !found.lexicographicallyPrecedes(first) && !last.lexicographicallyPrecedes(found)
    }
    guard let target else { return ((element == nil) == isInverted ? .yes : .no, nil) }
    guard let element else { return (.no, nil) }
    switch element.data {
    case .verdict(let verdict): return (.yes, .verdict(verdict))
    case .value(let value): registers.store(value.encoded.map { $0 }, in: target)
    case .none: break
    }
    return (.yes, nil)
  }

  // MARK: - Extensions of xtables

  /// An iptables match (`-m`) for which iptables-nft has no native expression.
  private func extensionMatch(_ data: Attributes) throws(NetworkError) -> Truth {
    switch data[NFTA_MATCH_NAME]?.string {
    case "comment": return .yes
    case "conntrack":
      guard let info = data[NFTA_MATCH_INFO]?.payload else { return .unknown }
      return connectionMatch(Array(info), revision: try data.be32(NFTA_MATCH_REV) ?? 0)
    default: return .unknown
    }
  }

  /// `struct xt_conntrack_mtinfo2` and `3` (`linux/netfilter/xt_conntrack.h`), if only the state is tested.
  private func connectionMatch(_ info: [UInt8], revision: UInt32) -> Truth {
    let number = { (place: Int) in UInt16(hostBytes: info[place..<place + 2]) }
    guard revision >= 2, info.count >= 152, number(146) == 1 else { return .unknown }  // XT_CONNTRACK_STATE
    // The same numbering as nft's, except for the bits of translation.
    var bits = UInt16(truncatingIfNeeded: state & 0xf)
    if packet.status.contains(.sourceNAT) { bits |= 1 << 6 }
    if packet.status.contains(.destinationNAT) { bits |= 1 << 7 }
    let isOne = number(150) & bits != 0
    return isOne == (number(148) & 1 == 0) ? .yes : .no
  }

  private var state: UInt32 { packet.state.rawValue }

  /// An iptables target (`-j`) for which iptables-nft has no native expression.
  private func extensionTarget(_ data: Attributes) -> (Truth, Outcome?) {
    switch data[NFTA_TARGET_NAME]?.string {
    case "REJECT", "DROP": (.yes, .drop)
    case "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CT", "TRACE", "CHECKSUM", "DSCP", "CLASSIFY": (.yes, nil)
    default: (.unknown, .accept)
    }
  }
}
