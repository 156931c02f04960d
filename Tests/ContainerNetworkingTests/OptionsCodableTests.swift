import ContainerNetworking
import Foundation
import Testing

/// Options in a runtime's own configuration: Documentation/Options.md lists their keys, which are stable.
@Suite struct OptionsCodableTests {
  private func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(text.utf8))
  }

  private func makeNetworkOptions() throws -> NetworkOptions {
    var options = try NetworkOptions(
      driver: .macvlan, subnet: Subnet("10.9.0.0/16"), subnets: [Subnet("fd00:9::/64")], ipRange: Subnet("10.9.4.0/24"),
      gateway: IPAddress("10.9.0.254"), auxiliaryAddresses: ["printer": IPAddress("10.9.0.9")], allowsHostOverlap: true,
      isIPv4Enabled: false,
      isIPv6Enabled: true, isInternal: true, mtu: 1400, bridge: InterfaceName("blue0"), growsOverBridges: false,
      parent: InterfaceName("eth1"), macvlanMode: .vepa,
      policy: NetworkPolicy(
        allowsContainerTraffic: false, masquerades: false, gatewayModeIPv4: .routed, gatewayModeIPv6: .natUnprotected,
        hostBindingAddress: IPAddress("127.0.0.1"), sourceAddressIPv4: IPAddress("203.0.113.9"),
        sourceAddressIPv6: IPAddress("2001:db8::9"), trustedInterfaces: [InterfaceName("eth2")]),
      interfacePrefix: "net", labels: ["tier": "db"], nameServing: .container, dnsServers: [IPAddress("192.0.2.53")])
    try options.setDriverOption("mtu", "1300")
    return options
  }

  private func makeAttachOptions() throws -> AttachOptions {
    try AttachOptions(
      ports: [PortMapping("127.0.0.1:8080:80"), PortMapping("53/udp")], address: IPAddress("10.9.0.7"),
      macAddress: MACAddress("02:42:0a:09:00:07"),
      endpoint: EndpointOptions(
        aliases: ["db", "*.db"], interface: InterfaceName("net0"), gatewayPriority: 7, takesDefaultRoute: false,
        labels: ["maker": "cni"]),
      names: NameOptions(
        hostname: "web", domainname: "example.org", dns: [IPAddress("192.0.2.1")], dnsSearch: ["example.org"],
        dnsOptions: ["ndots:2"], extraHosts: [ExtraHost("db:10.9.0.8"), ExtraHost("me:host-gateway")]))
  }

  @Test func everyOptionComesBack() throws {
    let network = try makeNetworkOptions()
    #expect(try decode(NetworkOptions.self, try json(network)) == network)
    let attach = try makeAttachOptions()
    #expect(try decode(AttachOptions.self, try json(attach)) == attach)
    #expect(try decode(EndpointOptions.self, try json(attach.endpoint)) == attach.endpoint)
    #expect(try decode(NameOptions.self, try json(attach.names)) == attach.names)
    #expect(try decode(NetworkPolicy.self, try json(network.policy)) == network.policy)
    for mapping in attach.ports { #expect(try decode(PortMapping.self, try json(mapping)) == mapping) }
  }

  /// A property that is added and not encoded would be lost: here each differs from its default, and has a key.
  @Test func everyPropertyHasAKeyOfItsName() throws {
    let values: [(any Encodable, Any)] = [
      (try makeNetworkOptions(), NetworkOptions()), (try makeAttachOptions(), AttachOptions()),
      (try makeAttachOptions().endpoint, EndpointOptions()), (try makeAttachOptions().names, NameOptions()),
      (try makeNetworkOptions().policy, NetworkPolicy()),
    ]
    for (value, standard) in values {
      let object = try JSONSerialization.jsonObject(with: Data(try json(value).utf8)) as? [String: Any]
      let fields = Mirror(reflecting: value).children
      #expect(Set(try #require(object).keys) == Set(fields.compactMap(\.label)), "\(type(of: value))")
      for (field, usual) in zip(fields, Mirror(reflecting: standard).children) {
        let differs = "\(field.value)" != "\(usual.value)"
        #expect(differs, "\(type(of: value)).\(field.label ?? "")")
      }
    }
  }

  @Test func whatIsMissingHasItsDefault() throws {
    #expect(try decode(NetworkOptions.self, "{}") == NetworkOptions())
    #expect(try decode(AttachOptions.self, "{}") == AttachOptions())
    #expect(try decode(EndpointOptions.self, "{}") == EndpointOptions())
    #expect(try decode(NameOptions.self, "{}") == NameOptions())
    #expect(try decode(NetworkPolicy.self, "{}") == NetworkPolicy())
    let options = try decode(
      AttachOptions.self, #"{"ports": ["8080:80", {"containerPorts": "53", "transport": "udp"}]}"#)
    #expect(options == AttachOptions(ports: [try PortMapping("8080:80"), try PortMapping("53/udp")]))
  }

  @Test(arguments: [
    (#"{"isInternel": true}"#, "there is no option \"isInternel\"; there are: driver, subnets, "),
    (#"{"subnets": ["10.9.0.1/16"]}"#, "10.9.0.0/16"),
    (#"{"macvlanMode": "hub"}"#, "\"hub\" is no mode of a macvlan; there are: private, vepa, bridge, passthru"),
  ])
  func whatIsWrongIsNamed(_ text: String, _ reason: String) throws {
    let error = #expect(throws: DecodingError.self) { try decode(NetworkOptions.self, text) }
    guard case .dataCorrupted(let context) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(context.debugDescription.contains(reason), "\(context.debugDescription)")
  }

  @Test func portsThatAMappingCannotHaveAreRefused() {
    #expect(throws: DecodingError.self) {
      try decode(PortMapping.self, #"{"hostPorts": "8000-8001", "containerPorts": "80-82", "transport": "tcp"}"#)
    }
    #expect(throws: DecodingError.self) { try decode(PortMapping.self, #""80:""#) }
  }

  /// The page shows every key, and its examples can be decoded.
  @Test func pageIsWhatIsEncoded() throws {
    let page = try String(
      contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "../../Documentation/Options.md"),
      encoding: .utf8)
    let blocks = page.components(separatedBy: "```json\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first
    }
    try #require(blocks.count == 2)
    #expect(try decode(NetworkOptions.self, blocks[0]) == makeNetworkOptions())
    #expect(try decode(AttachOptions.self, blocks[1]) == makeAttachOptions())
    for (block, value) in zip(blocks, [try json(makeNetworkOptions()), try json(makeAttachOptions())]) {
      #expect(Set(block.matches(of: #/"(\w+)":/#).map(\.1)) == Set(value.matches(of: #/"(\w+)" :/#).map(\.1)))
    }
  }
}
