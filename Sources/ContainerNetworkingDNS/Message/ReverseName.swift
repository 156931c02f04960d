public import NetworkPrimitives

extension DomainName {
  /// The name for a reverse lookup of an address: `2.0.17.172.in-addr.arpa` (RFC 1035, section 3.5), or the 32 digits
  /// of an IPv6 address below `ip6.arpa` (RFC 3596, section 2.5).
  ///
  /// - Parameter address: The address.
  public init(reverse address: IPAddress) {
    var wire: [UInt8] = []
    for octet in address.bytes.reversed() {
      switch address {
      case .v4:
        let digits = String(octet).utf8
        wire.append(UInt8(digits.count))
        wire += digits
      case .v6: wire += [1, Self.hexDigit(octet & 15), 1, Self.hexDigit(octet >> 4)]
      }
    }
    self.init(checked: wire + (address.family == .ipv4 ? Self.inAddrArpa : Self.ip6Arpa).wire)
  }

  /// `in-addr.arpa`, the parent of IPv4 addresses.
  public static let inAddrArpa = DomainName(checked: [7] + Array("in-addr".utf8) + [4] + Array("arpa".utf8))
  /// `ip6.arpa`, the parent of IPv6 addresses.
  public static let ip6Arpa = DomainName(checked: [3] + Array("ip6".utf8) + [4] + Array("arpa".utf8))

  /// The address of this reverse name; nil for other names, and for an incomplete address.
  public var reverseAddress: IPAddress? {
    if isSubdomain(of: .inAddrArpa) {
      let parts = labels.dropLast(2)
      guard parts.count == 4 else { return nil }
      var bytes: [UInt8] = []
      for part in parts.reversed() {
        guard let number = decimal(part, atMost: 255) else { return nil }
        bytes.append(UInt8(number))
      }
      return IPAddress(bytes: bytes)
    }
    guard isSubdomain(of: .ip6Arpa) else { return nil }
    let digits = labels.dropLast(2)
    guard digits.count == 32 else { return nil }
    var number: UInt128 = 0
    for digit in digits.reversed() {
      guard digit.count == 1, let value = digit.first.flatMap(Self.hexValue) else { return nil }
      number = number << 4 | UInt128(value)
    }
    return .v6(IPv6Address(rawValue: number))
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  private static func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit | 0x20 {
    case UInt8(ascii: "a")...UInt8(ascii: "f"): (digit | 0x20) - UInt8(ascii: "a") + 10
    default: digit &- UInt8(ascii: "0") <= 9 ? digit - UInt8(ascii: "0") : nil
    }
  }
}
