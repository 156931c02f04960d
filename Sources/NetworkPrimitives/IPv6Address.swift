/// An IPv6 address (RFC 4291): a 128-bit number, written in groups of 16 bits.
///
/// It has no zone: the interface of a link-local address is given separately.
public struct IPv6Address: Hashable, Sendable {
  /// The address as a number in the machine's own byte order: `::1` is 1.
  public var rawValue: UInt128

  /// The address with this number, in the machine's own byte order.
  public init(rawValue: UInt128) { self.rawValue = rawValue }

  /// The address with these bytes in network order; nil unless there are sixteen.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    rawValue = bytes.reduce(0) { $0 << 8 | UInt128($1) }
  }

  /// Reads the forms of RFC 4291, section 2.2: eight groups, `::` for a run of zero groups, the last 32 bits as a dotted
  /// quad. Upper and lower case are read; a zone (`%eth0`), brackets and a prefix length are refused.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    guard let number = Self.number(text) else { throw .invalid("parse IPv6 address", Self.fault(in: text)) }
    rawValue = number
  }

  /// The sixteen bytes in network order.
  public var bytes: [UInt8] { (0..<16).map { UInt8(truncatingIfNeeded: rawValue >> (120 - 8 * $0)) } }

  /// `::`, "any address" (`in6addr_any`).
  public static let any = IPv6Address(rawValue: 0)
  /// `::1` (`in6addr_loopback`).
  public static let loopback = IPv6Address(rawValue: 1)

  /// `::`.
  public var isUnspecified: Bool { rawValue == 0 }
  /// `::1`.
  public var isLoopback: Bool { rawValue == 1 }
  /// In `ff00::/8` (RFC 4291).
  public var isMulticast: Bool { rawValue >> 120 == 0xff }
  /// In `fe80::/10` (RFC 4291).
  public var isLinkLocal: Bool { rawValue >> 118 == 0x3fa }
  /// A unique local address, in `fc00::/7` (RFC 4193).
  public var isPrivate: Bool { rawValue >> 121 == 0x7e }
}

extension IPv6Address: Comparable {
  /// In the order of the numbers.
  public static func < (left: IPv6Address, right: IPv6Address) -> Bool { left.rawValue < right.rawValue }
}

extension IPv6Address: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try IPv6Address(text) }
  }

  /// Encodes the text form of RFC 5952.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
