/// A DNS message (RFC 1035, section 4). Parsing never traps, whatever the bytes; a parsed message survives writing and
/// parsing unchanged.
///
/// ```swift
/// let query = Message(id: 1, asking: Question(try DomainName(parsing: "web"), .a))
/// let reply = try Message(parsing: bytes)
/// ```
public struct Message: Hashable, Sendable {
  /// Chosen by the client and returned by the server. It must be random where a forged answer could do harm (RFC 5452).
  public var id: UInt16
  /// The header's bits that are yes or no.
  public var flags: Flags
  /// The kind of message.
  public var opcode: Opcode
  /// The result of the query. A code over 15 needs ``edns``; without it, it is written as `SERVFAIL`.
  public var responseCode: ResponseCode
  /// The questions: one, in practice (RFC 9619).
  public var questions: [Question]
  /// The records that answer.
  public var answers: [ResourceRecord]
  /// Records that refer to an authority, or limit the lifetime of a negative answer (RFC 2308).
  public var authorities: [ResourceRecord]
  /// Additional records, without the OPT pseudo-record.
  public var additionals: [ResourceRecord]
  /// The OPT pseudo-record; nil if the sender does not use EDNS.
  public var edns: EDNS?

  /// Makes a message.
  public init(
    id: UInt16, flags: Flags = [], opcode: Opcode = .query, responseCode: ResponseCode = .noError,
    questions: [Question] = [], answers: [ResourceRecord] = [], authorities: [ResourceRecord] = [],
    additionals: [ResourceRecord] = [], edns: EDNS? = nil
  ) {
    self.id = id
    self.flags = flags
    self.opcode = opcode
    self.responseCode = responseCode
    self.questions = questions
    self.answers = answers
    self.authorities = authorities
    self.additionals = additionals
    self.edns = edns
  }

  /// Makes a recursive query.
  ///
  /// - Parameters:
  ///   - id: A random number.
  ///   - question: The question.
  ///   - edns: The OPT pseudo-record; nil for none.
  public init(id: UInt16, asking question: Question, edns: EDNS? = nil) {
    self.init(id: id, flags: .recursionDesired, questions: [question], edns: edns)
  }

  /// Starts the response to a query: its id, opcode, question as it was written, and the flags RD and CD.
  ///
  /// - Parameters:
  ///   - query: The query.
  ///   - code: The result.
  ///   - edns: The OPT pseudo-record; the response must have one exactly if the query has one (RFC 6891, section
  ///     6.1.1).
  public init(answering query: Query, _ code: ResponseCode = .noError, edns: EDNS? = nil) {
    self.init(
      id: query.id, flags: query.flags.intersection([.recursionDesired, .checkingDisabled]).union(.response),
      opcode: query.opcode, responseCode: code, questions: [query.question], edns: edns)
  }
}

/// A query with one question, as a server reads it. Parsing is as strict as ``Message/init(parsing:)-(Span<UInt8>)``,
/// but the records after the question are only searched for the OPT pseudo-record.
public struct Query: Hashable, Sendable {
  /// Chosen by the client.
  public var id: UInt16
  /// The header's bits that are yes or no.
  public var flags: Message.Flags
  /// The kind of query.
  public var opcode: Opcode
  /// The question.
  public var question: Question
  /// The OPT pseudo-record; nil if the client does not use EDNS.
  public var edns: EDNS?

  /// Makes a query.
  public init(
    id: UInt16, flags: Message.Flags = .recursionDesired, opcode: Opcode = .query, question: Question,
    edns: EDNS? = nil
  ) {
    self.id = id
    self.flags = flags
    self.opcode = opcode
    self.question = question
    self.edns = edns
  }

  /// The client's limit of UDP payload, octets: that of its EDNS, at least 512 (RFC 6891, section 6.2.3).
  public var payloadLimit: Int { edns.map { max(512, Int($0.payloadSize)) } ?? 512 }
}
