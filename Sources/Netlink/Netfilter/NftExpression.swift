import CContainerNetworking

/// One instruction of the kernel's nftables machine. ``NftRule`` writes them and chooses the registers.
enum NftExpression: Hashable, Sendable {
  case meta(UInt32, into: NftRegister)
  case setMeta(UInt32, from: NftRegister)
  case payload(base: UInt32, offset: Int, length: Int, into: NftRegister)
  case setPayload(base: UInt32, offset: Int, length: Int, from: NftRegister)
  case compare(NftRegister, NftComparison, [UInt8])
  case range(NftRegister, inverted: Bool, from: [UInt8], to: [UInt8])
  case mask(NftRegister, [UInt8])
  case immediate([UInt8], into: NftRegister)
  case verdict(NftVerdict)
  case lookup(NftSetReference, key: NftRegister, data: NftRegister?, inverted: Bool)
  case conntrack(UInt32, direction: UInt8?, into: NftRegister)
  case setConntrack(UInt32, from: NftRegister)
  case fib(flags: UInt32, result: UInt32, into: NftRegister)
  case nat(type: UInt32, family: UInt8, address: NftRegister?, port: NftRegister?, flags: UInt32)
  case masquerade(flags: UInt32)
  case counter
  case reject(type: UInt32, code: UInt8)
  case notrack

  /// The kernel's name of the expression.
  var name: String {
    switch self {
    case .meta, .setMeta: "meta"
    case .payload, .setPayload: "payload"
    case .compare: "cmp"
    case .range: "range"
    case .mask: "bitwise"
    case .immediate, .verdict: "immediate"
    case .lookup: "lookup"
    case .conntrack, .setConntrack: "ct"
    case .fib: "fib"
    case .nat: "nat"
    case .masquerade: "masq"
    case .counter: "counter"
    case .reject: "reject"
    case .notrack: "notrack"
    }
  }

  /// Writes an element of `NFTA_RULE_EXPRESSIONS`, attributes in the order in which nft(8) writes them.
  func encode(into rule: inout PayloadWriter) {
    rule.nested(NFTA_LIST_ELEM) { element in
      element.attribute(NFTA_EXPR_NAME, string: name)
      if case .notrack = self { return }
      element.nested(NFTA_EXPR_DATA) { data in encodeData(into: &data) }
    }
  }

