/// The contents of a message's OPT pseudo-record (RFC 6891), except the 8 high bits of the response code, which are in
/// ``Message/responseCode``.
public struct EDNS: Hashable, Sendable {
  /// The largest UDP payload, in octets, that the sender can take; under 512 means 512 (RFC 6891, section 6.2.3).
  public var payloadSize: UInt16
  /// The version; only 0 exists.
  public var version: UInt8
  /// DO: the sender accepts DNSSEC records (RFC 3225).
  public var acceptsDNSSEC: Bool
  /// Further options, in their order.
  public var options: [Option]

  /// Makes an OPT. A payload of 1232 octets passes every usual path unfragmented.
  public init(payloadSize: UInt16 = 1232, version: UInt8 = 0, acceptsDNSSEC: Bool = false, options: [Option] = []) {
    self.payloadSize = payloadSize
    self.version = version
    self.acceptsDNSSEC = acceptsDNSSEC
    self.options = options
  }

  /// An option (RFC 6891, section 6.1.2).
  public struct Option: Hashable, Sendable {
    /// The code of the option.
    public var code: Code
    /// Its data, at most 65,535 octets.
    public var data: [UInt8]

    /// Makes an option.
    public init(_ code: Code, _ data: [UInt8] = []) {
      self.code = code
      self.data = data
    }

    /// The code of an option; the IANA registry "DNS EDNS0 Option Codes".
    public struct Code: RawRepresentable, Hashable, Sendable {
      /// The number in messages.
      public var rawValue: UInt16

      /// The code of this number.
      public init(rawValue: UInt16) { self.rawValue = rawValue }

      /// The name of the answering server (RFC 5001).
      public static let serverIdentifier = Code(rawValue: 3)
      /// The subnet of the original client (RFC 7871).
      public static let clientSubnet = Code(rawValue: 8)
      /// A cookie (RFC 7873).
      public static let cookie = Code(rawValue: 10)
      /// The idle limit of a TCP connection (RFC 7828).
      public static let keepalive = Code(rawValue: 11)
      /// Octets that hide the message's length (RFC 7830).
      public static let padding = Code(rawValue: 12)
      /// The failure in more detail (RFC 8914).
      public static let extendedError = Code(rawValue: 15)
    }
  }
}
