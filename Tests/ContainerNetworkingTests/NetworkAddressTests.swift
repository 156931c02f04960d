import Playground
import SystemPackage
import Testing

@testable import ContainerNetworking

/// Networks' addresses: the controller's rules beyond those of the pools.
@Suite struct NetworkAddressTests {
  @Test func choosesClearOfRoutesResolversAndNetworks() async throws {
    let world = try Playground()
    try world.host.routes.add(
      Route(
        to: Subnet("172.18.5.0/24"), via: IPAddress(Playground.outsideAddress), link: world.host.links.get("eth0").index
      ))
    try world.host.routes.add(
      Route(to: .all(.ipv4), via: IPAddress(Playground.outsideAddress), link: world.host.links.get("eth0").index))
    let settings = ControllerSettings(resolvers: [try IPAddress("172.19.0.53"), try IPAddress("fd00::53")])
    let controller = try await NetworkController(host: world.host, settings: settings)
    try await controller.attach("web")
    #expect(try await controller.createNetwork("blue").subnet.description == "172.20.0.0/16")
    let small = NetworkOptions(subnet: try Subnet("0.0.0.0/24"))
    #expect(try await controller.createNetwork("small", options: small).subnet.description == "172.18.0.0/24")
    try await controller.removeAll()
  }

  @Test func reportsEveryFaultAndChangesNothing() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.0.0.0/16")))
    let before = try world.host.links.list().map(\.name)

