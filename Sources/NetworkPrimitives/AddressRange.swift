/// All addresses of one family from one to another, both included: `10.0.0.10-10.0.0.20`. Never empty.
public struct AddressRange: Hashable, Sendable {
  /// The first address.
  public let lower: IPAddress
  /// The last address, of the same family and not below ``lower``.
  public let upper: IPAddress

  /// The addresses from `lower` to `upper`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` if the families differ or `upper` is below `lower`.
  public init(_ lower: IPAddress, _ upper: IPAddress) throws(NetworkError) {
    let operation = "make address range"
    guard lower.family == upper.family else {
      throw .invalid(
        operation, "\(lower) is \(lower.family) and \(upper) is \(upper.family); both ends are of one family")
    }
    guard lower <= upper else {
      throw .invalid(operation, "\(lower)-\(upper) runs backwards; write \(upper)-\(lower)")
    }
    self.lower = lower
    self.upper = upper
  }

  /// All addresses of a subnet.
  public init(_ subnet: Subnet) {
    lower = subnet.first
    upper = subnet.last
  }

  /// Reads `first-last`, as in `10.0.0.10-10.0.0.20`.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    guard let dash = text.firstIndex(of: "-") else {
      throw .invalid(
        "parse address range", "\(quoted(text)) has no \"-\"; write two addresses, as in 10.0.0.10-10.0.0.20")
    }
    do {
      try self.init(IPAddress(String(text[..<dash])), IPAddress(String(text[text.index(after: dash)...])))
    } catch {
      throw .invalid("parse address range", "\(quoted(text)): \(error.reason)")
    }
  }

  /// The family.
  public var family: AddressFamily { lower.family }

  /// The number of addresses; for the whole of IPv6 one less, since 2¹²⁸ does not fit.
  public var count: UInt128 {
    let distance = upper.rawValue - lower.rawValue
    return distance == .max ? .max : distance + 1
  }

  /// Whether the address lies inside.
  public func contains(_ address: IPAddress) -> Bool { lower <= address && address <= upper }

  /// Whether all of `other` lies inside.
  public func contains(_ other: AddressRange) -> Bool { lower <= other.lower && other.upper <= upper }

  /// Whether an address lies in both.
  public func overlaps(_ other: AddressRange) -> Bool { lower <= other.upper && other.lower <= upper }
}

extension AddressRange: CustomStringConvertible {
  /// `first-last`.
  public var description: String { "\(lower)-\(upper)" }
}

extension AddressRange: Codable {
  /// Decodes `first-last`.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try AddressRange(text) }
  }

  /// Encodes `first-last`.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
