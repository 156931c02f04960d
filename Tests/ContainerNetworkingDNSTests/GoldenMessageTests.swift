import ContainerNetworkingDNS
import Testing

/// Octets of real programs: BIND's dig 9.18, drill 1.8, knot's kdig 3.2 and the answers of dnsmasq 2.90, run in a namespace as
///
///     dnsmasq -k -p 5300 --no-resolv --no-hosts --host-record=web.apps,10.9.0.2,fd00::2,60 --cname=www.apps,web.apps,30 \
///       --mx-host=apps,mail.apps,10 --txt-record=apps,"v=spf1 -all","second string" \
///       --srv-host=_http._tcp.apps,web.apps,80,1,5 --naptr-record=n.apps,10,20,s,SIP,,r.apps
///
/// and written down by a proxy between them.
@Suite struct GoldenMessageTests {
  private let web = ResourceRecord(
    DomainName("web.apps") ?? .root, timeToLive: 60, .a(IPv4Address(10, 9, 0, 2)))
  private let web6 = ResourceRecord(
    DomainName("web.apps") ?? .root, timeToLive: 60, .aaaa(IPv6Address(rawValue: 0xfd00 << 112 | 2)))

  /// Checks that the octets are read as the message, and that it is written as them unless `isOfOwnForm`.
  private func expect(
    _ hex: String, is message: Message, isOfOwnForm: Bool = false, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let bytes = octets(hex)
    #expect(try Message(parsing: bytes) == message, sourceLocation: sourceLocation)
    #expect(try Message(parsing: ([7] + bytes)[1...]) == message, sourceLocation: sourceLocation)
    let written = message.encoded()
    if isOfOwnForm {
      #expect(try Message(parsing: written) == message, sourceLocation: sourceLocation)
    } else {
      #expect(written == bytes, sourceLocation: sourceLocation)
    }
  }

