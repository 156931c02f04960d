/// A DNS message (RFC 1035, section 4). Reading one never traps, whatever the bytes; what was read is the same when it is
/// written and read again.
///
/// ```swift
/// let query = Message(id: 1, asking: Question(try DomainName(parsing: "web"), .a))
/// let reply = try Message(parsing: bytes)
/// ```
public struct Message: Hashable, Sendable {
  /// Chosen by who asks, returned by who answers. It must be random where a forged answer could do harm (RFC 5452).
  public var id: UInt16
  /// The header's bits that are yes or no.
  public var flags: Flags
  /// What kind of message it is.
  public var opcode: Opcode
  /// How the query went. A code over 15 needs ``edns``; without it, it is written as `SERVFAIL`.
  public var responseCode: ResponseCode
  /// What is asked: one question, in practice (RFC 9619).
  public var questions: [Question]
  /// The records that answer.
  public var answers: [ResourceRecord]
  /// Records that point to an authority, or say for how long there is nothing (RFC 2308).
  public var authorities: [ResourceRecord]
  /// Records that may be of use, without the OPT pseudo-record.
  public var additionals: [ResourceRecord]
  /// The OPT pseudo-record; nil: the sender does without EDNS.
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

  /// Makes a query that wants the server to ask others.
  ///
  /// - Parameters:
  ///   - id: A random number.
  ///   - question: What is asked.
  ///   - edns: What is said of EDNS; nil: nothing.
  public init(id: UInt16, asking question: Question, edns: EDNS? = nil) {
    self.init(id: id, flags: .recursionDesired, questions: [question], edns: edns)
  }

  /// Starts the response to a query: its id, opcode, question as it was written, and the flags RD and CD.
  ///
  /// - Parameters:
  ///   - query: The query.
  ///   - code: How it went.
  ///   - edns: What is said of EDNS; it belongs into the response exactly if the query has it (RFC 6891, section 6.1.1).
  public init(answering query: Query, _ code: ResponseCode = .noError, edns: EDNS? = nil) {
    self.init(
      id: query.id, flags: query.flags.intersection([.recursionDesired, .checkingDisabled]).union(.response),
      opcode: query.opcode, responseCode: code, questions: [query.question], edns: edns)
  }
}

/// A query with one question, which is what a server reads: as strict as ``Message/init(parsing:)-(Span<UInt8>)``, but what
/// follows the question is only looked through, for its OPT pseudo-record.
public struct Query: Hashable, Sendable {
  /// Chosen by who asks.
  public var id: UInt16
  /// The header's bits that are yes or no.
  public var flags: Message.Flags
  /// What kind of query it is.
  public var opcode: Opcode
  /// What is asked.
  public var question: Question
  /// The OPT pseudo-record; nil: the client does without EDNS.
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

  /// How many octets of UDP payload the client takes: what its EDNS says, at least 512 (RFC 6891, section 6.2.3).
  public var payloadLimit: Int { edns.map { max(512, Int($0.payloadSize)) } ?? 512 }
}
