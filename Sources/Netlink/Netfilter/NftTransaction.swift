import CContainerNetworking
public import NetworkPrimitives

/// Where a table's packets come from (`NFPROTO_*`).
public enum NftFamily: UInt8, Hashable, Sendable {
  /// IPv4 and IPv6.
  case inet = 1
  /// IPv4.
  case ipv4 = 2
  /// Frames that a bridge forwards.
  case bridge = 7
  /// IPv6.
  case ipv6 = 10
}

/// Where a base chain hooks in.
public struct NftHook: Hashable, Sendable {
  /// The point in the packet's path (`enum nf_inet_hooks`).
  public enum Point: UInt32, Hashable, Sendable {
    /// Before routing.
    case prerouting = 0
    /// For this host.
    case input = 1
    /// Through this host.
    case forward = 2
    /// From this host.
    case output = 3
    /// After routing.
    case postrouting = 4
  }

  /// What the chain may do.
  public enum Kind: String, Hashable, Sendable {
    /// Accept and drop.
    case filter
    /// Translate addresses, once for each connection.
    case nat
  }

  /// The point.
  public var point: Point
  /// The kind.
  public var kind: Kind
  /// Order among the chains of a point; the lowest first. -300 is before connection tracking, -100 and 100 are where
  /// destinations and sources are translated, 0 is where filters are (`enum nf_ip_hook_priorities`).
  public var priority: Int32

  /// Makes a hook.
  public init(_ point: Point, _ kind: Kind, priority: Int32) {
    self.point = point
    self.kind = kind
    self.priority = priority
  }
}

/// One element of a set or map: its fields' bytes, each padded to four bytes where there are several.
public struct NftElement: Hashable, Sendable {
  /// The key.
  public var key: [UInt8]
  /// What the map has for it; nil in a set.
  public var value: [UInt8]?

  /// An element of these fields and, in a map, these values.
  public init(_ key: [[UInt8]], value: [[UInt8]]? = nil) {
    self.key = Self.concatenate(key)
    self.value = value.map(Self.concatenate)
  }

  private static func concatenate(_ parts: [[UInt8]]) -> [UInt8] {
    guard parts.count > 1 else { return parts.first ?? [] }
    return parts.flatMap { $0 + [UInt8](repeating: 0, count: -$0.count & 3) }
  }

  /// The bytes of a link's name as a key.
  public static func bytes(of name: InterfaceName) -> [UInt8] {
    let text = Array(name.description.utf8)
    return text + [UInt8](repeating: 0, count: 16 - text.count)
  }

  /// The bytes of a number in network order as a key.
  public static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    var writer = PayloadWriter()
    writer.append(value.bigEndian)
    return writer.bytes
  }
}

/// Changes to one nftables table that are made together, or not at all.
public struct NftTransaction: Sendable {
  /// The table's family.
  public let family: NftFamily
  /// The table's name.
  public let table: String
  /// The requests so far.
  public private(set) var requests: [NetlinkRequest] = []

  /// A transaction of no changes.
  public init(family: NftFamily, table: String) {
    self.family = family
    self.table = table
  }

  /// Makes the table; `EEXIST` where there is one.
  public mutating func addTable() {
    append(NFT_MSG_NEWTABLE, "NEWTABLE", [.create, .exclusive], "add table \(table)") { [table] body in
      body.attribute(attr(NFTA_TABLE_NAME), string: table)
    }
  }

  /// Deletes the table and all in it.
  public mutating func deleteTable() {
    append(NFT_MSG_DELTABLE, "DELTABLE", [], "delete table \(table)") { [table] body in
      body.attribute(attr(NFTA_TABLE_NAME), string: table)
    }
  }

  /// Makes a chain; one without a hook is only jumped to. Packets that no rule decides pass.
  public mutating func addChain(_ name: String, hook: NftHook? = nil) {
    append(NFT_MSG_NEWCHAIN, "NEWCHAIN", [.create, .exclusive], "add chain \(name)") { [table] body in
      body.attribute(attr(NFTA_CHAIN_TABLE), string: table)
      body.attribute(attr(NFTA_CHAIN_NAME), string: name)
      guard let hook else { return }
      body.nested(attr(NFTA_CHAIN_HOOK)) { nest in
        nest.attribute(attr(NFTA_HOOK_HOOKNUM), bigEndian: hook.point.rawValue)
        nest.attribute(attr(NFTA_HOOK_PRIORITY), bigEndian: hook.priority)
      }
      body.attribute(attr(NFTA_CHAIN_POLICY), bigEndian: UInt32(1))  // NF_ACCEPT
      body.attribute(attr(NFTA_CHAIN_TYPE), string: hook.kind.rawValue)
    }
  }

