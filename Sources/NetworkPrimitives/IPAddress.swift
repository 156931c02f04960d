/// An address of either family. All IPv4 addresses sort before all IPv6 addresses.
public enum IPAddress: Hashable, Comparable, Sendable {
  /// An IPv4 address.
  case v4(IPv4Address)
  /// An IPv6 address.
  case v6(IPv6Address)

  /// Reads an address: IPv6 if the text has a colon, else IPv4. See ``IPv4Address/init(_:)-(String)`` and ``IPv6Address/init(_:)``.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    self = text.utf8.contains(UInt8(ascii: ":")) ? .v6(try IPv6Address(text)) : .v4(try IPv4Address(text))
  }

  /// The address with these bytes in network order: IPv4 from four, IPv6 from sixteen, nil from any other number.
  public init?(bytes: some Collection<UInt8>) {
    if let address = IPv4Address(bytes: bytes) {
      self = .v4(address)
    } else if let address = IPv6Address(bytes: bytes) {
      self = .v6(address)
    } else {
      return nil
    }
  }

  /// The address of `family` with this number; nil if the number is too large for the family.
  public init?(family: AddressFamily, rawValue: UInt128) {
    switch family {
    case .ipv4:
      guard let number = UInt32(exactly: rawValue) else { return nil }
      self = .v4(IPv4Address(rawValue: number))
    case .ipv6:
      self = .v6(IPv6Address(rawValue: rawValue))
    }
  }

  /// The family.
  public var family: AddressFamily {
    switch self {
    case .v4: .ipv4
    case .v6: .ipv6
    }
  }

  /// The address as a number in the machine's own byte order.
  public var rawValue: UInt128 {
    switch self {
    case .v4(let address): UInt128(address.rawValue)
    case .v6(let address): address.rawValue
    }
  }

  /// The four or sixteen bytes in network order.
  public var bytes: [UInt8] {
    switch self {
    case .v4(let address): address.bytes
    case .v6(let address): address.bytes
    }
  }

  /// The IPv4 address; nil for IPv6.
  public var v4: IPv4Address? {
    guard case .v4(let address) = self else { return nil }
    return address
  }

  /// The IPv6 address; nil for IPv4.
  public var v6: IPv6Address? {
    guard case .v6(let address) = self else { return nil }
    return address
  }

  /// "Any address" of a family: 0.0.0.0 or `::`.
  public static func any(_ family: AddressFamily) -> IPAddress { family == .ipv4 ? .v4(.any) : .v6(.any) }
  /// The loopback address of a family: 127.0.0.1 or `::1`.
  public static func loopback(_ family: AddressFamily) -> IPAddress {
    family == .ipv4 ? .v4(.loopback) : .v6(.loopback)
  }

  /// The address `distance` further on, or back if it is negative; nil if the family has no such address.
  public func advanced(by distance: Int128) -> IPAddress? {
    let step = distance.magnitude
    let (number, overflow) =
      distance < 0 ? rawValue.subtractingReportingOverflow(step) : rawValue.addingReportingOverflow(step)
    return overflow ? nil : IPAddress(family: family, rawValue: number)
  }

  /// 0.0.0.0 or `::`.
  public var isUnspecified: Bool {
    switch self {
    case .v4(let address): address.isUnspecified
    case .v6(let address): address.isUnspecified
    }
  }

  /// In 127.0.0.0/8, or `::1`.
  public var isLoopback: Bool {
    switch self {
    case .v4(let address): address.isLoopback
    case .v6(let address): address.isLoopback
    }
  }

  /// In 224.0.0.0/4 or `ff00::/8`.
  public var isMulticast: Bool {
    switch self {
    case .v4(let address): address.isMulticast
    case .v6(let address): address.isMulticast
    }
  }

  /// In 169.254.0.0/16 or `fe80::/10`.
  public var isLinkLocal: Bool {
    switch self {
    case .v4(let address): address.isLinkLocal
    case .v6(let address): address.isLinkLocal
    }
  }

  /// Private (RFC 1918) or unique local (RFC 4193).
  public var isPrivate: Bool {
    switch self {
    case .v4(let address): address.isPrivate
    case .v6(let address): address.isPrivate
    }
  }
}

extension IPAddress: CustomStringConvertible {
  /// The text form of the family.
  public var description: String {
    switch self {
    case .v4(let address): address.description
    case .v6(let address): address.description
    }
  }
}

extension IPAddress: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try IPAddress(text) }
  }

  /// Encodes the text form.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
