import CContainerNetworking
public import NetworkPrimitives

/// A rule in the kernel's form: expressions with their attributes.
public struct NftRuleRecord: Hashable, Sendable {
  /// Its chain.
  public var chain: NftChain
  /// The number that identifies it when it is replaced or deleted.
  public var handle: UInt64
  /// Its comment.
  public var comment: String?
  /// Its expressions, in order.
  public var expressions: [Expression]

  /// One expression: `meta`, `cmp`, `lookup` … and its attributes (`linux/netfilter/nf_tables.h`).
  public struct Expression: Hashable, Sendable {
    /// Its name in the kernel.
    public var name: String
    /// Its attributes; unknown ones are kept.
    public var attributes: Attributes
  }

  /// Reads an `NFT_MSG_NEWRULE` message.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    let (family, attributes) = try NftMessage.read(message, NFT_MSG_NEWRULE, "rule")
    let table = NftTable(family: family, name: try attributes.name(NFTA_RULE_TABLE, of: "rule"))
    chain = NftChain(table: table, name: try attributes.name(NFTA_RULE_CHAIN, of: "rule"))
    handle = try attributes.be64(NFTA_RULE_HANDLE) ?? 0
    comment = attributes[NFTA_RULE_USERDATA].flatMap { NftComment.text(in: $0.payload) }
    expressions = []
    guard let list = attributes[NFTA_RULE_EXPRESSIONS] else { return }
    for element in try list.nested() {
      let fields = try element.nested()
      let data = try Attributes(fields[NFTA_EXPR_DATA]?.payload ?? [])
      expressions.append(Expression(name: try fields.name(NFTA_EXPR_NAME, of: "expression"), attributes: data))
    }
  }
}

/// Requests that read, and answers that are no object of their own. All but ``generation()`` and ``element(_:of:)`` are
/// dumps.
public enum NftRequests {
  /// The tables of a family, or of all.
  public static func tables(_ family: NftFamily? = nil) -> NetlinkRequest {
    request(NFT_MSG_GETTABLE, "NFT_MSG_GETTABLE", NftMessage.body(family: family?.rawValue ?? 0), "list tables")
  }

  /// The chains of a family, or of all; the kernel cannot filter by table.
  public static func chains(_ family: NftFamily? = nil) -> NetlinkRequest {
    request(NFT_MSG_GETCHAIN, "NFT_MSG_GETCHAIN", NftMessage.body(family: family?.rawValue ?? 0), "list chains")
  }

  /// The rules of a table.
  public static func rules(of table: NftTable) -> NetlinkRequest {
    var body = NftMessage.body(family: table.family.rawValue)
    body.attribute(NFTA_RULE_TABLE, string: table.name)
    return request(NFT_MSG_GETRULE, "NFT_MSG_GETRULE", body, "list rules of table \"\(table.name)\"")
  }

  /// The rules of a chain.
  public static func rules(of chain: NftChain) -> NetlinkRequest {
    let body = chain.reference(of: NFTA_RULE_TABLE, NFTA_RULE_CHAIN)
    return request(NFT_MSG_GETRULE, "NFT_MSG_GETRULE", body, "list rules of chain \"\(chain.name)\"")
  }

  /// The sets and maps of a table.
  public static func sets(of table: NftTable) -> NetlinkRequest {
    var body = NftMessage.body(family: table.family.rawValue)
    body.attribute(NFTA_SET_TABLE, string: table.name)
    return request(NFT_MSG_GETSET, "NFT_MSG_GETSET", body, "list sets of table \"\(table.name)\"")
  }

  /// The elements of a set or map.
  public static func elements(of set: NftSet) -> NetlinkRequest {
    let body = set.reference(NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET)
    return request(NFT_MSG_GETSETELEM, "NFT_MSG_GETSETELEM", body, "list elements of \"\(set.name)\"")
  }

  /// One element of a set or map, by its key; `ENOENT` for a missing one. Not a dump.
  ///
  /// - Throws: `.invalidValue` for a key that does not fit the set.
  public static func element(_ element: NftElement, of set: NftSet) throws(NetworkError) -> NetlinkRequest {
    var body = set.reference(NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET)
    try body.nested(NFTA_SET_ELEM_LIST_ELEMENTS) { (list) throws(NetworkError) in
      try element.encode(into: &list, of: set)
    }
    return request(NFT_MSG_GETSETELEM, "NFT_MSG_GETSETELEM", body, "find an element of \"\(set.name)\"")
  }

  /// The generation of the namespace's rules: a number that every transaction increments. Not a dump.
  public static func generation() -> NetlinkRequest {
    request(NFT_MSG_GETGEN, "NFT_MSG_GETGEN", NftMessage.body(family: 0), "read generation")
  }

  /// Reads an `NFT_MSG_NEWGEN` message.
  ///
  /// - Throws: `.malformedMessage`.
  public static func generation(_ message: NetlinkMessage) throws(NetworkError) -> UInt32 {
    var reader = PayloadReader(message.payload)
    try reader.skip(4)
    guard message.type == NftMessage.type(NFT_MSG_NEWGEN),
      let id = try Attributes(reader.rest).be32(NFTA_GEN_ID)
    else { throw NftMessage.malformed("generation", "the message holds none") }
    return id
  }

  private static func request(
    _ type: nf_tables_msg_types, _ name: String, _ body: PayloadWriter, _ purpose: String
  ) -> NetlinkRequest {
    NetlinkRequest(type: NftMessage.type(type), body: body, name: name, purpose: purpose)
  }
}
