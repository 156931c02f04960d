import ContainerNetworking
import Playground
import Testing

/// A container's changes of nftables: elements, never rules; and the number of transactions.
@Suite struct CostTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
  }

  /// Every table, chain, set and rule with its handle, which distinguishes a replaced one from a kept one; without
  /// elements.
  private func skeleton() throws -> [String] {
    let text = try #require(try world.output("nft", "-a", "list", "ruleset", in: world.host))
    return text.replacing(#/packets \d+ bytes \d+/#, with: "").split(separator: "\n").map(String.init)
      .filter { $0.contains("# handle") }
  }

  private func generation() throws -> UInt32 {
    let answer = try world.host.connection(.netfilter).execute(NftRequests.generation())
    return try NftRequests.generation(try #require(answer.first))
  }

  /// How many transactions a call takes.
  private func transactions(_ body: () async throws -> Void) async throws -> UInt32 {
    let before = try generation()
    try await body()
    return try generation() - before
  }

  @Test(.timeLimit(.minutes(5))) func aContainerIsElementsInOneTransaction() async throws {
    let dual = try NetworkOptions(["10.60.0.0/24", "fd00:60::/64"])
    try await controller.createNetwork("first", options: dual)
    let before = try skeleton()
    #expect(before.count > 60)
    var other = try NetworkOptions(["10.61.0.0/24", "fd00:61::/64"])
    other.policy = NetworkPolicy(
      allowsContainerTraffic: false, gatewayModeIPv4: .routed, trustedInterfaces: [try InterfaceName("eth0")])
    let options = other
    #expect(try await transactions { try await controller.createNetwork("second", options: options) } == 1)
    #expect(try skeleton() == before)
    let ports = AttachOptions(
      ports: [try PortMapping("8080-8082:80-82"), try PortMapping("203.0.113.1:90:90/udp"), try PortMapping("53/udp")])
    for network in ["first", "second"] {
      #expect(try await transactions { try await controller.attach("c", to: .network(network), options: ports) } == 1)
      #expect(try skeleton() == before)
      #expect(try await transactions { try await controller.detach("c") } == 1)
      #expect(try skeleton() == before)
    }
    try await controller.attach("c", to: .network("first"), options: ports)
    #expect(try await transactions { try await controller.connect("c", to: "second") } == 1)
    #expect(try skeleton() == before)
    // Both go at once.
    #expect(try await transactions { try await controller.detach("c") } == 2)
    #expect(try await transactions { try await controller.removeNetwork("second") } == 1)
    #expect(try skeleton() == before)
    try await controller.removeAll()
  }

  /// After a flush one transaction restores the elements of 1,000 containers with three ports each.
  @Test(.timeLimit(.minutes(10))) func oneTransactionPutsEverythingBack() async throws {
    try await controller.createNetwork("net", options: NetworkOptions(["10.60.0.0/20"]))
    // Held to the end, when the kernel takes all away together.
    var containers: [Sandbox] = []
    for number in 0..<1_000 {
      let first = 10_000 + number * 3
      containers.append(
        try await controller.attach(
          "c\(number)", to: .network("net"), options: AttachOptions(ports: [PortMapping("\(first)-\(first + 2):80-82")])
        ))
    }
    let rules = { try world.output("nft", "-s", "list", "ruleset", in: world.host) }
    let before = try #require(try rules())
    #expect(before.matches(of: #/6 \. |tcp \. 1\d\d\d\d (?:comment "[^"]*" )?: /#).count >= 3_000)
    #expect(try world.output("nft", "flush", "ruleset", in: world.host) != nil)
    let clock = ContinuousClock()
    var whole: Duration = .zero
    let taken = try await transactions {
      let start = clock.now
      let report = try await controller.reconcile()
      whole = clock.now - start
      #expect(report.found.map(\.kind) == [.rules] && report.remaining == [] && report.failures == [])
    }
    #expect(taken == 1)
    let after = try #require(try rules())
    let parts = { (text: String) in Set(text.split { "\n,".contains($0) }.map { $0.trimmingPrefix { $0 == " " } }) }
    let isTheSame = parts(after) == parts(before)
    #expect(isTheSame, "something is not as it was")
    print("1,000 containers with 3 ports each: found, put back in one transaction and looked at again in \(whole)")
    containers.removeAll()
  }
}
