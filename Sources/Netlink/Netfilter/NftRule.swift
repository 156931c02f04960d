import CContainerNetworking
public import NetworkPrimitives

/// A rule: what it matches and what it then does, in order. It speaks of fields and values; the encoder chooses the
/// kernel's registers, and adds the checks that a field needs to be there at all.
public struct NftRule: Hashable, Sendable {
  /// The chain that it belongs to.
  public var chain: NftChain
  /// Matches and actions; the first match that fails ends the rule.
  public var statements: [NftStatement]
  /// What `nft list ruleset` shows behind the rule; up to 127 bytes.
  public var comment: String?

  /// A rule to add.
  public init(_ chain: NftChain, comment: String? = nil, _ statements: [NftStatement]) {
    self.chain = chain
    self.statements = statements
    self.comment = comment
  }

  /// The body of `NFT_MSG_NEWRULE`, and `replacing` the rule of that handle.
  ///
  /// - Throws: `.invalidValue` when a value does not fit the field, a field is never there in the table's family, or
  ///   the rule is longer than the kernel's 128 expressions.
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
  /// Go on only if the fields fulfil the condition; several fields make a concatenated key and need a set.
  case match([NftSelector], NftCondition)
  /// Decide.
  case verdict(NftVerdict)
  /// Decide as the verdict map says; go on if it holds nothing for these fields.
  case verdictMap([NftSelector], NftSetReference)
  /// Rewrite the address of the connection's first packet, and so of all.
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
  /// Rewrite the hardware address that the frame comes from.
  case setSourceMAC(MACAddress)
  /// Set the connection's mark.
  case setConnectionMark(UInt32)
  /// Have every chain that the packet comes to from here on tell of it; see ``NftTrace``.
  case trace

  /// Go on only if the field fulfils the condition.
  public static func match(_ field: NftSelector, _ condition: NftCondition) -> NftStatement {
    .match([field], condition)
  }
}

/// What a field must be.
public enum NftCondition: Hashable, Sendable {
  /// Compares with a value.
  case compare(NftComparison, NftValue)
  /// At least the one and at most the other; `inverted`: below or above.
  case range(NftValue, NftValue, inverted: Bool)
  /// The first `bits` bits are those of the value: a subnet, a prefix of a name; `inverted`: they are not.
  case prefix(NftValue, bits: Int, inverted: Bool)
  /// At least one bit of the value is set.
  case anyBit(NftValue)
  /// The bits under the mask are those of the value.
  case masked(NftValue, mask: NftValue)
  /// A set holds it; `inverted`: does not.
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
  /// Which end is rewritten.
  public enum Kind: UInt32, Hashable, Sendable {
    /// `snat`.
    case source = 0
    /// `dnat`.
    case destination = 1
  }

  /// What to.
  public enum Target: Hashable, Sendable {
    /// This address, and this port if there is one.
    case address(IPAddress, port: UInt16?)
    /// The address, and with `port` the port behind it, that the map holds for the key; if none, the rule ends.
    case map(NftSetReference, key: [NftSelector], family: AddressFamily, port: Bool)
  }

  /// How the kernel may choose (`NF_NAT_RANGE_*` in `linux/netfilter/nf_nat.h`).
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt32
    /// Flags from their bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The same client gets the same address each time.
    public static let persistent = Flags(rawValue: 8)
    /// Ports at random, so that two packets do not race for one.
    public static let fullyRandom = Flags(rawValue: 16)
  }

  /// Which end is rewritten.
  public var kind: Kind
  /// What to.
  public var target: Target
  /// How the kernel may choose.
  public var flags: Flags

  /// A rewriting.
  public init(_ kind: Kind, to target: Target, flags: Flags = []) {
    self.kind = kind
    self.target = target
    self.flags = flags
  }
}

/// What the sender of a refused packet is told (`enum nft_reject_types`).
public enum NftReject: Hashable, Sendable {
  /// A TCP reset; match TCP before.
  case tcpReset
  /// "Port unreachable", of ICMP or ICMPv6 as the packet is.
  case portUnreachable
  /// "Administratively prohibited", of ICMP or ICMPv6 as the packet is.
  case adminProhibited
}
