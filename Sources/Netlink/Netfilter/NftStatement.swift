import CContainerNetworking
import NetworkPrimitives

/// Something of a packet or its connection that a rule looks at.
public enum NftField: Hashable, Sendable {
  /// Name of the link it came in by; 16 bytes.
  case inputInterface
  /// Name of the link it leaves by; 16 bytes.
  case outputInterface
  /// `NFPROTO_*`: 2 is IPv4, 10 IPv6; one byte.
  case networkProtocol
  /// Transport protocol number; one byte.
  case transportProtocol
  /// IPv4 source; 4 bytes.
  case sourceIPv4
  /// IPv4 destination; 4 bytes.
  case destinationIPv4
  /// TCP, UDP or SCTP destination port; 2 bytes.
  case destinationPort
  /// Bits of `NF_CT_STATE_BIT`; 4 bytes in the host's order.
  case connectionState
  /// Bits of `enum ip_conntrack_status`; 4 bytes in the host's order.
  case connectionStatus
  /// What the routing tables say of the destination: `RTN_LOCAL` and the like; 4 bytes in the host's order.
  case destinationType

  /// Bytes of its value.
  public var size: Int {
    switch self {
    case .inputInterface, .outputInterface: 16
    case .networkProtocol, .transportProtocol: 1
    case .destinationPort: 2
    case .sourceIPv4, .destinationIPv4, .connectionState, .connectionStatus, .destinationType: 4
    }
  }

  /// nft's number for the type, by which `nft list ruleset` prints it (`include/datatype.h` of nftables).
  public var dataType: UInt32 {
    switch self {
    case .inputInterface, .outputInterface: 41
    case .networkProtocol: 2
    case .transportProtocol: 12
    case .sourceIPv4, .destinationIPv4: 7
    case .destinationPort: 13
    case .connectionState: 26
    case .connectionStatus: 28
    case .destinationType: 42
    }
  }
}

/// What becomes of a packet.
public enum NftVerdict: Hashable, Sendable {
  /// This chain lets it pass; others may still stop it.
  case accept
  /// It is dropped, for good.
  case drop
  /// Go on in a chain, and come back.
  case jump(String)
}

/// One statement of a rule; they run in order, until one does not match.
public enum NftStatement: Hashable, Sendable {
  /// Goes on where the field has this value, or where it has another.
  case match(NftField, [UInt8], isEqual: Bool = true)
  /// Goes on where the bits under the mask have this value, or another.
  case matchBits(NftField, mask: [UInt8], value: [UInt8], isEqual: Bool = true)
  /// Goes on where the fields together are an element of the set, or none.
  case matchSet([NftField], set: String, isMember: Bool = true)
  /// Counts packets and bytes.
  case counter
  /// Ends the chain.
  case verdict(NftVerdict)
  /// Gives the connection this host's address as source.
  case masquerade
  /// Sends the connection to the IPv4 address and port that a map has for the fields.
  case redirectIPv4([NftField], map: String)

  func encode(into rule: inout PayloadWriter) {
    switch self {
    case .match(let field, let value, let isEqual):
      field.load(to: Register.first, into: &rule)
      Self.compare(value, isEqual: isEqual, into: &rule)
    case .matchBits(let field, let mask, let value, let isEqual):
      field.load(to: Register.first, into: &rule)
      rule.expression("bitwise") { data in
        data.attribute(attr(NFTA_BITWISE_SREG), bigEndian: Register.first)
        data.attribute(attr(NFTA_BITWISE_DREG), bigEndian: Register.first)
        data.attribute(attr(NFTA_BITWISE_LEN), bigEndian: UInt32(mask.count))
        data.value(attr(NFTA_BITWISE_MASK), mask)
        data.value(attr(NFTA_BITWISE_XOR), [UInt8](repeating: 0, count: mask.count))
      }
      Self.compare(value, isEqual: isEqual, into: &rule)
    case .matchSet(let fields, let set, let isMember):
      Register.load(fields, into: &rule)
      rule.expression("lookup") { data in
        data.attribute(attr(NFTA_LOOKUP_SET), string: set)
        data.attribute(attr(NFTA_LOOKUP_SREG), bigEndian: Register.first)
        if !isMember { data.attribute(attr(NFTA_LOOKUP_FLAGS), bigEndian: UInt32(NFT_LOOKUP_F_INV.rawValue)) }
      }
    case .counter: rule.expression("counter") { _ in }
    case .masquerade: rule.expression("masq") { _ in }
    case .verdict(let verdict):
      rule.expression("immediate") { data in
        data.attribute(attr(NFTA_IMMEDIATE_DREG), bigEndian: Register.verdict)
        data.nested(attr(NFTA_IMMEDIATE_DATA)) { value in verdict.encode(into: &value) }
      }
    case .redirectIPv4(let fields, let map):
      Register.load(fields, into: &rule)
      rule.expression("lookup") { data in
        data.attribute(attr(NFTA_LOOKUP_SET), string: map)
        data.attribute(attr(NFTA_LOOKUP_SREG), bigEndian: Register.first)
        data.attribute(attr(NFTA_LOOKUP_DREG), bigEndian: Register.first)
      }
      rule.expression("nat") { data in
        data.attribute(attr(NFTA_NAT_TYPE), bigEndian: UInt32(NFT_NAT_DNAT.rawValue))
        data.attribute(attr(NFTA_NAT_FAMILY), bigEndian: UInt32(AddressFamily.ipv4.rawValue))
        data.attribute(attr(NFTA_NAT_REG_ADDR_MIN), bigEndian: Register.first)
        data.attribute(attr(NFTA_NAT_REG_PROTO_MIN), bigEndian: Register.first + 1)
      }
    }
  }

