import FoundationEssentials
import NetworkPrimitives
import StoreSamples
import Testing

@testable import ContainerNetworking
@testable import ContainerNetworkingStore

/// The scanner's result equals that of Foundation's decoder for the same text; and it reads the texts of this library.
@Suite struct RecordScannerTests {
  private func scan<Value>(_ text: some Sequence<UInt8>, _ make: (inout RecordScanner) -> Value?) -> Value? {
    var scanner = RecordScanner()
    scanner.begin { $0.append(contentsOf: text) }
    return make(&scanner)
  }

  private static func endpoints() throws -> [Endpoint] {
    var full = try Samples.endpoint(7)
    full.hostInterface = nil
    full.bridge = try InterfaceName("br-01234567-1")
    full.addresses = [try InterfaceAddress("172.18.0.255/16"), try InterfaceAddress("fd00::1:9/64")]
    full.staticAddresses = full.addresses.map(\.address)
    full.otherAddresses = [try IPAddress("10.0.0.0"), try IPAddress("::")]
    full.otherPorts = [try InterfaceName("veth0123456789a")]
    full.otherBridges = []
    full.gateways = [try IPAddress("0.0.0.0"), try IPAddress("fd00::1")]
    full.gatewayPriority = Int.min
    full.aliases = ["", "ä€😀", "a/b", "{\u{7f},["]
    full.labels = ["com.example.owner": "ä", "": ""]
    full.announcesToAll = true
    full.forwarding = ["0123 4567 [::]:8080/tcp", ""]
    full.ports = [
      PublishedPort(hostAddress: nil, hostPort: 0, containerPort: 65_535, transport: .sctp),
      PublishedPort(
        hostAddress: try IPAddress("::1"), hostPort: 1, containerPort: 80, transport: .udp, isEphemeral: true,
        translated: [], forwarded: [try IPAddress("::1"), try IPAddress("127.0.0.1")]),
    ]
    full.phase = .stopped
    var bare = try Samples.endpoint(0, phase: .removing)
    bare.ports = []
    bare.aliases = []
    bare.addresses = []
    bare.labels = [:]
    bare.owner = ""
    return [try Samples.endpoint(1), full, bare]
  }

  private static func sandboxes() throws -> [SandboxRecord] {
    var full = try Samples.sandbox("web")
    full.mode = .container("db")
    full.names = NameOptions(
      hostname: "web", domainname: "example.org", dns: [try IPAddress("9.9.9.9")], dnsSearch: ["a", "b"],
      dnsOptions: ["ndots:2"])
    full.filesDirectory = "/var/lib/x"
    full.keepsAddresses = true
    full.handsOutLink = true
    var bare = try Samples.sandbox("side")
    bare.mode = .host
    bare.namespacePath = nil
    bare.namespaceInode = nil
    bare.namespaceCookie = nil
    bare.viewpoint = nil
    bare.ownsNamespace = false
    bare.names = NameOptions()
    bare.keepsAddresses = false
    return [try Samples.sandbox("db"), full, bare]
  }

  @Test func readsWhatIsWritten() throws {
    // One scanner for all: fields shared with the record before are not read again.
    var scanner = RecordScanner()
    for _ in 0..<2 {
      for endpoint in try Self.endpoints() + Self.endpoints() {
        let text = try RecordEncoder.text(endpoint)
        scanner.begin { $0.append(contentsOf: text.utf8) }
        let found = Endpoint(&scanner)
        #expect(found == endpoint)
      }
      for sandbox in try Self.sandboxes() {
        let text = try RecordEncoder.text(sandbox)
        scanner.begin { $0.append(contentsOf: text.utf8) }
        let found = SandboxRecord(&scanner)
        #expect(found == sandbox)
      }
    }
  }

  /// Detects a new field that the scanner lacks: the text of every field is scanned, except rare ones.
  @Test func leavesWhatIsRareToTheOther() throws {
    var endpoint = try Samples.endpoint(1)
    endpoint.aliases = ["a\"b"]
    #expect(scan(try RecordEncoder.text(endpoint).utf8) { Endpoint(&$0) } == nil)
    endpoint = try Samples.endpoint(1)
    let text = try RecordEncoder.text(endpoint)
    for other in [
      text.replacing(",", with: ", ", maxReplacements: 1), text.replacing(#""id":"#, with: #""new":1,"id":"#),
      text.replacing(#","owner":"#, with: #","portChange":{"ports":[],"phase":"ready","owner":""},"owner":"#),
      text + " ", "", "{", "{}", "[]", "null", String(text.dropLast()),
    ] {
      #expect(scan(other.utf8) { Endpoint(&$0) } == nil, "\(other)")
    }
    var sandbox = try Samples.sandbox("web")
    sandbox.warnings = [.portDiscarded(try PortMapping("80:80"), "host")]
    #expect(scan(try RecordEncoder.text(sandbox).utf8) { SandboxRecord(&$0) } == nil)
  }

  /// Every byte changed to several others, left out, and doubled.
  @Test func readsNothingThatTheOtherDoesNot() throws {
    let decoder = JSONDecoder()
    var read = 0
    func agree<Value: Decodable & Equatable>(_ bytes: [UInt8], _ found: Value?) {
      guard let found else { return }
      read += 1
      // As a text is read from the database: invalid UTF-8 is replaced.
      let text = String(decoding: bytes, as: UTF8.self)
      let theirs = try? decoder.decode(Value.self, from: Data(text.utf8))
      if theirs != found { Issue.record("\(text) is read otherwise") }
    }
    func variants(_ text: String) -> [[UInt8]] {
      let bytes = Array(text.utf8)
      let others: [UInt8] = [0, 0x20, 0x22, 0x30, 0x39, 0x7d, 0x5c, 0xff]
      var variants: [[UInt8]] = []
      for index in bytes.indices {
        for byte in others {
          var other = bytes
          other[index] = byte
          variants.append(other)
        }
        var (without, doubled) = (bytes, bytes)
        without.remove(at: index)
        doubled.insert(bytes[index], at: index)
        variants += [without, doubled, Array(bytes[..<index])]
      }
      return variants
    }
    for endpoint in try Self.endpoints() {
      for bytes in variants(try RecordEncoder.text(endpoint)) { agree(bytes, scan(bytes) { Endpoint(&$0) }) }
    }
    for sandbox in try Self.sandboxes() {
      for bytes in variants(try RecordEncoder.text(sandbox)) { agree(bytes, scan(bytes) { SandboxRecord(&$0) }) }
    }
    // Texts within texts changed, mostly.
    #expect(read > 1_000)
  }

  @Test func knowsNumbersToTheirLimits() {
    func number<Value: FixedWidthInteger>(_ text: String, _ type: Value.Type) -> Value? {
      scan("\(text),".utf8) { $0.number(type) }
    }
    #expect(number("65535", UInt16.self) == 65_535)
    #expect(number("65536", UInt16.self) == nil)
    #expect(number("18446744073709551615", UInt64.self) == .max)
    #expect(number("18446744073709551616", UInt64.self) == nil)
    #expect(number("-9223372036854775808", Int.self) == .min)
    #expect(number("-9223372036854775809", Int.self) == nil)
    for text in ["", "-", "-1", "01", "00", "1.0", "1e3", "+1", " 1", "1 "] {
      #expect(number(text, UInt16.self) == nil, "\(text)")
    }
    #expect(number("0", UInt16.self) == 0)
    #expect(number("-0", Int.self) == 0)
  }
}
