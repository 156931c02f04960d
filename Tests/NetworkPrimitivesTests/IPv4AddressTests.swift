import NetworkPrimitives
import TestSupport
import Testing

@Suite struct IPv4AddressTests {
  @Test(arguments: [
    ("0.0.0.0", UInt32(0)), ("255.255.255.255", 0xffff_ffff), ("10.0.0.1", 0x0a00_0001),
    ("172.17.0.2", 0xac11_0002), ("1.20.255.9", 0x0114_ff09),
  ])
  func readsAndPrints(text: String, number: UInt32) throws {
    let address = try IPv4Address(text)
    #expect(address.rawValue == number)
    #expect(address.description == text)
    #expect(try IPAddress(text) == .v4(address))
    try expectCodedAsText(address)
  }

  @Test(arguments: [
    ("", "\"\" is empty", "10.0.0.1"), ("10.0.0", "\"10.0.0\" has 3 parts", "four numbers 0–255"),
    ("10", "1 part;", "10.0.0.1"), ("10.0.0.0.1", "5 parts", "10.0.0.1"), ("10.0.0.", "an empty part", "10.0.0.1"),
    (".10.0.0", "an empty part", "10.0.0.1"), ("10..0.1", "an empty part", "10.0.0.1"),
    ("10.0.0.256", "\"256\"", "0–255"), ("10.0.99999999999999999999.1", "\"99999999999999999999\"", "0–255"),
    ("10.0.010.1", "\"010\"", "write 10"), ("10.00.0.1", "\"00\"", "write 0"), ("10.0.x.1", "\"x\"", "10.0.0.1"),
    ("10.0.0.1 ", "\" \"", "10.0.0.1"), ("-1.0.0.1", "\"-\"", "10.0.0.1"), ("+1.0.0.1", "\"+\"", "10.0.0.1"),
    ("10.0.0.1/8", "prefix length", "\"10.0.0.1\""), ("0x0a.0.0.1", "\"x\"", "10.0.0.1"),
    ("١٠.0.0.1", "\"١\"", "10.0.0.1"), ("10.0.0.1\0", "\\0", "10.0.0.1"), ("1e1.0.0.1", "\"e\"", "10.0.0.1"),
  ])
  func refuses(text: String, fault: String, remedy: String) {
    expectInvalid([fault, remedy]) { () throws(NetworkError) in try IPv4Address(text) }
  }

  @Test func cutsLongTextInTheError() {
    let text = String(repeating: "1", count: 10_000)
    #expect { try IPv4Address(text) } throws: { "\($0)".count < 300 }
  }

  @Test func bytesAreInNetworkOrder() throws {
    let address = IPv4Address(172, 17, 0, 2)
    #expect(address.bytes == [172, 17, 0, 2])
    #expect(IPv4Address(bytes: [172, 17, 0, 2]) == address)
    #expect(IPv4Address(bytes: [172, 17, 0]) == nil)
    #expect(IPv4Address(bytes: [172, 17, 0, 2, 0]) == nil)
  }

  @Test func roundTrips() throws {
    var generator = SeededGenerator(state: 4)
    for _ in 0..<10_000 {
      let address = IPv4Address(rawValue: .random(in: 0 ... .max, using: &generator))
      #expect(try IPv4Address(address.description) == address)
      #expect(IPv4Address(bytes: address.bytes) == address)
    }
  }

  @Test func knowsItsBlocks() throws {
    func blocks(_ text: String) throws -> [Bool] {
      let address = try IPAddress(text)
      return [
        address.isUnspecified, address.isLoopback, address.isMulticast, address.isLinkLocal, address.isPrivate,
      ]
    }
    #expect(try blocks("0.0.0.0") == [true, false, false, false, false])
    for text in ["127.0.0.1", "127.255.255.255"] {
      #expect(try blocks(text) == [false, true, false, false, false])
    }
    for text in ["224.0.0.0", "239.255.255.255"] {
      #expect(try blocks(text) == [false, false, true, false, false])
    }
    for text in ["169.254.0.0", "169.254.255.255"] {
      #expect(try blocks(text) == [false, false, false, true, false])
    }
    for text in ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"] {
      #expect(try blocks(text) == [false, false, false, false, true])
    }
    for text in [
      "0.0.0.1", "126.255.255.255", "128.0.0.0", "223.255.255.255", "240.0.0.0", "169.253.255.255", "169.255.0.0",
      "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
    ] {
      #expect(try blocks(text) == [false, false, false, false, false])
    }
  }

  @Test func decodingSaysWhy() throws {
    try expectDecodingFails(IPv4Address.self, "10.0.0", says: "has 3 parts")
  }
}
