import TestSupport
import Testing

@testable import ContainerNetworking
@testable import ContainerNetworkingDNS

/// The names that records give, as they change.
@Suite struct DirectoryTests {
  private func network(_ number: Int) throws -> NetworkRecord {
    NetworkRecord(
      id: "n\(number)", name: "net\(number)", created: Timestamp(nanoseconds: 0), driver: .bridge,
      subnets: [
        SubnetRecord(subnet: try Subnet("10.8\(number).0.0/16"), gateway: nil, auxiliaryAddresses: [:])
      ], isInternal: false, mtu: 1500, policy: NetworkPolicy(), interfacePrefix: "eth", options: [:], labels: [:],
      phase: .ready, owner: "")
  }

  private func endpoint(_ number: Int, on network: Int, aliases: [String]) throws -> Endpoint {
    Endpoint(
      id: "e\(number)-\(network)", networkID: "n\(network)", networkName: "net\(network)", container: "c\(number)",
      sandboxID: "\(number)" + String(repeating: "f", count: 20), interface: try InterfaceName("eth0"),
      macAddress: try MACAddress("02:00:00:00:00:01"),
      addresses: [try InterfaceAddress("10.8\(network).\(number / 200).\(number % 200 + 2)/16")], staticAddresses: [],
      gateways: [], gatewayPriority: 0, aliases: aliases, ports: [], phase: .ready, owner: "")
  }

  /// The view of an index by every client.
  private func view(_ index: DirectoryIndex, _ names: [String]) throws -> [String] {
    var lines: [String] = []
    for network in 0..<3 {
      for asker in 0..<8 {
        let source = try IPAddress("10.8\(network).0.\(asker + 2)")
        for name in names {
          let answer = index.look(
            up: try DomainName(parsing: name), .a, from: source, at: .gateway(network: "n\(network)"))
          var text = "\(answer)"
          if case .addresses(let addresses) = answer { text = "\(addresses.sorted())" }
          lines.append("\(network) \(asker) \(name): \(text)")
        }
      }
    }
    return lines
  }

  @Test func stepByStepItIsWhatItWouldBeAtOnce() throws {
    var random = SeededGenerator()
    var index = DirectoryIndex()
    var records: [StoreRecord.Key: StoreRecord] = [:]
    let aliases = ["a", "b", "*.w", "*.x.w", "c3"]
    var names = aliases.map { $0.hasPrefix("*") ? "q" + $0.dropFirst() : $0 } + (0..<8).map { "c\($0)" }
    names += ["c1.net1", "h1", "4ffffffffff"]
    for step in 1...400 {
      var changes: [StoreChange] = []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let number = Int.random(in: 0..<8, using: &random)
        let network = Int.random(in: 0..<3, using: &random)
        let record: StoreRecord
        switch Int.random(in: 0..<6, using: &random) {
        case 0: record = .network(try self.network(network))
        case 1:
          var sandbox = SandboxRecord(
            container: "c\(number)", mode: .network("net0"), sandboxID: "\(number)" + String(repeating: "f", count: 20),
            ownsNamespace: false, warnings: [], phase: .ready, owner: "")
          sandbox.names = Bool.random(using: &random) ? NameOptions(hostname: "h\(number % 2)") : nil
          record = .sandbox(sandbox)
        default:
          var endpoint = try endpoint(
            number, on: network, aliases: aliases.filter { _ in Bool.random(using: &random) })
          if Int.random(in: 0..<5, using: &random) == 0 { endpoint.phase = .removing }
          record = .endpoint(endpoint)
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
          changes.append(.remove(record.key))
          records[record.key] = nil
        } else {
          changes.append(.save(record))
          records[record.key] = record
        }
      }
      _ = index.take(StoreDelta(isComplete: false, changes: changes, revision: UInt64(step)))
      guard step % 8 == 0 else { continue }
      var whole = DirectoryIndex()
      let all = records.values.map { StoreChange.save($0) }.shuffled(using: &random)
      _ = whole.take(StoreDelta(isComplete: true, changes: all, revision: UInt64(step)))
      #expect(try view(index, names) == view(whole, names), "step \(step)")
    }
    // Nothing remains of removed records.
    let gone = index.take(
      StoreDelta(isComplete: false, changes: records.keys.map { .remove($0) }, revision: 1_000))
    #expect(index.networks.isEmpty && index.sandboxes.isEmpty)
    #expect(Set(gone.networks) == Set(records.keys.filter { $0.kind == .network }.map(\.id)))
  }

  /// An engine's id has more digits than a label of DNS.
  @Test func addressOfAContainerWithoutANameIsItsFirstAliases() throws {
    var record = try endpoint(1, on: 0, aliases: ["web", "www"])
    record.container = String(repeating: "4", count: 64)
    var sandbox = SandboxRecord(
      container: record.container, mode: .network("net0"), sandboxID: record.sandboxID, ownsNamespace: false,
      warnings: [], phase: .ready, owner: "")
    sandbox.names = nil
    var index = DirectoryIndex()
    _ = index.take(
      StoreDelta(
        isComplete: true,
        changes: [.save(.network(try network(0))), .save(.sandbox(sandbox)), .save(.endpoint(record))], revision: 1))
    let source = try IPAddress("10.80.0.3")
    let answer = index.look(
      up: try DomainName(parsing: "3.0.80.10.in-addr.arpa"), .ptr, from: source, at: .gateway(network: "n0"))
    #expect(answer == .names([try DomainName(parsing: "web.net0")]))
  }

  @Test func resolverFilesAreReadAsTheyAreWritten() {
    let text = """
      # a comment
      domain example.org
      nameserver 192.0.2.1
      nameserver\t192.0.2.2   # behind it
      nameserver fe80::1%eth0
      nameserver nonsense
      nameserver
      nameserver 192.0.2.1
       nameserver 192.0.2.3
      options ndots:2
      """
    let servers = ResolverFile.servers(in: text).map { "\($0.address)%\($0.zone ?? "")" }
    #expect(servers == ["192.0.2.1%", "192.0.2.2%", "fe80::1%eth0", "192.0.2.3%"])
  }
}
