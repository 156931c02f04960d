import ContainerNetworking
import Testing

/// Networks as text: driver options by both names, and all faults together.
@Suite struct NetworkOptionsTextTests {
  @Test func driverOptionsByEitherName() throws {
    let values = [
      "name": "br7", "masquerade": "0", "icc": "F", "host-binding": "127.0.0.1", "gateway-mode-ipv4": "routed",
      "gateway-mode-ipv6": "nat-unprotected", "mtu": "1400", "interface-prefix": "net", "parent": "eth7",
      "macvlan-mode": "vepa", "ipvlan-mode": "l3", "ipvlan-flag": "private", "names": "container",
      "source-ipv4": "203.0.113.9", "source-ipv6": "2001:db8::9",
      "trusted-interfaces": "eth3:vxlan.1:eth3", "grows": "false", "host-overlap": "true",
    ]
    #expect(Set(NetworkOptions.driverOptionNames.map(\.short)) == Set(values.keys))
    var byShortName = NetworkOptions()
    var byDockersName = NetworkOptions()
    for (name, short) in NetworkOptions.driverOptionNames {
      let value = try #require(values[short])
      try byShortName.setDriverOption(short, value)
      try byDockersName.setDriverOption(name, value)
    }
    #expect(byShortName == byDockersName)
    #expect(byShortName.bridge?.description == "br7")
    #expect(byShortName.mtu == 1400)
    #expect(byShortName.parent?.description == "eth7" && byShortName.macvlanMode == .vepa)
    #expect(byShortName.interfacePrefix == "net" && byShortName.nameServing == .container)
    #expect(!byShortName.growsOverBridges && byShortName.allowsHostOverlap)
    #expect(
      byShortName.policy
        == NetworkPolicy(
          allowsContainerTraffic: false, masquerades: false, gatewayModeIPv4: .routed,
          gatewayModeIPv6: .natUnprotected, hostBindingAddress: try IPAddress("127.0.0.1"),
          sourceAddressIPv4: try IPAddress("203.0.113.9"), sourceAddressIPv6: try IPAddress("2001:db8::9"),
          trustedInterfaces: [try InterfaceName("eth3"), try InterfaceName("vxlan.1")]))
    #expect(byShortName.driverOptions["com.docker.network.driver.mtu"] == "1400")
    #expect(byShortName.driverOptions.count == values.count)
  }

  @Test(arguments: [
    ("mtu", "x"), ("mtu", "-1"), ("mtu", "65536"), ("icc", "yes"), ("masquerade", ""), ("host-binding", "::1"),
    ("host-binding", "here"), ("gateway-mode-ipv4", "bridged"), ("name", "a b"), ("names", "host"), ("nosuch", "1"),
    ("source-ipv4", "2001:db8::9"), ("source-ipv6", "203.0.113.9"), ("source-ipv4", "there"),
    ("trusted-interfaces", ""), ("trusted-interfaces", "eth0 eth1"), ("trusted-interfaces", "eth0:"),
  ])
  func badDriverOptions(name: String, value: String) {
    var options = NetworkOptions()
    let error = #expect(throws: NetworkError.self) { try options.setDriverOption(name, value) }
    #expect(error?.code == .invalidValue)
    #expect(error.map { !$0.reason.isEmpty } == true)
    if name == "nosuch" { #expect(error?.reason.contains("com.docker.network.bridge.enable_icc") == true) }
    #expect(options == NetworkOptions())
  }

  @Test func textIsRead() throws {
    var text = NetworkOptions.Text()
    text.subnets = ["10.1.0.0/16", "fd00:1::/64"]
    text.ipRanges = ["10.1.2.0/24"]
    text.gateways = ["10.1.0.9"]
    text.auxiliaryAddresses = ["printer=10.1.0.7"]
    text.driverOptions = ["mtu=1400", "com.docker.network.bridge.enable_icc=false"]
    text.labels = ["tier=db=1", "new"]
    text.dnsServers = ["192.0.2.1", "2001:db8::1"]
    text.isInternal = true
    let options = try NetworkOptions(parsing: text)
    #expect(options.subnets.map(\.description) == text.subnets)
    #expect(options.ipRanges.map(\.description) == text.ipRanges)
    #expect(options.gateways.map(\.description) == text.gateways)
    #expect(options.auxiliaryAddresses == ["printer": try IPAddress("10.1.0.7")])
    #expect(options.labels == ["tier": "db=1", "new": ""])
    #expect(options.mtu == 1400 && !options.policy.allowsContainerTraffic && options.isInternal)
    #expect(options.dnsServers.map(\.description) == text.dnsServers && options.nameServing == nil)
    #expect(options.isIPv4Enabled && options.isIPv6Enabled == nil)
  }

  @Test func allFaultsAreToldTogether() {
    var text = NetworkOptions.Text()
    text.driver = "vx lan"
    text.subnets = ["10.10.10.0/8", "10.1.0.0/16"]
    text.ipRanges = ["10.2.0.0/24"]
    text.gateways = ["here"]
    text.auxiliaryAddresses = ["printer", "fax=10.9.0.1", "=10.1.0.1"]
    text.driverOptions = ["mtu", "icc=maybe"]
    text.labels = ["=db"]
    let error = #expect(throws: NetworkError.self) { try NetworkOptions(parsing: text) }
    let operations = error?.causes.map(\.operation) ?? []
    #expect(
      operations == [
        "read driver", "read subnet", "read gateway", "read aux-address \"printer\"", "read aux-address \"=10.1.0.1\"",
        "read driver option \"mtu\"", "set driver option \"icc\" to \"maybe\"", "read label \"=db\"",
        "check ip-range", "check auxiliary address \"fax\"",
      ])
  }
}
