import CContainerNetworking
public import NetworkPrimitives

/// An nftables table: a family and a name.
public struct NftTable: Hashable, Sendable {
  /// The family of its packets.
  public var family: NftFamily
  /// Its name, unique in the family.
  public var name: String
  /// The kernel's number for it, in tables that were read; ignored in requests.
  public var handle: UInt64?

  /// A table to make, fill or delete.
  public init(family: NftFamily, name: String) {
    self.family = family
    self.name = name
  }

  /// Reads an `NFT_MSG_NEWTABLE` message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    let (family, attributes) = try NftMessage.read(message, NFT_MSG_NEWTABLE, "table")
    self.family = family
    name = try attributes.name(NFTA_TABLE_NAME, of: "table")
    handle = try attributes.be64(NFTA_TABLE_HANDLE)
  }

  /// The comment of the table in an `NFT_MSG_NEWTABLE` message.
  package static func comment(_ message: NetlinkMessage) throws(NetworkError) -> String? {
    let (_, attributes) = try NftMessage.read(message, NFT_MSG_NEWTABLE, "table")
    return attributes[NFTA_TABLE_USERDATA].flatMap { NftComment.text(in: $0.payload) }
  }

  func create(isOwned: Bool = false, _ comment: String? = nil) throws(NetworkError) -> PayloadWriter {
    try NftMessage.check(name: name, of: "table")
    var body = NftMessage.body(family: family.rawValue)
    body.attribute(NFTA_TABLE_NAME, string: name)
    body.attribute(NFTA_TABLE_FLAGS, be32: isOwned ? NFT_TABLE_F_OWNER.rawValue : 0)
    if let comment { body.attribute(NFTA_TABLE_USERDATA, bytes: try NftComment.userData(comment, of: "table")) }
    return body
  }

  func reference() -> PayloadWriter {
    var body = NftMessage.body(family: family.rawValue)
    body.attribute(NFTA_TABLE_NAME, string: name)
    return body
  }
}

/// A chain of rules: a regular one is a target of jumps, a base chain runs at a hook.
public struct NftChain: Hashable, Sendable {
  /// Its table.
  public var table: NftTable
  /// Its name, unique in the table.
  public var name: String
  /// The hook of a base chain; nil for a regular chain.
  public var base: Base?
  /// The kernel's number for it, in chains that were read; ignored in requests.
  public var handle: UInt64?

  /// A chain to make, fill or delete.
  public init(table: NftTable, name: String, base: Base? = nil) {
    self.table = table
    self.name = name
    self.base = base
  }

  /// The properties of a base chain.
  public struct Base: Hashable, Sendable {
    /// The permitted actions.
    public var type: ChainType
    /// The point of the packet's way.
    public var hook: Hook
    /// Order among the chains of a hook, lowest first; destination NAT is at -100, filters at 0, source NAT at 100.
    public var priority: Int32
    /// The verdict for a packet on which no rule decides.
    public var policy: Policy

    /// A place for a chain.
    public init(_ type: ChainType, hook: Hook, priority: Int32, policy: Policy = .accept) {
      self.type = type
      self.hook = hook
      self.priority = priority
      self.policy = policy
    }
  }

  /// The permitted actions of a base chain.
  public enum ChainType: String, Hashable, Sendable {
    /// Accept and drop.
    case filter
    /// Rewrite addresses of a connection's first packet.
    case nat
    /// As filter, and a changed packet is routed again; output hook only.
    case route
  }

  /// A point on a packet's path (`enum nf_inet_hooks`; the bridge family uses the same numbers).
  public enum Hook: UInt32, Hashable, Sendable {
    /// Incoming packets, before routing.
    case prerouting = 0
    /// Packets for this host.
    case input = 1
    /// Passing through.
    case forward = 2
    /// Made by this host.
    case output = 3
    /// Outgoing packets, after routing.
    case postrouting = 4
  }

  /// The final verdict of a base chain.
  public enum Policy: UInt32, Hashable, Sendable {
    /// Drop the packet.
    case drop = 0
    /// Let it pass.
    case accept = 1
  }

  /// Reads an `NFT_MSG_NEWCHAIN` message. A chain at a hook or of a type unknown to this library, such as `ingress`, is
  /// read as a regular one.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    let (family, attributes) = try NftMessage.read(message, NFT_MSG_NEWCHAIN, "chain")
    table = NftTable(family: family, name: try attributes.name(NFTA_CHAIN_TABLE, of: "chain"))
    name = try attributes.name(NFTA_CHAIN_NAME, of: "chain")
    handle = try attributes.be64(NFTA_CHAIN_HANDLE)
    guard let hook = attributes[NFTA_CHAIN_HOOK] else { return }
    let details = try hook.nested()
    guard let number = try details.be32(NFTA_HOOK_HOOKNUM), let place = Hook(rawValue: number),
      let type = ChainType(rawValue: attributes[NFTA_CHAIN_TYPE]?.string ?? "")
    else { return }
    let policy = try attributes.be32(NFTA_CHAIN_POLICY).flatMap { Policy(rawValue: $0) } ?? .accept
    let priority = Int32(bitPattern: try details.be32(NFTA_HOOK_PRIORITY) ?? 0)
    base = Base(type, hook: place, priority: priority, policy: policy)
  }

  func create() throws(NetworkError) -> PayloadWriter {
    try NftMessage.check(name: name, of: "chain")
    var body = NftMessage.body(family: table.family.rawValue)
    body.attribute(NFTA_CHAIN_TABLE, string: table.name)
    body.attribute(NFTA_CHAIN_NAME, string: name)
    guard let base else { return body }
    body.attribute(NFTA_CHAIN_TYPE, string: base.type.rawValue)
    body.attribute(NFTA_CHAIN_POLICY, be32: base.policy.rawValue)
    body.nested(NFTA_CHAIN_HOOK) { hook in
      hook.attribute(NFTA_HOOK_HOOKNUM, be32: base.hook.rawValue)
      hook.attribute(NFTA_HOOK_PRIORITY, be32: UInt32(bitPattern: base.priority))
    }
    return body
  }

  func reference() -> PayloadWriter {
    var body = NftMessage.body(family: table.family.rawValue)
    body.attribute(NFTA_CHAIN_TABLE, string: table.name)
    body.attribute(NFTA_CHAIN_NAME, string: name)
    return body
  }
}

extension NftChain {
  /// A body that references the chain by another message's attributes.
  func reference<Kind: RawRepresentable<UInt32>>(of table: Kind, _ chain: Kind) -> PayloadWriter {
    var body = NftMessage.body(family: self.table.family.rawValue)
    body.attribute(table, string: self.table.name)
    body.attribute(chain, string: name)
    return body
  }
}
