import Netlink
import Playground
import Testing

@testable import ContainerNetworking

/// Tables that another version of this library made.
@Suite(.timeLimit(.minutes(5))) struct RulesVersionTests {
  /// A change of a set, a chain or a rule must increment ``Firewall/version``, and this number.
  @Test func eachVersionHasItsRules() throws {
    var changes = NftTransaction()
    for table in FirewallSets.tables { try Firewall.add(table, to: &changes) }
    // FNV-1a.
    var sum: UInt64 = 0xcbf2_9ce4_8422_2325
    for request in changes.requests {
      for byte in [UInt8(request.type & 0xff)] + request.body { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    #expect((Firewall.version, sum) == (2, 10_885_039_857_810_419_761))
  }

  @Test func theyAreRenewedBeforeTheyAreUsed() async throws {
    let world = try Playground(isDualStack: true)
    let store = MemoryStore()
    let first = try await NetworkController(host: world.host, store: store)
    try await first.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.71.0.0/24")))
    try await first.attach("web", to: .network("blue"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let whole = try ruleCount(world)
    // As an older version left it: fewer sets, other rules, and nothing in the record.
    func age() throws {
      for rule in [
        "delete table inet containernetworking", "add table inet containernetworking",
        "add set inet containernetworking bridges { type ifname ; }",
      ] { #expect(try world.output("nft", rule, in: world.host) == "") }
    }
    try age()
    _ = try store.update(since: 0, .process) { (delta) throws(NetworkError) in
      for case .save(.host(var host)) in delta.changes {
        host.rulesVersion = nil
        return ((), [.save(.host(host))])
      }
      return ((), [])
    }
    let second = try await NetworkController(host: world.host, store: store)
    #expect(try ruleCount(world) == whole)
    #expect(try await second.differences() == [])
    try await second.attach("db", to: .network("blue"), options: AttachOptions(ports: [PortMapping("8081:80")]))
    // The recorded version is trusted: opening a record does not read the kernel.
    try age()
    let third = try await NetworkController(host: world.host, store: store)
    #expect(try await third.differences().map(\.kind) == [.rules])
    try await third.reconcile()
    try await third.removeAll()
    #expect(try world.output("nft", "list", "ruleset", in: world.host) == "")
  }

  private func ruleCount(_ world: Playground) throws -> Int {
    let text = try world.output("nft", "-a", "list", "table", "inet", "containernetworking", in: world.host) ?? ""
    return text.split(separator: "\n").count { $0.contains("# handle") }
  }
}
