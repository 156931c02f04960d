extension Message {
  /// The message's octets, at most `limit` of them. Names are compressed (RFC 1035, section 4.1.4) if the same labels
  /// in the same case occur before, in owners and in the data of the types of RFC 1035 (RFC 3597, section 4).
  ///
  /// Records that do not fit are omitted from the end: additional and authority records in whole sets, answers one by
  /// one, because clients that cannot ask over TCP use the rest. For the last two the flag TC is set (RFC 2181, section
  /// 9). The OPT pseudo-record stays, without its options if they alone are too long.
  ///
  /// - Parameter limit: The maximum number of octets; smaller values count as 512, larger ones as 65,535.
  public func encoded(limit: Int = 65_535) -> [UInt8] {
    let limit = min(max(limit, 512), 65_535)
    var writer = MessageWriter(limit: limit)
    var flags = flags
    // Reserves room for OPT.
    if edns != nil { writer.limit -= OptionText.shortest }
    let (questionCount, allQuestions) = writer.write(questions)
    let option = edns.map { OptionText($0, code: responseCode, longest: limit - writer.bytes.count) }
    writer.limit = limit - (option?.bytes.count ?? 0)
    let (answerCount, allAnswers) = writer.write(allQuestions ? answers : [], bySets: false)
    let (authorityCount, allAuthorities) = writer.write(allAnswers ? authorities : [], bySets: true)
    let isWhole = allQuestions && allAnswers && allAuthorities
    if !isWhole { flags.insert(.truncated) }
    writer.limit = limit
    if let option { writer.bytes += option.bytes }
    let (additionalCount, _) = writer.write(isWhole ? additionals : [], bySets: true)

    let code = responseCode.rawValue > 15 && edns == nil ? .serverFailure : responseCode
    let words = [
      id, Header.word(flags, opcode, code), questionCount, answerCount, authorityCount,
      additionalCount + (option == nil ? 0 : 1),
    ]
    for (number, word) in words.enumerated() { writer.set(word, at: 2 * number) }
    return writer.bytes
  }
}

/// An OPT pseudo-record's octets.
private struct OptionText {
  var bytes: [UInt8]

  /// Its size without options.
  static let shortest = 11

  /// Omits the options if they would make it longer than `longest`.
  init(_ edns: EDNS, code: ResponseCode, longest: Int) {
    var data: [UInt8] = []
    let size = edns.options.reduce(Self.shortest) { $0 + 4 + $1.data.count }
    for option in size <= longest ? edns.options : [] {
      let size = UInt16(option.data.count)
      data += [
        UInt8(option.code.rawValue >> 8), UInt8(option.code.rawValue & 0xff), UInt8(size >> 8), UInt8(size & 0xff),
      ]
      data += option.data
    }
    bytes = [
      0, 0, 41, UInt8(edns.payloadSize >> 8), UInt8(edns.payloadSize & 0xff), UInt8(code.rawValue >> 4 & 0xff),
      edns.version, edns.acceptsDNSSEC ? 0x80 : 0, 0, UInt8(data.count >> 8), UInt8(data.count & 0xff),
    ]
    bytes += data
  }
}

/// Writes a message from front to back, and removes the parts that do not fit.
struct MessageWriter {
  var bytes: [UInt8]
  /// The most octets that `bytes` may have.
  var limit: Int
  /// Positions of names and their ends to which later names can point. A message with more of them is compressed less
  /// well, not more slowly.
  private var targets: [Target] = []

  private struct Target {
    var offset: Int
    /// The octets of its labels with their lengths: only equal counts can match.
    var count: Int
  }

  /// Starts with an empty header.
  init(limit: Int) {
    self.limit = limit
    bytes = []
    bytes.reserveCapacity(min(limit, 512))
    for _ in 0..<Message.Header.size { bytes.append(0) }
  }

  mutating func set(_ word: UInt16, at offset: Int) {
    bytes[offset] = UInt8(word >> 8)
    bytes[offset + 1] = UInt8(word & 0xff)
  }

  private mutating func write(_ number: UInt16) {
    bytes.append(UInt8(number >> 8))
    bytes.append(UInt8(number & 0xff))
  }

  private mutating func write(_ number: UInt32) {
    write(UInt16(number >> 16))
    write(UInt16(number & 0xffff))
  }

