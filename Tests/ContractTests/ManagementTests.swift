import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// The verbs that inspect and clean up, on the simulated kernel.
@Suite struct ManagementTests {
  let kernel: SimulatedKernel
  let controller: NetworkController

  init() async throws {
    kernel = SimulatedKernel()
    controller = try await NetworkController(
      host: try NetworkNamespace.create(on: kernel), settings: ControllerSettings(resolvers: []))
    for (name, subnet) in [("net10", "10.1.0.0/24"), ("net9", "10.2.0.0/24")] {
      try await controller.createNetwork(
        name, options: NetworkOptions(subnet: try Subnet(subnet), labels: ["made-for": name]))
    }
    try await controller.attach("web", to: .network("net9"))
  }

  @Test func listsAndInspects() async throws {
    #expect(try await controller.networks(matching: NetworkFilter()).map(\.name) == ["net9", "net10"])
    var filter = NetworkFilter()
    try filter.add("label=made-for=net10")
    #expect(try await controller.networks(matching: filter).map(\.name) == ["net10"])
    let inspection = try await controller.inspect("net9")
    #expect(inspection.endpoints.map(\.container) == ["web"])
    // Network, broadcast and gateway address, and that of "web".
    #expect(inspection.usage.map(\.inUse) == [4])
    #expect(try await controller.sandboxes().map(\.container) == ["web"])
  }

  @Test func prunesWhatNothingIsOnAndTellsOfIt() async throws {
    let report = try await controller.prune()
    #expect(report.removed.map(\.name) == ["net10"])
    #expect(report.failures.isEmpty)
    #expect(try await controller.networks().map(\.name) == ["net9"])
    let events = try await controller.events()
    #expect(events.map(\.event.action) == [.create, .create, .connect, .destroy, .prune])
    #expect(events.map(\.number) == [1, 2, 3, 4, 5])
  }

  @Test func findsAndRepairsWhatSomebodyTookAway() async throws {
    #expect(try await controller.differences() == [])
    let bridge = try #require(try await controller.network("net9").bridge)
    let link = try controller.host.links.get("\(bridge)")
    try controller.host.links.delete(index: link.index)
    #expect(try await controller.differences().contains { $0.kind == .bridgeMissing })
    let report = try await controller.reconcile()
    #expect(!report.found.isEmpty && report.remaining.isEmpty && report.failures.isEmpty)
    #expect(try await controller.differences() == [])
    let repaired = try controller.host.links.get("\(bridge)")
    #expect(repaired.index != link.index && repaired.macAddress == link.macAddress)
  }
}
