import BenchmarkKit
import CBenchmarkFloor
import ContainerNetworking
import ContainerNetworkingStore
import SystemPackage

/// Opening a state with many endpoints: a controller of it, and every record read by SQLite's C API.
@MainActor struct Opening {
  let settings: Settings
  let notebook: Notebook

  func measure() async throws {
    let clock = ContinuousClock()
    for count in settings.stateCounts {
      // Another host for each, which goes as it is.
      let host = try NetworkNamespace.create()
      let directory = settings.directory.appending("state\(count)")
      try await fill(directory, count, host)
      var (library, floor): ([Double], [Double]) = ([], [])
      for _ in 0..<11 {
        var start = clock.now
        _ = try await Self.open(directory, host)
        library.append((clock.now - start) / .microseconds(1))
        start = clock.now
        _ = try check(unsafe floor_store_read(directory.appending("state.db").string))
        floor.append((clock.now - start) / .microseconds(1))
      }
      try notebook.note(.open, of: .library, at: count, Array(library.dropFirst()))
      try notebook.note(.open, of: .floor, at: count, Array(floor.dropFirst()))
    }
  }

  private static func open(_ directory: FilePath, _ host: NetworkNamespace) async throws -> NetworkController {
    try await NetworkController(
      host: host, store: SQLiteStore(at: directory),
      settings: ControllerSettings(resolvers: [], reservesPorts: false))
  }

  /// One container as the library writes it down, and so many more that are like it.
  private func fill(_ directory: FilePath, _ count: Int, _ host: NetworkNamespace) async throws {
    let controller = try await Self.open(directory, host)
    try await controller.attach("c0", options: try Library.options(0))
    let store = try SQLiteStore(at: directory)
    let all = try store.read(since: 0)
    var changes: [StoreChange] = []
    for case .save(let record) in all.changes {
      for number in 1..<count {
        let id = String(number + 1 << 40, radix: 16)
        switch record {
        case .endpoint(var endpoint):
          endpoint.id = id + endpoint.id.dropFirst(id.count)
          endpoint.sandboxID = id + endpoint.sandboxID.dropFirst(id.count)
          endpoint.container = "c\(number)"
          endpoint.hostInterface = try InterfaceName("cn\(id)")
          let address = IPv4Address(rawValue: 0xac11_0002 + UInt32(number))
          endpoint.addresses = [try InterfaceAddress(address: .v4(address), prefixLength: 16)]
          endpoint.macAddress = MACAddress(ipv4: address)
          for index in endpoint.ports.indices { endpoint.ports[index].hostPort = UInt16(Numbering.port(number)) }
          changes.append(.save(.endpoint(endpoint)))
        case .sandbox(var sandbox):
          sandbox.sandboxID = id + sandbox.sandboxID.dropFirst(id.count)
          sandbox.container = "c\(number)"
          changes.append(.save(.sandbox(sandbox)))
        default: break
        }
      }
    }
    let added = changes
    _ = try store.update(since: all.revision, .process) { _ in ((), added) }
  }
}