  private static func compare(_ value: [UInt8], isEqual: Bool, into rule: inout PayloadWriter) {
    rule.expression("cmp") { data in
      data.attribute(attr(NFTA_CMP_SREG), bigEndian: Register.first)
      data.attribute(attr(NFTA_CMP_OP), bigEndian: UInt32((isEqual ? NFT_CMP_EQ : NFT_CMP_NEQ).rawValue))
      data.value(attr(NFTA_CMP_DATA), value)
    }
  }
}

/// Registers of four bytes (`NFT_REG32_00` …); each statement starts anew, so none has to be kept.
enum Register {
  static let verdict = UInt32(NFT_REG_VERDICT.rawValue)
  static let first = UInt32(NFT_REG32_00.rawValue)

  /// Loads fields one behind the other, each padded to four bytes, as the key of a concatenation.
  static func load(_ fields: [NftField], into rule: inout PayloadWriter) {
    var register = first
    for field in fields {
      field.load(to: register, into: &rule)
      register += UInt32((field.size + 3) / 4)
    }
  }
}

extension NftField {
  func load(to register: UInt32, into rule: inout PayloadWriter) {
    switch self {
    case .inputInterface: meta(NFT_META_IIFNAME, register, &rule)
    case .outputInterface: meta(NFT_META_OIFNAME, register, &rule)
    case .networkProtocol: meta(NFT_META_NFPROTO, register, &rule)
    case .transportProtocol: meta(NFT_META_L4PROTO, register, &rule)
    case .sourceIPv4: payload(NFT_PAYLOAD_NETWORK_HEADER, offset: 12, register, &rule)
    case .destinationIPv4: payload(NFT_PAYLOAD_NETWORK_HEADER, offset: 16, register, &rule)
    case .destinationPort: payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 2, register, &rule)
    case .connectionState: connection(NFT_CT_STATE, register, &rule)
    case .connectionStatus: connection(NFT_CT_STATUS, register, &rule)
    case .destinationType:
      rule.expression("fib") { data in
        data.attribute(attr(NFTA_FIB_DREG), bigEndian: register)
        data.attribute(attr(NFTA_FIB_RESULT), bigEndian: UInt32(NFT_FIB_RESULT_ADDRTYPE.rawValue))
        data.attribute(attr(NFTA_FIB_FLAGS), bigEndian: UInt32(NFTA_FIB_F_DADDR.rawValue))
      }
    }
  }

  private func meta(_ key: nft_meta_keys, _ register: UInt32, _ rule: inout PayloadWriter) {
    rule.expression("meta") { data in
      data.attribute(attr(NFTA_META_DREG), bigEndian: register)
      data.attribute(attr(NFTA_META_KEY), bigEndian: UInt32(key.rawValue))
    }
  }

  private func connection(_ key: nft_ct_keys, _ register: UInt32, _ rule: inout PayloadWriter) {
    rule.expression("ct") { data in
      data.attribute(attr(NFTA_CT_DREG), bigEndian: register)
      data.attribute(attr(NFTA_CT_KEY), bigEndian: UInt32(key.rawValue))
    }
  }

  private func payload(
    _ base: nft_payload_bases, offset: UInt32, _ register: UInt32, _ rule: inout PayloadWriter
  ) {
    rule.expression("payload") { data in
      data.attribute(attr(NFTA_PAYLOAD_DREG), bigEndian: register)
      data.attribute(attr(NFTA_PAYLOAD_BASE), bigEndian: UInt32(base.rawValue))
      data.attribute(attr(NFTA_PAYLOAD_OFFSET), bigEndian: offset)
      data.attribute(attr(NFTA_PAYLOAD_LEN), bigEndian: UInt32(size))
    }
  }
}

extension NftVerdict {
  func encode(into data: inout PayloadWriter) {
    data.nested(attr(NFTA_DATA_VERDICT)) { verdict in
      switch self {
      case .drop: verdict.attribute(attr(NFTA_VERDICT_CODE), bigEndian: Int32(0))  // NF_DROP
      case .accept: verdict.attribute(attr(NFTA_VERDICT_CODE), bigEndian: Int32(1))  // NF_ACCEPT
      case .jump(let chain):
        verdict.attribute(attr(NFTA_VERDICT_CODE), bigEndian: Int32(NFT_JUMP.rawValue))
        verdict.attribute(attr(NFTA_VERDICT_CHAIN), string: chain)
      }
    }
  }
}

/// The number of an attribute or constant that the kernel's headers declare in a named enum.
func attr<Constant: RawRepresentable>(_ constant: Constant) -> Int where Constant.RawValue: BinaryInteger {
  Int(constant.rawValue)
}

extension PayloadWriter {
  /// One expression of a rule: an element of its list, with the name and the data of its kind.
  mutating func expression(_ name: String, _ body: (inout PayloadWriter) -> Void) {
    nested(attr(NFTA_LIST_ELEM)) { element in
      element.attribute(attr(NFTA_EXPR_NAME), string: name)
      element.nested(attr(NFTA_EXPR_DATA)) { data in body(&data) }
    }
  }

  /// A nest that holds one value.
  mutating func value(_ type: Int, _ bytes: [UInt8]) {
    nested(type) { data in data.attribute(attr(NFTA_DATA_VALUE), bytes: bytes) }
  }
}
