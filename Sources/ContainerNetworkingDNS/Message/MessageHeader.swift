public import NetworkPrimitives

extension Message {
  /// The bits of a message's header that are yes or no (RFC 1035, section 4.1.1; RFC 4035, section 3.2). The reserved bit Z
  /// is ignored when read, and zero when written.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits, where the header's second word has them.
    public var rawValue: UInt16

    /// The flags of these bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// QR: a response, not a query.
    public static let response = Flags(rawValue: 0x8000)
    /// AA: the server is an authority for the name.
    public static let authoritativeAnswer = Flags(rawValue: 0x0400)
    /// TC: records are left out for want of room; ask over TCP.
    public static let truncated = Flags(rawValue: 0x0200)
    /// RD: the server shall ask others.
    public static let recursionDesired = Flags(rawValue: 0x0100)
    /// RA: the server can ask others.
    public static let recursionAvailable = Flags(rawValue: 0x0080)
    /// AD: all data is proved by DNSSEC; in a query: the client wants to know that (RFC 6840, section 5.7).
    public static let authenticData = Flags(rawValue: 0x0020)
    /// CD: the client checks DNSSEC itself.
    public static let checkingDisabled = Flags(rawValue: 0x0010)

    static let all = Flags(rawValue: 0x87b0)
  }
}

extension Message {
  /// The twelve octets that every message starts with (RFC 1035, section 4.1.1). They can be read of a message whose rest is
  /// malformed, so that it can be answered.
  public struct Header: Hashable, Sendable {
    /// Chosen by who asks, returned by who answers.
    public var id: UInt16
    /// The bits that are yes or no.
    public var flags: Flags
    /// What kind of message it is.
    public var opcode: Opcode
    /// How the query went; the low 4 bits of it (see ``EDNS``).
    public var responseCode: ResponseCode
    /// QDCOUNT, the questions that are said to follow.
    public var questionCount: UInt16
    /// ANCOUNT, the answers that are said to follow.
    public var answerCount: UInt16
    /// NSCOUNT, the authority records that are said to follow.
    public var authorityCount: UInt16
    /// ARCOUNT, the additional records that are said to follow.
    public var additionalCount: UInt16

    /// How many octets a header has.
    public static let size = 12

    /// Reads the header of a message.
    ///
    /// - Parameter bytes: The message; what follows the header is not looked at.
    /// - Throws: `NetworkError.Code.malformedMessage` when there are fewer than twelve octets.
    public init(parsing bytes: Span<UInt8>) throws(NetworkError) {
      guard bytes.count >= Self.size else {
        throw .malformed(at: bytes.count, "the message ends in its header, which has 12 octets")
      }
      let word = bytes.uint16(at: 2)
      id = bytes.uint16(at: 0)
      flags = Flags(rawValue: word).intersection(.all)
      opcode = Opcode(rawValue: UInt8(word >> 11 & 15))
      responseCode = ResponseCode(rawValue: word & 15)
      questionCount = bytes.uint16(at: 4)
      answerCount = bytes.uint16(at: 6)
      authorityCount = bytes.uint16(at: 8)
      additionalCount = bytes.uint16(at: 10)
    }

    /// The header's second word.
    static func word(_ flags: Flags, _ opcode: Opcode, _ code: ResponseCode) -> UInt16 {
      flags.intersection(.all).rawValue | UInt16(opcode.rawValue & 15) << 11 | code.rawValue & 15
    }
  }
}
