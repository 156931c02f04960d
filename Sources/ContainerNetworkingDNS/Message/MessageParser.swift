public import NetworkPrimitives

extension Message {
  /// Reads a message, all of it: nothing may follow the last record.
  ///
  /// - Parameter bytes: The message, without the length that stands before it on TCP.
  /// - Throws: `NetworkError.Code.malformedMessage` with the octet and the broken rule.
  public init(parsing bytes: [UInt8]) throws(NetworkError) { self = try Message(parsing: bytes.span) }

  /// Reads a message, all of it: nothing may follow the last record.
  ///
  /// - Parameter bytes: The message, without the length that stands before it on TCP.
  /// - Throws: `NetworkError.Code.malformedMessage` with the octet, counted from the message's first, and the broken
  ///   rule.
  public init(parsing bytes: ArraySlice<UInt8>) throws(NetworkError) { self = try Message(parsing: bytes.span) }

  /// Reads a message, all of it: nothing may follow the last record.
  ///
  /// - Parameter bytes: The message, without the length that stands before it on TCP.
  /// - Throws: `NetworkError.Code.malformedMessage` with the octet and the broken rule.
  public init(parsing bytes: Span<UInt8>) throws(NetworkError) {
    let header = try Header(parsing: bytes)
    self.init(id: header.id, flags: header.flags, opcode: header.opcode, responseCode: header.responseCode)
    var cursor = WireCursor(offset: Header.size, end: bytes.count)
    for _ in 0..<header.questionCount { questions.append(try cursor.question(of: bytes)) }
    var options: [OptionRecord] = []
    answers = try cursor.records(header.answerCount, of: bytes, &options)
    authorities = try cursor.records(header.authorityCount, of: bytes, &options)
    if let option = options.first {
      throw .malformed(at: option.offset, "an OPT record outside the additional section")
    }
    additionals = try cursor.records(header.additionalCount, of: bytes, &options)
    if options.count > 1 { throw .malformed(at: options[1].offset, "a second OPT record") }
    if let option = options.first {
      edns = option.edns
      responseCode.rawValue |= option.extendedCode << 4
    }
    try cursor.requireEnd()
  }
}

extension Query {
  /// Reads a query.
  ///
  /// - Parameter bytes: The message, without the length that stands before it on TCP.
  /// - Throws: `NetworkError.Code.malformedMessage` with the octet and the broken rule; also for a response, and unless
  ///   there is exactly one question.
  public init(parsing bytes: Span<UInt8>) throws(NetworkError) {
    let header = try Message.Header(parsing: bytes)
    guard !header.flags.contains(.response) else { throw .malformed(at: 2, "it is a response, not a query") }
    guard header.questionCount == 1 else {
      throw .malformed(at: 4, "a query has one question, this has \(header.questionCount)")
    }
    var cursor = WireCursor(offset: Message.Header.size, end: bytes.count)
    self.init(
      id: header.id, flags: header.flags, opcode: header.opcode, question: try cursor.question(of: bytes), edns: nil)
    let before = Int(header.answerCount) + Int(header.authorityCount)
    for number in 0..<(before + Int(header.additionalCount)) {
      guard let option = try cursor.skipRecord(of: bytes) else { continue }
      guard number >= before else {
        throw .malformed(at: option.offset, "an OPT record outside the additional section")
      }
      guard edns == nil else { throw .malformed(at: option.offset, "a second OPT record") }
      edns = option.edns
    }
    try cursor.requireEnd()
  }

  /// Reads a query.
  ///
  /// - Parameter bytes: The message, without the length that stands before it on TCP.
  /// - Throws: `NetworkError.Code.malformedMessage`, as from a span.
  public init(parsing bytes: [UInt8]) throws(NetworkError) { self = try Query(parsing: bytes.span) }
}

/// An OPT pseudo-record, and its position in the message.
struct OptionRecord {
  var offset: Int
  var edns: EDNS
  var extendedCode: UInt16
}

/// The fixed start of every record.
private struct RecordHead {
  var offset: Int
  var type: RecordType
  var recordClass: RecordClass
  var timeToLive: UInt32
  /// The end of its data.
  var end: Int
}

