public import NetworkPrimitives

/// The choice of a subnet's gateway.
public enum GatewayChoice: Hashable, Sendable {
  /// The first free address of the ip-range, or of the subnet if there is no ip-range.
  case automatic
  /// This address; it may lie outside the ip-range.
  case address(IPAddress)
  /// The subnet has no gateway, and reserves no address for one.
  case omitted

  /// Reads `automatic`, `none` or an address.
  ///
  /// - Throws: `.invalidValue` naming the fault.
  public init(_ text: String) throws(NetworkError) {
    switch text {
    case "automatic": self = .automatic
    case "none": self = .omitted
    default: self = .address(try IPAddress(text))
    }
  }
}

extension GatewayChoice: CustomStringConvertible {
  /// `automatic`, `none` or the address.
  public var description: String {
    switch self {
    case .automatic: "automatic"
    case .address(let address): address.description
    case .omitted: "none"
    }
  }
}

extension GatewayChoice: Codable {
  /// Decodes the text form.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try GatewayChoice(text) }
  }

  /// Encodes the text form.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
