import NetworkPrimitives
import TestSupport
import Testing

@Suite struct IPAddressTests {
  @Test func roundTripsAsTextAndBytes() throws {
    var generator = SeededGenerator(state: 1)
    for _ in 0..<5_000 {
      let address = IPAddress.random(using: &generator)
      #expect(try IPAddress(address.description) == address)
      #expect(IPAddress(bytes: address.bytes) == address)
      #expect(IPAddress(family: address.family, rawValue: address.rawValue) == address)
      #expect(address.bytes.count * 8 == address.family.bitWidth)
    }
    #expect(IPAddress(bytes: [1, 2, 3]) == nil)
    #expect(IPAddress(family: .ipv4, rawValue: 1 << 32) == nil)
  }

  @Test func sortsByFamilyThenNumber() throws {
    let sorted = try ["0.0.0.0", "9.0.0.0", "10.0.0.0", "255.255.255.255", "::", "::1", "ffff::"].map {
      try IPAddress($0)
    }
    #expect(sorted.reversed().sorted() == sorted)
    #expect(sorted.map(\.family) == [.ipv4, .ipv4, .ipv4, .ipv4, .ipv6, .ipv6, .ipv6])
    #expect(AddressFamily.ipv4 < .ipv6)
    #expect(AddressFamily.ipv4.rawValue == 2 && AddressFamily.ipv6.rawValue == 10)
  }

  @Test(arguments: [
    ("10.0.0.1", Int128(1), "10.0.0.2"), ("10.0.0.1", -2, "9.255.255.255"), ("0.0.0.0", -1, nil),
    ("255.255.255.255", 1, nil), ("255.255.255.255", 0, "255.255.255.255"), ("0.0.0.0", 0xffff_ffff, "255.255.255.255"),
    ("0.0.0.0", .max, nil), ("0.0.0.0", .min, nil), ("::", -1, nil), ("fd00::ffff", 1, "fd00::1:0"),
    ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, nil), ("::", .max, "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("8000::", .min, "::"), ("7fff::", .min, nil),
  ])
  func advances(text: String, distance: Int128, expected: String?) throws {
    #expect(try IPAddress(text).advanced(by: distance)?.description == expected)
  }

  @Test func givesWhatItHolds() throws {
    #expect(IPAddress.any(.ipv4).v4 == .any)
    #expect(IPAddress.any(.ipv4).v6 == nil)
    #expect(IPAddress.loopback(.ipv6).v6 == .loopback)
    #expect(IPAddress.loopback(.ipv6).v4 == nil)
    try expectCodedAsText(IPAddress.loopback(.ipv6))
    try expectDecodingFails(IPAddress.self, "localhost", says: "\"l\"")
  }
}
