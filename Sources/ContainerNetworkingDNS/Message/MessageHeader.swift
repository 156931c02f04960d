public import NetworkPrimitives

extension Message {
  /// The flag bits of a message's header (RFC 1035, section 4.1.1; RFC 4035, section 3.2). The reserved bit Z is
  /// ignored when parsed, and zero when written.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits, in their positions in the header's second word.
    public var rawValue: UInt16

    /// The flags of these bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// QR: a response, not a query.
    public static let response = Flags(rawValue: 0x8000)
    /// AA: the server is an authority for the name.
    public static let authoritativeAnswer = Flags(rawValue: 0x0400)
    /// TC: records are omitted for lack of room; ask over TCP.
    public static let truncated = Flags(rawValue: 0x0200)
    /// RD: the server should ask others.
    public static let recursionDesired = Flags(rawValue: 0x0100)
    /// RA: the server can ask others.
    public static let recursionAvailable = Flags(rawValue: 0x0080)
    /// AD: DNSSEC has verified all data; in a query: the client wants to know that (RFC 6840, section 5.7).
    public static let authenticData = Flags(rawValue: 0x0020)
    /// CD: the client checks DNSSEC itself.
    public static let checkingDisabled = Flags(rawValue: 0x0010)

    static let all = Flags(rawValue: 0x87b0)
  }
}

extension Message {
  /// The twelve octets at the start of every message (RFC 1035, section 4.1.1). They can be parsed even if the rest is
  /// malformed, so that an answer is possible.
  public struct Header: Hashable, Sendable {
    /// Chosen by the client and returned by the server.
    public var id: UInt16
    /// The bits that are yes or no.
    public var flags: Flags
    /// The kind of message.
    public var opcode: Opcode
    /// The low 4 bits of the result (see ``EDNS``).
    public var responseCode: ResponseCode
    /// QDCOUNT, the announced number of questions.
    public var questionCount: UInt16
    /// ANCOUNT, the announced number of answers.
    public var answerCount: UInt16
    /// NSCOUNT, the announced number of authority records.
    public var authorityCount: UInt16
    /// ARCOUNT, the announced number of additional records.
    public var additionalCount: UInt16

    /// The size of a header, octets.
    public static let size = 12

    /// Reads the header of a message.
    ///
    /// - Parameter bytes: The message; the rest is not read.
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
