import ContainerNetworking
import Foundation
import Testing

/// What podman may say to netavark, and what it is answered: verbs, both forms of the input, exit codes and JSON.
@Suite(.timeLimit(.minutes(5))) struct NetavarkContractTests {
  let podman: NetavarkWorld

  init() throws { podman = try NetavarkWorld(isDualStack: true) }

  /// The whole of an answer, for networks of one and two families, inside and outside, in both forms.
  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    /// JSON that is laid over the network.
    var network: String
    /// JSON that is laid over what the container asks for.
    var own: String
    /// The only key's value.
    var answer: String

    init(_ what: String, network: String = "{}", own: String = "{}", _ answer: String) {
      testDescription = what
      self.network = network
      self.own = own
      self.answer = answer
    }
  }

  static let cases: [Case] = [
    Case(
      "a static address, said twice", own: #"{"static_ips": ["10.90.0.9", "10.90.0.9"]}"#,
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": {"mac_address": "02:42:0a:5a:00:09", \
      "subnets": [{"ipnet": "10.90.0.9/24", "gateway": "10.90.0.1"}]}}}
      """),
    Case(
      "no address of its own",
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": {"mac_address": "02:42:0a:5a:00:02", \
      "subnets": [{"ipnet": "10.90.0.2/24", "gateway": "10.90.0.1"}]}}}
      """),
    Case(
      "a hardware address and an interface of its own",
      own: #"{"static_ips": ["10.90.0.9"], "static_mac": "02:00:00:00:00:77", "interface_name": "lan0"}"#,
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"lan0": {"mac_address": "02:00:00:00:00:77", \
      "subnets": [{"ipnet": "10.90.0.9/24", "gateway": "10.90.0.1"}]}}}
      """),
    Case(
      "names", network: #"{"dns_enabled": true}"#, own: #"{"static_ips": ["10.90.0.9"], "aliases": ["www"]}"#,
      """
      {"dns_search_domains": ["dns.podman"], "dns_server_ips": ["10.90.0.1"], "interfaces": {"eth0": {"mac_address": \
      "02:42:0a:5a:00:09", "subnets": [{"ipnet": "10.90.0.9/24", "gateway": "10.90.0.1"}]}}}
      """),
    Case(
      "both families",
      network: """
        {"ipv6_enabled": true, "dns_enabled": true, "subnets": [{"subnet": "10.90.0.0/24", "gateway": "10.90.0.1"}, \
        {"subnet": "fd00:90::/64", "gateway": "fd00:90::1"}]}
        """, own: #"{"static_ips": ["10.90.0.9", "fd00:90::9"]}"#,
      """
      {"dns_search_domains": ["dns.podman"], "dns_server_ips": ["10.90.0.1", "fd00:90::1"], "interfaces": {"eth0": \
      {"mac_address": "02:42:0a:5a:00:09", "subnets": [{"ipnet": "10.90.0.9/24", "gateway": "10.90.0.1"}, \
      {"ipnet": "fd00:90::9/64", "gateway": "fd00:90::1"}]}}}
      """),
    Case(
      "an internal network", network: #"{"internal": true}"#, own: #"{"static_ips": ["10.90.0.9"]}"#,
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": {"mac_address": "02:42:0a:5a:00:09", \
      "subnets": [{"ipnet": "10.90.0.9/24", "gateway": "10.90.0.1"}]}}}
      """),
    Case(
      "an internal network without a gateway",
      network: #"{"internal": true, "subnets": [{"subnet": "10.90.0.0/24"}]}"#, own: #"{"static_ips": ["10.90.0.1"]}"#,
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": {"mac_address": "02:42:0a:5a:00:01", \
      "subnets": [{"ipnet": "10.90.0.1/24", "gateway": null}]}}}
      """),
    Case(
      "a range",
      network: """
        {"subnets": [{"subnet": "10.90.0.0/24", "gateway": "10.90.0.1", \
        "lease_range": {"start_ip": "10.90.0.64", "end_ip": "10.90.0.95"}}]}
        """,
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": {"mac_address": "02:42:0a:5a:00:40", \
      "subnets": [{"ipnet": "10.90.0.64/24", "gateway": "10.90.0.1"}]}}}
      """),
    Case(
      "options that are taken",
      network: """
        {"options": {"mtu": "1400", "isolate": "strict", "metric": "200", "no_default_route": "false", \
        "mode": "managed", "vlan": "0"}, "labels": {"tier": "db"}, "ipam_options": {"driver": "host-local"}}
        """, own: #"{"static_ips": ["10.90.0.9"]}"#,
      """
      {"dns_search_domains": [], "dns_server_ips": [], "interfaces": {"eth0": {"mac_address": "02:42:0a:5a:00:09", \
      "subnets": [{"ipnet": "10.90.0.9/24", "gateway": "10.90.0.1"}]}}}
      """),
  ]

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test(arguments: cases, [false, true]) func setupAnswersAndTeardownLeavesNothing(
    _ row: Case, isList: Bool
  ) async throws {
    let request = NetavarkWorld.request(
      on: [NetavarkWorld.network(with: try object(row.network))], own: [try object(row.own)], isList: isList)
    // The usual name server, which is started.
    let answer = try podman.call("setup", request, ["CNET_NAME_SERVER": "auto"])
    #expect(answer.code == 0, "\(answer.output)")
    let expected = try object(#"{"blue": \#(row.answer)}"#)
    #expect(NSDictionary(dictionary: answer.json) == NSDictionary(dictionary: expected), "\(answer.output)")
    #expect(try await podman.controller().network("blue").labels["com.containernetworking.netavark"] == "true")
    for _ in 0..<2 {
      let ended = try podman.call("teardown", request)
      #expect(ended.code == 0 && ended.output.isEmpty, "\(ended.output)")
    }
    #expect(try podman.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try podman.links() == [])
    #expect(try await podman.controller().networks().filter { !$0.isPredefined }.isEmpty)
    #expect(try await podman.close() == [])
  }

  /// Input that is wrong, in both forms: what is laid over what, and words of the answer.
  struct Refusal: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var network = "{}"
    var own = "{}"
    var request = "{}"
    var words: String

    init(_ what: String, network: String = "{}", own: String = "{}", request: String = "{}", _ words: String) {
      testDescription = what
      self.network = network
      self.own = own
      self.request = request
      self.words = words
    }
  }

  static let refusals: [Refusal] = [
    Refusal("no container", request: #"{"container_id": ""}"#, "container_id: it is missing"),
    Refusal("a container's id that is a number", request: #"{"container_id": 7}"#, "container_id: it is a number"),
    Refusal("networks that are a text", request: #"{"networks": "blue"}"#, "networks: it is a text"),
    Refusal("a network that is not described", request: #"{"network_info": {}}"#, "\"blue\" is missing"),
    Refusal("no interface", own: #"{"interface_name": ""}"#, "interface_name: it is missing"),
    Refusal("an interface's name that is too long", own: #"{"interface_name": "eth0123456789012"}"#, "interface_name"),
    Refusal("an address outside the subnet", own: #"{"static_ips": ["10.91.0.9"]}"#, "10.91.0.9"),
    Refusal("the network's own address", own: #"{"static_ips": ["10.90.0.0"]}"#, "10.90.0.0"),
    Refusal("the broadcast address", own: #"{"static_ips": ["10.90.0.255"]}"#, "10.90.0.255"),
    Refusal("the gateway's address", own: #"{"static_ips": ["10.90.0.1"]}"#, "10.90.0.1"),
    Refusal("two addresses of a family", own: #"{"static_ips": ["10.90.0.8", "10.90.0.9"]}"#, "two addresses"),
    Refusal("an address that is none", own: #"{"static_ips": ["10.90.0"]}"#, "static_ips[0]"),
    Refusal("a hardware address that is none", own: #"{"static_mac": "02:42"}"#, "static_mac"),
    Refusal("a hardware address of a group", own: #"{"static_mac": "01:00:5e:00:00:01"}"#, "01:00:5e:00:00:01"),
    Refusal("a name for the host's end", own: #"{"options": {"host_interface_name": "web0"}}"#, "host_interface_name"),
    Refusal("a driver that is none", network: #"{"driver": "carrier-pigeon"}"#, "carrier-pigeon"),
    Refusal("ipvlan", network: #"{"driver": "ipvlan"}"#, "ipvlan"),
    Refusal("addresses by DHCP", network: #"{"ipam_options": {"driver": "dhcp"}}"#, "dhcp"),
    Refusal("no addresses at all", network: #"{"ipam_options": {"driver": "none"}, "subnets": []}"#, "subnets"),
    Refusal("a subnet that is none", network: #"{"subnets": [{"subnet": "10.90.0.0/33"}]}"#, "33"),
    Refusal(
      "a gateway outside the subnet", network: #"{"subnets": [{"subnet": "10.90.0.0/24", "gateway": "10.91.0.1"}]}"#,
      "10.91.0.1"),
    Refusal(
      "a range that ends before it starts",
      network:
        #"{"subnets": [{"subnet": "10.90.0.0/24", "lease_range": {"start_ip": "10.90.0.9", "end_ip": "10.90.0.5"}}]}"#,
      "10.90.0.9 to 10.90.0.5"),
    Refusal("an MTU that is none", network: #"{"options": {"mtu": "big"}}"#, "\"big\""),
    Refusal("an MTU that is too small", network: #"{"options": {"mtu": "10"}}"#, "10"),
    Refusal("isolation that is none", network: #"{"options": {"isolate": "yes"}}"#, "true, false or strict"),
    Refusal("a metric that is none", network: #"{"options": {"metric": "-1"}}"#, "metric"),
    Refusal("a VLAN", network: #"{"options": {"vlan": "7"}}"#, "VLAN"),
    Refusal("a VRF", network: #"{"options": {"vrf": "red"}}"#, "VRF"),
    Refusal("bclim", network: #"{"driver": "macvlan", "options": {"bclim": "-1"}}"#, "bclim"),
    Refusal("a bridge that is somebody's", network: #"{"options": {"mode": "unmanaged"}}"#, "mode"),
    Refusal("a macvlan's mode that is none", network: #"{"driver": "macvlan", "options": {"mode": "l2"}}"#, "l2"),
    Refusal(
      "a parent that is none", network: #"{"driver": "macvlan", "network_interface": "eth9"}"#, "\"eth9\" is no link"),
    Refusal("an option that is none", network: #"{"options": {"color": "red"}}"#, "color"),
    Refusal("a name of a predefined network", network: #"{"name": "host"}"#, "host"),
    Refusal(
      "a port that is none", request: #"{"port_mappings": [{"host_port": 80, "container_port": 70000}]}"#, "70000"),
    Refusal(
      "a range of ports that goes too far",
      request: #"{"port_mappings": [{"host_port": 65530, "container_port": 80, "range": 10}]}"#, "65535"),
    Refusal(
      "a protocol that is none",
      request: #"{"port_mappings": [{"host_port": 80, "container_port": 80, "protocol": "tcp,carp"}]}"#, "carp"),
    Refusal(
      "a host address that the host has not",
      request: #"{"port_mappings": [{"host_ip": "198.51.100.9", "host_port": 80, "container_port": 80}]}"#,
      "198.51.100.9"),
    Refusal("a route without a gateway", network: #"{"routes": [{"destination": "10.99.0.0/24"}]}"#, "next hop"),
    Refusal("a name server that is none", request: #"{"dns_servers": ["0.0.0.0"]}"#, "0.0.0.0"),
  ]

  @Test(arguments: refusals, [false, true]) func whatIsWrongIsSaid(_ row: Refusal, isList: Bool) async throws {
    let request = NetavarkWorld.request(
      on: [NetavarkWorld.network(with: try object(row.network))], own: [try object(row.own)], isList: isList,
      with: try object(row.request))
    let input = try JSONSerialization.data(withJSONObject: request)
    let answer = try podman.call(NetavarkWorld.flags + ["setup", podman.namespace("c1").path.string], input)
    #expect(answer.code == 1, "\(answer.output)")
    #expect(Set(answer.json.keys) == ["error"], "\(answer.output)")
    #expect(answer.error.contains(row.words), "\(answer.error)")
    #expect(try podman.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try podman.links() == [])
    #expect(try await podman.close() == [])
  }

  /// Command lines, and what they are answered.
  struct Line: CustomTestStringConvertible, Sendable {
    var arguments: [String]
    var code: Int32
    var words: String
    var environment: [String: String] = [:]
    var testDescription: String { arguments.joined(separator: " ") }

    init(_ line: String, in environment: [String: String] = [:], code: Int32 = 1, _ words: String) {
      arguments = line.split(separator: " ").map(String.init)
      (self.environment, self.code, self.words) = (environment, code, words)
    }
  }

  static let lines: [Line] = [
    Line("", "the verb is missing"),
    Line("start /run/netns/x", "\"start\" is not a verb; there are: setup, teardown"),
    Line("setup", "setup takes the path"),
    Line("setup /a /b", "setup takes the path"),
    Line("setup /run/netns/nobody-has-this", "nobody-has-this"),
    Line("setup /proc/self/ns/uts", "/proc/self/ns/uts"),
    Line("--colour=red setup /a", "the option --colour is none of"),
    Line("--config", "--config is the last word"),
    Line("--rootless=perhaps setup /a", "it is true or false"),
    Line("-f /nowhere/input setup /a", "/nowhere/input"),
    Line("--firewall-driver none setup /a", "networks of the record need rules"),
    Line("--firewall-driver=ebtables setup /a", "\"ebtables\""),
    Line("setup /proc/self/ns/net", in: ["NETAVARK_FW": "none"], "NETAVARK_FW"),
    Line("update", "update takes the name of a network"),
    Line("update blue --network-dns-servers 192.0.2", "192.0.2"),
    Line("reload now", "reload takes nothing"),
    Line("teardown /run/netns/long-gone", code: 0, ""),
    Line("update nobody-is-on-it --network-dns-servers 192.0.2.53", code: 0, ""),
    Line("update nobody-is-on-it --network-dns-servers=", code: 0, ""),
    Line("reload", code: 0, ""),
    Line("firewalld-reload", code: 0, ""),
    Line("-c /run/x -r false -a /nowhere/aardvark-dns --plugin-directory /x version", code: 0, "\"default_fw_driver\""),
    Line("--version", code: 0, "netavark 0.1.0"),
    Line("--help", code: 0, "setup NSPATH"),
  ]

  @Test(arguments: lines) func commandLines(_ row: Line) async throws {
    let input = try JSONSerialization.data(withJSONObject: NetavarkWorld.request())
    let answer = try podman.call(row.arguments, input, row.environment)
    #expect(answer.code == row.code, "\(answer.output)")
    if row.code == 1 {
      #expect(Set(answer.json.keys) == ["error"] && answer.error.contains(row.words), "\(answer.output)")
    } else if row.words.isEmpty {
      #expect(answer.output.isEmpty)
    } else {
      #expect(answer.output.contains(row.words), "\(answer.output)")
    }
    #expect(try await podman.close() == [])
  }

  @Test func versionHasTheFieldsThatPodmanReads() throws {
    let answer = try podman.call(["version"])
    #expect(Set(answer.json.keys) == ["version", "commit", "build_time", "target", "default_fw_driver"])
    #expect(answer.json["version"] as? String == "0.1.0")
  }

  @Test func inputComesFromAFileToo() async throws {
    let file = "/tmp/netavark-\(UUID().uuidString).json"
    defer { try? FileManager.default.removeItem(atPath: file) }
    try JSONSerialization.data(withJSONObject: NetavarkWorld.request()).write(to: URL(filePath: file))
    let path = try podman.namespace("c1").path.string
    #expect(try podman.call(["--file", file, "setup", path]).addresses() == ["10.90.0.2/24"])
    #expect(try podman.call(["-f", file, "teardown", path]).code == 0)
    #expect(try await podman.close() == [])
  }

  /// A user who is not root has no place but podman's own.
  @Test func recordOfARootlessUserIsInPodmansDirectory() async throws {
    let input = try JSONSerialization.data(withJSONObject: NetavarkWorld.request())
    let flags = ["-c", podman.directory, "-r", "true"]
    let path = try podman.namespace("c1").path.string
    #expect(try podman.call(flags + ["setup", path], input, ["CNET_STATE_DIR": nil]).code == 0)
    let record = podman.directory + "/containernetworking"
    #expect(FileManager.default.fileExists(atPath: record))
    #expect(!FileManager.default.fileExists(atPath: podman.directory + "/state.db"))
    #expect(try podman.call(["teardown", path], input, ["CNET_STATE_DIR": record]).code == 0)
    #expect(try podman.links() == [])
    #expect(try await podman.close() == [])
  }

  @Test(arguments: ["", "null", "[]", "{", "7", "\u{0}"]) func inputThatIsNoRequestIsRefused(_ input: String) throws {
    for verb in ["setup", "teardown"] {
      let answer = try podman.call([verb, podman.namespace("c1").path.string], Data(input.utf8))
      #expect(answer.code == 1 && answer.error.contains("JSON object") || answer.error.contains("not JSON"))
    }
  }

  /// Where nobody can answer names, a network that wants them is refused, and the answer says what is missing.
  @Test func withoutANameServerBesideItThereAreNoNames() async throws {
    let place = URL(filePath: "/tmp/netavark-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: place) }
    let alone = place.appending(path: "netavark")
    try FileManager.default.copyItem(at: EngineWorld.products.appending(path: "cnet-netavark"), to: alone)
    let request = NetavarkWorld.request(on: [NetavarkWorld.network(with: ["dns_enabled": true])])
    let input = try JSONSerialization.data(withJSONObject: request)
    let arguments = ["setup", try podman.namespace("c1").path.string]
    let refused = try podman.finish(podman.start(alone.path, arguments, ["PATH": "/nowhere"], input))
    #expect(
      refused.code == 1 && refused.output.contains("there is no program cnet")
        && refused.output.contains("CNET_NAME_SERVER=none"), "\(refused.output)")
    #expect(try podman.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try podman.links() == [])
    let without = try podman.finish(podman.start(alone.path, arguments, ["CNET_NAME_SERVER": "none"], input))
    #expect(without.code == 0 && without.output.contains(#""dns_server_ips":[]"#), "\(without.output)")
    #expect(try podman.call("teardown", request).code == 0)
    #expect(try await podman.close() == [])
  }

  /// Inputs that were damaged at one place each: every one is answered in words.
  @Test func damagedInputsAreAnswered() async throws {
    let whole = NetavarkWorld.request(
      own: [["static_ips": ["10.90.0.9"], "static_mac": "02:00:00:00:00:77", "aliases": ["www"]]],
      with: [
        "port_mappings": [["host_ip": "", "host_port": 8080, "container_port": 80, "range": 1, "protocol": "tcp"]]
      ])
    let bytes = [UInt8](try JSONSerialization.data(withJSONObject: whole, options: .sortedKeys))
    var generator = SystemRandomNumberGenerator()
    let seed = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap { UInt64($0) } ?? generator.next()
    var state = seed
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for round in 0..<120 {
      var damaged = bytes
      switch round % 3 {
      case 0: damaged[next(damaged.count)] = UInt8(next(256))
      case 1: damaged.removeSubrange(next(damaged.count)...)
      default: damaged.insert(contentsOf: [0x5b, 0x7b, 0x22, UInt8(next(256))], at: next(damaged.count))
      }
      let verb = ["setup", "teardown"][next(2)]
      let answer = try podman.call([verb, "/nowhere"], Data(damaged))
      #expect(
        answer.code == 0 && verb == "teardown" || answer.code == 1 && !answer.error.isEmpty,
        "TEST_SEED=\(seed), round \(round): \(verb), exit \(answer.code): \(answer.output)")
    }
    _ = try await podman.close()
  }
}
