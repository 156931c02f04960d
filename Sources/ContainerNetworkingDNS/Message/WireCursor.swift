import NetworkPrimitives

extension NetworkError {
  /// The error for a message that breaks a rule at an octet.
  static func malformed(at offset: Int, _ rule: String) -> NetworkError {
    NetworkError(.malformedMessage, operation: "parse DNS message", reason: "octet \(offset): \(rule)")
  }
}

extension Span where Element == UInt8 {
  /// The number in network order at an offset; the caller has checked the bounds.
  func uint16(at offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }
}

/// The position in a message, and the end of the current part.
struct WireCursor {
  var offset: Int
  var end: Int

  private mutating func advance(_ count: Int, _ what: StaticString) throws(NetworkError) -> Int {
    guard count <= end - offset else {
      throw .malformed(at: offset, "\(what) needs \(count) octets, \(end - offset) are left")
    }
    defer { offset += count }
    return offset
  }

  mutating func uint8(of bytes: Span<UInt8>, _ what: StaticString) throws(NetworkError) -> UInt8 {
    bytes[try advance(1, what)]
  }

  mutating func uint16(of bytes: Span<UInt8>, _ what: StaticString) throws(NetworkError) -> UInt16 {
    bytes.uint16(at: try advance(2, what))
  }

  mutating func uint32(of bytes: Span<UInt8>, _ what: StaticString) throws(NetworkError) -> UInt32 {
    let place = try advance(4, what)
    return UInt32(bytes.uint16(at: place)) << 16 | UInt32(bytes.uint16(at: place + 2))
  }

  mutating func bytes(_ count: Int, of bytes: Span<UInt8>, _ what: StaticString) throws(NetworkError) -> [UInt8] {
    let place = try advance(count, what)
    var copy: [UInt8] = []
    copy.reserveCapacity(count)
    for index in place..<(place + count) { copy.append(bytes[index]) }
    return copy
  }

  mutating func skip(_ count: Int, _ what: StaticString) throws(NetworkError) { _ = try advance(count, what) }

  /// Reads a character-string, its length first (RFC 1035, section 3.3).
  mutating func string(of bytes: Span<UInt8>) throws(NetworkError) -> [UInt8] {
    let count = try uint8(of: bytes, "a string's length")
    return try self.bytes(Int(count), of: bytes, "a string")
  }
}

/// Iterates over the labels of a name in a message, following its pointers (RFC 1035, section 4.1.4). A pointer must
/// lead before the run of labels that it ends, so no name loops. A name has at most 127 of them, one for each label.
struct LabelCursor {
  /// The position of the next label.
  private var offset: Int
  /// The start of the current run of labels, and its limit.
  private var start: Int
  private var end: Int
  private var pointers = 0
  /// The octets of the name so far, each label with its length.
  private var count = 0
  /// The end of the name at its original place, once known.
  private(set) var after: Int?

  init(_ cursor: WireCursor) {
    offset = cursor.offset
    start = cursor.offset
    end = cursor.end
  }

  /// The range of the next label's octets; nil after the last.
  mutating func next(in bytes: Span<UInt8>) throws(NetworkError) -> Range<Int>? {
    while true {
      guard offset < end else { throw .malformed(at: offset, "a name has no end") }
      let length = Int(bytes[offset])
      switch length >> 6 {
      case 0:
        let first = offset + 1
        guard length > 0 else {
          if after == nil { after = first }
          return nil
        }
        guard length <= end - first else {
          throw .malformed(at: offset, "a label needs \(length) octets, \(end - first) are left")
        }
        count += 1 + length
        guard count <= DomainName.longest else {
          throw .malformed(at: offset, "a name has more than 255 octets with this label")
        }
        offset = first + length
        return first..<offset
      case 3: try follow(length, in: bytes)
      default:
        throw .malformed(at: offset, "\(length) is neither a label's length, at most 63, nor a pointer, from 192 on")
      }
    }
  }

  private mutating func follow(_ length: Int, in bytes: Span<UInt8>) throws(NetworkError) {
    guard offset + 1 < end else { throw .malformed(at: offset, "a pointer needs 2 octets, 1 is left") }
    let target = (length & 0x3f) << 8 | Int(bytes[offset + 1])
    guard target >= Message.Header.size, target < start else {
      throw .malformed(
        at: offset, "a pointer leads to octet \(target); it must lead before \(start), behind the header's 12")
    }
    pointers += 1
    guard pointers <= 127 else { throw .malformed(at: offset, "a name has more than 127 pointers") }
    if after == nil { after = offset + 2 }
    (offset, start, end) = (target, target, bytes.count)
  }
}

extension WireCursor {
  /// Reads a name.
  mutating func name(of bytes: Span<UInt8>) throws(NetworkError) -> DomainName {
    var wire: [UInt8] = []
    wire.reserveCapacity(40)
    var labels = LabelCursor(self)
    while let label = try labels.next(in: bytes) {
      wire.append(UInt8(label.count))
      for index in label { wire.append(bytes[index]) }
    }
    offset = labels.after ?? offset
    return DomainName(checked: wire)
  }

  /// Skips a name, as strictly as ``name(of:)``.
  ///
  /// - Returns: Whether it is the root.
  mutating func skipName(of bytes: Span<UInt8>) throws(NetworkError) -> Bool {
    var isRoot = true
    var labels = LabelCursor(self)
    while try labels.next(in: bytes) != nil { isRoot = false }
    offset = labels.after ?? offset
    return isRoot
  }
}
