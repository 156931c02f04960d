import NetworkPrimitives

/// What another server answered, ready to be passed on: its records as octets, to stand right behind a question of the
/// same name, where their compression pointers are right.
struct UpstreamAnswer: Sendable, Equatable {
  var code: ResponseCode
  /// AD: the server proved it.
  var isAuthentic: Bool
  var answerCount: UInt16
  var authorityCount: UInt16
  var additionalCount: UInt16
  /// Everything behind the question, without OPT.
  var records: [UInt8]
  /// Where in ``records`` each time to live is, and what it was.
  var times: [(offset: Int, time: UInt32)]
  /// For how many seconds it may be kept; 0: not at all.
  var lifetime: UInt32

  /// What nobody answered.
  static let failure = UpstreamAnswer(code: .serverFailure, lifetime: 1)

  private init(code: ResponseCode, lifetime: UInt32) {
    self.code = code
    self.lifetime = lifetime
    (isAuthentic, answerCount, authorityCount, additionalCount, records, times) = (false, 0, 0, 0, [], [])
  }

  /// The longest that an answer is kept: a day (RFC 8767 has a week as the most); one that there is nothing: an hour
  /// (RFC 2308, section 5, has three as the most).
  static let longestLifetime: (positive: UInt32, negative: UInt32) = (86_400, 3_600)

  /// Takes a response that was read already.
  ///
  /// - Parameters:
  ///   - message: The response.
  ///   - bytes: Its octets.
  /// - Throws: `.malformedMessage`.
  init(_ message: Message, bytes: [UInt8]) throws(NetworkError) {
    var bytes = bytes
    var message = message
    if message.edns != nil, !Self.endsWithOption(bytes) {
      // The pointers of what stands behind it would be wrong without it.
      message.edns = nil
      bytes = message.encoded()
    }
    self.init(code: message.responseCode, lifetime: 0)
    isAuthentic = message.flags.contains(.authenticData)
    var cursor = WireCursor(offset: Message.Header.size, end: bytes.count)
    _ = try cursor.skipName(of: bytes.span)
    try cursor.skip(4, "a question")
    let start = cursor.offset
    var end = start
    let counts = [message.answers.count, message.authorities.count, message.additionals.count]
    for _ in 0..<counts.reduce(0, +) {
      _ = try cursor.skipName(of: bytes.span)
      try cursor.skip(4, "a record")
      let place = cursor.offset
      let time = try cursor.uint32(of: bytes.span, "a time to live")
      times.append((place - start, time > Int32.max ? 0 : time))
      try cursor.skip(Int(try cursor.uint16(of: bytes.span, "a length")), "a record's data")
      end = cursor.offset
    }
    records = Array(bytes[start..<end])
    answerCount = UInt16(message.answers.count)
    authorityCount = UInt16(message.authorities.count)
    additionalCount = UInt16(message.additionals.count)
    lifetime = lifetime(of: message)
  }

  /// Whether the last record is OPT, without options: eleven octets.
  private static func endsWithOption(_ bytes: [UInt8]) -> Bool {
    var cursor = WireCursor(offset: Message.Header.size, end: bytes.count)
    guard let header = try? Message.Header(parsing: bytes.span) else { return false }
    do throws(NetworkError) {
      for _ in 0..<header.questionCount {
        _ = try cursor.skipName(of: bytes.span)
        try cursor.skip(4, "a question")
      }
      let count = Int(header.answerCount) + Int(header.authorityCount) + Int(header.additionalCount)
      for _ in 0..<(count - 1) { _ = try cursor.skipRecord(of: bytes.span) }
      return try cursor.skipRecord(of: bytes.span) != nil
    } catch { return false }
  }

  /// RFC 2308: an answer for as long as the shortest of its records; that there is nothing, for as long as its SOA says.
  private func lifetime(of message: Message) -> UInt32 {
    guard code == .noError || code == .nameError else { return 0 }
    let shortest = times.map(\.time).min() ?? 0
    let answersType = message.answers.contains { record in
      record.type == message.questions.first?.type || message.questions.first?.type == .any
    }
    if code == .noError, answersType { return min(shortest, Self.longestLifetime.positive) }
    for record in message.authorities {
      if case .soa(let soa) = record.data {
        return min(shortest, record.timeToLive, soa.minimum, Self.longestLifetime.negative)
      }
    }
    return 0
  }

  static func == (left: UpstreamAnswer, right: UpstreamAnswer) -> Bool {
    left.code == right.code && left.records == right.records && left.lifetime == right.lifetime
  }
}
