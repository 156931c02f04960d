import ContainerNetworking
import ContainerNetworkingTestKit
import InMemoryLogging
import Logging
import MetricsTestKit
import Netlink
import TestSupport
import Testing

/// What a controller tells of its verbs and repairs: a line each, and a figure.
@Suite(.timeLimit(.minutes(5))) struct TelemetryTests {
  private let kernel = SimulatedKernel()
  private let handler = InMemoryLogHandler()
  private let metrics = TestMetrics()

  private func makeController(
    of host: NetworkNamespace, heals: Bool = false, level: Logger.Level = .info
  ) async throws -> NetworkController {
    var logger = Logger(label: "test") { [handler] _ in handler }
    logger.logLevel = level
    return try await NetworkController(
      host: host,
      settings: ControllerSettings(
        resolvers: [], namespaceDirectory: "/run/netns", heals: heals, logger: logger, metrics: metrics))
  }

  private func lines() -> [String] {
    handler.entries.map { entry in
      let fields = ["containers", "container", "network", "code", "kind"].compactMap { key in
        entry.metadata[key].map { "\(key)=\($0)" }
      }
      return (["\(entry.level)", "\(entry.message)"] + fields).joined(separator: " ")
    }
  }

  @Test func eachVerbIsALineAndAFigure() async throws {
    let controller = try await makeController(of: try NetworkNamespace.create(on: kernel))
    try await controller.createNetwork("blue", options: NetworkOptions())
    try await controller.attach("web", to: .network("blue"))
    try await controller.attach("side")
    try await controller.connect("side", to: "blue")
    try await controller.publish([PortMapping("8080:80")], of: "web")
    try await controller.unpublish(of: "web")
    try await controller.disconnect("side", from: "blue")
    _ = await controller.attach([AttachRequest("one"), AttachRequest("two")])
    try await controller.stop("one")
    _ = await refusal { try await controller.attach("web") }
    _ = await refusal { try await controller.removeNetwork("blue") }
    try await controller.keepReady(1, on: "blue")
    try await controller.keepReady(0, on: "blue")
    try await controller.detach("web")
    try await controller.prune()
    try await controller.reconcile()
    try await controller.removeAll()
    #expect(
      lines() == [
        "info create network network=blue", "info attach container=web network=blue",
        "info attach container=side network=bridge", "info connect container=side network=blue",
        "info publish container=web", "info unpublish container=web", "info disconnect container=side network=blue",
        "info attach containers=2", "info stop container=one",
        "error attach container=web network=bridge code=alreadyExists",
        "error remove network network=blue code=inUse", "info keep ready network=blue", "info keep ready network=blue",
        "info detach container=web", "info prune", "info reconcile", "info remove all",
      ])
    #expect(handler.entries.allSatisfy { $0.metadata["duration"] != nil })
    let failure = handler.entries.first { $0.level == .error }
    #expect(
      failure?.metadata["error"]?.description.contains("\"web\" is attached") == true, "\(String(describing: failure))")
    func count(_ verb: String, _ outcome: String) throws -> Int {
      try metrics.expectTimer("containernetworking_verb_duration", [("verb", verb), ("outcome", outcome)]).values.count
    }
    #expect(try count("attach", "done") == 3)
    #expect(try count("attach", "alreadyExists") == 1)
    #expect(try count("remove network", "inUse") == 1)
    #expect(try count("keep ready", "done") == 2)
    let times = metrics.timers.flatMap(\.values)
    #expect(times.count == 17 && times.allSatisfy { $0 > 0 })
  }

  @Test func aLevelAboveKeepsItQuiet() async throws {
    let controller = try await makeController(of: try NetworkNamespace.create(on: kernel), level: .error)
    try await controller.attach("web")
    #expect(lines() == [])
    _ = await refusal { try await controller.attach("web") }
    #expect(lines().count == 1)
    try await controller.removeAll()
  }

  @Test func aHealIsTold() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await makeController(of: host, heals: true, level: .notice)
    try await controller.attach("web")
    try host.links.delete(index: try host.links.get("cn0").index)
    let isTold = try await eventually {
      lines().contains(
        "notice repaired: the bridge cn0 of network \"bridge\" is gone network=bridge kind=bridgeMissing")
    }
    #expect(isTold, "\(lines())")
    #expect(try metrics.expectCounter("containernetworking_repairs_total", [("outcome", "made")]).totalValue > 0)
    #expect(try metrics.expectCounter("containernetworking_repairs_total", [("outcome", "failed")]).totalValue == 0)
    try await controller.removeAll()
  }
}
