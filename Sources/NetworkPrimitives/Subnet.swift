/// A block of addresses in CIDR notation (RFC 4632), of either family: `10.0.0.0/8`, `fd00::/64`. The bits after the prefix
/// are always zero. Sorts by network address, then the larger block first.
public struct Subnet: Hashable, Sendable {
  /// The first address, whose bits after the prefix are zero.
  public let network: IPAddress
  /// How many leading bits the addresses share: 0–32 or 0–128.
  public let prefixLength: Int

  /// Reads `address/length`, as in `172.17.0.0/16`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue``; if bits after the prefix are set, the error gives the corrected form.
  public init(_ text: String) throws(NetworkError) {
    let (address, prefixLength) = try addressAndPrefix(text, operation: "parse subnet", example: "10.0.0.0/8")
    self.init(containing: address, validPrefixLength: prefixLength)
    guard network == address else { throw Self.hostBits("parse subnet", quoted(text), corrected: self) }
  }

  /// The block that starts at `network`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if the length does not fit the family or bits after the prefix are set.
  public init(network: IPAddress, prefixLength: Int) throws(NetworkError) {
    try self.init(containing: network, prefixLength: prefixLength)
    guard self.network == network else {
      throw Self.hostBits("make subnet", "\(network)/\(prefixLength)", corrected: self)
    }
  }

  /// The block of that size in which `address` lies.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if the length does not fit the family.
  public init(containing address: IPAddress, prefixLength: Int) throws(NetworkError) {
    try checkPrefixLength(prefixLength, of: address, operation: "make subnet")
    self.init(containing: address, validPrefixLength: prefixLength)
  }

  /// The block of that size in which `address` lies. The caller has checked that the length fits the family.
  package init(containing address: IPAddress, validPrefixLength: Int) {
    let network = address.rawValue & ~Self.hostMask(address.family, validPrefixLength)
    // Clearing bits keeps a number in its family, so the fallback is never taken.
    self.network = IPAddress(family: address.family, rawValue: network) ?? address
    self.prefixLength = validPrefixLength
  }

  private static func hostBits(_ operation: String, _ shown: String, corrected: Subnet) -> NetworkError {
    .invalid(operation, "\(shown) has bits set after the first \(corrected.prefixLength); write \(corrected)")
  }

  /// A mask with ones in the bits after the prefix.
  private static func hostMask(_ family: AddressFamily, _ prefixLength: Int) -> UInt128 {
    (1 << UInt128(family.bitWidth - prefixLength)) &- 1
  }

  /// Every address of a family: 0.0.0.0/0 or `::/0`.
  public static func all(_ family: AddressFamily) -> Subnet {
    Subnet(containing: .any(family), validPrefixLength: 0)
  }

  /// The block of one address: /32 or /128.
  public init(_ address: IPAddress) {
    self.init(containing: address, validPrefixLength: address.family.bitWidth)
  }
}

extension Subnet {
  /// The family.
  public var family: AddressFamily { network.family }

  /// The first address, which is the network address.
  public var first: IPAddress { network }

  /// The last address: the broadcast address in IPv4 up to /30, an ordinary address in IPv6.
  public var last: IPAddress {
    IPAddress(family: family, rawValue: network.rawValue | Self.hostMask(family, prefixLength)) ?? network
  }

  /// The broadcast address; nil for IPv6 and for /31 (RFC 3021) and /32, which have none.
  public var broadcast: IPv4Address? { prefixLength <= 30 ? last.v4 : nil }

  /// A mask with ones in the bits of the prefix, as in 255.255.0.0.
  public var netmask: IPAddress {
    let all = Self.hostMask(family, 0)
    return IPAddress(family: family, rawValue: all & ~Self.hostMask(family, prefixLength)) ?? network
  }

  /// The number of addresses; for `::/0` one less, since 2¹²⁸ does not fit.
  public var addressCount: UInt128 {
    let mask = Self.hostMask(family, prefixLength)
    return mask == .max ? .max : mask + 1
  }

  /// Whether the address lies inside.
  public func contains(_ address: IPAddress) -> Bool {
    address.family == family && address.rawValue & ~Self.hostMask(family, prefixLength) == network.rawValue
  }

  /// Whether all of `other` lies inside; true of itself.
  public func contains(_ other: Subnet) -> Bool { other.prefixLength >= prefixLength && contains(other.network) }

  /// Whether an address lies in both.
  public func overlaps(_ other: Subnet) -> Bool { contains(other) || other.contains(self) }

  /// The address `offset` after the first; nil past the last.
  public func address(at offset: UInt128) -> IPAddress? {
    guard offset <= Self.hostMask(family, prefixLength) else { return nil }
    return IPAddress(family: family, rawValue: network.rawValue + offset)
  }

  /// The block number `index`, counted from 0, when this one is cut into blocks of `prefixLength`; nil if there is none.
  public func subnet(at index: UInt128, prefixLength: Int) -> Subnet? {
    guard prefixLength >= self.prefixLength, prefixLength <= family.bitWidth else { return nil }
    let hostBits = family.bitWidth - prefixLength
    let offset = index << hostBits
    guard offset >> hostBits == index, let address = address(at: offset) else { return nil }
    return Subnet(containing: address, validPrefixLength: prefixLength)
  }
}

extension Subnet: Comparable {
  /// By network address, then the larger block first.
  public static func < (left: Subnet, right: Subnet) -> Bool {
    (left.network, left.prefixLength) < (right.network, right.prefixLength)
  }
}

extension Subnet: CustomStringConvertible {
  /// CIDR notation.
  public var description: String { "\(network)/\(prefixLength)" }
}

extension Subnet: Codable {
  /// Decodes CIDR notation.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try Subnet(text) }
  }

  /// Encodes CIDR notation.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}

/// The two halves of `address/length`, the length checked against the family.
func addressAndPrefix(
  _ text: String, operation: String, example: String
) throws(NetworkError) -> (IPAddress, Int) {
  let address: IPAddress
  let slash = text.firstIndex(of: "/")
  do {
    address = try IPAddress(String(text[..<(slash ?? text.endIndex)]))
  } catch {
    throw .invalid(operation, slash == nil ? error.reason : "\(quoted(text)): \(error.reason)")
  }
  guard let slash else {
    throw .invalid(operation, "\(quoted(text)) has no prefix length; write it after a slash, as in \(example)")
  }
  let digits = text[text.index(after: slash)...]
  guard let length = decimal(digits.utf8, atMost: UInt32(address.family.bitWidth)) else {
    throw .invalid(
      operation,
      "\(quoted(text)) has the prefix length \(quoted(digits)); \(prefixRule(address.family)), as in \(example)")
  }
  return (address, Int(length))
}

func checkPrefixLength(_ length: Int, of address: IPAddress, operation: String) throws(NetworkError) {
  guard 0...address.family.bitWidth ~= length else {
    throw .invalid(operation, "\(address)/\(length): \(prefixRule(address.family))")
  }
}

private func prefixRule(_ family: AddressFamily) -> String {
  "\(family) takes a whole number from 0 to \(family.bitWidth)"
}
