import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// The CNI specification's rules for each verb, in each of its versions.
@Suite(.timeLimit(.minutes(5))) struct CNIContractTests {
  let cni: CNIWorld

  init() throws { cni = try CNIWorld() }

  @Test(arguments: ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
  func resultHasTheFormOfItsVersion(_ version: String) async throws {
    let configuration = CNIWorld.configuration(version: version)
    let answer = try cni.call("ADD", configuration)
    #expect(answer.code == 0, "\(answer.output)")
    #expect(answer.json["cniVersion"] as? String == version)
    if version < "0.3.0" {
      #expect(Set(answer.json.keys) == ["cniVersion", "ip4", "dns"])
      let ip = try #require(answer.json["ip4"] as? [String: Any])
      #expect(ip["ip"] as? String == "10.80.0.2/24")
      #expect(ip["gateway"] as? String == "10.80.0.1")
      #expect((ip["routes"] as? [[String: String]]) == [["dst": "0.0.0.0/0", "gw": "10.80.0.1"]])
    } else {
      #expect(Set(answer.json.keys) == ["cniVersion", "interfaces", "ips", "routes", "dns"])
      let interfaces = try #require(answer.json["interfaces"] as? [[String: Any]])
      #expect(interfaces.map { $0["name"] as? String }.first == "br-blue")
      #expect(interfaces.count == 3)
      let own = interfaces[2]
      #expect(own["name"] as? String == "eth0")
      #expect(own["mac"] as? String == "02:42:0a:50:00:02")
      #expect(own["sandbox"] as? String == (try cni.namespace("c1").path.string))
      #expect(own["mtu"] as? Int == (version == "1.1.0" ? 1500 : nil))
      let ip = try #require((answer.json["ips"] as? [[String: Any]])?.first)
      #expect(ip["address"] as? String == "10.80.0.2/24")
      #expect(ip["interface"] as? Int == 2)
      #expect(ip["version"] as? String == (version < "1.0.0" ? "4" : nil))
    }
    #expect(try cni.call("DEL", configuration).code == 0)
    #expect(try cni.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try await cni.close() == [])
  }

  @Test func bothFamiliesAreInTheResult() async throws {
    let ranges = [[["subnet": "10.80.0.0/24"]], [["subnet": "fd00:80::/64"]]]
    let ipam: [String: Any] = ["type": "host-local", "ranges": ranges]
    for (version, families) in [("0.4.0", ["4", "6"]), ("1.0.0", [])] {
      let configuration = CNIWorld.configuration(version: version, with: ["ipam": ipam])
      let answer = try cni.call("ADD", configuration)
      #expect(answer.addresses.count == 2, "\(answer.output)")
      let ips = try #require(answer.json["ips"] as? [[String: Any]])
      #expect(ips.compactMap { $0["version"] as? String } == families)
      #expect(try cni.call("DEL", configuration).code == 0)
    }
    let former = try cni.call("ADD", CNIWorld.configuration(version: "0.2.0", with: ["ipam": ipam]))
    #expect(Set(former.json.keys) == ["cniVersion", "ip4", "ip6", "dns"], "\(former.output)")
    #expect(try await cni.close() == [])
  }

  /// An invalid call: its fault, and the code and words of the answer.
  struct Refusal: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var verb = "ADD"
    var environment: [String: String?] = [:]
    /// JSON that is laid over the configuration.
    var fields = "{}"
    var version = "1.0.0"
    var code: Int
    var words: String

    init(
      _ what: String, verb: String = "ADD", _ environment: [String: String?] = [:], fields: String = "{}",
      version: String = "1.0.0", code: Int, _ words: String
    ) {
      testDescription = what
      self.verb = verb
      self.environment = environment
      self.fields = fields
      self.version = version
      self.code = code
      self.words = words
    }
  }

  static let refusals: [Refusal] = [
    Refusal("a command that is none", verb: "PING", code: 4, "ADD, DEL, CHECK"),
    Refusal("no container", ["CNI_CONTAINERID": nil], code: 4, "CNI_CONTAINERID is missing"),
    Refusal("a container's id with a slash", ["CNI_CONTAINERID": "a/b"], code: 4, "\"a/b\""),
    Refusal("no namespace", ["CNI_NETNS": nil], code: 4, "CNI_NETNS is missing"),
    Refusal("a namespace that is none", ["CNI_NETNS": "/proc/self/ns/uts"], code: 8, "/proc/self/ns/uts"),
    Refusal("a namespace that is not there", ["CNI_NETNS": "/run/netns/nobody-has-this"], code: 8, "nobody-has-this"),
    Refusal("no interface", ["CNI_IFNAME": ""], code: 4, "CNI_IFNAME is missing"),
    Refusal("an interface's name that is too long", ["CNI_IFNAME": "eth0123456789012"], code: 4, "1 to 15"),
    Refusal("an interface's name with a colon", ["CNI_IFNAME": "eth0:1"], code: 4, "eth0:1"),
    Refusal("an argument that is unknown", ["CNI_ARGS": "COLOUR=red"], code: 4, "COLOUR"),
    Refusal("an argument without a value", ["CNI_ARGS": "IP"], code: 4, "KEY=VALUE"),
    Refusal("an argument's address that is none", ["CNI_ARGS": "IP=10.80.0"], code: 4, "10.80.0"),
    Refusal("a version that is unknown", fields: #"{"cniVersion": "0.9.0"}"#, code: 1, "0.9.0"),
    Refusal("CHECK before there was one", verb: "CHECK", version: "0.3.1", code: 1, "0.4.0"),
    Refusal("GC before there was one", verb: "GC", version: "1.0.0", code: 1, "1.1.0"),
    Refusal("STATUS before there was one", verb: "STATUS", version: "0.4.0", code: 1, "1.1.0"),
    Refusal("GC without a list", verb: "GC", version: "1.1.0", code: 7, "valid-attachments"),
    Refusal("CHECK without a result", verb: "CHECK", code: 7, "prevResult"),
    Refusal("no name", fields: #"{"name": ""}"#, code: 7, "name: it is missing"),
    Refusal("a name of a predefined network", fields: #"{"name": "host"}"#, code: 7, "host"),
    Refusal("a type that is none of ours", fields: #"{"type": "ptp"}"#, code: 7, "\"ptp\""),
    Refusal("a field of another kind", fields: #"{"mtu": "1500"}"#, code: 7, "mtu: it is a text"),
    Refusal("an MTU that is too small", fields: #"{"mtu": 10}"#, code: 7, "10"),
    Refusal("a bridge's name that is too long", fields: #"{"bridge": "a-name-that-is-too-long"}"#, code: 7, "bridge"),
    Refusal("another plugin for addresses", fields: #"{"ipam": {"type": "dhcp"}}"#, code: 2, "dhcp"),
    Refusal("no subnet", fields: #"{"ipam": {"type": "host-local", "ranges": [[{}]]}}"#, code: 7, "subnet"),
    Refusal(
      "a subnet that is none", fields: #"{"ipam": {"type": "host-local", "subnet": "10.80.0.0/33"}}"#, code: 7, "33"),
    Refusal(
      "a gateway outside the subnet",
      fields: #"{"ipam": {"type": "host-local", "subnet": "10.80.0.0/24", "gateway": "10.81.0.1"}}"#, code: 7,
      "10.81.0.1"),
    Refusal(
      "a range that ends before it starts",
      fields:
        #"{"ipam": {"type": "host-local", "subnet": "10.80.0.0/24", "rangeStart": "10.80.0.9", "rangeEnd": "10.80.0.5"}}"#,
      code: 7, "10.80.0.9 to 10.80.0.5"),
    Refusal(
      "a range outside the subnet",
      fields: #"{"ipam": {"type": "host-local", "subnet": "10.80.0.0/24", "rangeStart": "10.81.0.9"}}"#, code: 7,
      "10.81.0.9"),
    Refusal("a VLAN", fields: #"{"vlan": 7}"#, code: 2, "VLAN"),
    Refusal(
      "bandwidth", fields: #"{"runtimeConfig": {"bandwidth": {"ingressRate": 1000}}}"#, code: 2, "shapes no traffic"),
    Refusal(
      "a port that is none",
      fields: #"{"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 70000}]}}"#,
      code: 7, "70000"),
    Refusal(
      "a protocol that is none",
      fields: #"{"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "carp"}]}}"#,
      code: 7, "carp"),
    Refusal(
      "an address outside the subnet", fields: #"{"runtimeConfig": {"ips": ["10.81.0.7/24"]}}"#, code: 7, "10.81.0.7"),
    Refusal("a hardware address that is none", fields: #"{"runtimeConfig": {"mac": "02:42"}}"#, code: 7, "mac"),
    Refusal("a later plugin alone", fields: #"{"type": "portmap"}"#, code: 7, "prevResult"),
    Refusal(
      "a sysctl of the machine", fields: #"{"type": "tuning", "prevResult": {}, "sysctl": {"kernel.hostname": "x"}}"#,
      code: 7, "kernel.hostname"),
  ]

  @Test(arguments: refusals) func whatIsWrongIsSaid(_ refusal: Refusal) async throws {
    let over = try JSONSerialization.jsonObject(with: Data(refusal.fields.utf8)) as? [String: Any]
    let configuration = CNIWorld.configuration(version: refusal.version, with: try #require(over))
    let answer = try cni.call(refusal.verb, configuration, refusal.environment)
    #expect(answer.code == 1, "\(answer.output)")
    #expect(answer.error == refusal.code, "\(answer.output)")
    #expect(answer.message.contains(refusal.words), "\(answer.message)")
    // The container is empty, but its record exists.
    #expect(try cni.namespace("c1").links.list().map(\.name) == ["lo"])
    #expect(try await cni.close() == [])
  }

  @Test func versionTellsOfAllWithoutInput() throws {
    let answer = try cni.call(
      ["CNI_COMMAND": "VERSION", "CNI_NETNS": "dummy", "CNI_IFNAME": "dummy", "CNI_PATH": "dummy"],
      Data(#"{"cniVersion": "1.0.0"}"#.utf8))
    #expect(answer.code == 0)
    let versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    #expect(answer.json["supportedVersions"] as? [String] == versions)
    let status = try cni.call("STATUS", CNIWorld.configuration(version: "1.1.0"))
    #expect(status.code == 0 && status.output.isEmpty, "\(status.output)")
    try? FileManager.default.removeItem(atPath: cni.directory)
  }

  @Test(arguments: ["", "null", "[]", "{", "{\"cniVersion\": 1}", "\u{0}"])
  func inputThatIsNoConfigurationIsRefused(_ input: String) throws {
    let path = try cni.namespace("c1").path.string
    let answer = try cni.call(
      ["CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": path, "CNI_IFNAME": "eth0", "CNI_PATH": "/x"],
      Data(input.utf8))
    #expect(answer.code == 1)
    #expect(answer.error == (input.contains("1") ? 7 : 6), "\(answer.output)")
  }

  /// Inputs that were damaged at one place each: every one is answered in the plugin's own words.
  @Test func damagedInputsAreAnswered() async throws {
    let whole = CNIWorld.configuration(
      with: [
        "prevResult": ["interfaces": [["name": "eth0", "sandbox": "/x"]], "ips": [["address": "10.80.0.2/24"]]],
        "runtimeConfig": [
          "portMappings": [["hostPort": 8080, "containerPort": 80, "protocol": "tcp"]], "ips": ["10.80.0.9/24"],
          "mac": "02:42:00:00:00:01", "aliases": ["web"],
        ],
      ])
    let bytes = [UInt8](try JSONSerialization.data(withJSONObject: whole, options: .sortedKeys))
    var generator = SystemRandomNumberGenerator()
    let seed = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap { UInt64($0) } ?? generator.next()
    var state = seed
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    for round in 0..<150 {
      var damaged = bytes
      switch round % 3 {
      case 0: damaged[next(damaged.count)] = UInt8(next(256))
      case 1: damaged.removeSubrange(next(damaged.count)...)
      default: damaged.insert(contentsOf: [0x5b, 0x7b, 0x22, UInt8(next(256))], at: next(damaged.count))
      }
      let verb = ["ADD", "DEL", "CHECK"][next(3)]
      let answer = try cni.call(
        [
          "CNI_COMMAND": verb, "CNI_CONTAINERID": "c1", "CNI_NETNS": "/nowhere", "CNI_IFNAME": "eth0", "CNI_PATH": "/x",
        ],
        Data(damaged))
      #expect(
        answer.code == 0 && verb == "DEL" || answer.code == 1 && answer.error != nil,
        "TEST_SEED=\(seed), round \(round): \(verb), exit \(answer.code): \(answer.output)")
    }
    _ = try await cni.close()
  }
}
