/// An interface's address with the prefix length of its link, as in `172.17.0.2/16`. Unlike in a ``Subnet``, bits after
/// the prefix may be set.
public struct InterfaceAddress: Hashable, Sendable {
  /// The address.
  public let address: IPAddress
  /// How many leading bits are the subnet's: 0–32 or 0–128.
  public let prefixLength: Int

  /// Reads `address/length`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    (address, prefixLength) =
      try addressAndPrefix(text, operation: "parse interface address", example: "172.17.0.2/16")
  }

  /// An address with its prefix length.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if the length does not fit the family.
  public init(address: IPAddress, prefixLength: Int) throws(NetworkError) {
    try checkPrefixLength(prefixLength, of: address, operation: "make interface address")
    self.address = address
    self.prefixLength = prefixLength
  }

  /// An address with the prefix length of its subnet.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if the address lies outside the subnet.
  public init(address: IPAddress, in subnet: Subnet) throws(NetworkError) {
    guard subnet.contains(address) else {
      throw .invalid("make interface address", "\(address) is not in \(subnet) (\(subnet.first)–\(subnet.last))")
    }
    self.address = address
    self.prefixLength = subnet.prefixLength
  }

  /// The family.
  public var family: AddressFamily { address.family }

  /// The block that the address lies in.
  public var subnet: Subnet { Subnet(containing: address, validPrefixLength: prefixLength) }
}

extension InterfaceAddress: Comparable {
  /// By address, then by prefix length.
  public static func < (left: InterfaceAddress, right: InterfaceAddress) -> Bool {
    (left.address, left.prefixLength) < (right.address, right.prefixLength)
  }
}

extension InterfaceAddress: CustomStringConvertible {
  /// `address/length`.
  public var description: String { "\(address)/\(prefixLength)" }
}

extension InterfaceAddress: Codable {
  /// Decodes `address/length`.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try InterfaceAddress(text) }
  }

  /// Encodes `address/length`.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
