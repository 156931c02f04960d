import ContainerNetworkingDNS
import Testing

@Suite struct MessageTests {
  private let name: DomainName
  private let other: DomainName

  init() throws {
    name = try DomainName(parsing: "web.apps")
    other = try DomainName(parsing: "other.apps")
  }

  private func addresses(_ count: Int, of name: DomainName) -> [ResourceRecord] {
    (0..<count).map { ResourceRecord(name, timeToLive: 5, .a(IPv4Address(rawValue: UInt32($0)))) }
  }

  @Test func responseTakesOverWhatItAnswers() throws {
    let query = Query(
      id: 7, flags: [.recursionDesired, .checkingDisabled, .authenticData],
      question: Question(try DomainName(parsing: "wEB"), .a), edns: EDNS())
    let response = Message(answering: query, .nameError)
    #expect(response.id == 7)
    #expect(response.flags == [.response, .recursionDesired, .checkingDisabled])
    #expect(response.responseCode == .nameError)
    #expect(response.questions.map(\.description) == ["wEB IN A"])
    #expect(response.edns == nil)
  }

  // RFC 2181, section 9: answers are truncated with TC, even within a set; additional records without.
  @Test func answersAreCutOneByOne() throws {
    let question = Question(name, .a)
    let message = Message(
      id: 1, flags: .response, questions: [question], answers: addresses(100, of: name),
      authorities: addresses(1, of: other), additionals: addresses(1, of: other), edns: EDNS())
    let read = try Message(parsing: message.encoded(limit: 512))
    // 12 of the header, 14 of the question, 11 of OPT; 16 for each address.
    #expect(read.answers == Array(message.answers.prefix((512 - 37) / 16)))
    #expect(read.flags == [.response, .truncated])
    #expect(read.authorities.isEmpty)
    #expect(read.additionals.isEmpty)
    #expect(read.edns == EDNS())
    #expect(try Message(parsing: message.encoded()) == message)
  }

  @Test func setsOfOtherSectionsAreCutWhole() throws {
    let set = addresses(30, of: other)
    var message = Message(id: 1, questions: [Question(name, .a)], answers: addresses(1, of: name))
    message.additionals = addresses(5, of: name) + set
    var read = try Message(parsing: message.encoded(limit: 512))
    #expect(read.additionals.count == 5)
    #expect(!read.flags.contains(.truncated))

    (message.authorities, message.additionals) = (message.additionals, addresses(1, of: name))
    read = try Message(parsing: message.encoded(limit: 512))
    #expect(read.authorities.count == 5)
    #expect(read.additionals.isEmpty)
    #expect(read.flags.contains(.truncated))
  }

  @Test func whatIsTooLongForAnyMessageIsLeftOut() throws {
    var message = Message(id: 1, questions: [Question(name, .https)], edns: EDNS())
    message.answers = [ResourceRecord(name, timeToLive: 1, .unknown(.https, Array(repeating: 1, count: 70_000)))]
    var read = try Message(parsing: message.encoded())
    #expect(read.answers.isEmpty)
    #expect(read.flags.contains(.truncated))

    message.answers = []
    message.edns?.options = [EDNS.Option(.padding, Array(repeating: 0, count: 600))]
    read = try Message(parsing: message.encoded(limit: 512))
    #expect(read.edns == EDNS())
    #expect(!read.flags.contains(.truncated))
    #expect(try Message(parsing: message.encoded()) == message)
  }

  @Test func codeThatNeedsEDNSIsAFailureWithout() throws {
    let query = Query(id: 1, question: Question(name, .a))
    #expect(try Message(parsing: Message(answering: query, .badVersion).encoded()).responseCode == .serverFailure)
    let response = Message(answering: query, .badVersion, edns: EDNS())
    #expect(try Message(parsing: response.encoded()).responseCode == .badVersion)
  }

  @Test func textIsWrittenInStrings() throws {
    func written(_ strings: [[UInt8]]) throws -> RecordData? {
      let record = ResourceRecord(name, timeToLive: 1, .txt(strings))
      return try Message(parsing: Message(id: 1, answers: [record]).encoded()).answers.first?.data
    }
    #expect(try written([]) == .txt([[]]))
    let long = Array(repeating: UInt8(ascii: "x"), count: 300)
    #expect(try written([long]) == .txt([Array(long.prefix(255)), Array(long.suffix(45))]))
  }

