import NetworkPrimitives
import TestSupport
import Testing

@Suite struct SubnetTests {
  @Test(
    arguments: [
      ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", "255.0.0.0", "10.255.255.255", UInt128(1) << 24),
      ("192.168.1.4/30", "192.168.1.4", "192.168.1.7", "255.255.255.252", "192.168.1.7", 4),
      ("192.168.1.4/31", "192.168.1.4", "192.168.1.5", "255.255.255.254", nil, 2),
      ("192.168.1.5/32", "192.168.1.5", "192.168.1.5", "255.255.255.255", nil, 1),
      ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", "0.0.0.0", "255.255.255.255", 1 << 32),
      ("fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::", nil, 1 << 64),
      ("::1/128", "::1", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", nil, 1),
      ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", nil, .max),
    ] as [(String, String, String, String, String?, UInt128)])
  func measures(
    text: String, first: String, last: String, netmask: String, broadcast: String?, count: UInt128
  ) throws {
    let subnet = try Subnet(text)
    #expect(subnet.description == text)
    #expect(subnet.first.description == first)
    #expect(subnet.last.description == last)
    #expect(subnet.netmask.description == netmask)
    #expect(subnet.broadcast?.description == broadcast)
    #expect(subnet.addressCount == count)
    try expectCodedAsText(subnet)
  }

  @Test(arguments: [
    ("10.10.10.0/8", "\"10.10.10.0/8\" has bits set after the first 8", "write 10.0.0.0/8"),
    ("192.168.1.1/31", "first 31", "write 192.168.1.0/31"), ("fd00::1/64", "first 64", "write fd00::/64"),
    ("1.2.3.4/0", "first 0", "write 0.0.0.0/0"), ("10.0.0.0", "no prefix length", "as in 10.0.0.0/8"),
    ("10.0.0.0/", "prefix length \"\"", "from 0 to 32"), ("10.0.0.0/33", "\"33\"", "from 0 to 32"),
    ("fd00::/129", "\"129\"", "from 0 to 128"), ("10.0.0.0/08", "\"08\"", "from 0 to 32"),
    ("10.0.0.0/-1", "\"-1\"", "0 to 32"),
    ("10.0.0.0/+8", "\"+8\"", "0 to 32"), ("10.0.0.0/8/8", "\"8/8\"", "0 to 32"),
    ("10.0.0.0/255.0.0.0", "\"255.0.0.0\"", "0 to 32"),
    ("10.0.0/8", "\"10.0.0/8\": \"10.0.0\" has 3 parts", "10.0.0.1"), ("/8", "is empty", "10.0.0.1"),
    ("", "is empty", "10.0.0.1"),
    ("10.0.0.0/8 ", "\"8 \"", "0 to 32"), ("10.0.0.0/99999999999999999999", "\"99999999999999999999\"", "0 to 32"),
  ])
  func refuses(text: String, fault: String, remedy: String) {
    expectInvalid([fault, remedy]) { () throws(NetworkError) in try Subnet(text) }
  }

  @Test func makesFromParts() throws {
    let address = IPAddress.v4(IPv4Address(10, 1, 2, 3))
    #expect(try Subnet(containing: address, prefixLength: 16).description == "10.1.0.0/16")
    #expect(try Subnet(network: .v4(IPv4Address(10, 1, 0, 0)), prefixLength: 16).description == "10.1.0.0/16")
    #expect(Subnet(address).description == "10.1.2.3/32")
    #expect(Subnet.all(.ipv6).description == "::/0")
    expectInvalid(["10.1.2.3/16", "write 10.1.0.0/16"]) { () throws(NetworkError) in
      try Subnet(network: address, prefixLength: 16)
    }
    for length in [-1, 33, .max, .min] {
      expectInvalid(["10.1.2.3/\(length)", "0 to 32"]) { () throws(NetworkError) in
        try Subnet(containing: address, prefixLength: length)
      }
    }
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.1.0.0/16", true, true, false), ("10.0.0.0/8", "10.0.0.0/8", true, true, true),
    ("10.0.0.0/8", "11.0.0.0/8", false, false, false), ("0.0.0.0/0", "::/0", false, false, false),
    ("10.0.0.0/9", "10.128.0.0/9", false, false, false), ("::/0", "fd00::/64", true, true, false),
  ])
  func compares(left: String, right: String, overlap: Bool, contains: Bool, contained: Bool) throws {
    let (left, right) = (try Subnet(left), try Subnet(right))
    #expect(left.overlaps(right) == overlap)
    #expect(right.overlaps(left) == overlap)
    #expect(left.contains(right) == contains)
    #expect(right.contains(left) == contained)
  }

