import Glibc
import NetworkPrimitives
import TestSupport
import Testing

@Suite struct IPv6AddressTests {
  /// Accepted text, and how RFC 5952 writes it.
  @Test(arguments: [
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::1", "2001:db8::1"),
    ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    ("::ffff:10.0.0.1", "::ffff:10.0.0.1"), ("::ffff:a00:1", "::ffff:10.0.0.1"), ("::10.0.0.1", "::10.0.0.1"),
    ("64:ff9b::10.0.0.1", "64:ff9b::a00:1"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
    ("1:2:3:4:5::1.2.3.4", "1:2:3:4:5:0:102:304"),
  ])
  func readsAndPrints(text: String, canonical: String) throws {
    let address = try IPv6Address(text)
    #expect(address.description == canonical)
    #expect(try IPv6Address(canonical) == address)
    #expect(try IPAddress(text) == .v6(address))
    #expect(inetPton(text) == address)
    try expectCodedAsText(address)
  }

  @Test(arguments: [
    ("", "is empty", "fd00::1"), (":", "a single", "fd00::1"), (":::", "more than once", "fd00::1"),
    ("1::2::3", "more than once", "fd00::1"), ("1:::2", "more than once", "fd00::1"),
    (":1::2", "begins with a single", "fd00::1"), ("1::2:", "ends with a single", "fd00::1"),
    ("1:2:3:4:5:6:7", "7 groups", "eight groups"), ("1:2:3:4:5:6:7:8:9", "9 groups", "eight groups"),
    ("1:2:3:4::5:6:7:8", "8 groups and a \"::\"", "fewer"), ("::1:2:3:4:5:6:7:8", "8 groups and a \"::\"", "fewer"),
    ("fd00::12345", "\"12345\"", "one to four"), ("fd00::g", "\"g\"", "hexadecimal"), ("fd00::1 ", "\" \"", "fd00::1"),
    ("fe80::1%eth0", "the zone \"%eth0\"", "write \"fe80::1\""), ("fd00::1/64", "prefix length", "\"fd00::1\""),
    ("[fd00::1]", "brackets", "write \"fd00::1\""), ("::1.2.3", "3 parts", "10.0.0.1"),
    ("::1.2.3.256", "\"256\"", "0–255"),
    ("::1.2.3.04", "\"04\"", "write 4"), ("1.2.3.4::", "before its end", "::ffff:10.0.0.1"),
    ("1:2:3:4:5:6:7:1.2.3.4", "9 groups", "eight"), ("1.2.3.4", "2 groups", "eight"), ("１::", "\"１\"", "hexadecimal"),
  ])
  func refuses(text: String, fault: String, remedy: String) {
    expectInvalid([fault, remedy]) { () throws(NetworkError) in try IPv6Address(text) }
    #expect(inetPton(text) == nil)
  }

  @Test func agreesWithGlibcOnRandomAddresses() throws {
    var generator = SeededGenerator(state: 6)
    for _ in 0..<20_000 {
      let address = IPv6Address.randomWithZeros(using: &generator)
      #expect(address.description == inetNtop(address))
      #expect(try IPv6Address(address.description) == address)
      #expect(IPv6Address(bytes: address.bytes) == address)
    }
  }

  @Test func agreesWithGlibcOnDamagedText() {
    var generator = SeededGenerator(state: 66)
    let letters = Array("0019afAF::::..%/ g")
    var accepted = 0
    for _ in 0..<20_000 {
      var text = Array(IPv6Address.randomWithZeros(using: &generator).description)
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let index = Int.random(in: 0..<text.count, using: &generator)
        let letter = letters[Int.random(in: 0..<letters.count, using: &generator)]
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: text[index] = letter
        case 1: text.insert(letter, at: index)
        default: if text.count > 1 { text.remove(at: index) }
        }
      }
      let damaged = String(text)
      let parsed = try? IPv6Address(damaged)
      #expect(parsed == inetPton(damaged), "\(damaged)")
      accepted += parsed == nil ? 0 : 1
    }
    #expect(accepted > 1_000 && accepted < 19_000)
  }

  @Test func knowsItsBlocks() throws {
    func blocks(_ text: String) throws -> [Bool] {
      let address = try IPAddress(text)
      return [
        address.isUnspecified, address.isLoopback, address.isMulticast, address.isLinkLocal, address.isPrivate,
      ]
    }
    #expect(try blocks("::") == [true, false, false, false, false])
    #expect(try blocks("::1") == [false, true, false, false, false])
    for text in ["ff00::", "ff02::1", "ffff::"] { #expect(try blocks(text) == [false, false, true, false, false]) }
    for text in ["fe80::1", "febf:ffff::"] { #expect(try blocks(text) == [false, false, false, true, false]) }
    for text in ["fc00::", "fdff::1"] { #expect(try blocks(text) == [false, false, false, false, true]) }
    for text in ["::2", "fe7f::", "fec0::", "fbff::", "fe00::", "2001:db8::"] {
      #expect(try blocks(text) == [false, false, false, false, false])
    }
  }

  @Test func bytesNeedSixteen() {
    #expect(IPv6Address(bytes: [UInt8](repeating: 1, count: 15)) == nil)
    #expect(IPv6Address(bytes: [UInt8](repeating: 0, count: 15) + [1]) == .loopback)
  }

  @Test func decodingSaysWhy() throws {
    try expectDecodingFails(IPv6Address.self, "fe80::1%eth0", says: "name the interface apart")
  }
}

private func inetPton(_ text: String) -> IPv6Address? {
  var result = in6_addr()
  guard unsafe inet_pton(AF_INET6, text, &result) == 1 else { return nil }
  return unsafe withUnsafeBytes(of: &result) { unsafe IPv6Address(bytes: Array($0)) }
}

private func inetNtop(_ address: IPv6Address) -> String {
  let bytes = address.bytes
  var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
  guard unsafe inet_ntop(AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
