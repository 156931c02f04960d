import BenchmarkKit
import CBenchmarkFloor
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import SystemPackage

/// A state with many containers, opened: by a controller, by one that is then asked for a container, by a store that is then
/// read; and every row of it by SQLite's C API. And what it costs to change it once it is open.
@MainActor struct Opening {
  let settings: Settings
  let notebook: Notebook
  private let clock = ContinuousClock()

  init(_ settings: Settings, _ notebook: Notebook) {
    self.settings = settings
    self.notebook = notebook
  }

  func measure() async throws {
    for count in settings.stateCounts {
      // Another host for each, which goes as it is.
      let host = try NetworkNamespace.create()
      let records = try await ManyRecords(in: settings.directory.appending("state\(count)"), count, host)
      let (directory, file) = (records.directory, records.directory.appending("state.db").string)
      try await note(.readAll, .floor, count) { _ = try check(unsafe floor_store_read(file)) }
      try await note(.readAll, .library, count) { _ = try SQLiteStore(at: directory).read(since: 0) }
      try await note(.open, .library, count) { _ = try await records.open() }
      try await note(.openAndFind, .library, count) { _ = try? await records.open().sandbox("c1") }
      try await noteTool(host, directory, count)
      try await noteUpdates(directory, count)
    }
  }

  private func note(
    _ what: Quantity, _ who: Contestant, _ count: Int, rounds: Int = 20, _ body: () async throws -> Void
  ) async throws {
    var times: [Double] = []
    for _ in 0...rounds {
      let start = clock.now
      try await body()
      times.append((clock.now - start) / .microseconds(1))
    }
    // The first to warm up.
    try notebook.note(what, of: who, at: count, Array(times.dropFirst()))
  }

  /// The tool from its start to its end, where it is built beside this.
  private func noteTool(_ host: NetworkNamespace, _ directory: FilePath, _ count: Int) async throws {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = unsafe readlink("/proc/self/exe", &path, path.count - 1)
    guard length > 0 else { return }
    let program = FilePath(String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
    let tool = program.removingLastComponent().appending("cnet")
    guard Folder.exists(tool) else { return }
    let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite, options: .closeOnExec)
    defer { try? null.close() }
    let run = { (arguments: [String]) in
      var command = Command(
        tool.string, arguments + ["--state-dir", directory.string, "--name-server", "none"])
      (command.input, command.output) = (null, null)
      command.endsWithParent = true
      let status = try host.spawn(command).wait(timeout: .seconds(60))
      guard status == .exited(0) else {
        throw NetworkError(.refused, operation: "run \(tool) \(arguments)", reason: "it ended with \(status)")
      }
    }
    try await note(.toolHelp, .library, count) { try run(["--help"]) }
    try await note(.toolNetworks, .library, count) { try run(["network", "ls"]) }
    try await note(.toolContainers, .library, count) { try run(["ps", "-q"]) }
  }

  private func noteUpdates(_ directory: FilePath, _ count: Int) async throws {
    let store = try SQLiteStore(at: directory)
    let all = try store.read(since: 0)
    var revision = all.revision
    let endpoints = all.changes.filter { if case .save(.endpoint) = $0 { true } else { false } }.prefix(500)
    try await note(.readNothing, .library, count, rounds: 1_000) { _ = try store.read(since: revision) }
    for (what, durability) in [(Quantity.update, StoreDurability.process), (.updateDurably, .power)] {
      var next = endpoints.startIndex
      try await note(what, .library, count, rounds: 200) {
        let change = [endpoints[next]]
        next = (next + 1) % endpoints.count
        (_, revision) = try store.update(since: revision, durability) { _ in ((), change) }
      }
    }
  }
}