  @Test func containsExactlyWhatLiesBetweenItsEnds() throws {
    var generator = SeededGenerator(state: 32)
    for _ in 0..<2_000 {
      let address = IPAddress.random(using: &generator)
      let length = Int.random(in: 0...address.family.bitWidth, using: &generator)
      let subnet = try Subnet(containing: address, prefixLength: length)
      #expect(subnet.contains(address))
      #expect(subnet.contains(subnet.first) && subnet.contains(subnet.last))
      if let before = subnet.first.advanced(by: -1) { #expect(!subnet.contains(before)) }
      if let after = subnet.last.advanced(by: 1) { #expect(!subnet.contains(after)) }
      #expect(AddressRange(subnet).count == subnet.addressCount)
      #expect(try Subnet(subnet.description) == subnet)
      let other = try Subnet(containing: .random(using: &generator), prefixLength: 2)
      let rangesOverlap = AddressRange(subnet).overlaps(AddressRange(other))
      #expect(subnet.overlaps(other) == rangesOverlap)
    }
  }

  @Test(arguments: [
    ("172.16.0.0/12", UInt128(1), 16, "172.17.0.0/16"), ("172.16.0.0/12", 15, 16, "172.31.0.0/16"),
    ("172.16.0.0/12", 16, 16, nil), ("172.16.0.0/12", 0, 11, nil), ("172.16.0.0/12", 0, 33, nil),
    ("172.16.0.0/12", 0, 12, "172.16.0.0/12"), ("172.16.0.0/12", 1, 12, nil), ("10.0.0.0/31", 1, 32, "10.0.0.1/32"),
    ("fd00::/48", 65535, 64, "fd00:0:0:ffff::/64"), ("fd00::/48", 65536, 64, nil),
    ("::/0", .max, 128, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
    ("::/0", 1, 0, nil), ("::/0", 3, 1, nil), ("::/0", 1, 1, "8000::/1"), ("::/0", .max, 64, nil),
  ])
  func cuts(text: String, index: UInt128, length: Int, expected: String?) throws {
    #expect(try Subnet(text).subnet(at: index, prefixLength: length)?.description == expected)
  }

  @Test func findsAddressesByOffset() throws {
    let subnet = try Subnet("10.0.0.4/30")
    #expect(subnet.address(at: 0)?.description == "10.0.0.4")
    #expect(subnet.address(at: 3)?.description == "10.0.0.7")
    #expect(subnet.address(at: 4) == nil)
    #expect(Subnet.all(.ipv6).address(at: .max)?.rawValue == .max)
  }

  @Test func sortsByAddressThenLargerFirst() throws {
    let sorted = try ["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "::/0", "fd00::/8"].map { try Subnet($0) }
    #expect(sorted.reversed().sorted() == sorted)
  }

  @Test func decodingSaysWhy() throws {
    try expectDecodingFails(Subnet.self, "10.10.10.0/8", says: "write 10.0.0.0/8")
  }
}

@Suite struct InterfaceAddressTests {
  @Test func keepsHostBits() throws {
    let address = try InterfaceAddress("172.17.0.2/16")
    #expect(address.description == "172.17.0.2/16")
    #expect(address.address.description == "172.17.0.2")
    #expect(address.prefixLength == 16)
    #expect(address.subnet.description == "172.17.0.0/16")
    #expect(address.family == .ipv4)
    #expect(try InterfaceAddress("fd00::1/64").subnet.description == "fd00::/64")
    try expectCodedAsText(address)
  }

  @Test func takesThePrefixOfASubnet() throws {
    let subnet = try Subnet("172.17.0.0/16")
    #expect(try InterfaceAddress(address: IPAddress("172.17.0.2"), in: subnet).description == "172.17.0.2/16")
    expectInvalid(["172.18.0.2", "172.17.0.0/16"]) { () throws(NetworkError) in
      try InterfaceAddress(address: IPAddress("172.18.0.2"), in: subnet)
    }
  }

  @Test func refuses() throws {
    expectInvalid(["\"10.0.0.1\" has no prefix length", "172.17.0.2/16"]) { () throws(NetworkError) in
      try InterfaceAddress("10.0.0.1")
    }
    expectInvalid(["10.0.0.1/33", "0 to 32"]) { () throws(NetworkError) in
      try InterfaceAddress(address: IPAddress("10.0.0.1"), prefixLength: 33)
    }
    try expectDecodingFails(InterfaceAddress.self, "10.0.0.1/", says: "prefix length \"\"")
  }

  @Test func sorts() throws {
    let sorted = try ["10.0.0.1/8", "10.0.0.1/16", "10.0.0.2/8"].map { try InterfaceAddress($0) }
    #expect(sorted.reversed().sorted() == sorted)
  }
}

@Suite struct AddressRangeTests {
  @Test func holdsBothEnds() throws {
    let range = try AddressRange("10.0.0.10-10.0.0.20")
    #expect(range.count == 11)
    #expect(try range.contains(IPAddress("10.0.0.10")) && range.contains(IPAddress("10.0.0.20")))
    #expect(try !range.contains(IPAddress("10.0.0.9")) && !range.contains(IPAddress("10.0.0.21")))
    #expect(try !range.contains(IPAddress("::a00:a")))
    #expect(AddressRange(.all(.ipv6)).count == .max)
    try expectCodedAsText(range)
  }

  @Test(arguments: [
    ("10.0.0.1-10.0.0.5", "10.0.0.5-10.0.0.9", true, false), ("10.0.0.1-10.0.0.5", "10.0.0.6-10.0.0.9", false, false),
    ("10.0.0.1-10.0.0.9", "10.0.0.3-10.0.0.4", true, true), ("0.0.0.0-255.255.255.255", "::-::1", false, false),
  ])
  func compares(left: String, right: String, overlap: Bool, contains: Bool) throws {
    let (left, right) = (try AddressRange(left), try AddressRange(right))
    #expect(left.overlaps(right) == overlap)
    #expect(right.overlaps(left) == overlap)
    #expect(left.contains(right) == contains)
  }

  @Test(arguments: [
    ("10.0.0.1", "no \"-\"", "10.0.0.10-10.0.0.20"), ("10.0.0.2-10.0.0.1", "runs backwards", "write 10.0.0.1-10.0.0.2"),
    ("10.0.0.1-::1", "both ends", "one family"), ("10.0.0.1-x", "\"10.0.0.1-x\"", "10.0.0.1"),
    ("-", "is empty", "10.0.0.1"),
  ])
  func refuses(text: String, fault: String, remedy: String) {
    expectInvalid([fault, remedy]) { () throws(NetworkError) in try AddressRange(text) }
  }
}
