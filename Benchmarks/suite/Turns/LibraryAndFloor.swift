import BenchmarkKit
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import SystemPackage

/// The library and the floor on one host and one bridge, in turns: into a namespace that is there, with making one, and by
/// hand-over.
@MainActor struct LibraryAndFloor {
  let settings: Settings
  let notebook: Notebook

  /// - Parameters:
  ///   - records: Where the records of both are; the floor has none in memory.
  ///   - others: How many containers are attached before the first turn, and stay.
  func measure(_ records: Records, beside others: Int) async throws {
    let host = try NetworkNamespace.current()
    let directory = settings.directory.appending("turns-\(records)-\(others)")
    try Folder.makeDirectory(directory)
    let store: any Store = records == .sqlite ? try SQLiteStore(at: directory.appending("library")) : MemoryStore()
    let controller = try await NetworkController(
      host: host, store: store, settings: ControllerSettings(resolvers: []))
    for number in 0...others {
      let options = AttachOptions(ports: [try PortMapping("\(40_000 + number):80")])
      try await controller.attach("other\(number)", options: options)
    }
    let database = records == .sqlite ? try FloorStore(at: directory.appending("floor.db").string, like: store) : nil
    let floor = try FloorHost(host, bridge: "cn0", store: database)
    let samples = Samples()
    let turns = Turns(controller, floor: floor, samples: samples)
    for _ in 0..<5 { try await turns.take() }
    samples.clear()
    for _ in 0..<max(5, settings.rounds / (others == 0 ? 1 : 2)) { try await turns.take() }
    try samples.note(notebook, beside: others, records)
    if others == 0 { try await Bulk(controller).measure(records, notebook) }
  }
}
