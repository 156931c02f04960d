/// An Ethernet hardware address (IEEE 802, EUI-48): six bytes.
public struct MACAddress: Hashable, Sendable {
  /// The six bytes as a number, the first byte highest: 02:42:ac:11:00:02 is `0x0242_ac11_0002`.
  public let rawValue: UInt64

  /// The address with this number; nil if it has more than 48 bits.
  public init?(rawValue: UInt64) {
    guard rawValue >> 48 == 0 else { return nil }
    self.rawValue = rawValue
  }

  /// The address with these bytes; nil unless there are six.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 6 else { return nil }
    rawValue = bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Reads six bytes of two hexadecimal digits each, all separated by `:` or all by `-`, in either case.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    guard let number = Self.number(text.utf8) else {
      throw .invalid(
        "parse MAC address",
        "\(quoted(text)) is not six bytes of two hexadecimal digits separated by colons, as in 02:42:ac:11:00:02")
    }
    rawValue = number
  }

  /// The address derived from an IPv4 address: `02:42:` and its four bytes. When the IPv4 address is reused,
  /// neighbours' cached entries therefore stay correct.
  public init(ipv4: IPv4Address) { rawValue = 0x0242 << 32 | UInt64(ipv4.rawValue) }

  /// A random address with the locally administered bit set and the multicast bit clear, so that it never equals a
  /// vendor's.
  public static func random(using generator: inout some RandomNumberGenerator) -> MACAddress {
    let bits: UInt64 = generator.next() & 0xffff_ffff_ffff
    return MACAddress(valid: bits & ~(1 << 40) | 1 << 41)
  }

  private init(valid: UInt64) { rawValue = valid }

  /// The six bytes in the order in which they are sent.
  public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * $0)) } }

  /// ff:ff:ff:ff:ff:ff.
  public static let broadcast = MACAddress(valid: 0xffff_ffff_ffff)

  /// Whether it addresses a group of stations: the lowest bit of the first byte. An interface cannot have such an
  /// address (`is_valid_ether_addr` in `linux/etherdevice.h`).
  public var isMulticast: Bool { rawValue >> 40 & 1 == 1 }

  /// Whether it was chosen on this machine and not by a vendor: the second lowest bit of the first byte.
  public var isLocallyAdministered: Bool { rawValue >> 41 & 1 == 1 }

  /// The link-local IPv6 address of an interface that has this hardware address: `fe80::` and the modified EUI-64 of
  /// RFC 4291, appendix A, as in fe80::42:acff:fe11:2 for 02:42:ac:11:00:02.
  public var linkLocalAddress: IPv6Address {
    let (vendor, rest) = (UInt128(rawValue >> 24) ^ 0x02_0000, UInt128(rawValue & 0xff_ffff))
    return IPv6Address(rawValue: 0xfe80 << 112 | vendor << 40 | 0xfffe << 24 | rest)
  }

  private static func number(_ text: some Sequence<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    var separator: UInt8?
    var position = 0
    for byte in text {
      if position % 3 == 2 {
        guard byte == UInt8(ascii: ":") || byte == UInt8(ascii: "-"), byte == separator ?? byte else { return nil }
        separator = byte
      } else {
        guard position < 17, let digit = hexValue(byte) else { return nil }
        number = number << 4 | UInt64(digit)
      }
      position += 1
    }
    return position == 17 ? number : nil
  }
}

extension MACAddress: Comparable {
  /// In the order of the numbers.
  public static func < (left: MACAddress, right: MACAddress) -> Bool { left.rawValue < right.rawValue }
}

extension MACAddress: CustomStringConvertible {
  /// Lower case, separated by colons.
  public var description: String {
    var text: [UInt8] = []
    text.reserveCapacity(17)
    for byte in bytes {
      if !text.isEmpty { text.append(UInt8(ascii: ":")) }
      text += [hexDigit(byte >> 4), hexDigit(byte & 0xf)]
    }
    return String(decoding: text, as: UTF8.self)
  }
}

extension MACAddress: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try MACAddress(text) }
  }

  /// Encodes the text form.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
