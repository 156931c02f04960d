import ContainerNetworkingDNS
import TestSupport
import Testing

/// Random messages, the same on every run.
@Suite struct RoundTripTests {
  private static func address(_ generator: inout SeededGenerator) -> UInt32 {
    .random(in: 0 ... .max, using: &generator)
  }

  private static func bytes(_ most: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    (0..<Int.random(in: 0...most, using: &generator)).map { _ in .random(in: 0 ... .max, using: &generator) }
  }

  private static func data(_ generator: inout SeededGenerator) -> RecordData {
    let number = UInt16.random(in: 0 ... .max, using: &generator)
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: return .a(IPv4Address(rawValue: address(&generator)))
    case 1: return .aaaa(IPv6Address(rawValue: UInt128(address(&generator)) << 96 | UInt128(number)))
    case 2: return .ns(.random(using: &generator))
    case 3: return .cname(.random(using: &generator))
    case 4: return .ptr(.random(using: &generator))
    case 5:
      let words = (0..<5).map { _ in address(&generator) }
      return .soa(
        StartOfAuthority(
          server: .random(using: &generator), mailbox: .random(using: &generator), serial: words[0],
          refresh: words[1], retry: words[2], expire: words[3], minimum: words[4]))
    case 6: return .mx(preference: number, exchange: .random(using: &generator))
    case 7: return .txt((0...Int.random(in: 0...2, using: &generator)).map { _ in bytes(255, &generator) })
    case 8: return .srv(priority: number, weight: number, port: 80, target: .random(using: &generator))
    default: return .unknown(.https, bytes(40, &generator))
    }
  }

  private static func records(_ most: Int, _ generator: inout SeededGenerator) -> [ResourceRecord] {
    (0..<Int.random(in: 0...most, using: &generator)).map { _ in
      ResourceRecord(
        .random(using: &generator), timeToLive: .random(in: 0...UInt32(Int32.max), using: &generator), data(&generator))
    }
  }

  static func message(_ generator: inout SeededGenerator, records most: Int) -> Message {
    let edns = EDNS(
      payloadSize: .random(in: 0 ... .max, using: &generator), version: .random(in: 0...1, using: &generator),
      acceptsDNSSEC: .random(using: &generator),
      options: (0..<Int.random(in: 0...2, using: &generator)).map {
        EDNS.Option(.init(rawValue: UInt16($0)), bytes(8, &generator))
      })
    let hasEDNS = Bool.random(using: &generator)
    return Message(
      id: .random(in: 0 ... .max, using: &generator),
      flags: Message.Flags(rawValue: .random(in: 0 ... .max, using: &generator)).intersection([
        .response, .authoritativeAnswer, .recursionDesired, .recursionAvailable, .authenticData, .checkingDisabled,
      ]), opcode: Opcode(rawValue: .random(in: 0...15, using: &generator)),
      responseCode: ResponseCode(rawValue: .random(in: 0...(hasEDNS ? 4095 : 15), using: &generator)),
      questions: (0..<Int.random(in: 0...2, using: &generator)).map { _ in
        Question(.random(using: &generator), RecordType(rawValue: .random(in: 0 ... .max, using: &generator)))
      }, answers: records(most, &generator), authorities: records(most, &generator),
      additionals: records(most, &generator), edns: hasEDNS ? edns : nil)
  }

  /// Every name of a message, in its order.
  private static func names(_ message: Message) -> [DomainName] {
    let records = message.answers + message.authorities + message.additionals
    return message.questions.map(\.name)
      + records.flatMap { record in
        switch record.data {
        case .ns(let name), .cname(let name), .ptr(let name), .mx(_, let name), .srv(_, _, _, let name):
          [record.name, name]
        case .soa(let start): [record.name, start.server, start.mailbox]
        default: [record.name]
        }
      }
  }

  @Test func writtenMessageIsReadAsItWas() throws {
    var generator = SeededGenerator(state: 1)
    for round in 0..<1500 {
      let message = Self.message(&generator, records: round % 50 == 0 ? 60 : 4)
      let read = try Message(parsing: message.encoded())
      try #require(read == message)
      // With the same case, compressed or not.
      #expect(zip(Self.names(read), Self.names(message)).allSatisfy { $0.isIdentical(to: $1) })
    }
  }

  @Test func queryIsReadAsTheMessageIs() throws {
    var generator = SeededGenerator(state: 2)
    for _ in 0..<1500 {
      var message = Self.message(&generator, records: 3)
      message.flags.remove(.response)
      message.questions = [Question(.random(using: &generator), .a)]
      let bytes = message.encoded()
      let query = try Query(parsing: bytes)
      try #require(
        query
          == Query(
            id: message.id, flags: message.flags, opcode: message.opcode, question: message.questions[0],
            edns: message.edns))
      #expect(query.question.name.isIdentical(to: message.questions[0].name))
    }
  }

  @Test func messageIsCutToItsLimit() throws {
    var generator = SeededGenerator(state: 3)
    var cutCount = 0
    for _ in 0..<1500 {
      let message = Self.message(&generator, records: 25)
      let limit = Int.random(in: 512...1232, using: &generator)
      let bytes = message.encoded(limit: limit)
      try #require(bytes.count <= limit)
      let read = try Message(parsing: bytes)
      #expect(message.answers.starts(with: read.answers))
      #expect(message.authorities.starts(with: read.authorities))
      #expect(message.additionals.starts(with: read.additionals))
      #expect(read.edns == message.edns)
      let isWhole = read.answers == message.answers && read.authorities == message.authorities
      #expect(read.flags.contains(.truncated) == !isWhole)
      if !isWhole { cutCount += 1 }
      var rest = message
      (rest.answers, rest.authorities, rest.additionals) = (read.answers, read.authorities, read.additionals)
      rest.flags = read.flags
      #expect(read == rest)
    }
    #expect(cutCount > 500)
  }

  @Test func damagedMessageNeverTraps() throws {
    var generator = SeededGenerator(state: 4)
    var refused = 0
    for _ in 0..<4000 {
      var bytes = Self.message(&generator, records: 4).encoded()
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] =
          [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff].randomElement(using: &generator) ?? 0
      }
      if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator)) }
      do {
        let message = try Message(parsing: bytes)
        #expect(try Message(parsing: message.encoded()) == message)
      } catch {
        #expect(error.code == .malformedMessage)
        refused += 1
      }
    }
    #expect(refused > 1000)
  }
}
