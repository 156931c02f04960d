public import NetworkPrimitives

/// One attribute of a message (`struct nlattr`): its type without the flag bits, and its payload.
public struct Attribute: Sendable, Hashable {
  /// The type, without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
  public let type: Int

  /// Whether the sender marked it as nested.
  public let isNested: Bool

  /// The payload, without padding.
  public let payload: ArraySlice<UInt8>

  /// Makes an attribute; the parser and tests do.
  public init(type: Int, isNested: Bool = false, payload: ArraySlice<UInt8>) {
    self.type = type
    self.isNested = isNested
    self.payload = payload
  }

  /// The payload as an integer in the host's byte order. Throws `.malformedMessage` for a payload of another length.
  public func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(NetworkError) -> Value {
    guard payload.count == Value.bitWidth / 8 else {
      throw NetworkError(
        .malformedMessage, operation: "read netlink attribute \(type)",
        reason: "\(payload.count) bytes where an integer of \(Value.bitWidth / 8) belongs")
    }
    return Value(hostBytes: payload)
  }

  /// The payload as an integer in network byte order.
  public func bigEndian<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(NetworkError) -> Value {
    Value(bigEndian: try integer())
  }

  /// The payload as text, up to its first NUL; bytes that are not UTF-8 are replaced.
  public var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }

  /// The attributes inside.
  public func nested() throws(NetworkError) -> Attributes { try Attributes(payload) }
}

/// The attributes of a message or nest, in the order they came. Unknown ones are kept, not refused.
public struct Attributes: Sendable, Hashable, RandomAccessCollection {
  private let list: [Attribute]

  /// Splits `bytes` into attributes.
  ///
  /// - Throws: `.malformedMessage` when an attribute's length is under its header's four bytes or past the end.
  public init(_ bytes: ArraySlice<UInt8>) throws(NetworkError) {
    var list: [Attribute] = []
    var rest = bytes
    // Up to three bytes of padding may follow the last attribute.
    while rest.count >= 4 {
      let start = rest.startIndex
      let length = Int(rest.integer(at: start, UInt16.self))
      let type = Int(rest.integer(at: start + 2, UInt16.self))
      guard length >= 4, length <= rest.count else {
        throw NetworkError(
          .malformedMessage, operation: "read netlink attribute \(type & 0x3fff)",
          reason: "its length is \(length); 4 to \(rest.count) is possible")
      }
      list.append(
        Attribute(type: type & 0x3fff, isNested: type & 0x8000 != 0, payload: rest[start + 4..<start + length]))
      rest = rest.dropFirst((length + 3) & ~3)
    }
    self.list = list
  }

  /// The first attribute of a type in `bytes`, found without parsing the rest; nil also if the bytes before it are
  /// malformed.
  package static func first(_ type: Int, in bytes: ArraySlice<UInt8>) -> Attribute? {
    var start = bytes.startIndex
    while bytes.endIndex - start >= 4 {
      let length = Int(bytes.integer(at: start, UInt16.self))
      let found = Int(bytes.integer(at: start + 2, UInt16.self))
      guard length >= 4, length <= bytes.endIndex - start else { return nil }
      if found & 0x3fff == type {
        return Attribute(type: type, isNested: found & 0x8000 != 0, payload: bytes[start + 4..<start + length])
      }
      start += Swift.min((length + 3) & ~3, bytes.endIndex - start)
    }
    return nil
  }

  /// The first attribute of that type, if there is one.
  public subscript(type type: Int) -> Attribute? { list.first { $0.type == type } }

  /// The position of the first attribute.
  public var startIndex: Int { 0 }
  /// One past the last attribute.
  public var endIndex: Int { list.count }
  /// The attribute at a position.
  public subscript(position: Int) -> Attribute { list[position] }
}