  /// A header for `counts`, and octets after it.
  private func message(_ counts: [UInt8], _ hex: String) -> [UInt8] {
    [0, 1, 0, 0] + counts.flatMap { [0, $0] } + octets(hex)
  }

  @Test func nameThatLeadsAstrayIsRefused() {
    expectMalformed(message([1, 0, 0, 0], "c00c 0001 0001"), "octet 12", "must lead before 12")
    expectMalformed(message([1, 0, 0, 0], "c00d 0001 0001"), "must lead before 12")
    expectMalformed(message([1, 0, 0, 0], "c000 0001 0001"), "leads to octet 0", "behind the header")
    // Two pointers at each other; a label and a pointer back to it.
    expectMalformed(message([1, 0, 0, 0], "c00e c00c 0001 0001"), "must lead before")
    expectMalformed(message([1, 0, 0, 0], "0161 c00c 0001 0001"), "octet 14", "must lead before 12")
    expectMalformed(message([1, 0, 0, 0], "40 0001 0001"), "64 is neither")
    expectMalformed(message([1, 0, 0, 0], "80 0001 0001"), "128 is neither")
    expectMalformed(message([1, 0, 0, 0], "05 6161"), "needs 5 octets, 2 are left")
    expectMalformed(message([1, 0, 0, 0], "0161"), "no end")
    expectMalformed(message([1, 0, 0, 0], "c0"), "a pointer needs 2 octets")
    let label = "3f" + String(repeating: "61", count: 63)
    expectMalformed(message([1, 0, 0, 0], label + label + label + label + "00 0001 0001"), "more than 255 octets")
  }

  @Test func chainOfPointersIsBounded() {
    // An unknown record full of pointers, each to the one before; the second record's name begins at the last of them.
    func chain(_ count: Int) -> [UInt8] {
      var data = [UInt8(0), 0]
      for number in 0..<count {
        let target = number == 0 ? 23 : 23 + 2 * number
        data += [0xc0 | UInt8(target >> 8), UInt8(target & 0xff)]
      }
      let last = 23 + 2 * count
      return message([0, 2, 0, 0], "00 ff00 0001 00000000") + [UInt8(data.count >> 8), UInt8(data.count & 0xff)] + data
        + [0xc0 | UInt8(last >> 8), UInt8(last & 0xff)] + octets("ff00 0001 00000000 0000")
    }
    let answers = try? Message(parsing: chain(126)).answers.map(\.name)
    #expect(answers == [.root, .root])
    expectMalformed(chain(127), "more than 127 pointers")
  }

  @Test func countsAndLengthsThatLieAreRefused() {
    expectMalformed([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], "ends in its header")
    expectMalformed([], "octet 0")
    expectMalformed(message([2, 0, 0, 0], "00 0001 0001"), "octet 17", "no end")
    expectMalformed(message([0, 1, 0, 0], ""), "no end")
    expectMalformed(message([1, 0, 0, 0], "00 0001 00"), "a question's class needs 2 octets, 1")
    expectMalformed(message([0, 0, 0, 0], "00"), "1 octets follow the last record")
    expectMalformed(message([0, 1, 0, 0], "00 0001 0001 00000001 0004 0a00"), "A record needs 4 octets, 2 are left")
    expectMalformed(message([0, 1, 0, 0], "00 0001 0001 00000001 0003 0a0000"), "an IPv4 address needs 4 octets, 3")
    expectMalformed(message([0, 1, 0, 0], "00 0001 0001 00000001 0005 0a00000001"), "1 octets follow the data of an A")
    expectMalformed(message([0, 1, 0, 0], "00 001c 0001 00000001 0004 0a000000"), "IPv6")
    expectMalformed(message([0, 1, 0, 0], "00 0002 0001 00000001 0001 01 61 00"), "needs 1 octets, 0 are left")
    expectMalformed(message([0, 1, 0, 0], "00 0010 0001 00000001 0002 0261"), "a string needs 2 octets, 1")
    expectMalformed(message([0, 1, 0, 0], "00 0006 0001 00000001 0005 0000 000000"), "a serial number")
  }

  @Test func strayOPTIsRefused() {
    let option = "00 0029 0200 00000000 0000"
    expectMalformed(message([0, 1, 0, 0], option), "outside the additional section")
    expectMalformed(message([0, 0, 1, 0], option), "outside the additional section")
    expectMalformed(message([0, 0, 0, 2], option + option), "octet 23", "a second OPT")
    expectMalformed(message([0, 0, 0, 1], "0161 " + option), "must be the root")
    expectMalformed(
      message([0, 0, 0, 1], "00 0029 0200 00000000 0005 000a 0002 00"), "an option's data needs 2 octets")
  }

