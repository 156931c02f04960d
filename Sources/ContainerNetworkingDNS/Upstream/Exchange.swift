import NIOCore
import NetworkPrimitives

/// One question to one server, and the check of its answer (RFC 5452, section 9).
struct Exchange {
  /// The message that is sent.
  let message: [UInt8]
  /// Its question, octet by octet: a server returns its exact letters, which a forger cannot know (0x20).
  private let question: Range<Int>
  let hasEDNS: Bool

  /// The outcome.
  enum Outcome {
    /// The answer.
    case answered(Message, [UInt8])
    /// The answer does not fit into a datagram.
    case truncated
    /// No answer came in time.
    case late
    /// The server is missing, ended the connection, or sent nonsense; with the reason.
    case failed(String)
  }

  /// Asks with a random id, which nobody can know without seeing the message.
  ///
  /// - Parameter hasEDNS: Whether the message uses EDNS, which ancient servers do not understand.
  init(_ query: Query, hasEDNS: Bool) {
    let flags = query.flags.intersection([.checkingDisabled, .authenticData]).union(.recursionDesired)
    let id = UInt16.random(in: 0...(.max))
    let message = Message(
      id: id, flags: flags, questions: [query.question],
      edns: hasEDNS
        ? EDNS(payloadSize: ResponseWriter.payloadSize, acceptsDNSSEC: query.edns?.acceptsDNSSEC == true) : nil)
    self.message = message.encoded()
    question = Message.Header.size..<(Message.Header.size + query.question.name.encodedCount + 4)
    self.hasEDNS = hasEDNS
  }

  /// The outcome of a message from the server; nil if it answers another question.
  func outcome(of reply: [UInt8]) -> Outcome? {
    guard reply.count >= question.upperBound, reply[..<2] == message[..<2], reply[question] == message[question],
      let header = try? Message.Header(parsing: reply.span), header.flags.contains(.response), header.opcode == .query,
      header.questionCount == 1
    else { return refusal(of: reply) }
    if header.flags.contains(.truncated) { return .truncated }
    guard let message = try? Message(parsing: reply) else { return .failed("its answer cannot be read") }
    return .answered(message, reply)
  }

  /// A server that does not understand a message may return the header alone.
  private func refusal(of reply: [UInt8]) -> Outcome? {
    guard reply.count == Message.Header.size, reply[..<2] == message[..<2], let message = try? Message(parsing: reply),
      message.flags.contains(.response), message.responseCode != .noError
    else { return nil }
    return .answered(message, reply)
  }
}