extension WireCursor {
  func requireEnd() throws(NetworkError) {
    guard offset == end else { throw .malformed(at: offset, "\(end - offset) octets follow the last record") }
  }

  mutating func question(of bytes: Span<UInt8>) throws(NetworkError) -> Question {
    let name = try name(of: bytes)
    let type = RecordType(rawValue: try uint16(of: bytes, "a question's type"))
    return Question(name, type, class: RecordClass(rawValue: try uint16(of: bytes, "a question's class")))
  }

  /// Reads records; OPT pseudo-records go to `options`.
  mutating func records(
    _ count: UInt16, of bytes: Span<UInt8>, _ options: inout [OptionRecord]
  ) throws(NetworkError) -> [ResourceRecord] {
    var records: [ResourceRecord] = []
    for _ in 0..<count {
      let offset = offset
      let name = try name(of: bytes)
      let head = try head(of: bytes, at: offset)
      if head.type == .opt {
        options.append(try option(head, of: bytes, hasRootName: name.isRoot))
      } else {
        let data = try data(of: bytes, head)
        records.append(ResourceRecord(name, class: head.recordClass, timeToLive: head.timeToLive, data))
      }
    }
    return records
  }

  /// Skips a record.
  ///
  /// - Returns: Its contents, if it is an OPT pseudo-record.
  mutating func skipRecord(of bytes: Span<UInt8>) throws(NetworkError) -> OptionRecord? {
    let offset = offset
    let isRoot = try skipName(of: bytes)
    let head = try head(of: bytes, at: offset)
    if head.type == .opt { return try option(head, of: bytes, hasRootName: isRoot) }
    self.offset = head.end
    return nil
  }

  private mutating func head(of bytes: Span<UInt8>, at offset: Int) throws(NetworkError) -> RecordHead {
    let type = RecordType(rawValue: try uint16(of: bytes, "a record's type"))
    let recordClass = RecordClass(rawValue: try uint16(of: bytes, "a record's class"))
    let time = try uint32(of: bytes, "a record's time to live")
    let length = Int(try uint16(of: bytes, "the length of a record's data"))
    guard length <= end - self.offset else {
      throw .malformed(
        at: self.offset, "the data of an \(type) record needs \(length) octets, \(end - self.offset) are left")
    }
    return RecordHead(
      offset: offset, type: type, recordClass: recordClass,
      timeToLive: type == .opt || time <= Int32.max ? time : 0, end: self.offset + length)
  }

  /// RFC 6891, section 6.1.2: the class is the payload size. The octets of the time to live are the code's high bits,
  /// the version, and two of flags.
  private mutating func option(
    _ head: RecordHead, of bytes: Span<UInt8>, hasRootName: Bool
  ) throws(NetworkError) -> OptionRecord {
    guard hasRootName else { throw .malformed(at: head.offset, "the name of an OPT record must be the root") }
    var edns = EDNS(
      payloadSize: head.recordClass.rawValue, version: UInt8(head.timeToLive >> 16 & 0xff),
      acceptsDNSSEC: head.timeToLive & 0x8000 != 0)
    var inside = WireCursor(offset: offset, end: head.end)
    while inside.offset < inside.end {
      let code = EDNS.Option.Code(rawValue: try inside.uint16(of: bytes, "an option's code"))
      let length = Int(try inside.uint16(of: bytes, "an option's length"))
      edns.options.append(EDNS.Option(code, try inside.bytes(length, of: bytes, "an option's data")))
    }
    offset = head.end
    return OptionRecord(offset: head.offset, edns: edns, extendedCode: UInt16(head.timeToLive >> 24))
  }

  private mutating func data(of bytes: Span<UInt8>, _ head: RecordHead) throws(NetworkError) -> RecordData {
    var inside = WireCursor(offset: offset, end: head.end)
    let data = try inside.recordData(head.type, head.recordClass, of: bytes)
    guard inside.offset == head.end else {
      throw .malformed(
        at: inside.offset, "\(head.end - inside.offset) octets follow the data of an \(head.type) record")
    }
    offset = head.end
    return data
  }
}
