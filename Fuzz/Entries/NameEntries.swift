import ContainerNetworkingDNS

/// DNS messages.
enum NameEntries {
  static func message(_ bytes: [UInt8]) throws(Violation) {
    let query = try Violation.unlessMalformed { () throws(NetworkError) in try Query(parsing: bytes) }
    let parsed = try Violation.unlessMalformed { () throws(NetworkError) in try Message(parsing: bytes) }
    guard let message = parsed else { return }
    if let query {
      try Violation.unless(
        message.questions == [query.question] && message.edns == query.edns && message.flags == query.flags
          && message.id == query.id && message.opcode == query.opcode, "the query differs from the message")
    }
    for limit in [65_535, 1232, 512] { try written(message, limit: limit) }
    for name in message.questions.map(\.name) + message.answers.map(\.name) { try self.name(name) }
  }

  /// What is written in full is the message; else it is the beginning of each section.
  private static func written(_ message: Message, limit: Int) throws(Violation) {
    let written = message.encoded(limit: limit)
    try Violation.unless(written.count <= limit, "\(written.count) octets, where \(limit) are allowed")
    let read = try Violation.ifRefused("what was written is refused") { () throws(NetworkError) in
      try Message(parsing: written)
    }
    if read == message { return }
    var cut = message
    cut.questions = Array(message.questions.prefix(read.questions.count))
    cut.answers = Array(message.answers.prefix(read.answers.count))
    cut.authorities = Array(message.authorities.prefix(read.authorities.count))
    cut.additionals = Array(message.additionals.prefix(read.additionals.count))
    if read.edns?.options == [] { cut.edns?.options = [] }
    let isShorter =
      cut.questions != message.questions || cut.answers != message.answers || cut.authorities != message.authorities
    if isShorter { cut.flags.insert(.truncated) }
    try Violation.unless(read == cut, "what was written differs from the message")
    let size = message.encoded().count
    try Violation.unless(size > limit || limit == 65_535, "cut at \(limit), though it has \(size) octets")
  }

  private static func name(_ name: DomainName) throws(Violation) {
    let again = try Violation.ifRefused("the name's text is refused") { () throws(NetworkError) in
      try DomainName(parsing: name.description)
    }
    try Violation.unless(again.isIdentical(to: name), "the name differs when written and read again")
    if let address = name.reverseAddress {
      try Violation.unless(DomainName(reverse: address) == name, "the reverse name of \(address) is another")
    }
  }
}

extension NameEntries {
  /// A query and answers with every kind of record, and names that share their ends.
  static var seeds: [[UInt8]] {
    func name(_ text: String) -> DomainName { DomainName(text) ?? .root }
    func record(_ text: String, _ data: RecordData) -> ResourceRecord {
      ResourceRecord(name(text), timeToLive: 60, data)
    }
    let edns = EDNS(acceptsDNSSEC: true, options: [EDNS.Option(.cookie, Array(1...8))])
    let query = Message(id: 1, asking: Question(name("wEb.apps"), .a), edns: edns)
    let data: [RecordData] = [
      .a(IPv4Address(10, 9, 0, 2)), .aaaa(.loopback), .cname(name("www.apps")), .ns(name("ns.apps")),
      .ptr(name("web.apps")), .mx(preference: 10, exchange: name("mail.apps")),
      .txt([Array("v=spf1 -all".utf8), []]),
      .srv(priority: 1, weight: 2, port: 80, target: name("web.apps")), .unknown(.https, [0, 1, 0]),
      .unknown(.naptr, [0, 1, 0, 2, 1, 115, 0, 0] + [3, 119, 101, 98, 0]),
      .unknown(RecordType(rawValue: 17), [1, 97, 0, 0]),
    ]
    var answers = Message(
      id: 2, flags: [.response, .recursionAvailable], questions: query.questions,
      answers: data.map { record("web.apps", $0) } + [record("2.0.9.10.in-addr.arpa", .ptr(name("web.apps")))],
      additionals: [record("other.web.apps", .a(.loopback))], edns: edns)
    let start = StartOfAuthority(
      server: name("ns.apps"), mailbox: name("admin.apps"), serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5)
    answers.authorities = [record("apps", .soa(start))]
    let error = Message(id: 3, flags: .response, responseCode: .badVersion, questions: query.questions, edns: EDNS())
    return [query, answers, error].map { $0.encoded() }
  }
}
