import NetworkPrimitives
import StoreSamples
import Testing

@testable import ContainerNetworking
@testable import ContainerNetworkingStore

/// The hand-written form equals, byte for byte, the encoder's for the same record: with every field, and with no
/// optional one. A new field has no value here, which the tests report.
@Suite struct RecordWriterTests {
  /// The fields that have no value.
  private func missing(of record: Any) -> [String] {
    Mirror(reflecting: record).children.compactMap { child in
      let value = Mirror(reflecting: child.value)
      return value.displayStyle == .optional && value.children.isEmpty ? child.label : nil
    }
  }

  private static let texts = ["", "c1", "ä€😀", "a\"b\\c", "\u{1}\n\t", "{\u{7f},["]

  private func ports() throws -> [PublishedPort] {
    let full = PublishedPort(
      hostAddress: try IPAddress("192.0.2.10"), hostPort: 65_535, containerPort: 0, transport: .udp, isEphemeral: true,
      translated: [try IPAddress("0.0.0.0"), try IPAddress("::")], forwarded: [try IPAddress("::1")])
    #expect(missing(of: full) == [])
    return [full, PublishedPort(hostAddress: nil, hostPort: 10, containerPort: 80, transport: .tcp)]
  }

  @Test func endpoints() throws {
    var full = try Samples.endpoint(7, phase: .creating)
    full.hostInterface = try InterfaceName("veth01234567")
    full.bridge = try InterfaceName("br-01234567-1")
    full.addresses = [try InterfaceAddress("255.100.10.1/32"), try InterfaceAddress("fd00::1:9/64")]
    full.staticAddresses = full.addresses.map(\.address)
    full.otherAddresses = [try IPAddress("10.0.0.0"), try IPAddress("::")]
    full.otherPorts = [try InterfaceName("veth0123456789a"), try InterfaceName("ä")]
    full.otherBridges = []
    full.gateways = [try IPAddress("0.0.0.0"), try IPAddress("fd00::1")]
    full.gatewayPriority = .min
    full.aliases = Self.texts
    full.labels = ["a\"b": "ä"]
    full.announcesToAll = true
    full.forwarding = Self.texts
    full.ports = try ports()
    full.portChange = PortChange(ports: try ports(), phase: .removing, owner: "x")
    #expect(missing(of: full) == [])
    #expect(try RecordWriter.text(full) == RecordEncoder.text(full))
    var bare = try Samples.endpoint(0)
    (bare.hostInterface, bare.ports, bare.aliases, bare.gateways) = (nil, [], [], [])
    for text in Self.texts {
      bare.container = text
      bare.gatewayPriority = text.utf8.count * 1_234_567_891
      #expect(try RecordWriter.text(bare) == RecordEncoder.text(bare))
    }
  }

  @Test func sandboxes() throws {
    var full = try Samples.sandbox("web")
    full.mode = .container("a\"b")
    full.warnings = [.portDiscarded(try PortMapping("8080-8081:80-81/udp"), "host")]
    full.names = NameOptions()
    full.filesDirectory = "/run/x \\"
    full.keepsAddresses = false
    full.handsOutLink = true
    #expect(missing(of: full) == [])
    #expect(try RecordWriter.text(full) == RecordEncoder.text(full))
    for mode in [NetworkMode.bridge, .none, .host, .network("blue")] {
      var bare = try Samples.sandbox("web")
      (bare.mode, bare.namespacePath, bare.namespaceInode) = (mode, nil, nil)
      (bare.namespaceCookie, bare.viewpoint) = (nil, nil)
      #expect(try RecordWriter.text(bare) == RecordEncoder.text(bare))
    }
  }

  @Test func poolsAndEvents() throws {
    var pool = try Samples.pool()
    #expect(missing(of: pool) == [])
    #expect(try RecordWriter.text(pool) == RecordEncoder.text(pool))
    pool.resting = try ["10.0.0.1", "192.168.100.200", "fd00::5"].map { try IPAddress($0) }
    pool.family = .ipv4
    #expect(try RecordWriter.text(pool) == RecordEncoder.text(pool))
    (pool.cursor, pool.resting) = (nil, [])
    #expect(try RecordWriter.text(pool) == RecordEncoder.text(pool))
    var event = NetworkEvent(.publish, networkID: "a", network: "b", container: "c")
    event.ports = try ports()
    #expect(missing(of: event) == [])
    #expect(try RecordWriter.text(event) == RecordEncoder.text(event))
    event = NetworkEvent(.prune)
    #expect(try RecordWriter.text(event) == RecordEncoder.text(event))
  }
}
