import CContainerNetworking
public import NetworkPrimitives

/// An element of a set or map.
public struct NftElement: Hashable, Sendable {
  /// The key, or the first of a range.
  public var key: NftValue
  /// The end of a range, included.
  public var last: NftValue?
  /// The value of the key.
  public var data: Data
  /// The lifetime, milliseconds.
  public var timeout: UInt64?
  /// The comment that `nft list ruleset` shows; up to 127 bytes.
  public var comment: String?

  /// An element; `last` makes it a range, in a set with ``NftSet/Flags/interval``.
  public init(
    _ key: NftValue, through last: NftValue? = nil, data: Data = .none, timeout: UInt64? = nil, comment: String? = nil
  ) {
    self.key = key
    self.last = last
    self.data = data
    self.timeout = timeout
    self.comment = comment
  }

  /// The addresses of a subnet, as a range.
  public init(_ subnet: Subnet, data: Data = .none) {
    self.init(.address(subnet.first), through: .address(subnet.last), data: data)
  }

  /// The value of a key.
  public enum Data: Hashable, Sendable {
    /// None, as in a set.
    case none
    /// A value, in a map.
    case value(NftValue)
    /// A decision, in a verdict map.
    case verdict(NftVerdict)
  }

  /// Writes the element: one, or in a set of plain ranges its start followed by its end.
  func encode(into list: inout PayloadWriter, of set: NftSet) throws(NetworkError) {
    let operation = { "encode element of \"\(set.name)\"" }
    try set.key.check(key, operation())
    if let last { try set.key.check(last, operation()) }
    switch (data, set.data) {
    case (.none, .none): break
    case (.value(let value), .values(let types)): try types.check(value, operation())
    case (.verdict(let verdict), .verdict): try verdict.check()
    // A key alone is enough to delete an element.
    case (.none, _): break
    default:
      throw NetworkError(.invalidValue, operation: operation(), reason: "\(data) where \(set.data) belongs")
    }
    let userData = try comment.map { (text) throws(NetworkError) in try NftComment.userData(text, of: "element") }
    guard set.flags.contains(.interval) else {
      guard last == nil else {
        throw NetworkError(.invalidValue, operation: operation(), reason: "a range needs a set with flag interval")
      }
      write(key.encoded, userData, into: &list)
      return
    }
    let end = (last ?? key).encoded
    guard !end.lexicographicallyPrecedes(key.encoded) else {
      throw NetworkError(.invalidValue, operation: operation(), reason: "the range ends before it starts")
    }
    if set.key.count > 1 {
      write(key.encoded, end: end, userData, into: &list)
    } else {
      write(key.encoded, userData, into: &list)
      // The highest value has no successor: the range stays open.
      if let next = Self.successor(end) {
        list.nested(NFTA_LIST_ELEM) { element in
          element.attribute(NFTA_SET_ELEM_FLAGS, be32: NFT_SET_ELEM_INTERVAL_END.rawValue)
          element.nested(NFTA_SET_ELEM_KEY) { $0.attribute(NFTA_DATA_VALUE, bytes: next) }
        }
      }
    }
  }

  private func write(_ key: [UInt8], end: [UInt8]? = nil, _ userData: [UInt8]?, into list: inout PayloadWriter) {
    list.nested(NFTA_LIST_ELEM) { element in
      element.nested(NFTA_SET_ELEM_KEY) { $0.attribute(NFTA_DATA_VALUE, bytes: key) }
      if let end { element.nested(NFTA_SET_ELEM_KEY_END) { $0.attribute(NFTA_DATA_VALUE, bytes: end) } }
      switch data {
      case .none: break
      case .value(let value):
        element.nested(NFTA_SET_ELEM_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes: value.encoded) }
      case .verdict(let verdict): verdict.encode(into: &element, as: Int(NFTA_SET_ELEM_DATA.rawValue))
      }
      if let timeout { element.attribute(NFTA_SET_ELEM_TIMEOUT, be64: timeout) }
      if let userData { element.attribute(NFTA_SET_ELEM_USERDATA, bytes: userData) }
    }
  }

  /// The next number, big-endian; nil after the last.
  static func successor(_ bytes: [UInt8]) -> [UInt8]? {
    carry(bytes, from: 0xff, to: 0) { $0 &+ 1 }
  }

  /// The previous number, big-endian; nil before 0.
  static func predecessor(_ bytes: [UInt8]) -> [UInt8]? {
    carry(bytes, from: 0, to: 0xff) { $0 &- 1 }
  }

  private static func carry(_ bytes: [UInt8], from: UInt8, to: UInt8, _ step: (UInt8) -> UInt8) -> [UInt8]? {
    var result = bytes
    for index in result.indices.reversed() {
      guard result[index] == from else {
        result[index] = step(result[index])
        return result
      }
      result[index] = to
    }
    return nil
  }
}

