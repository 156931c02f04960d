import NetworkPrimitives
import Testing

@Suite struct InterfaceNameTests {
  @Test(arguments: ["a", "eth0", "...", "veth-0123456789", "br_lan.100", "größe", "\u{1f980}", "-"])
  func accepts(text: String) throws {
    let name = try InterfaceName(text)
    #expect(name.description == text)
    try expectCodedAsText(name)
  }

  @Test(arguments: [
    ("", "is empty", "1 to 15 bytes"), ("veth-0123456789a", "has 16 bytes", "at most 15"),
    ("🦀🦀🦀🦀", "has 16 bytes", "at most 15"), (".", "\".\" is the name of a directory", "eth0"),
    ("..", "a directory", "eth0"),
    ("a/b", "\"/\"", "no slash"), ("eth0:1", "\":\"", "colon"), ("eth%d", "\"%\"", "percent"),
    ("a b", "white space", "none"),
    ("a\tb", "white space", "none"), ("a\n", "white space", "none"), ("a\0b", "control character", "none"),
    ("a\u{1b}", "control", "none"),
    ("a\u{7f}", "control", "none"), ("\u{a0}", "0xa0", "other letters"), ("voilà", "0xa0", "other letters"),
  ])
  func refuses(text: String, fault: String, remedy: String) {
    expectInvalid([fault, remedy]) { () throws(NetworkError) in try InterfaceName(text) }
  }

  @Test func sortsAndDecodes() throws {
    #expect(try InterfaceName("eth0") < .loopback)
    try expectDecodingFails(InterfaceName.self, "a/b", says: "no slash")
  }
}

@Suite struct TransportProtocolTests {
  @Test func readsNamesAndNumbers() throws {
    for (name, number) in [("tcp", UInt8(6)), ("udp", 17), ("sctp", 132)] {
      let value = try TransportProtocol(name)
      #expect(value.number == number)
      #expect(value.description == name)
      #expect(TransportProtocol(number: number) == value)
      #expect(try TransportProtocol(name.uppercased()) == value)
      try expectCodedAsText(value)
    }
    #expect(TransportProtocol(number: 1) == nil)
    #expect(TransportProtocol.allCases.sorted() == [.tcp, .udp, .sctp])
  }

  @Test func refuses() throws {
    for text in ["", "icmp", "tcp ", "6"] {
      expectInvalid(["\"\(text)\"", "tcp, udp or sctp"]) { () throws(NetworkError) in try TransportProtocol(text) }
    }
    try expectDecodingFails(TransportProtocol.self, "icmp", says: "tcp, udp or sctp")
  }
}

@Suite struct PortRangeTests {
  @Test(arguments: [
    ("80", "80", 1), ("8000-8010", "8000-8010", 11), ("1-65535", "1-65535", 65535), ("80-80", "80", 1),
  ])
  func readsAndPrints(text: String, canonical: String, count: Int) throws {
    let range = try PortRange(text)
    #expect(range.description == canonical)
    #expect(range.count == count)
    #expect(range.ports.count == count)
    try expectCodedAsText(range)
  }

  @Test(arguments: [
    ("", "\"\" is not a port"), ("0", "\"0\" is not a port"), ("65536", "\"65536\" is not a port"),
    ("-1", "the port \"\""),
    ("80-", "the port \"\""),
    ("http", "\"http\""), ("0-80", "the port \"0\""), ("80-90-100", "the port \"90-100\""), ("080", "\"080\""),
    ("80 ", "\"80 \""),
    ("80-65536", "the port \"65536\""), ("+80", "\"+80\""), ("99999999999999999999", "\"99999999999999999999\""),
  ])
  func refuses(text: String, fault: String) {
    expectInvalid([fault, "ports are 1 to 65535"]) { () throws(NetworkError) in try PortRange(text) }
  }

  @Test func refusesBackwards() throws {
    expectInvalid(["90-80 runs backwards", "80-90"]) { () throws(NetworkError) in try PortRange("90-80") }
    expectInvalid(["0"]) { () throws(NetworkError) in try PortRange(0) }
    try expectDecodingFails(PortRange.self, "90-80", says: "runs backwards")
  }

  @Test func compares() throws {
    let range = try PortRange(8000, 8010)
    #expect(range.contains(8000) && range.contains(8010) && !range.contains(7999) && !range.contains(8011))
    #expect(try range.overlaps(PortRange(8010, 8020)) && !range.overlaps(PortRange(8011, 8020)))
    #expect(try range < PortRange(8000, 8011) && PortRange(80) < range)
  }
}