  private func encodeData(into data: inout PayloadWriter) {
    switch self {
    case .meta(let key, let register):
      data.attribute(NFTA_META_KEY, be32: key)
      data.attribute(NFTA_META_DREG, be32: register.number)
    case .setMeta(let key, let register):
      data.attribute(NFTA_META_KEY, be32: key)
      data.attribute(NFTA_META_SREG, be32: register.number)
    case .payload(let base, let offset, let length, let register):
      data.attribute(NFTA_PAYLOAD_DREG, be32: register.number)
      data.attribute(NFTA_PAYLOAD_BASE, be32: base)
      data.attribute(NFTA_PAYLOAD_OFFSET, be32: UInt32(offset))
      data.attribute(NFTA_PAYLOAD_LEN, be32: UInt32(length))
    case .compare(let register, let comparison, let value):
      data.attribute(NFTA_CMP_SREG, be32: register.number)
      data.attribute(NFTA_CMP_OP, be32: comparison.rawValue)
      data.nested(NFTA_CMP_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes: value) }
    case .range(let register, let inverted, let from, let to):
      data.attribute(NFTA_RANGE_SREG, be32: register.number)
      data.attribute(NFTA_RANGE_OP, be32: inverted ? NFT_RANGE_NEQ.rawValue : NFT_RANGE_EQ.rawValue)
      data.nested(NFTA_RANGE_FROM_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes: from) }
      data.nested(NFTA_RANGE_TO_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes: to) }
    case .mask(let register, let mask):
      data.attribute(NFTA_BITWISE_SREG, be32: register.number)
      data.attribute(NFTA_BITWISE_DREG, be32: register.number)
      data.attribute(NFTA_BITWISE_LEN, be32: UInt32(mask.count))
      data.nested(NFTA_BITWISE_MASK) { $0.attribute(NFTA_DATA_VALUE, bytes: mask) }
      data.nested(NFTA_BITWISE_XOR) { $0.attribute(NFTA_DATA_VALUE, bytes: mask.map { _ in 0 }) }
    case .immediate(let value, let register):
      data.attribute(NFTA_IMMEDIATE_DREG, be32: register.number)
      data.nested(NFTA_IMMEDIATE_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes: value) }
    case .verdict(let verdict):
      data.attribute(NFTA_IMMEDIATE_DREG, be32: NftRegister.verdict.number)
      verdict.encode(into: &data, as: Int(NFTA_IMMEDIATE_DATA.rawValue))
    case .lookup(let set, let key, let result, let inverted):
      data.attribute(NFTA_LOOKUP_SREG, be32: key.number)
      if let result { data.attribute(NFTA_LOOKUP_DREG, be32: result.number) }
      data.attribute(NFTA_LOOKUP_SET, string: set.name)
      if let id = set.id { data.attribute(NFTA_LOOKUP_SET_ID, be32: id) }
      if inverted { data.attribute(NFTA_LOOKUP_FLAGS, be32: NFT_LOOKUP_F_INV.rawValue) }
    default: encodeStatement(into: &data)
    }
  }

  private func encodeStatement(into data: inout PayloadWriter) {
    switch self {
    case .setPayload(let base, let offset, let length, let register):
      data.attribute(NFTA_PAYLOAD_SREG, be32: register.number)
      data.attribute(NFTA_PAYLOAD_BASE, be32: base)
      data.attribute(NFTA_PAYLOAD_OFFSET, be32: UInt32(offset))
      data.attribute(NFTA_PAYLOAD_LEN, be32: UInt32(length))
    case .conntrack(let key, let direction, let register):
      data.attribute(NFTA_CT_KEY, be32: key)
      data.attribute(NFTA_CT_DREG, be32: register.number)
      if let direction { data.attribute(NFTA_CT_DIRECTION, bytes: [direction]) }
    case .setConntrack(let key, let register):
      data.attribute(NFTA_CT_KEY, be32: key)
      data.attribute(NFTA_CT_SREG, be32: register.number)
    case .fib(let flags, let result, let register):
      data.attribute(NFTA_FIB_FLAGS, be32: flags)
      data.attribute(NFTA_FIB_RESULT, be32: result)
      data.attribute(NFTA_FIB_DREG, be32: register.number)
    case .nat(let type, let family, let address, let port, let flags):
      data.attribute(NFTA_NAT_TYPE, be32: type)
      data.attribute(NFTA_NAT_FAMILY, be32: UInt32(family))
      if let address { data.attribute(NFTA_NAT_REG_ADDR_MIN, be32: address.number) }
      if let port { data.attribute(NFTA_NAT_REG_PROTO_MIN, be32: port.number) }
      if flags != 0 { data.attribute(NFTA_NAT_FLAGS, be32: flags) }
    case .masquerade(let flags):
      if flags != 0 { data.attribute(NFTA_MASQ_FLAGS, be32: flags) }
    case .reject(let type, let code):
      data.attribute(NFTA_REJECT_TYPE, be32: type)
      data.attribute(NFTA_REJECT_ICMP_CODE, bytes: [code])
    default: return  // a counter starts from zero, notrack has no data; the rest is in encodeData
    }
  }
}

/// `enum nft_cmp_ops`: the comparison of a packet's value with a rule's, as big-endian numbers.
public enum NftComparison: UInt32, Hashable, Sendable {
  /// The same.
  case equal = 0
  /// Different.
  case notEqual
  /// Less than the rule's.
  case less
  /// Less than the rule's, or the same.
  case lessOrEqual
  /// More than the rule's.
  case greater
  /// More than the rule's, or the same.
  case greaterOrEqual
}

/// A register: four of the machine's 64 bytes, by position; longer or padded values continue in the following ones.
struct NftRegister: Hashable, Sendable {
  /// `enum nft_registers`.
  let number: UInt32

  /// The verdict register.
  static let verdict = NftRegister(number: NFT_REG_VERDICT.rawValue)

  private init(number: UInt32) { self.number = number }

  /// The register `slot` (0 to 15). Every fourth has the name of a 16-byte one as well, which both the kernel and
  /// nft(8) use.
  init(slot: Int) {
    number = slot % 4 == 0 ? NFT_REG_1.rawValue + UInt32(slot / 4) : NFT_REG32_00.rawValue + UInt32(slot)
  }
}

/// A reference to a set or map in a rule.
public struct NftSetReference: Hashable, Sendable, ExpressibleByStringLiteral {
  /// Its name.
  public var name: String
  /// Its number in the transaction that creates it: needed for an anonymous set, whose name the kernel chooses.
  public var id: UInt32?

  /// A set by its name, with its number if the same transaction creates it.
  public init(name: String, id: UInt32? = nil) {
    self.name = name
    self.id = id
  }

  /// A set that exists, or that the same transaction creates under this name.
  public init(stringLiteral name: String) { self.init(name: name) }
}
