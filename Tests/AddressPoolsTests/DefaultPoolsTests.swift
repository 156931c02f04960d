import AddressPools
import Foundation
import NetworkPrimitives
import TestSupport
import Testing

@Suite struct DefaultPoolsTests {
  let pools = DefaultPools.standard(hostIdentifier: "5f3c2a9d1b7e4c60a8d2e4f60718293a")

  @Test func thereAre31NetworksInOrder() throws {
    var taken: [Subnet] = []
    for second in 17...31 {
      taken.append(try pools.choose(family: .ipv4, avoiding: taken))
      #expect(taken.last?.description == "172.\(second).0.0/16")
    }
    for third in stride(from: 0, to: 256, by: 16) {
      taken.append(try pools.choose(family: .ipv4, avoiding: taken.reversed()))
      #expect(taken.last?.description == "192.168.\(third).0/20")
    }
    #expect(taken.count == 31)
    expectError(.exhausted, ["IPv4", "172.17.0.0/16", "192.168.0.0/16", "name a subnet"]) {
      try pools.choose(family: .ipv4, avoiding: taken)
    }
    taken.remove(at: 20)
    #expect(try pools.choose(family: .ipv4, avoiding: taken).description == "192.168.80.0/20")
  }

  @Test func ipv6HasAStableBlockOfTheHost() throws {
    let block = DefaultPools.uniqueLocalBlock(hostIdentifier: "5f3c2a9d1b7e4c60a8d2e4f60718293a")
    // Computed apart from this code; it must never change, or every host would be renumbered.
    #expect(block.description == "fded:e86:cdcd::/48")
    #expect(block == DefaultPools.uniqueLocalBlock(hostIdentifier: " 5f3c2a9d1b7e4c60a8d2e4f60718293a\n"))
    #expect(block != DefaultPools.uniqueLocalBlock(hostIdentifier: "5f3c2a9d1b7e4c60a8d2e4f60718293b"))
    #expect(block.prefixLength == 48)
    #expect(block.network.bytes[0] == 0xfd)
    let first = try pools.choose(family: .ipv6)
    #expect(first.description == "\(block.network)/64")
    let second = try pools.choose(family: .ipv6, avoiding: [first])
    #expect(second == block.subnet(at: 1, prefixLength: 64))
    let blocks = Set((0..<1_000).map { DefaultPools.uniqueLocalBlock(hostIdentifier: "host-\($0)") })
    #expect(blocks.count == 1_000)
  }

  /// The obstacles, the requested size, the chosen block.
  @Test(
    arguments: [
      (["172.17.0.0/16"], nil, "172.18.0.0/16"), (["172.17.3.4/32"], nil, "172.18.0.0/16"),
      (["172.16.0.0/12"], nil, "192.168.0.0/20"),
      (["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"], nil, "172.17.0.0/16"), (["172.0.0.0/8"], nil, "192.168.0.0/20"),
      (["172.0.0.0/8", "192.168.0.0/24", "192.168.17.0/24"], nil, "192.168.32.0/20"),
      (["::/0", "fd00::/8"], nil, "172.17.0.0/16"),
      ([], 24, "172.17.0.0/24"), (["172.17.0.0/24"], 24, "172.17.1.0/24"),
      (["172.17.0.0/25", "172.17.1.9/32"], 24, "172.17.2.0/24"),
      (["172.17.0.0/16"], 24, "172.18.0.0/24"), ([], 16, "172.17.0.0/16"), ([], 14, "172.20.0.0/14"),
      ([], 13, "172.24.0.0/13"),
      (["172.17.0.0/31"], 32, "172.17.0.2/32"),
      (["172.17.0.0/17", "172.17.0.0/24", "172.17.0.7/32"], 24, "172.17.128.0/24"),
      (["10.0.0.0/8", "172.16.0.0/16"], nil, "172.17.0.0/16"),
      (["172.17.0.0/16", "172.18.128.0/17"], 17, "172.18.0.0/17"),
    ] as [([String], Int?, String)])
  func passesOver(avoiding: [String], prefixLength: Int?, expected: String) throws {
    let taken = try avoiding.map { try Subnet($0) }
    let chosen = try pools.choose(family: .ipv4, prefixLength: prefixLength, avoiding: taken)
    #expect(chosen.description == expected)
  }

  @Test func theChoiceIsTheFirstThatOverlapsNothing() throws {
    var generator = SeededGenerator(state: 31)
    let block = try Subnet("10.0.0.0/20")
    for _ in 0..<500 {
      let size = Int.random(in: 20...28, using: &generator)
      let pools = try DefaultPools([DefaultPool(block, size: size)])
      let taken = try (0..<Int.random(in: 0...30, using: &generator)).map { _ in
        let offset = UInt128.random(in: 0..<4096, using: &generator)
        return try Subnet(
          containing: #require(block.address(at: offset)), prefixLength: .random(in: 21...32, using: &generator))
      }
      let all = (0..<UInt128(1 << (size - 20))).compactMap { block.subnet(at: $0, prefixLength: size) }
      let expected = all.first { candidate in !taken.contains { $0.overlaps(candidate) } }
      let chosen = try? pools.choose(family: .ipv4, avoiding: taken)
      #expect(chosen == expected)
    }
  }

  @Test func refusesWhatNoPoolHolds() throws {
    for length in [8, 0] {
      expectError(.invalidValue, ["no pool holds a /\(length)", "172.24.0.0/13", "smaller block"]) {
        try pools.choose(family: .ipv4, prefixLength: length)
      }
    }
    expectError(.invalidValue, ["/33"]) {
      try pools.choose(family: .ipv4, prefixLength: 33)
    }
    let six = try DefaultPools([DefaultPool(Subnet("fd00::/48"), size: 64)])
    expectError(.exhausted, ["there are no IPv4 pools"]) { try six.choose(family: .ipv4) }
  }

  @Test func poolsAreASetting() throws {
    let mine = try DefaultPools([
      DefaultPool(Subnet("10.200.0.0/16"), size: 24), DefaultPool(Subnet("fd00:1::/32"), size: 80),
    ])
    #expect(try mine.choose(family: .ipv4).description == "10.200.0.0/24")
    #expect(try mine.choose(family: .ipv6).description == "fd00:1::/80")
    #expect(try JSONDecoder().decode(DefaultPools.self, from: JSONEncoder().encode(mine)) == mine)

    let wrong = [
      DefaultPool(try Subnet("10.0.0.0/16"), size: 8), DefaultPool(try Subnet("10.0.1.0/24"), size: 33),
      DefaultPool(try Subnet("224.0.0.0/8"), size: 16), DefaultPool(try Subnet("::/0"), size: 64),
    ]
    let error = expectError(
      .invalidValue,
      [
        "10.0.0.0/16 cannot be cut into blocks of /8", "/33", "10.0.1.0/24 overlaps 10.0.0.0/16", "multicast",
        "::/0 is no",
      ]
    ) { try DefaultPools(wrong) }
    #expect(error?.causes.count == 5)
    let json = Data(#"{"pools":[{"block":"10.0.0.0/16","size":8}]}"#.utf8)
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(DefaultPools.self, from: json) }
  }
}