  @Test func timeToLiveOverTheLimitIsZero() throws {
    let read = try Message(
      parsing: message([0, 2, 0, 0], "00 0001 0001 80000000 0004 0a000001 00 0001 0001 7fffffff 0004 0a000002"))
    #expect(read.answers.map(\.timeToLive) == [0, 0x7fff_ffff])
  }

  // RFC 3597, section 4; the replacement of a NAPTR record is a pointer to the question's name.
  @Test func nameInDataOfOtherTypesIsWrittenOut() throws {
    let bytes = message([1, 1, 0, 0], "0161 00 0023 0001 c00c 0023 0001 00000000 000b 000a0014 0173 00 0178 c00c")
    let read = try Message(parsing: bytes)
    #expect(read.answers.first?.data == .unknown(.naptr, octets("000a0014 0173 00 0178 0161 00")))
    #expect(try Message(parsing: read.encoded()) == read)
  }

  // RFC 2136, section 2.4: records of the class ANY have no data; and Chaosnet's addresses have a form of their own.
  @Test func otherClassesAreKeptAsTheyAre() throws {
    let read = try Message(
      parsing: message(
        [0, 3, 0, 0], "00 0001 00ff 00000000 0000 00 0002 00ff 00000000 0000 00 0001 0003 00000000 0003 000123"))
    #expect(read.answers.map(\.data) == [.unknown(.a, []), .unknown(.ns, []), .unknown(.a, [0, 1, 0x23])])
    #expect(read.answers.map(\.recordClass) == [.any, .any, .chaos])
    #expect(try Message(parsing: read.encoded()) == read)
  }

  @Test func queryIsOneQuestion() {
    func expectRefused(_ bytes: [UInt8], _ part: String, sourceLocation: SourceLocation = #_sourceLocation) {
      let error = #expect(throws: NetworkError.self, sourceLocation: sourceLocation) { try Query(parsing: bytes) }
      #expect(error?.reason.contains(part) == true, "\(String(describing: error))", sourceLocation: sourceLocation)
    }
    expectRefused(message([0, 0, 0, 0], ""), "has 0")
    expectRefused(message([2, 0, 0, 0], "00 0001 0001 00 0001 0001"), "has 2")
    expectRefused([0, 1, 0x80, 0] + octets("0001 0000 0000 0000 00 0001 0001"), "it is a response")
    expectRefused(message([1, 0, 0, 0], "00 0001 0001 00"), "1 octets follow")
    expectRefused(message([1, 1, 0, 0], "00 0001 0001 00 0029 0200 00000000 0000"), "outside the additional section")
    let option = "00 0029 0200 00000000 0000"
    expectRefused(message([1, 0, 0, 2], "00 0001 0001" + option + option), "a second OPT")
    expectRefused(message([1, 0, 0, 1], "00 0001 0001 0161" + option), "must be the root")
    expectRefused(message([1, 0, 0, 1], "00 0001 0001 c00c"), "a record's type")
  }

  @Test func headerIsReadOfADamagedMessage() throws {
    let header = try Message.Header(parsing: octets("abcd 2923 0001 0002 0003 0004 ff").span)
    #expect(header.id == 0xabcd)
    #expect(header.flags == [.recursionDesired, .authenticData])
    #expect(header.opcode == .update)
    #expect(header.responseCode == .nameError)
    #expect([header.questionCount, header.answerCount, header.authorityCount, header.additionalCount] == [1, 2, 3, 4])
  }

  @Test func namesOfNumbers() {
    #expect(
      [RecordType.aaaa, .https, RecordType(rawValue: 65_280)].map(\.description) == ["AAAA", "HTTPS", "TYPE65280"])
    #expect([RecordClass.internet, .any, RecordClass(rawValue: 9)].map(\.description) == ["IN", "ANY", "CLASS9"])
    #expect([ResponseCode.nameError, ResponseCode(rawValue: 99)].map(\.description) == ["NXDOMAIN", "RCODE99"])
    #expect([Opcode.query, Opcode(rawValue: 9)].map(\.description) == ["QUERY", "OPCODE9"])
  }
}
