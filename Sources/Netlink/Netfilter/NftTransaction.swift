import CContainerNetworking
public import NetworkPrimitives

/// An atomic set of changes: the kernel makes all or none. They are collected in order, as requests; the connection
/// sends them between ``begin(generation:)`` and ``end``.
///
/// Every method throws `.invalidValue` for an unencodable value, and leaves the transaction unchanged.
public struct NftTransaction: Sendable, Hashable {
  /// The changes, each with its own description, which the error of a refusal contains.
  public private(set) var requests: [NetlinkRequest] = []
  private var lastSetID: UInt32 = 0

  /// An empty transaction.
  public init() {}

  /// Creates a table; with `exclusive`, an existing one is refused with `EEXIST`.
  ///
  /// - Parameters:
  ///   - table: The table.
  ///   - exclusive: Whether the table must be new.
  ///   - isOwned: Whether the table belongs to the creating socket: no other socket can change it, and it is deleted
  ///     when the socket closes for any reason (`NFT_TABLE_F_OWNER`, Linux 5.12).
  ///   - comment: The comment that `nft list ruleset` shows, up to 127 bytes; kernels before 5.10 do not keep it.
  public mutating func add(
    _ table: NftTable, exclusive: Bool = false, isOwned: Bool = false, comment: String? = nil
  ) throws(NetworkError) {
    append(
      NFT_MSG_NEWTABLE, "NFT_MSG_NEWTABLE", make(exclusive), try table.create(isOwned: isOwned, comment),
      "create \(Self.describe(table))")
  }

  /// Deletes a table with its contents.
  public mutating func delete(_ table: NftTable) {
    append(NFT_MSG_DELTABLE, "NFT_MSG_DELTABLE", [], table.reference(), "delete \(Self.describe(table))")
  }

  /// Creates a chain; with `exclusive`, an existing one is refused with `EEXIST`.
  public mutating func add(_ chain: NftChain, exclusive: Bool = false) throws(NetworkError) {
    append(NFT_MSG_NEWCHAIN, "NFT_MSG_NEWCHAIN", make(exclusive), try chain.create(), "create \(Self.describe(chain))")
  }

  /// Deletes a chain without rules to which no rule jumps.
  public mutating func delete(_ chain: NftChain) {
    append(NFT_MSG_DELCHAIN, "NFT_MSG_DELCHAIN", [], chain.reference(), "delete \(Self.describe(chain))")
  }

  /// Deletes the rules of a chain.
  public mutating func flush(_ chain: NftChain) {
    let body = chain.reference(of: NFTA_RULE_TABLE, NFTA_RULE_CHAIN)
    append(NFT_MSG_DELRULE, "NFT_MSG_DELRULE", [], body, "flush \(Self.describe(chain))")
  }

  /// Adds a rule at the end of its chain.
  public mutating func add(_ rule: NftRule) throws(NetworkError) {
    append(
      NFT_MSG_NEWRULE, "NFT_MSG_NEWRULE", [.create, .append], try rule.create(),
      "add rule to \(Self.describe(rule.chain))")
  }

  /// Adds a rule at the start of its chain.
  public mutating func insert(_ rule: NftRule) throws(NetworkError) {
    append(
      NFT_MSG_NEWRULE, "NFT_MSG_NEWRULE", .create, try rule.create(), "insert rule into \(Self.describe(rule.chain))")
  }

  /// Replaces the rule of the handle.
  public mutating func replace(handle: UInt64, with rule: NftRule) throws(NetworkError) {
    append(
      NFT_MSG_NEWRULE, "NFT_MSG_NEWRULE", .replace, try rule.create(replacing: handle),
      "replace rule \(handle) of \(Self.describe(rule.chain))")
  }

  /// Deletes the rule of the handle.
  public mutating func deleteRule(handle: UInt64, of chain: NftChain) {
    var body = chain.reference(of: NFTA_RULE_TABLE, NFTA_RULE_CHAIN)
    body.attribute(NFTA_RULE_HANDLE, be64: handle)
    append(NFT_MSG_DELRULE, "NFT_MSG_DELRULE", [], body, "delete rule \(handle) of \(Self.describe(chain))")
  }

  /// Creates a set or map and returns the reference for rules of this transaction.
  @discardableResult
  public mutating func add(_ set: NftSet, exclusive: Bool = false) throws(NetworkError) -> NftSetReference {
    let id = lastSetID + 1
    append(NFT_MSG_NEWSET, "NFT_MSG_NEWSET", make(exclusive), try set.create(id: id), "create \(Self.describe(set))")
    lastSetID = id
    return NftSetReference(name: set.name, id: id)
  }

  /// Deletes an unused set or map.
  public mutating func delete(_ set: NftSet) {
    append(
      NFT_MSG_DELSET, "NFT_MSG_DELSET", [], set.reference(NFTA_SET_TABLE, NFTA_SET_NAME), "delete \(Self.describe(set))"
    )
  }

