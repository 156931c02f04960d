import ContainerNetworkingDNS
import TestSupport
import Testing

@Suite struct DomainNameTests {
  @Test(arguments: [
    ("www.example.com", "www.example.com"), ("www.example.com.", "www.example.com"), (".", "."), ("WeB", "WeB"),
    (#"a\.b.c"#, #"a\.b.c"#), (#"a\\b"#, #"a\\b"#), (#"\065b\000"#, #"Ab\000"#), (#"john\ doe"#, #"john\032doe"#),
    ("_http._tcp.web", "_http._tcp.web"), ("é", #"\195\169"#), ("a@b;c", #"a\@b\;c"#), (#"\."#, #"\."#),
  ])
  func textIsRead(_ text: String, _ written: String) throws {
    let name = try DomainName(parsing: text)
    #expect(name.description == written)
    #expect(DomainName(written) == name)
  }

  @Test(arguments: [
    ("", "the text is empty"), ("..", "a label is empty"), (".a", "a label is empty"), ("a..b", "a label is empty"),
    (#"a\"#, "ends with a backslash"), (#"a\1"#, "fewer than three digits"), (#"\12x"#, "fewer than three digits"),
    (#"\256"#, "at most \\255"), (String(repeating: "x", count: 64), "has 64 octets; at most 63"),
    (String(repeating: "1234567.", count: 32), "too long"),
  ])
  func badTextIsRefused(_ text: String, _ reason: String) {
    let error = #expect(throws: NetworkError.self) { try DomainName(parsing: text) }
    #expect(error?.code == .invalidValue)
    #expect(error?.reason.contains(reason) == true, "\(String(describing: error))")
    #expect(DomainName(text) == nil)
  }

  @Test func limitsAreExact() throws {
    let label = String(repeating: "x", count: 63)
    #expect(try DomainName(parsing: label).encodedCount == 65)
    // 63+1, 63+1, 63+1, 61+1 and the root's octet are 255.
    let longest = [label, label, label, String(label.dropLast(2))].joined(separator: ".")
    #expect(try DomainName(parsing: longest).encodedCount == 255)
    #expect(DomainName(longest + "x") == nil)
    let manyLabels = try DomainName(labels: Array(repeating: [0x61], count: 127))
    #expect(manyLabels.labelCount == 127)
    #expect(manyLabels.encodedCount == 255)
    #expect(throws: NetworkError.self) { try manyLabels.appending(DomainName(parsing: "a")) }
    #expect(throws: NetworkError.self) { try DomainName(labels: [[UInt8]()]) }
  }

  @Test func caseOfASCIILettersIsKeptButDoesNotDiffer() throws {
    let (lower, upper) = (try DomainName(parsing: "web-1.example.com"), try DomainName(parsing: "WEB-1.eXAMPLE.com"))
    #expect(lower == upper)
    #expect(lower.hashValue == upper.hashValue)
    #expect(!lower.isIdentical(to: upper))
    #expect(upper.description == "WEB-1.eXAMPLE.com")
    #expect(upper.lowercased.isIdentical(to: lower))
    // Characters adjacent to the letters do not fold: @ and `, [ and {, octets over 127.
    #expect(try DomainName(labels: [[0x40]]) != DomainName(labels: [[0x60]]))
    #expect(try DomainName(labels: [[0x5b]]) != DomainName(labels: [[0x7b]]))
    #expect(try DomainName(labels: [[0xc1]]) != DomainName(labels: [[0xe1]]))
  }

  @Test func equalNamesHashAlike() throws {
    var generator = SeededGenerator(state: 7)
    for _ in 0..<2000 {
      let name = DomainName.random(using: &generator)
      let other = try DomainName(
        labels: name.labels.map { label in
          label.map { octet in
            (0x41...0x5a).contains(octet & 0xdf) && Bool.random(using: &generator) ? octet ^ 0x20 : octet
          }
        })
      #expect(name == other)
      #expect(name.hashValue == other.hashValue)
      #expect(name.lowercased.hashValue == name.hashValue)
      #expect(DomainName(name.description)?.isIdentical(to: name) == true)
    }
  }

  @Test func labelsAndParents() throws {
    let name = try DomainName(parsing: "a.bc.d")
    #expect(name.labels.map { String(decoding: $0, as: UTF8.self) } == ["a", "bc", "d"])
    #expect(name.labelCount == 3)
    #expect(name.parent?.description == "bc.d")
    #expect(name.parent?.parent?.parent == .root)
    #expect(DomainName.root.parent == nil)
    #expect(DomainName.root.isRoot)
    #expect(DomainName.root.labels.isEmpty)
    #expect(try DomainName(parsing: "a").appending(DomainName(parsing: "b.c")).description == "a.b.c")
  }

  @Test func subdomainsEndWithWholeLabels() throws {
    let name = try DomainName(parsing: "www.Example.com")
    for ancestor in ["www.example.com", "EXAMPLE.com", "com", "."] {
      #expect(name.isSubdomain(of: try DomainName(parsing: ancestor)), "\(ancestor)")
    }
    for other in ["ample.com", "w.example.com", "a.www.example.com", "net"] {
      #expect(!name.isSubdomain(of: try DomainName(parsing: other)), "\(other)")
    }
    // A label that has another name's form in it.
    #expect(try !DomainName(labels: [[1, 3, 0x63, 0x6f, 0x6d]]).isSubdomain(of: DomainName(parsing: "com")))
  }

  @Test(arguments: [
    ("172.17.0.2", "2.0.17.172.in-addr.arpa"), ("0.0.0.255", "255.0.0.0.in-addr.arpa"),
    // RFC 3596, section 2.5
    (
      "4321:0:1:2:3:4:567:89ab",
      "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"
    ),
  ])
  func reverseNames(_ address: String, _ name: String) throws {
    let address = try IPAddress(address)
    #expect(DomainName(reverse: address).description == name)
    #expect(try DomainName(parsing: name.uppercased()).reverseAddress == address)
  }

  @Test(arguments: [
    "in-addr.arpa", "17.172.in-addr.arpa", "1.2.0.17.172.in-addr.arpa", "256.0.0.10.in-addr.arpa",
    "01.0.0.10.in-addr.arpa", "x.0.0.10.in-addr.arpa", "1.2.3.4", "ip6.arpa", "1.2.ip6.arpa",
    "g" + String(repeating: ".0", count: 31) + ".ip6.arpa", "10" + String(repeating: ".0", count: 31) + ".ip6.arpa",
    String(repeating: "0.", count: 33) + "ip6.arpa", ".",
  ])
  func otherNamesAreNoReverseNames(_ name: String) throws {
    #expect(try DomainName(parsing: name).reverseAddress == nil)
  }
}
