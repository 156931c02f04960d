import AddressPools
import NetworkPrimitives
import Testing

@Suite struct PoolConfigurationTests {
  let pools = DefaultPools.standard(hostIdentifier: "host")

  func configuration(_ subnets: String...) throws -> PoolConfiguration {
    PoolConfiguration(subnets: try subnets.map { SubnetConfiguration(subnet: try Subnet($0)) })
  }

  @Test func aBridgeHasOneSubnetOfEachFamily() throws {
    try configuration("10.0.0.0/24", "fd00::/64").validate()
    let two = try configuration("10.0.0.0/24", "10.0.1.0/24")
    try two.validate(onePerFamily: false)
    expectError(.invalidValue, ["10.0.0.0/24, 10.0.1.0/24", "one IPv4 subnet"]) {
      try two.validate()
    }
    // Two requests can be fulfilled apart, but still are two.
    let requests = try configuration("::/64", "::/64")
    expectError(.invalidValue, ["one IPv6 subnet"]) { try requests.validate() }
    try requests.validate(onePerFamily: false)
  }

  @Test func overlapNamesBoth() throws {
    let claims = [ClaimedSubnet(try Subnet("10.0.0.0/8"), holder: "network \"web\"")]
    let wanted = try configuration("10.1.0.0/16")
    expectError(.inUse, ["10.1.0.0/16 overlaps 10.0.0.0/8 of network \"web\""]) {
      try wanted.validate(claimed: claims)
    }
    let within = try configuration("10.1.0.0/16", "10.1.2.0/24")
    expectError(.inUse, ["10.1.2.0/24 overlaps 10.1.0.0/16 of the same network"]) {
      try within.validate(onePerFamily: false)
    }
    try configuration("11.0.0.0/8", "fd00::/8").validate(claimed: claims)
  }

  @Test func reportsAllSubnetsTogether() throws {
    var both = try configuration("127.0.0.0/8", "fd00::/64", "fd00::/64")
    both.subnets[1].gateway = .address(.loopback(.ipv6))
    let error = expectError(
      .invalidValue, ["4 faults", "loopback", "::1 is not in", "one IPv6 subnet", "the same network"]
    ) {
      try both.validate()
    }
    #expect(error?.causes.count == 4)
  }

  @Test func choosesWhatIsNotGiven() throws {
    let taken = ClaimedSubnet(try Subnet("172.17.0.0/16"), holder: "network \"bridge\"")
    let both = try PoolConfiguration().resolved(families: [.ipv4, .ipv6], from: pools, claimed: [taken])
    #expect(both.subnets.map(\.subnet.description).first == "172.18.0.0/16")
    #expect(both.subnets.map(\.subnet.prefixLength) == [16, 64])
    #expect(try PoolConfiguration().resolved(families: [], from: pools).subnets.isEmpty)

    let requested = try configuration("0.0.0.0/24", "fd01::/64").resolved(
      families: [.ipv4, .ipv6], from: pools, avoiding: [Subnet("172.17.0.0/24"), Subnet("fd01::/16")])
    #expect(requested.subnets.map(\.subnet.description) == ["172.17.1.0/24", "fd01::/64"])

    let several = try configuration("0.0.0.0/24", "0.0.0.0/24", "172.17.0.0/24").resolved(
      families: [.ipv4], from: pools, onePerFamily: false)
    #expect(several.subnets.map(\.subnet.description) == ["172.17.1.0/24", "172.17.2.0/24", "172.17.0.0/24"])
  }

  @Test func aSubnetNeedsItsFamily() throws {
    let wanted = try configuration("fd00::/64")
    expectError(.conflictingOptions, ["fd00::/64 is an IPv6 subnet, but the network has no IPv6"]) {
      try wanted.resolved(families: [.ipv4], from: pools)
    }
  }
}

@Suite struct PoolGroupTests {
  func group(_ subnets: String...) throws -> PoolGroup {
    try PoolGroup(PoolConfiguration(subnets: try subnets.map { try SubnetConfiguration(parsing: $0) }))
  }

  @Test func givesFromThePoolThatHasOne() throws {
    var group = try group("10.0.0.0/30", "10.0.1.0/30", "fd00::/64")
    #expect(try group.allocate(.ipv4, for: "a").description == "10.0.0.2/30")
    #expect(try group.allocate(.ipv4, for: "b").description == "10.0.1.2/30")
    #expect(try group.allocate(.ipv6, for: "b").description == "fd00::2/64")
    let error = expectError(
      .exhausted,
      [
        "\"c\"",
        "no address of 10.0.0.0/30 is free, of 4: 1 leased, 1 the gateway's, 2 reserved (network, broadcast)",
        "no address of 10.0.1.0/30",
      ]
    ) {
      try group.allocate(.ipv4, for: "c")
    }
    #expect(error?.causes.count == 2)
    #expect(try group.release(address("10.0.1.2")).owner == "b")
    #expect(try group.allocate(address("10.0.1.2"), for: "c").description == "10.0.1.2/30")
    #expect(group.pool(containing: try address("10.0.1.2"))?.owner(of: try address("10.0.1.2")) == "c")
    #expect(group.pool(containing: try address("10.0.2.2")) == nil)
    #expect(PoolGroup(pools: group.pools) == group)
  }

  @Test func listsItsSubnets() throws {
    var group = try group("10.0.0.0/30", "10.0.1.0/30")
    let outside = try address("10.9.0.1")
    for part in ["10.9.0.1", "10.0.0.0/30, 10.0.1.0/30"] {
      expectError(.invalidValue, [part]) { try group.allocate(outside, for: "a") }
      expectError(.invalidValue, [part]) { try group.release(outside) }
    }
    expectError(.invalidValue, ["no IPv6 subnet", "10.0.0.0/30, 10.0.1.0/30"]) {
      try group.allocate(.ipv6, for: "a")
    }
  }
}
