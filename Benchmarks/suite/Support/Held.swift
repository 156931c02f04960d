import BenchmarkKit
import ContainerNetworking
import ContainerNetworkingStore
import SystemPackage

/// What the library holds for containers whose namespaces it makes, each with a published port: in a process that does
/// nothing else.
@MainActor struct Held {
  let settings: Settings
  let notebook: Notebook

  func measure() async throws {
    let controller = try await NetworkController(
      host: .current(), store: SQLiteStore(at: settings.directory.appending("held")),
      settings: ControllerSettings(resolvers: []))
    // What is there once for all.
    try await controller.attach("first")
    let before = Holdings.ofThisProcess()
    for number in 1...settings.crowd {
      try await controller.attach("c\(number)", options: try Library.options(number))
    }
    try notebook.note(.ofThisProcess(), since: before, of: .library, at: settings.crowd)
    try await controller.removeAll(isFinal: true)
  }
}

extension Notebook {
  /// What is held for so many containers, and all that was held at the most.
  func note(_ now: Holdings, since before: Holdings, of who: Contestant, at count: Int) throws {
    let each = Double(max(1, count))
    try note(.bytesHeld, of: who, at: count, [(now.resident - before.resident) / each])
    try note(.descriptorsHeld, of: who, at: count, [(now.descriptors - before.descriptors) / each])
    try note(.peakMemory, of: who, at: count, [now.peak])
  }
}
