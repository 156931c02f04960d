import ContainerNetworking
import Lab
import Testing

/// Each policy of a network, against the table in Documentation/Reach.md.
@Suite(.fewWorlds) struct PolicyReachTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var heading: String
    var policy: NetworkPolicy
    var isInternal = false
    /// Whether frames between a bridge's ports go through the rules of packets too: it must make no difference.
    var callsRules = false

    var testDescription: String { heading + (callsRules ? ", with br_netfilter" : "") }
  }

  static let cases: [Case] = {
    let closed = NetworkPolicy(allowsContainerTraffic: false)
    let open = NetworkPolicy(gatewayModeIPv4: .natUnprotected, gatewayModeIPv6: .natUnprotected)
    let routed = NetworkPolicy(gatewayModeIPv4: .routed, gatewayModeIPv6: .routed)
    let isolated = NetworkPolicy(gatewayModeIPv4: .isolated, gatewayModeIPv6: .isolated)
    var fixed = NetworkPolicy()
    (fixed.sourceAddressIPv4, fixed.sourceAddressIPv6) = (PolicyWorld.hostForOffice[0], PolicyWorld.hostForOffice[1])
    var trusting = NetworkPolicy()
    trusting.trustedInterfaces = (try? InterfaceName("eth1")).map { [$0] }
    return [
      Case(heading: "nat", policy: NetworkPolicy()),
      Case(heading: "nat", policy: NetworkPolicy(), callsRules: true),
      Case(heading: "nat, without masquerade", policy: NetworkPolicy(masquerades: false)),
      Case(heading: "nat, containers kept apart", policy: closed),
      Case(heading: "nat, containers kept apart", policy: closed, callsRules: true),
      Case(heading: "nat, with a source address", policy: fixed),
      Case(heading: "nat, with a trusted interface", policy: trusting),
      Case(heading: "nat-unprotected", policy: open),
      Case(heading: "routed", policy: routed),
      Case(heading: "routed", policy: routed, callsRules: true),
      Case(heading: "IPv4 nat, IPv6 routed", policy: NetworkPolicy(gatewayModeIPv4: .nat, gatewayModeIPv6: .routed)),
      Case(heading: "internal", policy: NetworkPolicy(), isInternal: true),
      Case(heading: "internal", policy: NetworkPolicy(), isInternal: true, callsRules: true),
      Case(heading: "internal, containers kept apart", policy: closed, isInternal: true),
      Case(heading: "internal and isolated", policy: isolated, isInternal: true),
    ]
  }()

  @Test(.timeLimit(.minutes(10)), arguments: cases) func reach(_ policy: Case) async throws {
    let world = try await PolicyWorld()
    try world.setBridgeNetfilter(policy.callsRules)
    try await world.populate(policy.policy, isInternal: policy.isInternal)
    // On an isolated network only the other container can answer.
    let isIsolated = policy.policy.gatewayModeIPv4 == .isolated
    try await world.check(
      PolicyWorld.table, under: policy.heading,
      links: [
        ("web", isIsolated ? PolicyWorld.peer : PolicyWorld.gateway),
        ("peer", isIsolated ? PolicyWorld.web : PolicyWorld.gateway),
      ])
  }

  /// No table stands there untried.
  @Test func everyTableIsTried() throws {
    let others = [
      "Published ports", "A host binding address", "Containers of several networks", "Host, none and container mode",
      "Networks of one family", "Networks of one family, with a forwarder", "Containers with routes of their own",
      "Two uplinks with routes by source", "Two uplinks with routes by source, and marks",
      "A link that comes later", "A link that comes later, after the next attach", "Two machines and a router",
    ]
    let document = ReachDocument("Reach.md")
    #expect(Set(try document.headings()) == Set(Self.cases.map(\.heading) + others))
    let totals = try document.totals()
    print("Reach.md: \(totals.text)")
    #expect(try document.has("All tables together: \(totals.text).", beginning: "All tables together: "))
  }
}
