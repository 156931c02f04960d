import ContainerNetworkingTestKit
import Testing

@testable import ContainerNetworking

/// A record with a network whose driver this controller does not have: it is shown, and left as it is.
@Suite(.timeLimit(.minutes(10))) struct UnknownDriverTests {
  private let kernel = SimulatedKernel()
  private let store = MemoryStore()

  private func makeController(_ host: NetworkNamespace) async throws -> NetworkController {
    try await NetworkController(host: host, store: store, settings: ControllerSettings(resolvers: []))
  }

  /// Gives a network's record another driver, and a phase.
  private func change(_ name: String, to driver: NetworkDriver, _ phase: Phase = .ready) throws {
    _ = try store.update(since: 0, .process) { delta in
      let changes: [StoreChange] = delta.changes.compactMap { change in
        guard case .save(.network(var record)) = change, record.name == name else { return nil }
        (record.driver, record.phase) = (driver, phase)
        return .save(.network(record))
      }
      return ((), changes)
    }
  }

  private func refusal(_ body: () async throws -> Void) async -> NetworkError? {
    do {
      try await body()
      return nil
    } catch { return error as? NetworkError }
  }

  @Test func aNetworkOfAnotherDriverIsLeftAlone() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let maker = try await makeController(host)
    try await maker.createNetwork("far", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    try await maker.createNetwork("near", options: NetworkOptions(subnet: try Subnet("10.2.0.0/24")))
    try await maker.attach("old", to: .network("far"))
    try change("far", to: NetworkDriver("vxlan"))
    let controller = try await makeController(host)
    try await controller.attach("both", to: .network("near"))
    let before = kernel.snapshot()

    // It is shown.
    #expect(try await controller.networks().map { "\($0.name) \($0.driver)" } == ["far vxlan", "near bridge"])
    #expect(try await controller.inspect("far").network.driver == NetworkDriver("vxlan"))
    var filter = NetworkFilter()
    try filter.add("driver=vxlan")
    #expect(try await controller.networks(matching: filter).map(\.name) == ["far"])
    #expect(try await controller.graph().networks.map(\.name).contains("far"))

    // Its verbs are refused, with its name and the drivers that there are.
    let port = try PortMapping("8080:80")
    let verbs: [(String, @Sendable () async throws -> Void)] = [
      ("attach", { try await controller.attach("new", to: .network("far")) }),
      ("attach from what is ready", { try await controller.keepReady(1, on: "far") }),
      ("connect", { try await controller.connect("both", to: "far") }),
      ("disconnect", { try await controller.disconnect("old", from: "far") }),
      ("publish", { try await controller.publish([port], of: "old") }),
      ("unpublish", { try await controller.unpublish(of: "old") }),
      ("stop", { try await controller.stop("old") }),
      ("detach", { try await controller.detach("old") }),
      ("rm", { try await controller.removeNetwork("far") }),
    ]
    for (name, verb) in verbs {
      let error = await refusal(verb)
      #expect(error?.code == .unsupported, "\(name): \(error as Any)")
      let text = error?.description ?? ""
      for part in ["\"far\"", "\"vxlan\"", "bridge", "macvlan"] { #expect(text.contains(part), "\(name): \(text)") }
      #expect(kernel.snapshot() == before, "\(name)")
    }
    try await controller.keepReady(0, on: "far")
    let areThere = await controller.attach([
      AttachRequest("one", to: .network("far")), AttachRequest("two", to: .network("near")),
      AttachRequest("three", to: .network("near")),
    ]).map { (try? $0.get()) != nil }
    #expect(areThere == [false, true, true])
    for name in ["two", "three"] { try await controller.detach(name) }
    #expect(kernel.snapshot() == before)

    // All else goes on.
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.driverMissing] && found.first?.network == "far")
    #expect(found.first?.detail.contains("there is no driver \"vxlan\"; there are: bridge,") == true)
    let bridge = try #require(try await maker.network("near").bridge)
    try host.links.delete(index: try host.links.get("\(bridge)").index)
    let report = try await controller.reconcile()
    #expect(report.remaining.map(\.kind) == [.driverMissing] && report.failures == [])
    try await controller.detach("both")
    let pruned = try await controller.prune()
    #expect(pruned.removed.map(\.name) == ["near"] && pruned.failures == [])
    #expect(try await controller.networks().map(\.name) == ["far"])

    // With its driver it is whole again.
    try change("far", to: .bridge)
    let owner = try await makeController(host)
    #expect(try await owner.differences() == [])
    try await owner.removeAll()
    #expect(try host.links.list().map(\.name) == ["lo"])
  }

  /// Neither a crash nor a start of the machine has a half-made network of another driver taken for a bridge.
  @Test(arguments: [Phase.creating, .removing, .ready]) func recoveryLeavesItAlone(_ phase: Phase) async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let maker = try await makeController(host)
    let network = try await maker.createNetwork("far", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    try await maker.createNetwork("near", options: NetworkOptions(subnet: try Subnet("10.2.0.0/24")))
    try change("far", to: NetworkDriver("vxlan"), phase)
    _ = try store.update(since: 0, .process) { delta in
      let changes: [StoreChange] = delta.changes.compactMap { change in
        guard case .save(.network(var record)) = change, record.name == "far" else { return nil }
        record.owner = ""
        return .save(.network(record))
      }
      return ((), changes)
    }
    _ = try await makeController(host)
    #expect(try host.links.list().contains { $0.name == network.bridge?.description })
    #expect(
      store.read(since: 0).changes.contains { change in
        if case .save(.network(let record)) = change { record.name == "far" && record.phase == phase } else { false }
      })

    // After a start of the machine.
    for name in [network.bridge, try await maker.network("near").bridge].compactMap(\.self) {
      try host.links.delete(index: try host.links.get("\(name)").index)
    }
    var settings = ControllerSettings(resolvers: [])
    settings.bootID = "another"
    let controller = try await NetworkController(host: host, store: store, settings: settings)
    let bridges = try host.links.list().filter { $0.kind == "bridge" }.map(\.name)
    #expect(bridges == [try await controller.network("near").bridge?.description])
  }

  @Test func anUnknownDriverIsNoBridgeWhenANetworkIsMade() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await makeController(host)
    let before = kernel.snapshot()
    for driver in [NetworkDriver("vxlan"), .overlay, NetworkDriver("")] {
      let error = await refusal {
        try await controller.createNetwork(
          "far", options: NetworkOptions(driver: driver, subnet: try Subnet("10.1.0.0/24")))
      }
      #expect(error?.code == .unsupported && error?.description.contains("there is no driver \"\(driver)\"") == true)
    }
    #expect(kernel.snapshot() == before)
  }
}
