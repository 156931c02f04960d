/// A protocol whose ports can be published.
public enum TransportProtocol: String, Sendable, Hashable, CaseIterable {
  /// RFC 9293.
  case tcp
  /// RFC 768.
  case udp
  /// RFC 9260.
  case sctp

  /// Reads `tcp`, `udp` or `sctp`, in either case.
  ///
  /// - Throws: ``NetworkError/Code/invalidValue`` naming the known protocols.
  public init(_ text: String) throws(NetworkError) {
    guard let match = Self(rawValue: text.lowercased()) else {
      throw .invalid("parse protocol", "\(quoted(text)) is not a protocol with ports; write tcp, udp or sctp")
    }
    self = match
  }

  /// The protocol with this number in the IP header; nil if it is none of the three.
  public init?(number: UInt8) {
    guard let match = Self.allCases.first(where: { $0.number == number }) else { return nil }
    self = match
  }

  /// The number in the IP header, `IPPROTO_*` in `linux/in.h`.
  public var number: UInt8 {
    switch self {
    case .tcp: 6
    case .udp: 17
    case .sctp: 132
    }
  }
}

extension TransportProtocol: Comparable {
  /// In the order of the numbers: tcp, udp, sctp.
  public static func < (left: TransportProtocol, right: TransportProtocol) -> Bool { left.number < right.number }
}

extension TransportProtocol: CustomStringConvertible {
  /// `tcp`, `udp` or `sctp`.
  public var description: String { rawValue }
}

extension TransportProtocol: Codable {
  /// Decodes the name.
  public init(from decoder: any Decoder) throws {
    self = try decoder.decodeText { (text) throws(NetworkError) in try TransportProtocol(text) }
  }

  /// Encodes the name.
  public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}