  // dig web.apps A
  @Test func queryOfDig() throws {
    let bytes = """
      5fdc01200001000000000001037765620461707073000001000100002904d000000000000c000a0008e9e4a12ee5d08f9d
      """
    let cookie = EDNS.Option(.cookie, octets("e9e4a12ee5d08f9d"))
    let question = Question(try DomainName(parsing: "web.apps"), .a)
    let message = Message(
      id: 0x5fdc, flags: [.recursionDesired, .authenticData], questions: [question], edns: EDNS(options: [cookie]))
    try expect(bytes, is: message)
    let query = try Query(parsing: octets(bytes))
    #expect(
      query
        == Query(
          id: 0x5fdc, flags: [.recursionDesired, .authenticData], question: question, edns: EDNS(options: [cookie])))
    #expect(query.payloadLimit == 1232)
    #expect(question.description == "web.apps IN A")
  }

  // dig apps MX +dnssec
  @Test func queryOfDigForDNSSEC() throws {
    let cookie = EDNS.Option(.cookie, octets("323ecc7e5866c58c"))
    try expect(
      "c5e901200001000000000001046170707300000f000100002904d000008000000c000a0008323ecc7e5866c58c",
      is: Message(
        id: 0xc5e9, flags: [.recursionDesired, .authenticData], questions: [Question(DomainName(parsing: "apps"), .mx)],
        edns: EDNS(acceptsDNSSEC: true, options: [cookie])))
  }

  // drill web.apps AAAA
  @Test func queryOfDrill() throws {
    let bytes = "07e50100000100000000000003776562046170707300001c0001"
    try expect(bytes, is: Message(id: 0x07e5, asking: Question(DomainName(parsing: "web.apps"), .aaaa)))
    #expect(try Query(parsing: octets(bytes)).payloadLimit == 512)
  }

  // kdig +padding=64 +subnet=10.0.0.0/8 web.apps
  @Test func queryOfKdig() throws {
    let subnet = EDNS.Option(.clientSubnet, octets("000108000a"))
    let padding = EDNS.Option(.padding, Array(repeating: 0, count: 64))
    try expect(
      """
      96fc012000010000000000010377656204617070730000010001000029100000000000004d00080005000108000a000c0040
      \(String(repeating: "00", count: 64))
      """,
      is: Message(
        id: 0x96fc, flags: [.recursionDesired, .authenticData],
        questions: [Question(DomainName(parsing: "web.apps"), .a)],
        edns: EDNS(payloadSize: 4096, options: [subnet, padding])))
  }

  private let answering: Message.Flags = [
    .response, .authoritativeAnswer, .recursionDesired, .recursionAvailable,
  ]

  // dig web.apps A
  @Test func address() throws {
    try expect(
      """
      5fdc858000010001000000010377656204617070730000010001c00c000100010000003c00040a09000200002904d0000000000000
      """,
      is: Message(
        id: 0x5fdc, flags: answering, questions: [Question(DomainName(parsing: "web.apps"), .a)], answers: [web],
        edns: EDNS()))
  }

  // dig WeB.apps AAAA +nocookie
  @Test func addressWithTheCaseOfTheQuestion() throws {
    let bytes = """
      2c4f8580000100010000000103576542046170707300001c0001c00c001c00010000003c0010fd00000000000000000000000000000200002904
      d0000000000000
      """
    let name = try DomainName(parsing: "WeB.apps")
    var answer = web6
    answer.name = name
    try expect(
      bytes,
      is: Message(
        id: 0x2c4f, flags: answering, questions: [Question(name, .aaaa)], answers: [answer], edns: EDNS()))
    let read = try Message(parsing: octets(bytes))
    #expect(read.questions[0].name.isIdentical(to: name))
    #expect(read.answers[0].name.isIdentical(to: name))
  }

  // dig www.apps A +noedns; dnsmasq does not compress the alias's target
  @Test func alias() throws {
    try expect(
      """
      1ab7858000010002000000000377777704617070730000010001c00c000500010000001e000a03776562046170707300c026000100010000003c
      00040a090002
      """,
      is: Message(
        id: 0x1ab7, flags: answering, questions: [Question(DomainName(parsing: "www.apps"), .a)],
        answers: [
          ResourceRecord(DomainName(parsing: "www.apps"), timeToLive: 30, .cname(DomainName(parsing: "web.apps"))), web,
        ]),
      isOfOwnForm: true)
  }

  // dig apps MX +dnssec, dig apps TXT +nocookie
  @Test func mailAndText() throws {
    let name = try DomainName(parsing: "apps")
    try expect(
      "c5e985800001000100000001046170707300000f0001c00c000f000100000000000d000a046d61696c04617070730000002904d00000800000"
        + "00",
      is: Message(
        id: 0xc5e9, flags: answering, questions: [Question(name, .mx)],
        answers: [ResourceRecord(name, timeToLive: 0, .mx(preference: 10, exchange: DomainName(parsing: "mail.apps")))],
        edns: EDNS(acceptsDNSSEC: true)),
      isOfOwnForm: true)
    try expect(
      """
      a1de8580000100010000000104617070730000100001c00c0010000100000000001a0b763d73706631202d616c6c0d7365636f6e64207374726
      96e6700002904d0000000000000
      """,
      is: Message(
        id: 0xa1de, flags: answering, questions: [Question(name, .txt)],
        answers: [
          ResourceRecord(name, timeToLive: 0, .txt(["v=spf1 -all", "second string"].map { Array($0.utf8) }))
        ], edns: EDNS()))
  }

  // dig _http._tcp.apps SRV; dnsmasq writes OPT after the other additional records
  @Test func service() throws {
    let name = try DomainName(parsing: "_http._tcp.apps")
    try expect(
      """
      386b85800001000100000003055f68747470045f7463700461707073000021000
      1c00c0021000100000000001000010005005003776562046170707300c033000100010000003c00040a090002c033001c00010000003c0010fd
      00000000000000000000000000000200002904d0000000000000
      """,
      is: Message(
        id: 0x386b, flags: answering, questions: [Question(name, .srv)],
        answers: [
          ResourceRecord(
            name, timeToLive: 0, .srv(priority: 1, weight: 5, port: 80, target: DomainName(parsing: "web.apps")))
        ], additionals: [web, web6], edns: EDNS()),
      isOfOwnForm: true)
  }

  // dig -x 10.9.0.2, dig -x fd00::2 +noedns
  @Test func reverseNames() throws {
    for (address, edns, id, hex) in [
      (
        "10.9.0.2", EDNS(), 0x6105 as UInt16,
        """
        61058580000100010000000101320130013902313007696e2d61646472046172706100000c0001c00c000c00010000003c000a037765620461
        7070730000002904d0000000000000
        """
      ),
      (
        "fd00::2", nil, 0xe328,
        """
        e32885800001000100000000013201300130013001300130013001300130013001300130013001300130013001300130013001300130
        0130013001300130013001300130013001300164016603697036046172706100000c0001c00c000c00010000003c000a037765620461
        70707300
        """
      ),
    ] {
      let name = DomainName(reverse: try IPAddress(address))
      let record = ResourceRecord(name, timeToLive: 60, .ptr(try DomainName(parsing: "web.apps")))
      try expect(
        hex,
        is: Message(id: id, flags: answering, questions: [Question(name, .ptr)], answers: [record], edns: edns))
    }
  }

  // dig nowhere.apps A +noedns, dig . NS +noedns
  @Test func refusals() throws {
    for (hex, code, question) in [
      (
        "164381850001000000000000076e6f776865726504617070730000010001", .refused,
        try Question(DomainName(parsing: "nowhere.apps"), .a)
      ),
      ("2a47818500010000000000000000020001", ResponseCode.refused, Question(.root, .ns)),
    ] {
      let id = UInt16(octets(hex)[0]) << 8 | UInt16(octets(hex)[1])
      try expect(
        hex,
        is: Message(
          id: id, flags: [.response, .recursionDesired, .recursionAvailable], responseCode: code,
          questions: [question]))
    }
  }

  // dig n.apps NAPTR +noedns: a type that is kept as it is, with dnsmasq's empty replacement where RFC 3403 has a name
  @Test func unknownType() throws {
    let bytes = octets(
      "441185800001000100000000016e04617070730000230001c00c00230001000000000013000a0014017303534950000172046170707300")
    let message = try Message(parsing: bytes)
    #expect(
      message.answers == [
        ResourceRecord(try DomainName(parsing: "n.apps"), timeToLive: 0, .unknown(.naptr, Array(bytes.suffix(19))))
      ])
    #expect(message.encoded() == bytes)
  }
}
