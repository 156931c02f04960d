import BenchmarkKit
import CBenchmarkFloor
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import SystemPackage

/// The rules of many containers after somebody flushed them: put back by the library, with every look that it takes to see
/// what is missing; and by the bytes of its transaction, sent by C.
@MainActor struct Restoration {
  let settings: Settings
  let notebook: Notebook

  func measure() async throws {
    let kernel = RecordingKernel()
    let host = try NetworkNamespace.current(on: kernel)
    let controller = try await NetworkController(
      host: host, store: SQLiteStore(at: settings.directory.appending("restore")),
      settings: ControllerSettings(resolvers: [], reservesPorts: false))
    let requests = try (1...settings.crowd).map { AttachRequest("c\($0)", options: try Library.options($0)) }
    for result in await controller.attach(requests) { _ = try result.get() }
    let home = try host.duplicate()
    defer { close(home) }
    let socket = try check(floor_socket(home, home, NetlinkFamily.netfilter.rawValue))
    defer { close(socket) }
    let clock = ContinuousClock()
    var (library, floor): ([Double], [Double]) = ([], [])
    for _ in 0..<5 {
      try flush(host)
      kernel.record()
      var start = clock.now
      let report = try await controller.reconcile()
      library.append((clock.now - start) / .microseconds(1))
      let failures =
        report.failures
        + report.remaining.map { left in
          NetworkError(.refused, operation: "put rules back", reason: "\(left)")
        }
      if let failure = failures.first { throw failure }
      guard let batch = kernel.end().compactMap({ Datagram(batch: $0) }).max(by: { $0.count < $1.count }) else {
        throw NetworkError(.notFound, operation: "record the transaction", reason: "nothing was sent")
      }
      try flush(host)
      start = clock.now
      try batch.exchange(over: socket)
      floor.append((clock.now - start) / .microseconds(1))
    }
    try notebook.note(.restore, of: .library, at: settings.crowd, library)
    try notebook.note(.restoreTransaction, of: .floor, at: settings.crowd, floor)
    try await controller.removeAll(isFinal: true)
  }

  private func flush(_ host: NetworkNamespace) throws {
    var transaction = NftTransaction()
    for family in [NftFamily.inet, .bridge] {
      transaction.delete(NftTable(family: family, name: "containernetworking"))
    }
    try transaction.commit(over: host.connection(.netfilter))
    // Sets are freed in the kernel's own time.
    usleep(100_000)
  }
}
