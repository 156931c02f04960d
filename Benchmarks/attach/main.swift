import CBenchmarkFloor
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import SystemPackage

// What an attach and a detach cost: this library, against the floor, which is the same requests built beforehand and
// sent by C over plain sockets. They take turns in one run, so that a noisy machine disturbs both alike; ratios are what
// counts.
//
//     attach-benchmark [memory|sqlite] [ROUNDS] [CONTAINERS]
//
// CONTAINERS are attached before the first round, and stay. The host is a namespace of this process's own, which the
// kernel takes away with it, bridge, tables and all.

let arguments = Array(CommandLine.arguments.dropFirst())
let isOnDisk = arguments.contains("sqlite")
let numbers = arguments.compactMap { Int($0) }
let rounds = numbers.first ?? 150
let others = numbers.dropFirst().first ?? 0

try check(floor_enter_new_namespace())
let host = try NetworkNamespace.current()
try host.links.setUp(index: 1)

let directory = "/tmp/attach-benchmark-\(getpid())"
unsafe mkdir(directory, 0o700)
let store: any Store = isOnDisk ? try SQLiteStore(at: FilePath("\(directory)/library")) : MemoryStore()

let samples = Samples()
var kept: [Sandbox] = []
do {
  let controller = try await NetworkController(host: host, store: store)
  for number in 0...others {
    let options = AttachOptions(ports: [try PortMapping("\(40_000 + number):80")])
    kept.append(try await controller.attach("other\(number)", options: options))
  }
  let database = isOnDisk ? try FloorStore(at: "\(directory)/floor.db", like: store) : nil
  let floor = try FloorHost(host, bridge: "cn0", store: database)
  let turns = Turns(controller, floor: floor, samples: samples)
  for _ in 0..<5 { try await turns.take() }
  samples.clear()
  for _ in 0..<rounds { try await turns.take() }
  print(
    """
    \(rounds) rounds, beside \(others + 1) containers, records \(isOnDisk ? "in SQLite" : "in memory"); \
    microseconds: library / floor = ratio

                    median                    99th percentile           processor time
    \(["attach, ready", "attach, cold", "hand-over", "detach"].map { samples.line($0) }.joined(separator: "\n"))

    """)
  // A bridge takes 1,023 ports.
  if others < 900 { try await Bulk(controller).measure() }
} catch { print("failed: \(error)") }
for file in ["library/state.db", "library/state.db-wal", "library/state.db-shm", "library/host.lock"] {
  unsafe unlink("\(directory)/\(file)")
}
for file in ["library/open.lock", "floor.db", "floor.db-wal", "floor.db-shm"] { unsafe unlink("\(directory)/\(file)") }
if let disk = store as? SQLiteStore { unsafe unlink("\(directory)/library/owners/\(disk.token)") }
for name in ["library/owners", "library", ""] { unsafe rmdir("\(directory)/\(name)") }
