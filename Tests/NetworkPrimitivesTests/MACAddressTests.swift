import NetworkPrimitives
import TestSupport
import Testing

@Suite struct MACAddressTests {
  @Test(arguments: [
    ("02:42:ac:11:00:02", "02:42:ac:11:00:02"), ("02-42-AC-11-00-02", "02:42:ac:11:00:02"),
    ("00:00:00:00:00:00", "00:00:00:00:00:00"), ("FF:ff:FF:ff:FF:ff", "ff:ff:ff:ff:ff:ff"),
  ])
  func readsAndPrints(text: String, canonical: String) throws {
    let address = try MACAddress(text)
    #expect(address.description == canonical)
    #expect(MACAddress(bytes: address.bytes) == address)
    #expect(MACAddress(rawValue: address.rawValue) == address)
    try expectCodedAsText(address)
  }

  @Test(arguments: [
    "", "02", "02:42:ac:11:00", "02:42:ac:11:00:02:", "02:42:ac:11:00:02:03", "02:42:ac:11:00:0", "02:42:ac:11:00:0g",
    "02:42-ac:11:00:02", "0242ac110002", "0242.ac11.0002", " 02:42:ac:11:00:02", ":02:42:ac:11:00:0", "02::42:ac:11:00",
  ])
  func refuses(text: String) {
    expectInvalid(["\"\(text)\" is not six bytes", "as in 02:42:ac:11:00:02"]) { () throws(NetworkError) in
      try MACAddress(text)
    }
  }

  @Test func holdsSixBytes() {
    #expect(MACAddress(bytes: [1, 2, 3, 4, 5]) == nil)
    #expect(MACAddress(bytes: [1, 2, 3, 4, 5, 6, 7]) == nil)
    #expect(MACAddress(bytes: [1, 2, 3, 4, 5, 6])?.rawValue == 0x0102_0304_0506)
    #expect(MACAddress(rawValue: 1 << 48) == nil)
  }

  @Test func followsTheIPv4Address() throws {
    let address = MACAddress(ipv4: IPv4Address(172, 17, 0, 2))
    #expect(address.description == "02:42:ac:11:00:02")
    #expect(address.isLocallyAdministered && !address.isMulticast)
    #expect(MACAddress(ipv4: .broadcast).description == "02:42:ff:ff:ff:ff")
  }

  @Test func randomOnesAreLocalAndDiffer() {
    var generator = SeededGenerator(state: 48)
    var seen: Set<MACAddress> = []
    for _ in 0..<1_000 {
      let address = MACAddress.random(using: &generator)
      #expect(address.isLocallyAdministered && !address.isMulticast)
      seen.insert(address)
    }
    #expect(seen.count == 1_000)
    // Every bit but the two is free.
    #expect(seen.reduce(0) { $0 | $1.rawValue } == 0xfeff_ffff_ffff)
    #expect(seen.reduce(.max) { $0 & $1.rawValue } == 1 << 41)
  }

  @Test func knowsItsKind() throws {
    #expect(MACAddress.broadcast.isMulticast && MACAddress.broadcast.isLocallyAdministered)
    #expect(try MACAddress("01:00:5e:00:00:01").isMulticast)
    let vendor = try MACAddress("00:1b:21:00:00:01")
    #expect(!vendor.isMulticast && !vendor.isLocallyAdministered)
    #expect(vendor < .broadcast)
  }

  @Test func decodingSaysWhy() throws {
    try expectDecodingFails(MACAddress.self, "02:42", says: "is not six bytes")
  }

  @Test func linkLocalAddressIsTheModifiedEUI64() throws {
    // The kernel's results: ip link set eth0 address …; ip -6 address show eth0.
    #expect(try MACAddress("02:42:ac:11:00:02").linkLocalAddress.description == "fe80::42:acff:fe11:2")
    #expect(try MACAddress("c2:8e:95:90:47:af").linkLocalAddress.description == "fe80::c08e:95ff:fe90:47af")
    #expect(try MACAddress("00:00:00:00:00:00").linkLocalAddress.description == "fe80::200:ff:fe00:0")
  }
}
