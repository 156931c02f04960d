import AddressPools
import Foundation
import NetworkPrimitives
import TestSupport
import Testing

@Suite struct AddressPoolTests {
  func pool(_ subnet: String, ipRange: String? = nil, gateway: String? = nil) throws -> AddressPool {
    try AddressPool(SubnetConfiguration(parsing: subnet, ipRange: ipRange, gateway: gateway))
  }

  /// Every address that the pool gives until it is full.
  func drain(_ pool: inout AddressPool) throws -> [String] {
    var given: [String] = []
    while pool.availableCount > 0 { given.append(try pool.allocate(for: "web").description) }
    expectError(.exhausted, [pool.subnet.description, "web"]) {
      try pool.allocate(for: "web")
    }
    return given
  }

  /// Subnet, gateway asked for, gateway given, all other addresses in the order in which they come.
  @Test(
    arguments: [
      ("10.0.0.0/29", nil, "10.0.0.1", ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]),
      ("10.0.0.0/30", nil, "10.0.0.1", ["10.0.0.2"]), ("10.0.0.0/31", nil, "10.0.0.0", ["10.0.0.1"]),
      ("10.0.0.0/31", "none", nil, ["10.0.0.0", "10.0.0.1"]), ("10.0.0.5/32", "none", nil, ["10.0.0.5"]),
      ("10.0.0.5/32", nil, "10.0.0.5", []),
      ("10.0.0.0/29", "10.0.0.4", "10.0.0.4", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"]),
      ("fd00::/126", nil, "fd00::1", ["fd00::2", "fd00::3"]), ("fd00::/127", nil, "fd00::", ["fd00::1"]),
      ("fd00::/127", "none", nil, ["fd00::", "fd00::1"]), ("fd00::7/128", "none", nil, ["fd00::7"]),
    ] as [(String, String?, String?, [String])])
  func givesEveryAddressOnce(subnet: String, gateway: String?, given: String?, others: [String]) throws {
    var pool = try pool(subnet, gateway: gateway)
    #expect(pool.gateway?.description == given)
    #expect(pool.availableCount == UInt128(others.count))
    #expect(try drain(&pool) == others)
    #expect(UInt128(pool.inUseCount) == pool.subnet.addressCount)
    // Release, then full again.
    for text in others { try pool.release(address(text)) }
    #expect(pool.availableCount == UInt128(others.count))
    #expect(try drain(&pool) == others)
  }

  @Test func aFullPoolButForOneGivesThatOne() throws {
    var pool = try pool("10.0.0.0/20")
    #expect(try drain(&pool).count == 4093)
    for text in ["10.0.15.254", "10.0.0.2", "10.0.7.255"] {
      try pool.release(address(text))
      #expect(try pool.allocate(for: "web") == address(text))
      #expect(pool.availableCount == 0)
    }
  }