  /// Appends a rule to a chain.
  public mutating func addRule(_ chain: String, _ statements: [NftStatement]) {
    append(NFT_MSG_NEWRULE, "NEWRULE", [.create, .append], "add rule to chain \(chain)") { [table] body in
      body.attribute(attr(NFTA_RULE_TABLE), string: table)
      body.attribute(attr(NFTA_RULE_CHAIN), string: chain)
      body.nested(attr(NFTA_RULE_EXPRESSIONS)) { rule in
        for statement in statements { statement.encode(into: &rule) }
      }
    }
  }

  /// Makes a set of the fields together; a map where it has values.
  public mutating func addSet(_ name: String, of key: [NftField], values: [NftField] = []) {
    let id = UInt32(requests.count + 1)
    append(NFT_MSG_NEWSET, "NEWSET", [.create, .exclusive], "add set \(name)") { [table] body in
      body.attribute(attr(NFTA_SET_TABLE), string: table)
      body.attribute(attr(NFTA_SET_NAME), string: name)
      body.attribute(attr(NFTA_SET_FLAGS), bigEndian: UInt32(values.isEmpty ? 0 : NFT_SET_MAP.rawValue))
      body.attribute(attr(NFTA_SET_KEY_TYPE), bigEndian: Self.dataType(key))
      body.attribute(attr(NFTA_SET_KEY_LEN), bigEndian: Self.size(key))
      if !values.isEmpty {
        body.attribute(attr(NFTA_SET_DATA_TYPE), bigEndian: Self.dataType(values))
        body.attribute(attr(NFTA_SET_DATA_LEN), bigEndian: Self.size(values))
      }
      body.attribute(attr(NFTA_SET_ID), bigEndian: id)
    }
  }

  /// Adds elements; `EEXIST` where there is one of the same key.
  public mutating func addElements(_ set: String, _ elements: [NftElement]) {
    change(NFT_MSG_NEWSETELEM, "NEWSETELEM", [.create, .exclusive], "add elements to \(set)", set, elements)
  }

  /// Deletes elements; `ENOENT` where there is none.
  public mutating func deleteElements(_ set: String, _ elements: [NftElement]) {
    change(NFT_MSG_DELSETELEM, "DELSETELEM", [], "delete elements of \(set)", set, elements)
  }

  /// Makes the changes.
  ///
  /// - Throws: The refusal of the first change that failed; nothing was changed then.
  public func commit(over connection: NetlinkConnection) throws(NetworkError) {
    try connection.transact(
      begin: Self.boundary(UInt16(NFNL_MSG_BATCH_BEGIN), "NFNL_MSG_BATCH_BEGIN"), requests,
      end: Self.boundary(UInt16(NFNL_MSG_BATCH_END), "NFNL_MSG_BATCH_END"))
  }

  private mutating func change(
    _ message: nf_tables_msg_types, _ name: String, _ flags: MessageFlags, _ purpose: String, _ set: String,
    _ elements: [NftElement]
  ) {
    // A list is one attribute of at most 64 KiB.
    var rest = elements[...]
    while !rest.isEmpty {
      let part = rest.prefix(500)
      append(message, name, flags, purpose) { [table] body in
        body.attribute(attr(NFTA_SET_ELEM_LIST_TABLE), string: table)
        body.attribute(attr(NFTA_SET_ELEM_LIST_SET), string: set)
        body.nested(attr(NFTA_SET_ELEM_LIST_ELEMENTS)) { list in
          for element in part {
            list.nested(attr(NFTA_LIST_ELEM)) { nest in
              nest.value(attr(NFTA_SET_ELEM_KEY), element.key)
              if let value = element.value { nest.value(attr(NFTA_SET_ELEM_DATA), value) }
            }
          }
        }
      }
      rest = rest.dropFirst(part.count)
    }
  }

  private mutating func append(
    _ message: nf_tables_msg_types, _ name: String, _ flags: MessageFlags, _ purpose: String,
    _ write: (inout PayloadWriter) -> Void
  ) {
    var body = PayloadWriter()
    body.append(family.rawValue)
    body.appendZeros(3)
    write(&body)
    requests.append(
      NetlinkRequest(
        type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(message.rawValue), flags: flags, body: body.bytes,
        name: "NFT_MSG_\(name)", purpose: purpose))
  }

  private static func boundary(_ type: UInt16, _ name: String) -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(2)
    body.append(UInt16(NFNL_SUBSYS_NFTABLES).bigEndian)
    return NetlinkRequest(type: type, body: body.bytes, name: name, purpose: "commit nftables transaction")
  }

  private static func dataType(_ fields: [NftField]) -> UInt32 { fields.reduce(0) { $0 << 6 | $1.dataType } }

  private static func size(_ fields: [NftField]) -> UInt32 {
    fields.count == 1 ? UInt32(fields[0].size) : fields.reduce(0) { $0 + UInt32(($1.size + 3) & ~3) }
  }
}
