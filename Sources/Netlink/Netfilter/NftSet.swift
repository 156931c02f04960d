import CContainerNetworking
public import NetworkPrimitives

/// A set, map or verdict map, without its elements.
public struct NftSet: Hashable, Sendable {
  /// Its table.
  public var table: NftTable
  /// Its name, unique in the table; a pattern, `__set%d`, for an anonymous set.
  public var name: String
  /// The fields of a key; several are a concatenation.
  public var key: [NftDataType]
  /// The values of the keys.
  public var data: Data
  /// Its capabilities.
  public var flags: Flags
  /// The default lifetime of an element, in milliseconds; needs ``Flags/timeout``.
  public var timeout: UInt64?
  /// The kernel's number for it, in sets that were read; ignored in requests.
  public var handle: UInt64?

  /// A set to make, fill or delete.
  public init(table: NftTable, name: String, key: [NftDataType], data: Data = .none, flags: Flags = []) {
    self.table = table
    self.name = name
    self.key = key
    self.data = data
    self.flags = flags
  }

  /// The type of a map's values.
  public enum Data: Hashable, Sendable {
    /// None: a set.
    case none
    /// A value of these fields: a map.
    case values([NftDataType])
    /// A decision: a verdict map.
    case verdict
  }

  /// `enum nft_set_flags`; the encoder sets those of maps and of concatenated ranges.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt32
    /// Flags from their bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Part of a rule, and deleted with it; the kernel chooses the name.
    public static let anonymous = Flags(rawValue: 1)
    /// Its elements never change once a rule uses it.
    public static let constant = Flags(rawValue: 2)
    /// It holds ranges.
    public static let interval = Flags(rawValue: 4)
    /// Its elements may expire.
    public static let timeout = Flags(rawValue: 0x10)
  }

  /// Bits on the wire that ``Data`` and the key imply.
  private static let derived = NFT_SET_MAP.rawValue | NFT_SET_CONCAT.rawValue

  /// Reads an `NFT_MSG_NEWSET` message. Key and data types unknown to this library are bytes of their length.
  ///
  /// - Throws: `.malformedMessage`.
  public init(_ message: NetlinkMessage) throws(NetworkError) {
    let (family, attributes) = try NftMessage.read(message, NFT_MSG_NEWSET, "set")
    table = NftTable(family: family, name: try attributes.name(NFTA_SET_TABLE, of: "set"))
    name = try attributes.name(NFTA_SET_NAME, of: "set")
    let bits = try attributes.be32(NFTA_SET_FLAGS) ?? 0
    flags = Flags(rawValue: bits & ~Self.derived)
    key = try Self.types(attributes, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN)
    let dataType = try attributes.be32(NFTA_SET_DATA_TYPE)
    if bits & NFT_SET_MAP.rawValue == 0 {
      data = .none
    } else if dataType == NFT_DATA_VERDICT.rawValue {
      data = .verdict
    } else {
      data = .values(try Self.types(attributes, NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN))
    }
    timeout = try attributes.be64(NFTA_SET_TIMEOUT)
    handle = try attributes.be64(NFTA_SET_HANDLE)
  }

  private static func types(
    _ attributes: Attributes, _ type: nft_set_attributes, _ length: nft_set_attributes
  ) throws(NetworkError) -> [NftDataType] {
    let id = try attributes.be32(type) ?? 0
    guard let size = try attributes.be32(length), size <= 64 else {
      throw NftMessage.malformed("set", "the length of its key or data is missing or over 64")
    }
    if let types = NftDataType.list(id: id), types.size == Int(size) { return types }
    return [NftDataType(id: id, length: Int(size))]
  }

  /// The body of `NFT_MSG_NEWSET`.
  func create(id: UInt32) throws(NetworkError) -> PayloadWriter {
    let pattern = flags.contains(.anonymous) ? name.replacingSuffix("%d", with: "") : name
    try NftMessage.check(name: pattern, of: "set")
    guard !key.isEmpty, key.size <= 64 else {
      throw NetworkError(
        .invalidValue, operation: "create set \"\(name)\"",
        reason: "its key has \(key.size) bytes; 1 to 64 are possible")
    }
    let ranges = key.count > 1 && flags.contains(.interval)
    var bits = flags.rawValue | (ranges ? NFT_SET_CONCAT.rawValue : 0)
    if data != .none { bits |= NFT_SET_MAP.rawValue }
    var body = reference(NFTA_SET_TABLE, NFTA_SET_NAME)
    body.attribute(NFTA_SET_FLAGS, be32: bits)
    body.attribute(NFTA_SET_KEY_TYPE, be32: key.id)
    body.attribute(NFTA_SET_KEY_LEN, be32: UInt32(key.size))
    var userData = PayloadWriter()
    userData.record(0, key.byteOrder)
    switch data {
    case .none: break
    case .verdict:
      body.attribute(NFTA_SET_DATA_TYPE, be32: NFT_DATA_VERDICT.rawValue)
      body.attribute(NFTA_SET_DATA_LEN, be32: 0)
      userData.record(1, 0)
    case .values(let types):
      guard !types.isEmpty, types.size <= 64 else {
        throw NetworkError(
          .invalidValue, operation: "create map \"\(name)\"",
          reason: "its data has \(types.size) bytes; 1 to 64 are possible")
      }
      body.attribute(NFTA_SET_DATA_TYPE, be32: types.id)
      body.attribute(NFTA_SET_DATA_LEN, be32: UInt32(types.size))
      userData.record(1, types.byteOrder)
    }
    body.attribute(NFTA_SET_ID, be32: id)
    if ranges { describeFields(in: &body) }
    if let timeout { body.attribute(NFTA_SET_TIMEOUT, be64: timeout) }
    body.attribute(NFTA_SET_USERDATA, bytes: userData.bytes)
    return body
  }

  /// Describes the lengths of the fields: the kernel stores concatenated ranges by field.
  private func describeFields(in body: inout PayloadWriter) {
    body.nested(NFTA_SET_DESC) { description in
      description.nested(NFTA_SET_DESC_CONCAT) { fields in
        for type in key {
          fields.nested(NFTA_LIST_ELEM) { $0.attribute(NFTA_SET_FIELD_LEN, be32: UInt32(type.length)) }
        }
      }
    }
  }

  /// A body that names the set.
  func reference<Kind: RawRepresentable<UInt32>>(_ table: Kind, _ name: Kind) -> PayloadWriter {
    var body = NftMessage.body(family: self.table.family.rawValue)
    body.attribute(table, string: self.table.name)
    body.attribute(name, string: self.name)
    return body
  }
}

extension PayloadWriter {
  /// A record of nft's own user data: type, length, number in the host's byte order.
  fileprivate mutating func record(_ type: UInt8, _ value: UInt32) {
    append(contentsOf: [type, 4])
    append(value)
  }
}

extension String {
  fileprivate func replacingSuffix(_ suffix: String, with other: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) + other : self
  }
}
