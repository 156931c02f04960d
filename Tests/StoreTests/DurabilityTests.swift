import ContainerNetworking
import NetworkPrimitives
import StoreSamples
import SystemPackage
import Testing

@testable import ContainerNetworkingStore

/// How commits reach the disk.
@Suite struct DurabilityTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func synchronizesAsIsAskedFor() throws {
    let state = StateDirectory(path: directory.store)
    try state.make()
    var database = try StateDatabase.open(state, .current)
    #expect(try database.settings().journal == "wal")
    // https://sqlite.org/pragma.html#pragma_synchronous: 1 is NORMAL, 2 is FULL.
    for (durability, expected) in [(StoreDurability.process, Int64(1)), (.power, 2), (.power, 2), (.process, 1)] {
      let delta = try database.begin(since: 0, durability)
      #expect(try database.settings().synchronous == expected)
      let host = try Samples.host(1)
      _ = try database.commit([.save(.host(host))], over: delta.revision)
    }
  }

  @Test(arguments: [(StoreDurability.process, false), (.power, true)])
  func theJournalIsOnTheDiskBeforeAPowerDurableUpdateReturns(durability: StoreDurability, isSynchronized: Bool) throws {
    let trace = directory.path.appending("trace")
    let name = durability == .power ? "power" : "process"
    let script =
      "strace -f -y -e trace=fsync,fdatasync,write -o \(trace) \(try Probe.path) save \(directory.store) \(name)"
    let (output, status) = try runIsolated(script)
    #expect(status == 0, "\(output)")
    // The synchronised files between the messages that the store is open and that the update is complete.
    let calls = String(decoding: try Bytes.read(trace), as: UTF8.self).split(separator: "\n")
    let open = try #require(calls.firstIndex { $0.contains("opened") })
    let saved = try #require(calls.firstIndex { $0.contains("saved") })
    #expect(calls[open..<saved].contains { $0.contains("sync(") && $0.contains("state.db-wal>") } == isSynchronized)
  }

  @Test func theDirectoryIsForItsOwnerAlone() throws {
    _ = try SQLiteStore(at: directory.store)
    for path in [directory.store, directory.store.appending("owners")] {
      #expect(try mode(path) == 0o700)
    }
    for name in try directory.names() where name != "owners" {
      #expect(try mode(directory.store.appending(name)) & 0o077 == 0, "\(name)")
    }
  }
}