  /// Adds elements; with `exclusive`, an existing one is refused with `EEXIST`. Without it, one that maps to another
  /// value is refused so too. `reference` identifies an anonymous set.
  public mutating func add(
    _ elements: [NftElement], to set: NftSet, _ reference: NftSetReference? = nil, exclusive: Bool = false
  ) throws(NetworkError) {
    for body in try bodies(elements, set, reference) {
      append(NFT_MSG_NEWSETELEM, "NFT_MSG_NEWSETELEM", make(exclusive), body, "add to \(Self.describe(set))")
    }
  }

  /// Deletes elements; a missing one is refused with `ENOENT`.
  public mutating func delete(_ elements: [NftElement], from set: NftSet) throws(NetworkError) {
    for body in try bodies(elements, set, nil) {
      append(NFT_MSG_DELSETELEM, "NFT_MSG_DELSETELEM", [], body, "delete from \(Self.describe(set))")
    }
  }

  /// Deletes all elements.
  public mutating func flush(_ set: NftSet) {
    append(
      NFT_MSG_DELSETELEM, "NFT_MSG_DELSETELEM", [], set.reference(NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET),
      "flush \(Self.describe(set))")
  }

  /// The start of a batch. With a generation from ``NftRequests/generation()``, the kernel refuses the batch with
  /// `ERESTART` if the ruleset changed since.
  public static func begin(generation: UInt32? = nil) -> NetlinkRequest {
    var body = NftMessage.body(family: 0, resource: UInt16(NFNL_SUBSYS_NFTABLES))
    if let generation { body.attribute(NFNL_BATCH_GENID, be32: generation) }
    return NetlinkRequest(
      type: 0x10, body: body, name: "NFNL_MSG_BATCH_BEGIN", purpose: "begin nftables transaction")
  }

  /// The end of a batch, which commits it.
  public static var end: NetlinkRequest {
    NetlinkRequest(
      type: 0x11, body: NftMessage.body(family: 0, resource: UInt16(NFNL_SUBSYS_NFTABLES)).bytes,
      name: "NFNL_MSG_BATCH_END", purpose: "commit nftables transaction")
  }

  /// Commits the changes; an empty transaction sends nothing.
  ///
  /// - Throws: The refusal of the first change that failed; then nothing was changed.
  public func commit(over connection: NetlinkConnection, generation: UInt32? = nil) throws(NetworkError) {
    try connection.transact(begin: Self.begin(generation: generation), requests, end: Self.end)
  }

  // MARK: - Parts

  /// One attribute holds up to 64 KiB; elements beyond go into further messages.
  private func bodies(
    _ elements: [NftElement], _ set: NftSet, _ reference: NftSetReference?
  ) throws(NetworkError) -> [PayloadWriter] {
    // Without elements, no request.
    if elements.isEmpty { return [] }
    if elements.count <= 64 {
      // Each element fits: none exceeds a key and its end of 64 bytes each, the name of a chain, a comment, and
      // headers.
      var body = start(of: set, reference)
      try body.nested(NFTA_SET_ELEM_LIST_ELEMENTS) { (list) throws(NetworkError) in
        for element in elements { try element.encode(into: &list, of: set) }
      }
      return [body]
    }
    var lists: [PayloadWriter] = []
    for element in elements {
      if lists.last.map({ $0.bytes.count > 32 << 10 }) ?? true { lists.append(PayloadWriter()) }
      try element.encode(into: &lists[lists.count - 1], of: set)
    }
    return lists.map { list in
      var body = start(of: set, reference)
      body.nested(NFTA_SET_ELEM_LIST_ELEMENTS) { $0.append(contentsOf: list.bytes) }
      return body
    }
  }

  private func start(of set: NftSet, _ reference: NftSetReference?) -> PayloadWriter {
    var body = set.reference(NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET)
    if let id = reference?.id { body.attribute(NFTA_SET_ELEM_LIST_SET_ID, be32: id) }
    return body
  }

  private mutating func append(
    _ type: nf_tables_msg_types, _ name: String, _ flags: MessageFlags, _ body: PayloadWriter,
    _ purpose: @autoclosure @escaping @Sendable () -> String
  ) {
    requests.append(
      NetlinkRequest(type: NftMessage.type(type), flags: flags, body: body, name: name, purpose: purpose()))
  }

  private func make(_ exclusive: Bool) -> MessageFlags { exclusive ? [.create, .exclusive] : .create }
  private static func describe(_ table: NftTable) -> String { "table \(table.family) \"\(table.name)\"" }
  private static func describe(_ chain: NftChain) -> String {
    "chain \"\(chain.name)\" of \(Self.describe(chain.table))"
  }
  private static func describe(_ set: NftSet) -> String {
    "\(set.data == .none ? "set" : "map") \"\(set.name)\" of \(Self.describe(set.table))"
  }
}
