import NetworkPrimitives
import TestSupport
import Testing

@testable import AddressPools

/// The rules of a pool, written as plainly as possible: a list of all addresses, looked through one by one.
private struct PlainPool {
  let block: [IPAddress]
  let whole: [IPAddress]
  let blocked: Set<IPAddress>
  var owners: [IPAddress: String] = [:]
  var resting: [IPAddress] = []
  var cursor = -1

  init(_ configuration: SubnetConfiguration) {
    whole = Self.all(configuration.subnet)
    block = Self.all(configuration.ipRange ?? configuration.subnet)
    let reserved = Self.reserved(configuration)
    switch configuration.gateway {
    case .omitted: blocked = reserved
    case .address(let address): blocked = reserved.union([address])
    case .automatic: blocked = reserved.union(block.filter { !reserved.contains($0) }.prefix(1))
    }
  }

  static func all(_ subnet: Subnet) -> [IPAddress] { (0..<subnet.addressCount).compactMap { subnet.address(at: $0) } }

  static func reserved(_ configuration: SubnetConfiguration) -> Set<IPAddress> {
    let auxiliary = Set(configuration.auxiliaryAddresses.values)
    let subnet = configuration.subnet
    guard subnet.addressCount > 2 else { return auxiliary }
    return auxiliary.union(subnet.family == .ipv4 ? [subnet.first, subnet.last] : [subnet.first])
  }

  func isFree(_ address: IPAddress) -> Bool { owners[address] == nil && !blocked.contains(address) }

  var free: [IPAddress] { block.filter(isFree) }

  mutating func allocate(_ owner: String) -> IPAddress? {
    let turn = (1...block.count).map { block[(cursor + $0) % block.count] }
    guard
      let address = turn.first(where: { isFree($0) && !resting.contains($0) })
        ?? resting.first(where: block.contains)
    else { return nil }
    cursor = block.firstIndex(of: address) ?? cursor
    take(address, owner)
    return address
  }

  mutating func take(_ address: IPAddress, _ owner: String) {
    owners[address] = owner
    resting.removeAll { $0 == address }
  }

  mutating func release(_ address: IPAddress) {
    owners[address] = nil
    resting = Array((resting + [address]).suffix(64))
  }
}

@Suite struct AddressPoolPropertyTests {
  @Test(
    arguments: [
      ("10.0.0.0/24", nil, nil), ("10.0.0.0/24", "10.0.0.64/26", nil), ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.1"),
      ("10.0.0.0/24", "10.0.0.0/29", "none"), ("10.0.0.0/28", nil, nil), ("10.0.0.0/30", nil, nil),
      ("10.0.0.0/31", nil, "none"),
      ("10.0.0.9/32", nil, "none"), ("fd00::/120", nil, nil), ("fd00::/121", "fd00::40/122", "fd00::3"),
      ("fd00::/126", nil, nil),
      ("fd00::/127", nil, nil), ("fd00::8/128", nil, "none"),
    ] as [(String, String?, String?)])
  func agreesWithThePlainPool(subnet: String, ipRange: String?, gateway: String?) throws {
    for seed in 0..<8 {
      var generator = SeededGenerator(state: UInt64(seed))
      let configuration = try SubnetConfiguration(parsing: subnet, ipRange: ipRange, gateway: gateway)
      var pool = try AddressPool(configuration)
      var plain = PlainPool(configuration)
      // How often to release, so that some runs stay nearly empty and some nearly full.
      let releases = [30, 45, 50, 60][seed % 4]
      for step in 0..<400 {
        let owner = "c\(step)"
        let roll = Int.random(in: 0..<100, using: &generator)
        if roll < releases {
          guard let address = plain.owners.keys.sorted().randomElement(using: &generator) else { continue }
          plain.release(address)
          try pool.release(address)
        } else if roll < 95 {
          let expected = plain.allocate(owner)
          let given = try? pool.allocate(for: owner)
          #expect(given == expected)
        } else if let address = plain.whole.randomElement(using: &generator) {
          let free = plain.isFree(address)
          if free { plain.take(address, owner) }
          let given: Void? = try? pool.allocate(address, for: owner)
          #expect((given != nil) == free)
        }
        #expect(pool.availableCount == UInt128(plain.free.count))
        #expect(pool.inUseCount == plain.owners.count + plain.blocked.count)
      }
      let owners = pool.leases.filter { $0.kind == .dynamic || $0.kind == .static }
      #expect(Dictionary(uniqueKeysWithValues: owners.map { ($0.address, $0.owner) }) == plain.owners)
      #expect(pool.resting == plain.resting)
    }
  }

