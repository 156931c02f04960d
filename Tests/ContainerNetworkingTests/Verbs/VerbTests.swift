import ContainerNetworking
import Foundation
import Playground
import Testing

/// The effects, results and refusals of each verb.
@Suite struct VerbTests {
  let world: Playground
  let controller: NetworkController
  let before: String

  init() async throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
    controller = try await NetworkController(host: world.host)
  }

  private func removeAll() async throws {
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  @discardableResult
  private func create(
    _ name: String, _ subnets: String..., labels: [String: String] = [:]
  ) async throws -> NetworkRecord {
    var options = try NetworkOptions(subnets)
    options.isIPv4Enabled = subnets.isEmpty || options.isIPv4Enabled
    options.labels = labels
    return try await controller.createNetwork(name, options: options)
  }

  private func names(_ filters: String...) async throws -> [String] {
    var filter = NetworkFilter()
    for text in filters { try filter.add(text) }
    return try await controller.networks(matching: filter).map(\.name)
  }

  @Test func everyFaultOfANetworkIsReported() async throws {
    var options = NetworkOptions(
      driver: .macvlan, subnet: try Subnet("10.80.0.0/24"), ipRange: try Subnet("10.81.0.0/24"),
      gateway: try IPAddress("10.80.0.0"), auxiliaryAddresses: ["router": try IPAddress("fd00::1")], mtu: 70000)
    options.policy.gatewayModeIPv4 = .isolated
    options.interfacePrefix = "a-name-too-long"
    options.isIPv4Enabled = false
    let error = await refusal { try await controller.createNetwork("net", options: options) }
    let text = error?.description ?? ""
    for part in [
      "the driver \"macvlan\"", "both off", "mtu 70000", "\"isolated\" is for internal networks", "10.81.0.0/24",
      "10.80.0.0 is the network address", "the auxiliary address needs an IPv6 subnet", "IPv4 is off",
      "\"a-name-too-long\"",
    ] { #expect(text.contains(part), "\(part) is not in:\n\(text)") }
    #expect(try await controller.networks().isEmpty)
    #expect(try world.host.contents(world) == before)
  }

  @Test func overlapsAreRefusedInBothFamilies() async throws {
    try await create("blue", "10.80.0.0/16", "fd00:80::/48")
    for subnet in ["10.80.7.0/24", "10.0.0.0/8", "10.80.0.0/16", "fd00:80:0:7::/64", "fd00:80::/32"] {
      let error = await refusal { try await create("red", subnet) }
      #expect(error?.code == .inUse)
      #expect(error?.description.contains("of network \"blue\"") == true, "\(subnet): \(error as Any)")
    }
    let route = await refusal { try await create("red", "2001:db8::/64") }
    #expect(route?.description.contains("overlaps the address 2001:db8::1/64 of eth0") == true, "\(route as Any)")
    try await create("green", "10.81.0.0/16", "fd00:81::/48")
    try await removeAll()
  }

  @Test func networksAreFoundByIDNameAndPrefix() async throws {
    var records: [NetworkRecord] = []
    for index in 0..<17 { records.append(try await create("net\(index)", "10.\(80 + index).0.0/24")) }
    for record in [records[0], records[9]] {
      #expect(try await controller.network(record.id).name == record.name)
      #expect(try await controller.network(record.name).id == record.id)
      #expect(try await controller.network(String(record.id.prefix(40))).name == record.name)
    }
    // Of 17 ids two begin with the same digit.
    let twins = Dictionary(grouping: records) { $0.id.prefix(1) }.first { $0.value.count > 1 }
    let (digit, matches) = try #require(twins)
    let error = await refusal { try await controller.network(String(digit)) }
    #expect(error?.code == .ambiguous)
    for match in matches {
      #expect(error?.reason.contains("\(match.id.prefix(12)) (\(match.name))") == true)
    }
    #expect(await refusal { try await controller.network("") }?.code == .notFound)
    #expect(await refusal { try await controller.network("net") }?.code == .notFound)
    // A name comes before a prefix.
    let named = try await create(String(digit), "10.120.0.0/24")
    #expect(try await controller.network(String(digit)).id == named.id)
    try await removeAll()
  }

  @Test func listsAreFilteredAndInNaturalOrder() async throws {
    let two = try await create("net2", "10.80.0.0/24", labels: ["tier": "db"])
    try await create("net10", "10.81.0.0/24", labels: ["tier": "web", "old": ""])
    try await create("net1", "10.82.0.0/24")
    try await controller.attach("web", to: .network("net1"))
    try await controller.attach("default")
    #expect(try await names() == ["bridge", "net1", "net2", "net10"])
    #expect(try await names("driver=bridge") == ["bridge", "net1", "net2", "net10"])
    #expect(try await names("driver=overlay") == [])
    #expect(try await names("driver=x") == [])
    #expect(try await names("id=\(two.id.prefix(30))") == ["net2"])
    #expect(try await names("name=net1") == ["net1", "net10"])
    #expect(try await names("name=net1", "name=2") == ["net1", "net2", "net10"])
    #expect(try await names("label=tier") == ["net2", "net10"])
    #expect(try await names("label=tier=db") == ["net2"])
    #expect(try await names("label=tier", "label=old") == ["net10"])
    #expect(try await names("label!=tier") == ["bridge", "net1"])
    #expect(try await names("scope=local") == ["bridge", "net1", "net2", "net10"])
    #expect(try await names("scope=swarm") == [])
    #expect(try await names("type=custom") == ["net1", "net2", "net10"])
    #expect(try await names("type=builtin") == ["bridge"])
    #expect(try await names("dangling=true") == ["net2", "net10"])
    #expect(try await names("dangling=false") == ["bridge", "net1"])
    #expect(try await names("type=custom", "dangling=1", "label!=old") == ["net2"])
    for text in ["", "driver", "driver=", "type=x", "dangling=x", "until=x", "color=red", "name!=net1"] {
      let error = await refusal { try await names(text) }
      #expect(error?.code == .invalidValue, "\(text)")
    }
    try await removeAll()
  }

  @Test func inspectionIsDockersDocument() async throws {
    var options = NetworkOptions(
      subnet: try Subnet("10.80.0.0/24"), ipRange: try Subnet("10.80.0.128/25"), gateway: try IPAddress("10.80.0.1"),
      auxiliaryAddresses: ["router": try IPAddress("10.80.0.5")], labels: ["tier": "db"])
    options.subnets.append(try Subnet("fd00:80::/64"))
    options.driverOptions = ["com.docker.network.driver.mtu": "1500"]
    let network = try await controller.createNetwork("net", options: options)
    let web = try await controller.attach("web", to: .network("net")).endpoints[0]
    let json = try JSONEncoder().encode(try await controller.inspect("net"))
    let document = try #require(try JSONSerialization.jsonObject(with: json) as? NSDictionary)
    let expected = """
      {
        "Name": "net", "Id": "\(network.id)", "Created": "\(network.created)", "Scope": "local", "Driver": "bridge",
        "EnableIPv4": true, "EnableIPv6": true,
        "IPAM": {
          "Driver": "default", "Options": {},
          "Config": [
            {"Subnet": "10.80.0.0/24", "IPRange": "10.80.0.128/25", "Gateway": "10.80.0.1",
             "AuxiliaryAddresses": {"router": "10.80.0.5"}},
            {"Subnet": "fd00:80::/64", "Gateway": "fd00:80::1"}
          ]
        },
        "Internal": false,
        "Containers": {
          "\(web.sandboxID)": {
            "Name": "web", "EndpointID": "\(web.id)", "MacAddress": "02:42:0a:50:00:80",
            "IPv4Address": "10.80.0.128/24", "IPv6Address": "fd00:80::2/64"
          }
        },
        "Options": {"com.docker.network.driver.mtu": "1500"}, "Labels": {"tier": "db"},
        "Status": {
          "IPAM": {
            "Subnets": {
              "10.80.0.0/24": {"IPsInUse": 5, "DynamicIPsAvailable": 126},
              "fd00:80::/64": {"IPsInUse": 3, "DynamicIPsAvailable": 18446744073709551613}
            }
          }
        }
      }
      """
    let literal = try #require(try JSONSerialization.jsonObject(with: Data(expected.utf8)) as? NSDictionary)
    #expect(document == literal, "\(String(decoding: json, as: UTF8.self))")
    #expect(await refusal { try await controller.inspect("gone") }?.code == .notFound)
    try await removeAll()
  }

  @Test func removalNamesWhoIsOn() async throws {
    try await create("net", "10.80.0.0/24")
    for name in ["web", "db"] { try await controller.attach(name, to: .network("net")) }
    let error = await refusal { try await controller.removeNetwork("net") }
    #expect(error?.code == .inUse)
    #expect(error?.reason.contains("active endpoints: db, web") == true)
    try await controller.attach("default")
    #expect(await refusal { try await controller.removeNetwork("bridge") }?.code == .refused)
    for name in ["web", "db"] { try await controller.detach(name) }
    try await controller.removeNetwork("net")
    #expect(await refusal { try await controller.removeNetwork("net") }?.code == .notFound)
    try await removeAll()
  }

  @Test func pruneTakesWhatIsMeantAndUnused() async throws {
    try await create("used", "10.80.0.0/24")
    try await create("old", "10.81.0.0/24", labels: ["keep": ""])
    try await create("db", "10.82.0.0/24", labels: ["tier": "db"])
    try await create("web", "10.83.0.0/24", labels: ["tier": "web"])
    try await controller.attach("c", to: .network("used"))
    try await controller.attach("d")
    try await controller.detach("d")
    let prune = { (texts: String...) async throws -> [String] in
      var filter = NetworkFilter()
      for text in texts { try filter.add(text) }
      let report = try await controller.prune(matching: filter)
      #expect(report.failures.isEmpty)
      return report.removed.map(\.name)
    }
    #expect(try await prune("until=1h") == [])
    #expect(try await prune("label=tier=db") == ["db"])
    #expect(try await prune("label!=keep") == ["web"])
    #expect(try await prune("until=0s") == ["old"])
    #expect(try await prune() == [])
    #expect(try await names() == ["bridge", "used"])
    try await removeAll()
  }

  @Test func eventsComeInOrder() async throws {
    let net = try await create("net", "10.80.0.0/24")
    try await create("other", "10.81.0.0/24")
    try await controller.attach("web", to: .network("net"))
    try await controller.connect("web", to: "other")
    _ = await refusal { try await controller.attach("web") }
    _ = await refusal { try await create("net", "10.82.0.0/24") }
    try await controller.disconnect("web", from: "net")
    try await controller.detach("web")
    try await controller.removeNetwork("net")
    try await controller.prune()
    let events = try await controller.events()
    #expect(
      events.map { [$0.event.action.rawValue, $0.event.network, $0.event.container ?? "-"].joined(separator: " ") } == [
        "create net -", "create other -", "connect net web", "connect other web", "disconnect net web",
        "disconnect other web", "destroy net -", "destroy other -", "prune  -",
      ])
    #expect(events.map(\.number) == Array(1...9))
    #expect(events[0].event.networkID == net.id)
    #expect(zip(events, events.dropFirst()).allSatisfy { $0.event.time <= $1.event.time })
    #expect(try await controller.events(after: 7).map(\.number) == [8, 9])
    try await removeAll()
  }
}