extension NftElement {
  /// Reads the elements in the `NFT_MSG_NEWSETELEM` messages of a dump of `set`, with ranges recombined.
  ///
  /// - Throws: `.malformedMessage`, also for keys or data whose lengths differ from the set's types.
  public static func list(_ messages: [NetlinkMessage], of set: NftSet) throws(NetworkError) -> [NftElement] {
    var elements: [NftElement] = []
    var ends: [[UInt8]] = []
    for message in messages {
      let (_, attributes) = try NftMessage.read(message, NFT_MSG_NEWSETELEM, "elements")
      guard let list = attributes[NFTA_SET_ELEM_LIST_ELEMENTS] else { continue }
      for item in try list.nested() {
        let fields = try item.nested()
        guard let key = try value(in: fields[NFTA_SET_ELEM_KEY]) else { continue }  // the catch-all has none
        let flags = try fields.be32(NFTA_SET_ELEM_FLAGS) ?? 0
        if flags & NFT_SET_ELEM_INTERVAL_END.rawValue != 0 {
          ends.append(Array(key))
        } else {
          elements.append(try NftElement(fields, key: key, of: set))
        }
      }
    }
    guard set.flags.contains(.interval), set.key.count == 1 else { return elements }
    let sorted = ends.sorted { $0.lexicographicallyPrecedes($1) }
    return elements.map { element in element.closed(by: sorted) }
  }

  init(_ fields: Attributes, key: ArraySlice<UInt8>, of set: NftSet) throws(NetworkError) {
    self.init(try NftValue(key, lengths: set.key.map(\.length)))
    if let end = try Self.value(in: fields[NFTA_SET_ELEM_KEY_END]) {
      let value = try NftValue(end, lengths: set.key.map(\.length))
      last = value == self.key ? nil : value
    }
    if let attribute = fields[NFTA_SET_ELEM_DATA] {
      let nest = try attribute.nested()
      if let verdict = nest[NFTA_DATA_VERDICT] {
        data = .verdict(try NftVerdict(verdict))
      } else if let bytes = nest[NFTA_DATA_VALUE]?.payload, case .values(let types) = set.data {
        data = .value(try NftValue(bytes, lengths: types.map(\.length)))
      }
    }
    timeout = try fields.be64(NFTA_SET_ELEM_TIMEOUT)
    comment = fields[NFTA_SET_ELEM_USERDATA].flatMap { NftComment.text(in: $0.payload) }
  }

  private static func value(in attribute: Attribute?) throws(NetworkError) -> ArraySlice<UInt8>? {
    try attribute?.nested()[NFTA_DATA_VALUE]?.payload
  }

  /// The range from this start to the nearest of the sorted ends, or to the highest value.
  private func closed(by ends: [[UInt8]]) -> NftElement {
    let start = key.encoded
    var low = 0
    var high = ends.count
    while low < high {
      let middle = (low + high) / 2
      if start.lexicographicallyPrecedes(ends[middle]) { high = middle } else { low = middle + 1 }
    }
    let end = low < ends.count ? ends[low] : nil
    let value = end.flatMap(Self.predecessor) ?? start.map { _ in 0xff }
    var element = self
    element.last = value == start ? nil : .bytes(value)
    return element
  }
}
