import ContainerNetworking
import ContainerNetworkingTestKit
import Foundation
import SystemPackage
import Testing

/// A container's permitted names and servers, and refused ones.
@Suite struct NameOptionTests {
  @Test func extraHostsAreReadAsDockerDoes() throws {
    #expect(try ExtraHost("db:192.168.50.9") == ExtraHost("db", IPAddress("192.168.50.9")))
    #expect(try ExtraHost("db=fd00::9") == ExtraHost("db", IPAddress("fd00::9")))
    #expect(try ExtraHost("db:[fd00::9]") == ExtraHost("db", IPAddress("fd00::9")))
    #expect(try ExtraHost("host:host-gateway") == ExtraHost("host", nil))
    #expect("\(try ExtraHost("host:host-gateway"))" == "host:host-gateway")
    for text in ["", "db", ":192.168.50.9", "db:", "db:300.1.1.1", "db:gateway"] {
      let error = #expect(throws: NetworkError.self, "\(text)") { try ExtraHost(text) }
      #expect(error?.code == .invalidValue && error?.reason.isEmpty == false, "\(text)")
    }
  }

  @Test func everyFaultIsToldTogether() async throws {
    let world = try await NamedWorld()
    let names = NameOptions(
      hostname: "-web", domainname: "exa mple", dns: [try IPAddress("0.0.0.0"), try IPAddress("224.0.0.1")],
      dnsSearch: [".", "a..b"], dnsOptions: ["ndots:x", "rot ate"],
      extraHosts: [ExtraHost("a b", try IPAddress("10.0.0.1")), ExtraHost("db", try IPAddress("ff02::1"))])
    let error = await #expect(throws: NetworkError.self) {
      try await world.controller.attach("web", options: AttachOptions(names: names))
    }
    #expect(error?.code == .invalidValue)
    let reasons = error?.causes.map(\.reason) ?? []
    #expect(reasons.count == 10)
    for part in [
      "\"-web\"", "\"exa mple\"", "0.0.0.0", "224.0.0.1", "\".\" stands for no search", "\"a..b\"", "\"ndots:x\"",
      "\"rot ate\"", "\"a b\"", "ff02::1",
    ] { #expect(reasons.contains { $0.contains(part) }, "\(part)") }
    #expect(try await world.controller.networks().isEmpty)
    #expect(try await world.close() == [])
  }