    let overlap = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("10.0.7.0/24")))
    }
    #expect(overlap?.code == .inUse)
    #expect(overlap?.description.contains("10.0.7.0/24 overlaps 10.0.0.0/16 of network \"blue\"") == true)

    // Over the host's own link.
    let route = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("203.0.112.0/20")))
    }
    #expect(
      route?.description.contains("203.0.112.0/20 overlaps the address 203.0.113.1/24 of eth0 of the host") == true)

    let several = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork(
        "red",
        options: NetworkOptions(
          subnet: try Subnet("10.1.0.0/24"), ipRange: try Subnet("10.2.0.0/24"), gateway: try IPAddress("10.1.0.255"),
          auxiliaryAddresses: ["router": try IPAddress("10.3.0.1")], mtu: 1))
    }
    #expect(several?.causes.count == 4)
    for part in ["mtu", "10.2.0.0/24", "10.1.0.255 is the broadcast address", "\"router\""] {
      #expect(several?.description.contains(part) == true)
    }
    #expect(try world.host.links.list().map(\.name) == before)
    try await controller.removeAll()
  }

  /// Where the bridge has no address, none is kept for one: by size, family and ip-range, the first address that is given.
  @Test(
    arguments: [
      ("192.168.0.2/31", nil, ["192.168.0.2", "192.168.0.3"], nil),
      ("192.168.0.4/30", nil, ["192.168.0.5", "192.168.0.6"], nil),
      ("10.2.0.0/16", "10.2.2.0/24", ["10.2.2.0", "10.2.2.1"], nil),
      ("fd00:2::/127", nil, ["fd00:2::", "fd00:2::1"], nil),
      ("fd00:2::/126", nil, ["fd00:2::1", "fd00:2::2"], nil),
      ("10.3.0.0/24", nil, ["10.3.0.1", "10.3.0.3"], "10.3.0.2"),
    ] as [(String, String?, [String], String?)])
  func noAddressIsKeptForAGatewayThatIsNot(
    _ subnet: String, _ range: String?, _ expected: [String], _ gateway: String?
  ) async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    let block = try Subnet(subnet)
    var options = NetworkOptions(
      subnet: block, ipRange: try range.map { try Subnet($0) }, gateway: try gateway.map { try IPAddress($0) },
      isInternal: true,
      policy: NetworkPolicy(gatewayModeIPv4: .isolated, gatewayModeIPv6: .isolated))
    options.isIPv4Enabled = block.family == .ipv4
    let network = try await controller.createNetwork("net", options: options)
    #expect(network.subnets[0].gateway?.description == gateway)
    #expect(try world.host.addresses.list(link: world.host.links.get("\(try #require(network.bridge))").index).isEmpty)
    var sandboxes: [Sandbox] = []
    for name in ["one", "two"] { sandboxes.append(try await controller.attach(name, to: .network("net"))) }
    #expect(sandboxes.map { $0.endpoints[0].address.address.description } == expected)
    #expect(try world.pings(expected[1], from: sandboxes[0].namespace, within: 5))
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  /// The block is decided with the first network of a record, and stays.
  @Test func theDefaultNetworksBlockIsKept() async throws {
    let world = try Playground()
    let store = MemoryStore()
    let settings = ControllerSettings(resolvers: [])
    let controller = try await NetworkController(host: world.host, store: store, settings: settings)
    #expect(try await controller.createNetwork("blue").subnet.description == "172.18.0.0/16")
    let small = NetworkOptions(subnet: try Subnet("0.0.0.0/24"))
    #expect(try await controller.createNetwork("small", options: small).subnet.description == "172.19.0.0/24")
    let asked = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("172.17.9.0/24")))
    }
    #expect(asked?.code == .inUse && asked?.description.contains("\"bridge\", which keeps it") == true)
    #expect(try await controller.attach("web").endpoints[0].address.description == "172.17.0.2/16")
    try await controller.detach("web")
    try await controller.removeAll()
    // Another controller finds it in the record; addresses that the host has by then are skipped.
    let later = try await NetworkController(host: world.host, store: store, settings: settings)
    #expect(try await later.createNetwork("blue").subnet.description == "172.18.0.0/16")
    try world.host.addresses.add(
      try InterfaceAddress("172.17.3.1/24"), to: world.host.links.get("eth0").index)
    #expect(try await later.attach("web").endpoints[0].address.description == "172.19.0.2/16")
    try await later.removeAll()
  }

  @Test(
    arguments: [
      ("10.4.0.7/32", "10.4.0.6/31"), ("fd00:4::7/128", "fd00:4::6/127"),
    ]) func aSubnetWithoutRoomIsRefused(_ subnet: String, _ smallest: String) async throws
  {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    for isIsolated in [false, true] {
      let mode: NetworkPolicy.GatewayMode = isIsolated ? .isolated : .nat
      let options = NetworkOptions(
        subnet: try Subnet(subnet), isInternal: isIsolated,
        policy: NetworkPolicy(gatewayModeIPv4: mode, gatewayModeIPv6: mode))
      let error = await #expect(throws: NetworkError.self) {
        try await controller.createNetwork("net", options: options)
      }
      #expect(error?.code == .invalidValue)
      #expect(error?.description.contains("the smallest that works is \(smallest)") == true, "\(error as Any)")
    }
    let options = NetworkOptions(subnet: try Subnet(smallest))
    try await controller.createNetwork("net", options: options)
    try await controller.attach("web", to: .network("net"))
    let full = await #expect(throws: NetworkError.self) { try await controller.attach("two", to: .network("net")) }
    #expect(full?.description.contains("of \(smallest) is free, of 2: 1 leased, 1 the gateway's; ") == true)
    try await controller.removeAll()
  }

  @Test func aliasesThatDNSCannotCarryAreRefused() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.5.0.0/24")))
    let label = String(repeating: "a", count: 63)
    let longest = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
    let cases: [(String, String)] = [
      ("a" + label, "a label of 64 octets"), ("x.\(label)b.y", "a label of 64 octets"), (longest + "a", "254 octets"),
      ("*.\(longest)", "255 octets"), ("a..b", "two dots in a row"), ("a.", "ends with a dot"), ("*.", "alias's name"),
    ]
    for (alias, part) in cases {
      let error = await #expect(throws: NetworkError.self) {
        let options = AttachOptions(endpoint: EndpointOptions(aliases: [alias]))
        try await controller.attach("web", to: .network("net"), options: options)
      }
      #expect(error?.code == .invalidValue && error?.description.contains(part) == true, "\(alias): \(error as Any)")
    }
    let fine = EndpointOptions(aliases: [label, longest, "*.\(label)"])
    try await controller.attach("web", to: .network("net"), options: AttachOptions(endpoint: fine))
    try await controller.removeAll()
  }

  /// The kernel's error is EACCES, which means no missing privilege here.
  @Test func whatIsOffOfIPv6IsSaidToBe() async throws {
    let world = try Playground()
    try world.host.setSysctl("net/ipv6/conf/all/disable_ipv6", to: "1")
    try world.host.setSysctl("net/ipv6/conf/default/disable_ipv6", to: "1")
    let controller = try await NetworkController(host: world.host, settings: ControllerSettings(resolvers: []))
    let error = await #expect(throws: NetworkError.self) {
      try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("fd00:5::/64")))
    }
    let text = error?.description ?? ""
    #expect(text.contains("IPv6 is switched off on the link"), "\(text)")
    #expect(!text.contains("root"), "\(text)")
    #expect(try await controller.networks().isEmpty)
  }

  @Test func readsResolvConf() throws {
    let text = """
      # nameserver 192.0.2.1
      search example.org
      nameserver 10.0.0.53
      \tnameserver   fe80::1%eth0  # a comment
      nameserver
      nameserver nonsense
      nameservers 192.0.2.2
      nameserver 2001:db8::53
      """
    #expect(HostFiles.resolvers(in: text).map(\.description) == ["10.0.0.53", "fe80::1", "2001:db8::53"])
    #expect(HostFiles.resolvers(in: "").isEmpty)
    #expect(HostFiles.text("/nonexistent") == nil)
    #expect(HostFiles.text("/proc/sys/kernel/ostype") == "Linux\n")
  }

  @Test func theMachinesPoolsStayTheSame() {
    #expect(DefaultPools.ofThisMachine() == .ofThisMachine())
    #expect(DefaultPools.ofThisMachine().pools.contains { $0.block.family == .ipv6 && $0.size == 64 })
  }
}
