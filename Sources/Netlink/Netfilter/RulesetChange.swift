import CContainerNetworking
public import NetworkPrimitives

/// A change of a namespace's nftables, as the kernel notifies of it (`NFNLGRP_NFTABLES` in
/// `linux/netfilter/nfnetlink.h`). The changes of a transaction come together, its generation last.
public enum RulesetChange: Hashable, Sendable {
  /// An object was added or changed.
  case added(Object)
  /// An object was deleted. A deleted table's objects are reported one by one, except elements of sets.
  case removed(Object)
  /// A transaction was made.
  case generation(Generation)
  /// Changes were dropped, because they came faster than they were read: read the ruleset again.
  case lost

  /// The changed object.
  public enum Object: Hashable, Sendable {
    /// A table.
    case table(NftTable)
    /// A chain of a table.
    case chain(table: NftTable, name: String)
    /// A rule, by its handle.
    case rule(table: NftTable, chain: String, handle: UInt64)
    /// A set or map.
    case set(table: NftTable, name: String)
    /// The number of elements of a set or map, and their comments; an empty comment for none.
    case elements(table: NftTable, set: String, count: Int, comments: Set<String>)
  }

  /// A state of the ruleset (`NFT_MSG_NEWGEN`).
  public struct Generation: Hashable, Sendable {
    /// Its number, which each transaction increments.
    public var number: UInt32
    /// The id of the thread that made it; in a program with one thread, the process id.
    public var processID: Int32
    /// The name of that thread, up to 15 bytes: `nft`.
    public var processName: String

    /// Makes a generation.
    public init(number: UInt32, processID: Int32, processName: String) {
      self.number = number
      self.processID = processID
      self.processName = processName
    }
  }

  /// The multicast group (`NFNLGRP_NFTABLES`).
  public static let group = Int32(NFNLGRP_NFTABLES.rawValue)

  /// Reads a message of the group; nil for objects that this library has no type for, such as flow tables.
  ///
  /// - Throws: `.malformedMessage`.
  public init?(_ message: NetlinkMessage) throws(NetworkError) {
    guard message.type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES) else { return nil }
    var reader = PayloadReader(message.payload)
    let family = NftFamily(rawValue: try reader.read())
    try reader.skip(3)
    let attributes = try Attributes(reader.rest)
    let kind = UInt32(message.type & 0xff)
    if kind == NFT_MSG_NEWGEN.rawValue {
      self = .generation(
        Generation(
          number: try attributes.be32(NFTA_GEN_ID) ?? 0,
          processID: Int32(truncatingIfNeeded: try attributes.be32(NFTA_GEN_PROC_PID) ?? 0),
          processName: attributes[NFTA_GEN_PROC_NAME]?.string ?? ""))
      return
    }
    guard let family, let object = try Self.object(kind, family, attributes) else { return nil }
    let removals = [
      NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELSET, NFT_MSG_DELSETELEM,
    ]
    self = removals.contains { $0.rawValue == kind } ? .removed(object) : .added(object)
  }

  private static func object(
    _ kind: UInt32, _ family: NftFamily, _ attributes: Attributes
  ) throws(NetworkError) -> Object? {
    func table(_ type: some RawRepresentable<UInt32>) throws(NetworkError) -> NftTable {
      NftTable(family: family, name: try attributes.name(type, of: "event"))
    }
    switch kind {
    case NFT_MSG_NEWTABLE.rawValue, NFT_MSG_DELTABLE.rawValue: return .table(try table(NFTA_TABLE_NAME))
    case NFT_MSG_NEWCHAIN.rawValue, NFT_MSG_DELCHAIN.rawValue:
      return .chain(table: try table(NFTA_CHAIN_TABLE), name: try attributes.name(NFTA_CHAIN_NAME, of: "event"))
    case NFT_MSG_NEWRULE.rawValue, NFT_MSG_DELRULE.rawValue:
      return .rule(
        table: try table(NFTA_RULE_TABLE), chain: try attributes.name(NFTA_RULE_CHAIN, of: "event"),
        handle: try attributes.be64(NFTA_RULE_HANDLE) ?? 0)
    case NFT_MSG_NEWSET.rawValue, NFT_MSG_DELSET.rawValue:
      return .set(table: try table(NFTA_SET_TABLE), name: try attributes.name(NFTA_SET_NAME, of: "event"))
    case NFT_MSG_NEWSETELEM.rawValue, NFT_MSG_DELSETELEM.rawValue:
      let elements = try attributes[NFTA_SET_ELEM_LIST_ELEMENTS]?.nested()
      var comments: Set<String> = []
      for element in elements.map({ Array($0) }) ?? [] {
        let userData = try element.nested()[NFTA_SET_ELEM_USERDATA]?.payload
        comments.insert(userData.flatMap { NftComment.text(in: $0) } ?? "")
      }
      return .elements(
        table: try table(NFTA_SET_ELEM_LIST_TABLE), set: try attributes.name(NFTA_SET_ELEM_LIST_SET, of: "event"),
        count: elements?.count ?? 0, comments: comments)
    default: return nil
    }
  }
}
