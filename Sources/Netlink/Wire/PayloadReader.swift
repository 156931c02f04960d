public import NetworkPrimitives

/// Reads fixed headers from untrusted bytes: a read past the end is a typed error, never a trap.
public struct PayloadReader: Sendable {
  /// The unread bytes.
  public private(set) var rest: ArraySlice<UInt8>

  /// Reads from the start of `bytes`.
  public init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next integer, in the host's byte order.
  public mutating func read<Value: FixedWidthInteger>(
    _ type: Value.Type = Value.self
  ) throws(NetworkError) -> Value {
    try Value(hostBytes: take(Value.bitWidth / 8))
  }

  /// Skips bytes.
  public mutating func skip(_ count: Int) throws(NetworkError) { _ = try take(count) }

  /// The next `count` bytes.
  public mutating func take(_ count: Int) throws(NetworkError) -> ArraySlice<UInt8> {
    guard count <= rest.count else {
      throw NetworkError(
        .malformedMessage, operation: "read netlink message",
        reason: "\(count) bytes are needed and \(rest.count) are left")
    }
    let taken = rest.prefix(count)
    rest = rest.dropFirst(count)
    return taken
  }
}

extension ArraySlice<UInt8> {
  /// An integer in the host's order, at an index. The caller has checked the bounds.
  func integer<Value: FixedWidthInteger>(at start: Int, _: Value.Type = Value.self) -> Value {
    var value: Value = 0
    for offset in 0..<Value.bitWidth / 8 {
      let byte = Value(truncatingIfNeeded: self[start + offset])
      value |= byte << Value(truncatingIfNeeded: 8 * (Endian.isLittle ? offset : Value.bitWidth / 8 - 1 - offset))
    }
    return value
  }
}

extension FixedWidthInteger {
  /// An integer from exactly its bytes, in the host's order. The caller has checked the count.
  init(hostBytes bytes: ArraySlice<UInt8>) {
    var value: Self = 0
    for offset in 0..<bytes.count {
      let byte = bytes[Endian.isLittle ? bytes.endIndex - 1 - offset : bytes.startIndex + offset]
      value = Self.bitWidth > 8 ? value << 8 | Self(truncatingIfNeeded: byte) : Self(truncatingIfNeeded: byte)
    }
    self = value
  }
}