  @Test func searchesAfterTheLastOneGiven() throws {
    var pool = try pool("10.0.0.0/24")
    for last in 2...5 { #expect(try pool.allocate(for: "a").description == "10.0.0.\(last)") }
    try pool.release(address("10.0.0.3"))
    #expect(try pool.allocate(for: "a").description == "10.0.0.6")
    // A requested address does not move the search, but is skipped.
    try pool.allocate(address("10.0.0.7"), for: "b")
    try pool.allocate(address("10.0.0.100"), for: "b")
    #expect(try pool.allocate(for: "a").description == "10.0.0.8")
    #expect(pool.cursor?.description == "10.0.0.8")
  }

  @Test func whatWasJustReleasedComesBackLast() throws {
    var pool = try pool("10.0.0.0/24")
    let all = try drain(&pool)
    // In any order of releases, addresses are reused in that order, the last released last.
    var generator = SeededGenerator(state: 8)
    let released = all.shuffled(using: &generator).prefix(60)
    for text in released { try pool.release(address(text)) }
    #expect(try drain(&pool) == Array(released))
  }

  @Test func whatWasJustReleasedIsPassedOverAheadOfTheCursor() throws {
    var pool = try pool("10.0.0.0/24")
    _ = try drain(&pool)
    // The search stands at .254 and wraps; .2 is next in turn, but .200 is free for longer.
    try pool.release(address("10.0.0.200"))
    try pool.release(address("10.0.0.2"))
    #expect(try pool.allocate(for: "a").description == "10.0.0.200")
    #expect(try pool.allocate(for: "a").description == "10.0.0.2")
  }

  @Test func choosesFromTheRangeButGivesByNameFromTheSubnet() throws {
    var pool = try pool("10.0.0.0/16", ipRange: "10.0.5.0/30")
    #expect(pool.gateway?.description == "10.0.5.0")
    #expect(pool.availableCount == 3)
    try pool.allocate(address("10.0.9.9"), for: "db")
    #expect(pool.availableCount == 3)
    #expect(pool.inUseCount == 4)
    #expect(try drain(&pool) == ["10.0.5.1", "10.0.5.2", "10.0.5.3"])
    expectError(
      .exhausted,
      [
        "no address of the ip-range 10.0.5.0/30 in 10.0.0.0/16 is free, of 4: 3 leased, 1 the gateway's;", "\"web\"",
        "outside it",
      ]
    ) {
      try pool.allocate(for: "web")
    }
    // Released outside the range, it is not chosen.
    try pool.release(address("10.0.9.9"))
    #expect(pool.availableCount == 0)
    expectError(.exhausted, []) { try pool.allocate(for: "web") }
    try pool.release(address("10.0.5.2"))
    #expect(try pool.allocate(for: "web").description == "10.0.5.2")
  }

  @Test func aRangeAtTheStartLeavesOutTheReservedAddresses() throws {
    var pool = try pool("10.0.0.0/16", ipRange: "10.0.0.0/30")
    #expect(pool.gateway?.description == "10.0.0.1")
    #expect(try drain(&pool) == ["10.0.0.2", "10.0.0.3"])
  }

  @Test func saysWhoHasAnAddress() throws {
    var pool = try AddressPool(
      SubnetConfiguration(parsing: "172.17.0.0/24", auxiliaryAddresses: ["router": "172.17.0.9"]))
    try pool.allocate(address("172.17.0.5"), for: "web")
    let dynamic = try pool.allocate(for: "db")
    #expect(pool.owner(of: dynamic) == "db")
    #expect(pool.lease(of: dynamic)?.kind == .dynamic)
    #expect(pool.leases.map(\.kind) == [.gateway, .dynamic, .static, .auxiliary])
    #expect(pool.leases.map(\.owner) == ["gateway", "db", "web", "router"])
    #expect(pool.inUseCount == 6)
    #expect(pool.availableCount == 250)
    let before = pool
    for (text, parts) in [
      ("172.17.0.5", ["172.17.0.5: address already in use by \"web\"", "for \"x\""]),
      ("172.17.0.1", ["address already in use by the gateway"]),
      ("172.17.0.9", ["address already in use by the auxiliary address \"router\""]),
    ] {
      let wanted = try address(text)
      expectError(.inUse, parts) { try pool.allocate(wanted, for: "x") }
    }
    for (text, parts) in [
      ("172.17.1.5", ["172.17.1.5 is not in the subnet 172.17.0.0/24 (172.17.0.0–172.17.0.255)"]),
      ("172.17.0.0", ["the network address of 172.17.0.0/24"]), ("172.17.0.255", ["the broadcast address"]),
      ("::ac11:5", ["not in the subnet"]),
    ] {
      let wanted = try address(text)
      expectError(.invalidValue, parts) { try pool.allocate(wanted, for: "x") }
    }
    #expect(pool == before)
  }

  @Test func keepsWhatMustStay() throws {
    var pool = try AddressPool(
      SubnetConfiguration(parsing: "fd00::/64", auxiliaryAddresses: ["router": "fd00::9"]))
    let before = pool
    for (text, code, part) in [
      ("fd00::1", NetworkError.Code.refused, "the gateway"), ("fd00::9", .refused, "\"router\""),
      ("fd00::5", .notFound, "not leased from fd00::/64"), ("fd00::", .notFound, "not leased"),
    ] {
      let wanted = try address(text)
      expectError(code, [part]) { try pool.release(wanted) }
    }
    let anycast = try address("fd00::")
    expectError(.invalidValue, ["anycast"]) { try pool.allocate(anycast, for: "x") }
    #expect(pool == before)
    // The last address of an IPv6 subnet is one like any other.
    try pool.allocate(address("fd00::ffff:ffff:ffff:ffff"), for: "x")
    let lease = try pool.release(address("fd00::ffff:ffff:ffff:ffff"))
    #expect(lease.owner == "x" && lease.kind == .static)
  }

  @Test func comesBackAsItWas() throws {
    var pool = try AddressPool(
      SubnetConfiguration(
        parsing: "10.0.0.0/16", ipRange: "10.0.1.0/28", auxiliaryAddresses: ["router": "10.0.1.3"]))
    for _ in 0..<6 { _ = try pool.allocate(for: "web") }
    try pool.allocate(address("10.0.200.1"), for: "db")
    try pool.release(address("10.0.1.4"))
    var restored = try AddressPool(
      pool.configuration, leases: pool.leases, cursor: pool.cursor, resting: pool.resting)
    #expect(restored == pool)
    var decoded = try JSONDecoder().decode(AddressPool.self, from: JSONEncoder().encode(pool))
    #expect(decoded == pool)
    let rest = try drain(&pool)
    #expect(try drain(&restored) == rest)
    #expect(try drain(&decoded) == rest)
    #expect(rest.last == "10.0.1.4")
  }

  @Test func refusesToRestoreNonsense() throws {
    let configuration = try SubnetConfiguration(parsing: "10.0.0.0/24")
    func lease(_ text: String, _ owner: String, _ kind: Lease.Kind = .dynamic) throws -> Lease {
      Lease(address: try address(text), owner: owner, kind: kind)
    }
    let cases: [([Lease], String?, NetworkError.Code, String)] = [
      ([try lease("10.0.0.2", "a"), try lease("10.0.0.2", "b")], nil, .inUse, "in use by \"a\""),
      ([try lease("10.0.0.1", "a")], nil, .inUse, "by the gateway"),
      ([try lease("10.0.1.1", "a")], nil, .invalidValue, "not in the subnet"),
      ([try lease("10.0.0.255", "a")], nil, .invalidValue, "broadcast"),
      ([try lease("10.0.0.9", "r", .auxiliary)], nil, .invalidValue, "not in the configuration"),
      ([], "10.0.1.1", .invalidValue, "cursor 10.0.1.1"),
    ]
    for (leases, cursor, code, part) in cases {
      let cursor = try cursor.map { try address($0) }
      expectError(code, [part, "10.0.0.0/24"]) {
        try AddressPool(configuration, leases: leases, cursor: cursor)
      }
    }
    let request = SubnetConfiguration(subnet: try Subnet("0.0.0.0/24"))
    expectError(.invalidValue, ["asks for any free block"]) {
      try AddressPool(request)
    }
    let json = Data(
      #"{"configuration":{"subnet":"10.0.0.0/24"},"leases":[{"address":"10.9.0.1","owner":"a","kind":"static"}]}"#.utf8)
    #expect { try JSONDecoder().decode(AddressPool.self, from: json) } throws: {
      guard case DecodingError.dataCorrupted(let context) = $0 else { return false }
      return context.debugDescription.contains("10.9.0.1 is not in the subnet")
    }
  }
}