  /// Writes questions as far as they fit.
  ///
  /// - Returns: Their number, and whether all fit.
  mutating func write(_ questions: [Question]) -> (UInt16, Bool) {
    var count: UInt16 = 0
    for question in questions {
      let mark = bytes.count
      write(question.name)
      write(question.type.rawValue)
      write(question.recordClass.rawValue)
      guard bytes.count <= limit else {
        takeBack(to: mark)
        return (count, false)
      }
      count += 1
    }
    return (count, true)
  }

  /// Writes records as far as they fit; with `bySets`, a set of the same name, class and type is written whole or not
  /// at all.
  ///
  /// - Returns: Their number, and whether all fit.
  mutating func write(_ records: [ResourceRecord], bySets: Bool) -> (UInt16, Bool) {
    var (count, countBeforeSet): (UInt16, UInt16) = (0, 0)
    var (mark, previous) = (bytes.count, ResourceRecord?.none)
    for record in records where record.type != .opt {
      if !bySets || previous.map({ !Self.areOfOneSet($0, record) }) ?? true {
        (mark, countBeforeSet) = (bytes.count, count)
      }
      previous = record
      write(record)
      guard bytes.count <= limit else {
        takeBack(to: mark)
        return (countBeforeSet, false)
      }
      count += 1
    }
    return (count, true)
  }

  private static func areOfOneSet(_ left: ResourceRecord, _ right: ResourceRecord) -> Bool {
    left.type == right.type && left.recordClass == right.recordClass && left.name == right.name
  }

  private mutating func takeBack(to mark: Int) {
    bytes.removeSubrange(mark...)
    targets.removeAll { $0.offset >= mark }
  }

  private mutating func write(_ record: ResourceRecord) {
    write(record.name)
    write(record.type.rawValue)
    write(record.recordClass.rawValue)
    write(record.timeToLive)
    let mark = bytes.count
    write(UInt16(0))
    write(record.data)
    // Too long for the field means too long for any message: the record is removed.
    set(UInt16(truncatingIfNeeded: bytes.count - mark - 2), at: mark)
  }

  private mutating func write(_ data: RecordData) {
    switch data {
    case .a(let address): write(address.rawValue)
    case .aaaa(let address):
      for shift: UInt128 in [96, 64, 32, 0] { write(UInt32(truncatingIfNeeded: address.rawValue >> shift)) }
    case .ns(let name), .cname(let name), .ptr(let name): write(name)
    case .soa(let start):
      write(start.server)
      write(start.mailbox)
      for number in [start.serial, start.refresh, start.retry, start.expire, start.minimum] { write(number) }
    case .mx(let preference, let exchange):
      write(preference)
      write(exchange)
    case .txt(let strings):
      for string in strings.isEmpty ? [[]] : strings { write(string: string) }
    case .srv(let priority, let weight, let port, let target):
      for number in [priority, weight, port] { write(number) }
      write(target, isCompressed: false)
    case .unknown(_, let octets): bytes += octets
    }
  }

  private mutating func write(string: [UInt8]) {
    var rest = string[...]
    repeat {
      let part = rest.prefix(255)
      rest = rest.dropFirst(255)
      bytes.append(UInt8(part.count))
      bytes += part
    } while !rest.isEmpty
  }

  private mutating func write(_ name: DomainName, isCompressed: Bool = true) {
    let wire = name.wire
    var place = 0
    while place < wire.count {
      if isCompressed, let target = target(wire, from: place) {
        write(0xc000 | UInt16(target))
        return
      }
      if bytes.count < 0x4000, targets.count < 128 {
        targets.append(Target(offset: bytes.count, count: wire.count - place))
      }
      let next = place + 1 + Int(wire[place])
      bytes += wire[place..<next]
      place = next
    }
    bytes.append(0)
  }

  /// The position at which the labels of `wire` from `place` on were written before.
  private func target(_ wire: [UInt8], from place: Int) -> Int? {
    let count = wire.count - place
    for target in targets where target.count == count && has(wire, from: place, at: target.offset) {
      return target.offset
    }
    return nil
  }

  private func has(_ wire: [UInt8], from place: Int, at offset: Int) -> Bool {
    var (place, offset) = (place, offset)
    while place < wire.count {
      while bytes[offset] >= 0xc0 { offset = Int(bytes[offset] & 0x3f) << 8 | Int(bytes[offset + 1]) }
      let next = place + 1 + Int(wire[place])
      while place < next {
        guard bytes[offset] == wire[place] else { return false }
        place += 1
        offset += 1
      }
    }
    return true
  }
}
