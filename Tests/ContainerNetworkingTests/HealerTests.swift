import ContainerNetworking
import Playground
import Synchronization
import TestSupport
import Testing

/// Differences that change while they are looked at, and repairs that fail; on the real kernel.
@Suite(.timeLimit(.minutes(5))) struct HealerTests {
  let world: Playground
  let kernel = RulesHookKernel()
  let host: NetworkNamespace

  init() throws {
    world = try Playground()
    host = NetworkNamespace(world.host.handle, of: kernel)
  }

  /// Waits until a condition holds, and reports a failure.
  private func expectSoon(
    _ what: String, _ sourceLocation: SourceLocation = #_sourceLocation, _ isSo: () async throws -> Bool
  ) async throws {
    if try await !eventually(isSo) {
      Issue.record("not within \(Patience.limit): \(what)", sourceLocation: sourceLocation)
    }
  }

  /// While our tables cannot be made, other removed objects are restored.
  @Test func stuckRulesKeepNothingElseFromBeingHealed() async throws {
    let reports = Mutex<[ReconcileReport]>([])
    var settings = ControllerSettings(heals: true)
    settings.onHeal = { report in reports.withLock { $0.append(report) } }
    let controller = try await NetworkController(host: host, settings: settings)
    let web = try await controller.attach("web")
    kernel.refuseTables(true)
    #expect(try world.output("nft", "flush ruleset", in: world.host) != nil)
    try await expectSoon("a failure is told") { reports.withLock { $0.contains { !$0.failures.isEmpty } } }
    for round in 1...2 {
      try world.host.links.delete(index: try world.host.links.get("cn0").index)
      try await expectSoon("the bridge is back, round \(round)") {
        try world.pings("172.17.0.1", from: web.namespace, within: 1)
      }
    }
    #expect(try world.output("nft", "list", "tables", in: world.host) == "")
    kernel.refuseTables(false)
    try await expectSoon("all is well") { try await controller.differences().isEmpty }
    #expect(try world.output("nft", "list", "tables", in: world.host)?.contains("containernetworking") == true)
    try await controller.removeAll()
  }

  /// Containers come and go between the two checks: the number of missing elements differs.
  @Test func moreRulesGoBetweenTheLooks() async throws {
    let controller = try await NetworkController(host: host)
    try await controller.attach("web", options: AttachOptions(ports: [PortMapping("8080-8089:80-89")]))
    let before = try world.output("nft", "-s", "list", "ruleset", in: world.host)
    var port = 8080
    for repair in [controller.reconcile, controller.reconcileRules] {
      let delete = { @Sendable [world] (port: Int) in
        _ = try? world.output(
          "nft", "delete element inet containernetworking published4 { 6 . \(port) }", in: world.host)
      }
      delete(port)
      // In the second check: each check lists two tables.
      kernel.before(listing: 3) { [port] in delete(port + 1) }
      let report = try await repair()
      #expect(report.found.map(\.kind) == [.rules] && report.remaining == [] && report.failures == [])
      #expect(report.found.first?.detail.contains("2 elements missing") == true)
      #expect(try world.output("nft", "-s", "list", "ruleset", in: world.host) == before)
      port += 2
    }
    try await controller.removeAll()
  }
}
