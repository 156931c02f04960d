import CContainerNetworking
public import NetworkPrimitives

/// A rule: its matches and actions, in order, in terms of fields and values. The encoder chooses the kernel's
/// registers, and adds the checks that a field is present.
public struct NftRule: Hashable, Sendable {
  /// Its chain.
  public var chain: NftChain
  /// Matches and actions; the first match that fails ends the rule.
  public var statements: [NftStatement]
  /// The comment that `nft list ruleset` shows; up to 127 bytes.
  public var comment: String?

  /// A rule to add.
  public init(_ chain: NftChain, comment: String? = nil, _ statements: [NftStatement]) {
    self.chain = chain
    self.statements = statements
    self.comment = comment
  }

  /// The body of `NFT_MSG_NEWRULE`; with `replacing`, it replaces the rule of that handle.
  ///
  /// - Throws: `.invalidValue` when a value does not fit the field, a field never exists in the table's family, or the
  ///   rule is longer than the kernel's 128 expressions.
  func create(replacing handle: UInt64? = nil) throws(NetworkError) -> PayloadWriter {
    var encoder = NftRuleEncoder(family: chain.table.family)
    for statement in statements { try encoder.append(statement) }
    let expressions = encoder.expressions
    guard expressions.count <= 128 else {
      throw NetworkError(
        .invalidValue, operation: "encode nftables rule",
        reason: "it takes \(expressions.count) expressions; the kernel runs up to 128")
    }
    var body = chain.reference(of: NFTA_RULE_TABLE, NFTA_RULE_CHAIN)
    if let handle { body.attribute(NFTA_RULE_HANDLE, be64: handle) }
    body.nested(NFTA_RULE_EXPRESSIONS) { rule in
      for expression in expressions { expression.encode(into: &rule) }
    }
    if let comment { body.attribute(NFTA_RULE_USERDATA, bytes: try NftComment.userData(comment, of: "rule")) }
    return body
  }
}

/// A part of a rule.
public enum NftStatement: Hashable, Sendable {
  /// Continue only if the fields fulfil the condition; several fields make a concatenated key and need a set.
  case match([NftSelector], NftCondition)
  /// Decide.
  case verdict(NftVerdict)
  /// Decide by the verdict map; continue if it has no entry for these fields.
  case verdictMap([NftSelector], NftSetReference)
  /// Rewrite an address of the connection's first packet, and so of all its packets.
  case translate(NftTranslation)
  /// Rewrite the source to the address of the outgoing interface.
  case masquerade(NftTranslation.Flags)
  /// Drop and tell the sender.
  case reject(NftReject)
  /// Count packets and bytes.
  case counter
  /// Do not track the packet's connection.
  case notrack
  /// Set the packet's mark.
  case setMark(UInt32)
  /// Rewrite the frame's source hardware address.
  case setSourceMAC(MACAddress)
  /// Set the connection's mark.
  case setConnectionMark(UInt32)
  /// Trace the packet through every later chain; see ``NftTrace``.
  case trace

  /// Continue only if the field fulfils the condition.
  public static func match(_ field: NftSelector, _ condition: NftCondition) -> NftStatement {
    .match([field], condition)
  }
}

/// A condition for a field.
public enum NftCondition: Hashable, Sendable {
  /// Compares with a value.
  case compare(NftComparison, NftValue)
  /// Within the bounds, both included; `inverted`: below or above them.
  case range(NftValue, NftValue, inverted: Bool)
  /// The first `bits` bits equal those of the value: a subnet, a prefix of a name; `inverted`: they differ.
  case prefix(NftValue, bits: Int, inverted: Bool)
  /// At least one bit of the value is set.
  case anyBit(NftValue)
  /// The bits under the mask equal those of the value.
  case masked(NftValue, mask: NftValue)
  /// In the set; `inverted`: not in it.
  case member(NftSetReference, inverted: Bool)

  /// The same value.
  public static func equal(_ value: NftValue) -> NftCondition { .compare(.equal, value) }
  /// Any other value.
  public static func notEqual(_ value: NftValue) -> NftCondition { .compare(.notEqual, value) }
  /// A member of the set.
  public static func inSet(_ set: NftSetReference) -> NftCondition { .member(set, inverted: false) }
  /// Not a member of the set.
  public static func notInSet(_ set: NftSetReference) -> NftCondition { .member(set, inverted: true) }
  /// An address of the subnet.
  public static func inSubnet(_ subnet: Subnet) -> NftCondition {
    .prefix(.address(subnet.network), bits: subnet.prefixLength, inverted: false)
  }
  /// An address outside the subnet.
  public static func notInSubnet(_ subnet: Subnet) -> NftCondition {
    .prefix(.address(subnet.network), bits: subnet.prefixLength, inverted: true)
  }
  /// One of the states; with ``NftSelector/connectionState``.
  public static func state(_ states: NftConnectionState) -> NftCondition { .anyBit(.host(states.rawValue)) }
  /// One of the bits; with ``NftSelector/connectionStatus``.
  public static func status(_ status: NftConnectionStatus) -> NftCondition { .anyBit(.host(status.rawValue)) }
}

/// A rewriting of addresses; needs a chain of type ``NftChain/ChainType/nat``.
public struct NftTranslation: Hashable, Sendable {
  /// The rewritten end.
  public enum Kind: UInt32, Hashable, Sendable {
    /// `snat`.
    case source = 0
    /// `dnat`.
    case destination = 1
  }

  /// The new address.
  public enum Target: Hashable, Sendable {
    /// This address, and this port unless it is nil.
    case address(IPAddress, port: UInt16?)
    /// The map's address for the key and, with `port`, its port; without an entry, the rule ends.
    case map(NftSetReference, key: [NftSelector], family: AddressFamily, port: Bool)
  }

  /// The kernel's freedom of choice (`NF_NAT_RANGE_*` in `linux/netfilter/nf_nat.h`).
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt32
    /// Flags from their bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The same client gets the same address each time.
    public static let persistent = Flags(rawValue: 8)
    /// Random ports, so that two packets do not race for one.
    public static let fullyRandom = Flags(rawValue: 16)
  }

  /// The rewritten end.
  public var kind: Kind
  /// The new address.
  public var target: Target
  /// The kernel's freedom of choice.
  public var flags: Flags

  /// A rewriting.
  public init(_ kind: Kind, to target: Target, flags: Flags = []) {
    self.kind = kind
    self.target = target
    self.flags = flags
  }
}

/// The answer to the sender of a refused packet (`enum nft_reject_types`).
public enum NftReject: Hashable, Sendable {
  /// A TCP reset; match TCP before.
  case tcpReset
  /// "Port unreachable", by ICMP or ICMPv6 to match the packet.
  case portUnreachable
  /// "Administratively prohibited", by ICMP or ICMPv6 to match the packet.
  case adminProhibited
}
