import BenchmarkKit
import CBenchmarkFloor
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import SystemPackage

/// The rules of many containers after somebody flushed them: put back by the library, which looks before and after; and the
/// bytes of its transaction, sent by C.
@MainActor struct Restoration {
  let settings: Settings
  let notebook: Notebook
  private let clock = ContinuousClock()

  init(_ settings: Settings, _ notebook: Notebook) {
    self.settings = settings
    self.notebook = notebook
  }

  func measure() async throws {
    try await measureAttached(settings.crowd)
    // More than can be attached in minutes are there on record alone: rules are of records.
    for count in settings.stateCounts where count > settings.crowd {
      let host = try NetworkNamespace.create()
      let records = try await ManyRecords(in: settings.directory.appending("restore\(count)"), count, host)
      try await measureRules(of: records.open(), on: host, count)
    }
  }

  private func measureAttached(_ count: Int) async throws {
    let host = try NetworkNamespace.create()
    let controller = try await NetworkController(
      host: host, store: SQLiteStore(at: settings.directory.appending("restore")),
      settings: ControllerSettings(resolvers: [], reservesPorts: false))
    let requests = try (1...count).map { AttachRequest("c\($0)", options: try Library.options($0)) }
    for result in await controller.attach(requests) { _ = try result.get() }
    try await measureRules(of: controller, on: host, count)
    var (looks, whole): ([Double], [Double]) = ([], [])
    for _ in 0..<5 {
      var start = clock.now
      let found = try await controller.differences()
      looks.append((clock.now - start) / .microseconds(1))
      guard found.isEmpty else {
        throw NetworkError(.refused, operation: "look at everything", reason: "\(found)")
      }
      try flush(host)
      start = clock.now
      try Self.expectRepair(try await controller.reconcile())
      whole.append((clock.now - start) / .microseconds(1))
    }
    try notebook.note(.look, of: .library, at: count, looks)
    try notebook.note(.restoreAll, of: .library, at: count, whole)
    try await controller.removeAll(isFinal: true)
  }

  private func measureRules(of controller: NetworkController, on host: NetworkNamespace, _ count: Int) async throws {
    let home = try NetworkNamespace.current().duplicate()
    defer { close(home) }
    let socket = try check(floor_socket(home, host.handle.descriptor, NetlinkFamily.netfilter.rawValue))
    defer { close(socket) }
    let plain = Datagram(try await controller.rulesRestoration())
    var (library, floor): ([Double], [Double]) = ([], [])
    for _ in 0..<11 {
      try flush(host)
      var start = clock.now
      try Self.expectRepair(try await controller.reconcileRules())
      library.append((clock.now - start) / .microseconds(1))
      try flush(host)
      start = clock.now
      try plain.exchange(over: socket)
      floor.append((clock.now - start) / .microseconds(1))
    }
    // The first to warm up.
    try notebook.note(.restore, of: .library, at: count, Array(library.dropFirst()))
    try notebook.note(.restore, of: .floor, at: count, Array(floor.dropFirst()))
  }

  private static func expectRepair(_ report: ReconcileReport) throws {
    guard !report.found.isEmpty, report.remaining.isEmpty, report.failures.isEmpty else {
      throw NetworkError(.refused, operation: "put rules back", reason: "\(report)")
    }
  }

  private func flush(_ host: NetworkNamespace) throws {
    var transaction = NftTransaction()
    for family in [NftFamily.inet, .bridge] {
      transaction.delete(NftTable(family: family, name: "containernetworking"))
    }
    try transaction.commit(over: host.connection(.netfilter))
    // Sets are freed in the kernel's own time.
    usleep(50_000)
  }
}
