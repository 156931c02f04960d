import ContainerNetworking
import Foundation
import Playground
import Testing

/// Documentation/Rulesets.md: every rule explained, and the elements of each kind of network, endpoint and port;
/// generated from the kernel's state.
@Suite(.fewWorlds) struct RulesetsDocumentTests {
  /// The host's ruleset, with ports named after their networks instead of their random names.
  private func ruleset(_ controller: NetworkController, _ world: Playground) async throws -> Ruleset {
    var text = try #require(try world.output("nft", "-s", "list", "ruleset", in: world.host))
    for endpoint in try await controller.sandboxes().flatMap(\.endpoints) {
      if let port = endpoint.hostInterface { text.replace("\(port)", with: "veth-\(endpoint.networkName)") }
    }
    // The record's id in each element's comment is irrelevant here.
    text.replace("0x\(controller.recordID)", with: "0x1a2b3c4d")
    text.replace(#/ comment "[^"]*"/#, with: "")
    return Ruleset(text)
  }

  private func ruleset(_ item: RulesetCase) async throws -> Ruleset {
    let world = try Playground(isDualStack: true)
    let controller = try await NetworkController(host: world.host)
    try await item.make(controller)
    let ruleset = try await ruleset(controller, world)
    try await controller.removeAll()
    return ruleset
  }

  @Test(.timeLimit(.minutes(10))) func pageIsWhatTheKernelHas() async throws {
    var found: [String: Ruleset] = [:]
    for item in RulesetCase.all { found[item.title] = try await ruleset(item) }
    let rules = try #require(found[RulesetCase.all[0].title]?.rules)
    for (title, ruleset) in found { #expect(ruleset.rules == rules, "\"\(title)\" has rules of its own") }

    var missing: [String] = []
    var page = RulesetPage.introduction
    for table in rules.tables { page += RulesetPage.text(of: table, missing: &missing) }
    for (heading, text, cases) in RulesetPage.chapters {
      page += "## \(heading)\n\n\(text)\n\n"
      for item in cases {
        let base = item.base.flatMap { found[$0] }
        let own = try #require(found[item.title])
        page += RulesetPage.text(of: item, own, from: base)
      }
    }
    page += RulesetPage.end
    #expect(missing == [], "explain them in RulesetExplanations.swift")
    let unused = Explanations.unused(by: rules)
    #expect(unused == [], "there is no such chain, rule or set any more")

    let path = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../../Documentation/Rulesets.md")
    if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil { try Data(page.utf8).write(to: path) }
    let written = try String(contentsOf: path, encoding: .utf8)
    #expect(written == page, "the page differs; run UPDATE_DOCUMENTS=1 swift test --filter RulesetsDocumentTests")
  }

  /// A macvlan network's containers are on a wire of their own.
  @Test(.timeLimit(.minutes(10))) func macvlanHasNoRules() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host)
    let options = NetworkOptions(
      driver: .macvlan, subnet: try Subnet("203.0.113.0/24"), gateway: try IPAddress("203.0.113.2"),
      parent: try InterfaceName("eth0"))
    try await controller.createNetwork("wire", options: options)
    try await controller.attach("web", to: .network("wire"))
    let ruleset = try await ruleset(controller, world)
    #expect(ruleset.elements.isEmpty)
    try await controller.removeAll()
  }
}
