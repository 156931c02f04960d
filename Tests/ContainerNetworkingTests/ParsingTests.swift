import ContainerNetworking
import Testing

@Suite struct ParsingTests {
  @Test(arguments: [
    ("bridge", NetworkMode.bridge), ("default", .bridge), ("host", .host), ("none", .none),
    ("container:web", .container("web")), ("br0", .network("br0")), ("my.net-1_a", .network("my.net-1_a")),
  ])
  func modes(text: String, mode: NetworkMode) throws {
    #expect(try NetworkMode(text) == mode)
  }

  @Test(arguments: ["", "container:", "container:a b", "-net", "a/b", "né"])
  func badModes(text: String) {
    let error = #expect(throws: NetworkError.self) { try NetworkMode(text) }
    #expect(error?.code == .invalidValue)
  }

  @Test func portMappings() throws {
    func mapping(
      _ address: String?, _ host: String?, _ container: String, _ transport: TransportProtocol = .tcp
    ) throws -> PortMapping {
      try PortMapping(
        hostAddress: address.map { try IPAddress($0) }, hostPorts: host.map { try PortRange($0) },
        containerPorts: PortRange(container), transport: transport)
    }
    #expect(try PortMapping("80") == mapping(nil, nil, "80"))
    #expect(try PortMapping("8080:80") == mapping(nil, "8080", "80"))
    #expect(try PortMapping("8000-8010:80/udp") == mapping(nil, "8000-8010", "80", .udp))
    #expect(try PortMapping("8000-8002:80-82") == mapping(nil, "8000-8002", "80-82"))
    #expect(try PortMapping("127.0.0.1:8080:80") == mapping("127.0.0.1", "8080", "80"))
    #expect(try PortMapping("127.0.0.1::80") == mapping("127.0.0.1", nil, "80"))
    #expect(try PortMapping("[::1]:8080:80/sctp") == mapping("::1", "8080", "80", .sctp))
    #expect(try PortMapping("[::1]::80") == mapping("::1", nil, "80"))
    #expect(try PortMapping("[::1]:80") == mapping("::1", nil, "80"))
    #expect(try PortMapping("127.0.0.1:80-81/UDP") == mapping("127.0.0.1", nil, "80-81", .udp))
  }

  @Test(arguments: [
    "", ":", "0", "65536", "80:", "a:80", "1:2:3:4", "8000-8001:80-82", "80/icmp", "[::1:80", "[::1]80",
    "256.0.0.1:1:1", "256.0.0.1:1", "[127.0.0.1]:80:80", "::1:8080:80", "80/tcp/udp",
    "82-80", "8080:80/",
  ])
  func badPortMappings(text: String) {
    let error = #expect(throws: NetworkError.self) { try PortMapping(text) }
    #expect(error?.code == .invalidValue)
    #expect(error.map { !$0.reason.isEmpty } == true)
  }

  /// Numbers that no time has are refused, not a trap.
  @Test func timesOutOfRange() {
    var filter = NetworkFilter()
    for time in ["300000d", "999999999d", String(repeating: "999999999d", count: 200_000)] {
      let error = #expect(throws: NetworkError.self) { try filter.add("until=\(time)") }
      #expect(error?.code == .invalidValue)
    }
  }
}
