import AddressPools
import Foundation
import NetworkPrimitives
import Testing

@Suite struct SubnetConfigurationTests {
  @Test(
    arguments: [
      ("10.0.0.0/24", "10.0.1.0/25", nil, [:], ["10.0.1.0/25 is not inside the subnet 10.0.0.0/24"]),
      ("10.0.0.0/24", "10.0.0.0/23", nil, [:], ["10.0.0.0/23 is not inside the subnet"]),
      ("10.0.0.0/24", "fd00::/64", nil, [:], ["fd00::/64 is not inside"]),
      ("10.0.0.0/24", nil, "10.0.1.1", [:], ["check gateway", "10.0.1.1 is not in the subnet 10.0.0.0/24"]),
      ("10.0.0.0/24", nil, "10.0.0.0", [:], ["check gateway", "10.0.0.0 is the network address"]),
      ("10.0.0.0/24", nil, "10.0.0.255", [:], ["10.0.0.255 is the broadcast address"]),
      ("fd00::/64", nil, "fd00::", [:], ["subnet-router anycast"]),
      ("10.0.0.0/24", nil, nil, ["r": "10.0.1.1"], ["auxiliary address \"r\"", "10.0.1.1 is not in the subnet"]),
      ("10.0.0.0/24", nil, nil, ["r": "10.0.0.255"], ["auxiliary address \"r\"", "broadcast"]),
      ("127.1.0.0/16", nil, nil, [:], ["127.1.0.0/16 overlaps 127.0.0.0/8", "loopback", "as in 10.1.0.0/16"]),
      ("192.0.0.0/2", nil, nil, [:], ["overlaps 224.0.0.0/4", "multicast"]),
      ("0.1.0.0/16", nil, nil, [:], ["this network"]),
      ("ff02::/64", nil, nil, [:], ["overlaps ff00::/8", "as in fd00:1::/64"]),
      ("::ffff:10.0.0.0/104", nil, nil, [:], ["IPv4 addresses written as IPv6"]),
      ("10.0.0.0/31", "10.0.0.0/32", "none", ["r": "::1"], ["::1 is not in"]),
      ("10.10.10.0/8", nil, nil, [:], ["write 10.0.0.0/8"]),
      ("10.0.0.0/8", "10.0.0.1/24", nil, [:], ["read ip-range", "write 10.0.0.0/24"]),
      ("10.0.0.0/8", nil, "10.0.0", [:], ["read gateway", "3 parts"]),
      ("10.0.0.0/8", nil, nil, ["r": "x"], ["read auxiliary address \"r\"", "\"x\""]),
    ] as [(String, String?, String?, [String: String], [String])])
  func refuses(
    subnet: String, ipRange: String?, gateway: String?, auxiliary: [String: String], parts: [String]
  ) {
    let error = expectError(.invalidValue, parts) {
      try SubnetConfiguration(
        parsing: subnet, ipRange: ipRange, gateway: gateway, auxiliaryAddresses: auxiliary)
    }
    #expect(error?.causes == [])
  }

  @Test func findsEveryFaultAtOnce() throws {
    let error = expectError(
      .invalidValue,
      [
        "check subnet 127.0.0.0/24: there are 5 faults", "loopback", "10.0.0.0/24 is not inside", "10.0.0.1 is not in",
        "\"a\": 10.0.0.9 is not in", "\"c\": 127.0.0.7: address already in use by the auxiliary address \"b\"",
      ]
    ) {
      try SubnetConfiguration(
        parsing: "127.0.0.0/24", ipRange: "10.0.0.0/24", gateway: "10.0.0.1",
        auxiliaryAddresses: ["a": "10.0.0.9", "b": "127.0.0.7", "c": "127.0.0.7"])
    }
    #expect(error?.causes.map(\.code) == [.invalidValue, .invalidValue, .invalidValue, .invalidValue, .inUse])
    expectError(.invalidValue, ["\"10.0.0\"", "write 10.0.0.0/24", "\"y\"", "\"z\"", "4 faults"]) {
      try SubnetConfiguration(
        parsing: "10.0.0/24", ipRange: "10.0.0.1/24", gateway: "y", auxiliaryAddresses: ["r": "z"])
    }
  }

  @Test func oneAddressHasOneUse() throws {
    expectError(.inUse, ["\"r\": 10.0.0.1: address already in use by the gateway"]) {
      try SubnetConfiguration(
        parsing: "10.0.0.0/24", gateway: "10.0.0.1", auxiliaryAddresses: ["r": "10.0.0.1"])
    }
  }

  @Test func theGatewayPassesOverAuxiliaryAddresses() throws {
    let configuration = try SubnetConfiguration(
      parsing: "10.0.0.0/24", auxiliaryAddresses: ["a": "10.0.0.1", "b": "10.0.0.2"])
    #expect(configuration.gatewayAddress?.description == "10.0.0.3")
    expectError(.exhausted, ["choose gateway", "no address of 10.0.0.0/30 is free"]) {
      try SubnetConfiguration(
        parsing: "10.0.0.0/30", auxiliaryAddresses: ["a": "10.0.0.1", "b": "10.0.0.2"])
    }
    expectError(.exhausted, ["no address of 10.0.0.0/32 is free"]) {
      try SubnetConfiguration(parsing: "10.0.0.0/24", ipRange: "10.0.0.0/32")
    }
  }

  @Test func aRequestLeavesTheRestToBeChosen() throws {
    let request = try SubnetConfiguration(parsing: "0.0.0.0/24")
    #expect(request.isRequest)
    #expect(try SubnetConfiguration(parsing: "::/64", gateway: "none").isRequest)
    expectError(
      .conflictingOptions, ["3 faults", "an ip-range", "a gateway", "an auxiliary address", "write the block"]
    ) {
      try SubnetConfiguration(
        parsing: "0.0.0.0/24", ipRange: "10.0.0.0/24", gateway: "10.0.0.1", auxiliaryAddresses: ["r": "10.0.0.2"])
    }
  }

  @Test func isCodable() throws {
    let whole = try SubnetConfiguration(
      parsing: "10.0.0.0/16", ipRange: "10.0.1.0/24", gateway: "10.0.0.1", auxiliaryAddresses: ["r": "10.0.0.2"])
    for configuration in [whole, try SubnetConfiguration(parsing: "fd00::/64", gateway: "none")] {
      let json = try JSONEncoder().encode(configuration)
      #expect(try JSONDecoder().decode(SubnetConfiguration.self, from: json) == configuration)
    }
    let short = try JSONDecoder().decode(SubnetConfiguration.self, from: Data(#"{"subnet":"10.0.0.0/16"}"#.utf8))
    #expect(try short == SubnetConfiguration(parsing: "10.0.0.0/16"))
  }
}