  /// A pool that follows another's leases and releases equals it.
  @Test(arguments: ["10.0.0.0/27", "10.0.0.0/24", "fd00::/122"])
  func followsAnother(subnet: String) throws {
    for seed in 0..<8 {
      var generator = SeededGenerator(state: UInt64(seed))
      var first = try AddressPool(SubnetConfiguration(parsing: subnet))
      var second = first
      for step in 0..<600 {
        // One of the two changes, the other follows; in turns of some length.
        let isFirst = step / 50 % 2 == 0
        var (leader, follower) = isFirst ? (first, second) : (second, first)
        let owned = leader.leases.filter { $0.kind == .dynamic || $0.kind == .static }
        let roll = Int.random(in: 0..<100, using: &generator)
        if roll < 45, let lease = owned.randomElement(using: &generator) {
          try leader.release(lease.address)
          follower.forget(lease.address, of: lease.owner)
        } else if roll < 55, let lease = owned.randomElement(using: &generator) {
          try leader.transfer(lease.address, to: "other")
          // The order of reports when the new one's record was written first.
          try follower.adopt(try #require(leader.leases.first { $0.address == lease.address }))
          follower.forget(lease.address, of: lease.owner == "other" ? "" : lease.owner)
        } else {
          guard let address = try? leader.allocate(for: "c\(step)") else { continue }
          try follower.adopt(Lease(address: address, owner: "c\(step)", kind: .dynamic))
        }
        try follower.settle(cursor: leader.cursor, resting: leader.resting)
        #expect(follower == leader)
        (first, second) = isFirst ? (leader, follower) : (follower, leader)
      }
    }
  }

  @Test func followsNothingThatCannotBe() throws {
    var pool = try AddressPool(SubnetConfiguration(parsing: "10.0.0.0/24"))
    let before = pool
    for address in ["10.0.0.1", "10.0.0.0", "10.0.0.255", "10.0.1.7"] {
      let lease = Lease(address: try IPAddress(address), owner: "web", kind: .dynamic)
      #expect(throws: NetworkError.self) { try pool.adopt(lease) }
      pool.forget(try IPAddress(address), of: "gateway")
    }
    #expect(pool == before)
    #expect(throws: NetworkError.self) { try pool.settle(cursor: try IPAddress("10.0.1.7"), resting: []) }
  }

  @Test(arguments: ["10.0.0.0/8", "fd00::/64", "fd00::/8"])
  func aLargePoolHoldsItsLeasesAlone(subnet: String) throws {
    var pool = try AddressPool(SubnetConfiguration(parsing: subnet))
    let empty = pool.storedWordCount
    #expect(empty <= 2)
    // In a row: 64 to a word, and a word of the next level for 64 full ones.
    for _ in 0..<20_000 { _ = try pool.allocate(for: "web") }
    #expect(pool.storedWordCount <= empty + 20_000 / 64 + 20_000 / 4096 + 3)
    // Scattered: a word each at most.
    let inRow = pool.storedWordCount
    var generator = SeededGenerator(state: 7)
    var scattered: [IPAddress] = []
    let size = pool.subnet.addressCount
    while scattered.count < 5_000 {
      guard let address = pool.subnet.address(at: .random(in: 0..<size, using: &generator)) else { continue }
      let given: Void? = try? pool.allocate(address, for: "db")
      if given != nil { scattered.append(address) }
    }
    #expect(pool.storedWordCount <= inRow + 5_000)
    // Once everything is released, only resting addresses remain.
    for lease in pool.leases where lease.kind == .dynamic { try pool.release(lease.address) }
    for address in scattered { try pool.release(address) }
    #expect(pool.storedWordCount <= empty + AddressPool.restingLimit)
    #expect(pool.resting == scattered.suffix(AddressPool.restingLimit))
  }
}
