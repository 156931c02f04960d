/// What a message says in its OPT pseudo-record (RFC 6891). The 8 high bits of the response code, which are there as well,
/// are in ``Message/responseCode``.
public struct EDNS: Hashable, Sendable {
  /// The largest UDP payload, in octets, that the sender can take; under 512 means 512 (RFC 6891, section 6.2.3).
  public var payloadSize: UInt16
  /// The version; there is 0 only.
  public var version: UInt8
  /// DO: the sender takes DNSSEC's records (RFC 3225).
  public var acceptsDNSSEC: Bool
  /// Further options, in their order.
  public var options: [Option]

  /// Makes an OPT. 1232 octets pass any path that is in use, in one piece.
  public init(payloadSize: UInt16 = 1232, version: UInt8 = 0, acceptsDNSSEC: Bool = false, options: [Option] = []) {
    self.payloadSize = payloadSize
    self.version = version
    self.acceptsDNSSEC = acceptsDNSSEC
    self.options = options
  }

  /// An option (RFC 6891, section 6.1.2).
  public struct Option: Hashable, Sendable {
    /// What it is about.
    public var code: Code
    /// Its data, at most 65,535 octets.
    public var data: [UInt8]

    /// Makes an option.
    public init(_ code: Code, _ data: [UInt8] = []) {
      self.code = code
      self.data = data
    }

    /// What an option is about; the IANA registry "DNS EDNS0 Option Codes".
    public struct Code: RawRepresentable, Hashable, Sendable {
      /// The number in messages.
      public var rawValue: UInt16

      /// The code of this number.
      public init(rawValue: UInt16) { self.rawValue = rawValue }

      /// The name of the server that answers (RFC 5001).
      public static let serverIdentifier = Code(rawValue: 3)
      /// The subnet of who asked first (RFC 7871).
      public static let clientSubnet = Code(rawValue: 8)
      /// A cookie (RFC 7873).
      public static let cookie = Code(rawValue: 10)
      /// How long a TCP connection may be idle (RFC 7828).
      public static let keepalive = Code(rawValue: 11)
      /// Octets to hide the message's length (RFC 7830).
      public static let padding = Code(rawValue: 12)
      /// Why it failed, in more detail (RFC 8914).
      public static let extendedError = Code(rawValue: 15)
    }
  }
}
