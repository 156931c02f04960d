import Playground
import Testing

@testable import ContainerNetworking

/// Every dropping rule of ours has an explanation, and no explanation lacks its rule.
@Suite struct RuleReasonTests {
  @Test func everyDropOfTheKernelsRulesHasAReason() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host)
    try await controller.attach("web")
    var keys: Set<String> = []
    var drops = 0
    let connection = try world.host.connection(.netfilter)
    for table in FirewallSets.tables {
      for message in try connection.dump(NftRequests.rules(of: table)) {
        let rule = try NftRuleRecord(message)
        let key = RuleKey(rule)
        keys.insert("\(key)")
        guard ["drop", "reject"].contains(key.words.last) else { continue }
        drops += 1
        let reason = RuleReasons.reason(for: key, RuleFacts())
        #expect(reason != nil, "the rule \(rule.handle) of \(rule.chain.name) has no reason under \"\(key)\"")
        #expect(reason?.isEmpty == false)
      }
    }
    let listed = try #require(try world.output("nft", "list", "ruleset", in: world.host))
    #expect(drops == listed.matches(of: #/(?m)\b(drop|reject)\b[^;\n]*$/#).count, "nft counts other rules that drop")
    #expect(drops > 10)
    for key in RuleReasons.all.keys.sorted() {
      #expect(keys.contains(key), "\"\(key)\" explains a rule that the kernel does not have")
    }
    try await controller.removeAll()
  }
}
