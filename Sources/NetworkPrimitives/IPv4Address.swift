/// An IPv4 address (RFC 791): a 32-bit number, written in four parts.
public struct IPv4Address: Hashable, Sendable {
  /// The address as a number in the machine's own byte order: 10.0.0.1 is `0x0a00_0001`.
  public var rawValue: UInt32

  /// The address with this number, in the machine's own byte order.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The address `a.b.c.d`.
  public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
  }

  /// The address with these bytes in network order; nil unless there are four.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 else { return nil }
    rawValue = bytes.reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Reads a strict dotted quad: four decimal numbers 0–255, no leading zeros, nothing around them.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    guard let number = Self.number(text.utf8) else {
      throw .invalid("parse IPv4 address", Self.fault(in: text))
    }
    rawValue = number
  }

  /// The four bytes in network order.
  public var bytes: [UInt8] {
    [UInt8(rawValue >> 24), UInt8(rawValue >> 16 & 0xff), UInt8(rawValue >> 8 & 0xff), UInt8(rawValue & 0xff)]
  }

  /// 0.0.0.0, "any address" (`INADDR_ANY`).
  public static let any = IPv4Address(rawValue: 0)
  /// 127.0.0.1 (`INADDR_LOOPBACK`).
  public static let loopback = IPv4Address(rawValue: 0x7f00_0001)
  /// 255.255.255.255, the limited broadcast (RFC 919).
  public static let broadcast = IPv4Address(rawValue: 0xffff_ffff)

  /// 0.0.0.0.
  public var isUnspecified: Bool { rawValue == 0 }
  /// In 127.0.0.0/8 (RFC 1122).
  public var isLoopback: Bool { rawValue >> 24 == 127 }
  /// In 224.0.0.0/4 (RFC 5771).
  public var isMulticast: Bool { rawValue >> 28 == 0xe }
  /// In 169.254.0.0/16 (RFC 3927).
  public var isLinkLocal: Bool { rawValue >> 16 == 0xa9fe }
  /// In 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 (RFC 1918).
  public var isPrivate: Bool { rawValue >> 24 == 10 || rawValue >> 20 == 0xac1 || rawValue >> 16 == 0xc0a8 }
}

extension IPv4Address: Comparable {
  /// In the order of the numbers.
  public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.rawValue < right.rawValue }
}

extension IPv4Address: CustomStringConvertible {
  /// The dotted quad.
  public var description: String {
    "\(rawValue >> 24).\(rawValue >> 16 & 0xff).\(rawValue >> 8 & 0xff).\(rawValue & 0xff)"
  }
}

extension IPv4Address: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try IPv4Address(text) }
  }

  /// Encodes the text form.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}

extension IPv4Address {
  /// The number that a dotted quad in ASCII stands for, or nil if it is not one.
  static func number(_ text: some Sequence<UInt8>) -> UInt32? {
    var address: UInt32 = 0
    var part: UInt32 = 0
    var digits = 0
    var dots = 0
    for byte in text {
      if byte == UInt8(ascii: ".") {
        guard digits > 0, dots < 3 else { return nil }
        address = address << 8 | part
        (part, digits) = (0, 0)
        dots += 1
      } else {
        let digit = byte &- UInt8(ascii: "0")
        guard digit <= 9, digits == 0 || part > 0 else { return nil }
        part = part * 10 + UInt32(digit)
        digits += 1
        guard part <= 255 else { return nil }
      }
    }
    return dots == 3 && digits > 0 ? address << 8 | part : nil
  }

  /// The error sentence for text that is not a dotted quad, with an example of one.
  static func fault(in text: some StringProtocol) -> String {
    let form = "an IPv4 address has four numbers 0–255, as in 10.0.0.1"
    guard !text.isEmpty else { return "\"\" is empty; \(form)" }
    if let slash = text.firstIndex(of: "/") {
      return "\(quoted(text)) has a prefix length; here an address stands alone, as in \(quoted(text[..<slash]))"
    }
    if let odd = text.first(where: { !($0.isASCII && $0.isWholeNumber) && $0 != "." }) {
      return "\(quoted(text)) has \(quoted(String(odd))) in it; \(form)"
    }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else {
      return "\(quoted(text)) has \(parts.count) part\(parts.count == 1 ? "" : "s"); \(form)"
    }
    for part in parts {
      if part.isEmpty { return "\(quoted(text)) has an empty part; \(form)" }
      if part.count > 1, part.first == "0" {
        let plain = part.drop { $0 == "0" }
        let remedy = plain.isEmpty ? "0" : String(plain.prefix(20))
        return "\(quoted(text)) has the part \(quoted(part)), which some programs read as octal; write \(remedy)"
      }
      if decimal(part.utf8, atMost: 255) == nil { return "\(quoted(text)) has the part \(quoted(part)); \(form)" }
    }
    return "\(quoted(text)) is not one; \(form)"
  }
}