  @Test(arguments: [
    String(repeating: "a", count: 64), "web_1", "web-", "web.", "", ".web", String(repeating: "a.", count: 40) + "a",
  ]) func badHostNames(name: String) async throws {
    let world = try await NamedWorld()
    let error = await #expect(throws: NetworkError.self) {
      try await world.controller.attach("web", to: .none, options: AttachOptions(names: NameOptions(hostname: name)))
    }
    #expect(error?.code == .invalidValue && error?.reason.contains("host name") == true)
    #expect(try await world.close() == [])
  }

  @Test func containerModeHasTheDonorsNames() async throws {
    let world = try await NamedWorld()
    try await world.controller.attach("web", to: .none)
    let names = NameOptions(
      hostname: "side", dns: [try IPAddress("192.0.2.1")], extraHosts: [try ExtraHost("db:10.0.0.1")])
    let error = await #expect(throws: NetworkError.self) {
      try await world.controller.attach("side", to: .container("web"), options: AttachOptions(names: names))
    }
    #expect(error?.code == .conflictingOptions)
    #expect(
      error?.causes.map(\.reason)
        == [
          "the host name \"side\"", "the name server 192.0.2.1", "the host \"db:10.0.0.1\"",
        ].map { "\($0) cannot be combined with mode \"container:web\"; give it to \"web\", whose files it reads" })
    #expect(try await world.close() == [])
  }

  @Test func theHostsAddressNeedsOne() async throws {
    let world = try await NamedWorld()
    var options = NetworkOptions(subnet: try Subnet("10.7.0.0/24"), isInternal: true)
    options.policy.gatewayModeIPv4 = .isolated
    try await world.controller.createNetwork("alone", options: options)
    let names = NameOptions(extraHosts: [try ExtraHost("host:host-gateway")])
    for mode in [NetworkMode.network("alone"), .none] {
      let error = await #expect(throws: NetworkError.self) {
        try await world.controller.attach("web", to: mode, options: AttachOptions(names: names))
      }
      #expect(error?.code == .conflictingOptions && error?.description.contains("host-gateway") == true)
    }
    #expect(try await world.close() == [])
  }

  @Test func namesAreNotServedWhereTheHostHasNoAddress() async throws {
    let world = try await NamedWorld()
    var options = NetworkOptions(subnet: try Subnet("10.7.0.0/24"), isInternal: true)
    options.policy.gatewayModeIPv4 = .isolated
    options.nameServing = .gateway
    let wanted = options
    let error = await #expect(throws: NetworkError.self) {
      try await world.controller.createNetwork("alone", options: wanted)
    }
    #expect(error?.code == .conflictingOptions && error?.reason.contains("at the gateway") == true)
    options.nameServing = nil
    #expect(try await world.controller.createNetwork("alone", options: options).servesNamesAt == .container)
    let blue = try await world.controller.createNetwork("blue")
    #expect(blue.servesNamesAt == .gateway && blue.bridgeGateways == [blue.gateway])
    try await world.controller.attach("web")
    #expect(try await world.controller.network("bridge").servesNamesAt == .off)
    #expect(try await world.close() == [])
  }

  @Test(arguments: [
    ("fe80::1%eth0", "its zone is the link \"eth0\""), ("8.8.8.8:53", "write 8.8.8.8"),
    ("8.8.8.8:5353", "write 8.8.8.8"),
    ("[2001:db8::53]:53", "write 2001:db8::53"), ("fe80::1", "is a link-local address"),
    ("0.0.0.0", "not an address of a single machine"),
    ("ff02::fb", "not an address of a single machine"), ("dns.example", "dns.example"),
  ]) func aServerThatCannotBeAskedIsRefusedWithTheReason(text: String, reason: String) async throws {
    let error = #expect(throws: NetworkError.self) { try NameOptions.server(text) }
    #expect(error?.code == .invalidValue && error?.description.contains(reason) == true, "\(error?.description ?? "")")
    var options = NetworkOptions.Text()
    options.dnsServers = [text]
    let same = #expect(throws: NetworkError.self) { try NetworkOptions(parsing: options) }
    #expect(same?.description.contains(reason) == true, "\(same?.description ?? "")")
    guard let address = try? IPAddress(text) else { return }
    let world = try await NamedWorld(hasService: true)
    let attach = await #expect(throws: NetworkError.self) {
      try await world.controller.attach("web", options: AttachOptions(names: NameOptions(dns: [address])))
    }
    #expect(attach?.description.contains(reason) == true)
    var network = NetworkOptions(subnet: try Subnet("10.7.0.0/24"))
    network.dnsServers = [address]
    let wanted = network
    let create = await #expect(throws: NetworkError.self) {
      try await world.controller.createNetwork("blue", options: wanted)
    }
    #expect(create?.description.contains(reason) == true)
    #expect(try await world.close() == [])
  }

  @Test func whereNothingElseResolvesIsAWarning() async throws {
    let world = try await NamedWorld(hasService: true)
    try FileManager.default.removeItem(atPath: world.settings.hostFiles.resolvConf.string)
    var options = NetworkOptions(subnet: try Subnet("10.7.0.0/24"))
    try await world.controller.createNetwork("blue", options: options)
    let web = try await world.controller.attach("web", to: .network("blue"))
    #expect(web.warnings == [.noOtherNames])
    #expect(web.warnings.first?.description.contains("resolv.conf is missing") == true)
    #expect(try lines(#require(web.files).resolvConf).first == "nameserver 10.7.0.1")
    let told = AttachOptions(names: NameOptions(dns: [try IPAddress("192.0.2.7")]))
    #expect(try await world.controller.attach("told", to: .network("blue"), options: told).warnings == [])
    options.subnets = [try Subnet("10.8.0.0/24")]
    options.dnsServers = [try IPAddress("192.0.2.7")]
    try await world.controller.createNetwork("green", options: options)
    #expect(try await world.controller.attach("green", to: .network("green")).warnings == [])
    options.subnets = [try Subnet("10.9.0.0/24")]
    options.dnsServers = []
    options.isInternal = true
    try await world.controller.createNetwork("inner", options: options)
    #expect(try await world.controller.attach("inner", to: .network("inner")).warnings == [])
    #expect(try await world.close() == [])
  }
}
