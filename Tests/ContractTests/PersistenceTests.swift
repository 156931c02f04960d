import ContainerNetworking
import ContainerNetworkingTestKit
import Netlink
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Failed work is completed later: by the healer's retries, or by the next process that opens the store. It does not
/// prevent other work.
@Suite(.timeLimit(.minutes(5))) struct PersistenceTests {
  private let kernel = SimulatedKernel()
  private let reports = Reports()

  private final class Reports: Sendable {
    private let list = Mutex<[ReconcileReport]>([])
    func add(_ report: ReconcileReport) { list.withLock { $0.append(report) } }
    var all: [ReconcileReport] { list.withLock { $0 } }
  }

  private func makeController(
    of host: NetworkNamespace, _ store: MemoryStore = MemoryStore(), heals: Bool = false
  ) async throws -> NetworkController {
    var settings = ControllerSettings(resolvers: [], namespaceDirectory: "/run/netns", heals: heals)
    settings.onHeal = { [reports] in reports.add($0) }
    return try await NetworkController(host: host, store: store, settings: settings)
  }

  @Test func whatCannotBeHealedIsTriedAgain() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await makeController(of: host, heals: true)
    try await controller.attach("web")
    kernel.inject(.resourceBusy, on: RequestType.newLink, times: 2)
    try host.links.delete(index: try host.links.get("cn0").index)
    let isWhole = try await eventually { try await controller.differences().isEmpty }
    #expect(isWhole)
    let failed = reports.all.filter { !$0.failures.isEmpty }
    #expect(failed.first?.found.contains { $0.kind == .bridgeMissing } == true)
    #expect(failed.first?.remaining.contains { $0.kind == .bridgeMissing } == true)
    // Reported once it is done.
    let isTold = try await eventually { [reports] in reports.all.last?.remaining == [] }
    #expect(isTold)
    try await controller.removeAll()
  }

  @Test func aWatchThatTheKernelEndsIsBegunAnew() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await makeController(of: host, heals: true)
    try await controller.attach("web")
    for _ in 0..<3 {
      kernel.endEvents()
      // Missed by a healer that only listens.
      try host.links.delete(index: try host.links.get("cn0").index)
      let isWhole = try await eventually { try await controller.differences().isEmpty }
      #expect(isWhole)
    }
    try await controller.removeAll()
  }

  @Test func oneThatCannotBeTakenAwayKeepsNoOther() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let store = MemoryStore()
    let first = try await makeController(of: host, store)
    for name in ["a", "b", "c"] { try await first.attach(name) }
    // As if its user had died during the change.
    _ = try store.update(since: 0, .process) { delta in
      let changes: [StoreChange] = delta.changes.compactMap { change in
        switch change {
        case .save(.sandbox(var record)):
          record.phase = .removing
          record.owner = ""
          return .save(.sandbox(record))
        default: return nil
        }
      }
      return ((), changes)
    }
    kernel.inject(.resourceBusy, on: RequestType.deleteLink)
    let second = try await makeController(of: host, store)
    #expect(reports.all.count == 1)
    #expect(reports.all.first?.failures.isEmpty == false)
    let left = try await second.differences()
    #expect(left.allSatisfy { $0.kind == .unfinished })
    #expect(Set(left.map(\.container)).count == 1)
    let report = try await second.reconcile()
    #expect(report.remaining == [] && report.failures == [])
    let veths = try host.links.list().filter { $0.kind == "veth" }
    #expect(veths.isEmpty)
    try await second.removeAll()
  }

  /// A store of somebody else's that gives records back without what every one has.
  @Test func recordsOfWhichSomethingIsMissingAreDamaged() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let store = MemoryStore()
    let controller = try await makeController(of: host, store)
    try await controller.attach("web")
    let whole = store.read(since: 0)
    for change in whole.changes {
      var spoilt = change
      switch change {
      case .save(.network(var record)):
        record.subnets = []
        spoilt = .save(.network(record))
      case .save(.endpoint(var record)):
        record.addresses = []
        spoilt = .save(.endpoint(record))
      default: continue
      }
      _ = try store.update(since: 0, .process) { _ in ((), [spoilt]) }
      let error = await refusal { try await controller.sandboxes() }
      #expect(error?.code == .damagedRecord)
      #expect(
        error?.description.contains(#"network "bridge" has no subnet"#) == true
          || error?.description.contains(#"the endpoint of "web" on "bridge" has no address"#) == true)
      let opening = await refusal { try await makeController(of: host, store) }
      #expect(opening?.code == .damagedRecord)
      _ = try store.update(since: 0, .process) { _ in ((), [change]) }
    }
    try await controller.removeAll()
  }

  /// The kernel made no route of the prefix when the link came up, as it does where memory is short.
  @Test func aPrefixWithoutRouteGetsIt() async throws {
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await makeController(of: host)
    var options = NetworkOptions(subnet: try Subnet("fd00:9::/64"))
    options.isIPv4Enabled = false
    try await controller.createNetwork("six", options: options)
    kernel.inject(.noRouteToHost, on: RequestType.newRoute)
    let sandbox = try await controller.attach("web", to: .network("six"))
    let gateways = try sandbox.namespace.routes.list().filter { $0.destination.prefixLength == 0 }.compactMap(\.gateway)
    #expect(gateways.contains(try IPAddress("fd00:9::1")))
    // Where it does not help, it is what it was.
    kernel.inject(.noRouteToHost, on: RequestType.newRoute, times: 2)
    let error = await refusal { try await controller.attach("other", to: .network("six")) }
    #expect(error?.causes.contains { $0.kernel?.errno == .noRouteToHost } == true)
    let left = try await controller.differences()
    #expect(left.isEmpty)
    try await controller.removeAll()
  }
}
