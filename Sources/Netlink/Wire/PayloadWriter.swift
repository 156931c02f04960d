/// Writes the body of a netlink message: fixed headers, then attributes padded to four bytes (`NLA_ALIGN` in
/// `linux/netlink.h`). Integers are in the host's byte order unless a call says big-endian.
public struct PayloadWriter: Sendable {
  /// The bytes written so far.
  public private(set) var bytes: [UInt8]
  /// Whether an attribute is longer than its length field can tell; a request with this body is refused, not sent.
  public private(set) var isTooLong = false

  /// The most bytes that an attribute can have.
  public static let attributeLimit = Int(UInt16.max) - 4

  /// Makes an empty body.
  public init() { bytes = [] }

  /// Makes an empty body with an initial capacity, which it may outgrow.
  public init(capacity: Int) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Appends an integer as it stands in memory.
  public mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    var rest = value.littleEndian
    #if _endian(big)
      rest = value.bigEndian
    #endif
    for _ in 0..<(Value.bitWidth / 8) {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      if Value.bitWidth > 8 { rest >>= 8 }
    }
  }

  /// Appends raw bytes.
  public mutating func append(contentsOf other: some Collection<UInt8>) { bytes.append(contentsOf: other) }

  /// Appends zero bytes.
  public mutating func appendZeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

  /// Pads with zeros to a multiple of four bytes.
  public mutating func align() { appendZeros(-bytes.count & 3) }

  /// An attribute of raw bytes; above ``attributeLimit``, ``isTooLong`` tells.
  public mutating func attribute(_ type: Int, bytes payload: some Collection<UInt8>) {
    header(type, length: payload.count)
    bytes.append(contentsOf: payload)
    align()
  }

  /// An attribute without a payload (`NLA_FLAG`).
  public mutating func attribute(flag type: Int) { header(type, length: 0) }

  /// An attribute holding one integer in the host's byte order (`NLA_U8` … `NLA_U64`).
  public mutating func attribute<Value: FixedWidthInteger>(_ type: Int, _ value: Value) {
    header(type, length: Value.bitWidth / 8)
    append(value)
    align()
  }

  /// An attribute holding one integer in network byte order, as nfnetlink requires.
  public mutating func attribute<Value: FixedWidthInteger>(_ type: Int, bigEndian value: Value) {
    attribute(type, value.bigEndian)
  }

  /// An attribute holding a string and its terminating NUL (`NLA_NUL_STRING`).
  public mutating func attribute(_ type: Int, string: String) {
    header(type, length: string.utf8.count + 1)
    bytes.append(contentsOf: string.utf8)
    bytes.append(0)
    align()
  }

  /// An attribute holding attributes (`NLA_F_NESTED` set unless `flagged` is false, as for the oldest rtnetlink nests).
  public mutating func nested<E: Error>(
    _ type: Int, flagged: Bool = true, _ body: (inout PayloadWriter) throws(E) -> Void
  ) throws(E) {
    let start = bytes.count
    header(flagged ? type | 0x8000 : type, length: 0)
    try body(&self)
    if bytes.count - start > UInt16.max { isTooLong = true }
    let length = UInt16(truncatingIfNeeded: bytes.count - start)
    bytes[start] = UInt8(truncatingIfNeeded: Endian.isLittle ? length : length >> 8)
    bytes[start + 1] = UInt8(truncatingIfNeeded: Endian.isLittle ? length >> 8 : length)
    align()
  }

  private mutating func header(_ type: Int, length: Int) {
    if length > Self.attributeLimit { isTooLong = true }
    append(UInt16(truncatingIfNeeded: length + 4))
    append(UInt16(type))
  }
}

enum Endian {
  #if _endian(little)
    static let isLittle = true
  #else
    static let isLittle = false
  #endif
}
