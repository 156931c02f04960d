import NetworkPrimitives

/// An upstream answer, ready to be relayed: its records as octets, placed directly after a question of the same name,
/// where their compression pointers are valid.
struct UpstreamAnswer: Sendable, Equatable {
  var code: ResponseCode
  /// AD: the server proved it.
  var isAuthentic: Bool
  var answerCount: UInt16
  var authorityCount: UInt16
  var additionalCount: UInt16
  /// Everything after the question, without OPT.
  var records: [UInt8]
  /// The position of each time to live in ``records``, and its original value.
  var times: [(offset: Int, time: UInt32)]
  /// The lifetime in the cache, in seconds; 0 to not cache it.
  var lifetime: UInt32

  /// The failure of all servers.
  static let failure = UpstreamAnswer(code: .serverFailure, lifetime: 1)

  private init(code: ResponseCode, lifetime: UInt32) {
    self.code = code
    self.lifetime = lifetime
    (isAuthentic, answerCount, authorityCount, additionalCount, records, times) = (false, 0, 0, 0, [], [])
  }

  /// The maximum lifetime in the cache: a day for a positive answer (RFC 8767 permits a week), an hour for a negative
  /// one (RFC 2308, section 5, permits three).
  static let longestLifetime: (positive: UInt32, negative: UInt32) = (86_400, 3_600)

  /// Takes a parsed response.
  ///
  /// - Parameters:
  ///   - message: The response.
  ///   - bytes: Its octets.
  /// - Throws: `.malformedMessage`.
  init(_ message: Message, bytes: [UInt8]) throws(NetworkError) {
    var bytes = bytes
    var message = message
    if message.edns != nil, !Self.endsWithOption(bytes) {
      // Without OPT, the pointers after it would be wrong.
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

  /// Whether the last record is an OPT without options: eleven octets.
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

  /// RFC 2308: a positive answer lives as long as its shortest record, a negative one as long as its SOA permits.
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
