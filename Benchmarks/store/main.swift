import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import StoreSamples
import SystemPackage

// What the record on disk costs: an update of one endpoint, a read with nothing changed, opening it with many endpoints.

let clock = ContinuousClock()
let parent = "/tmp/store-benchmark-\(getpid())"

func median(_ rounds: Int, _ body: () throws -> Void) rethrows -> (median: Int, p99: Int) {
  var samples: [Duration] = []
  for _ in 0..<rounds {
    let start = clock.now
    try body()
    samples.append(clock.now - start)
  }
  samples.sort()
  let microseconds = { (duration: Duration) in Int(duration / .microseconds(1)) }
  return (microseconds(samples[rounds / 2]), microseconds(samples[rounds * 99 / 100]))
}

func report(_ what: String, _ rounds: Int, _ body: () throws -> Void) rethrows {
  let (median, p99) = try median(rounds, body)
  print("\(what): median \(median), p99 \(p99)")
}

func fill(_ store: SQLiteStore, _ count: Int) throws {
  let changes = try (0..<count).map { StoreChange.save(.endpoint(try Samples.endpoint($0))) }
  _ = try store.update(since: 0, .process) { _ in ((), changes) }
}

print("store; microseconds")
for count in [1_000, 10_000] {
  let directory = FilePath(parent + "-\(count)")
  do { try fill(SQLiteStore(at: directory), count) }
  try report("open and read \(count) endpoints", 10) { _ = try SQLiteStore(at: directory).read(since: 0) }
  let store = try SQLiteStore(at: directory)
  var revision = try store.read(since: 0).revision
  try report("read, nothing changed, \(count) endpoints", 2_000) { _ = try store.read(since: revision) }
  var index = 0
  for (name, durability) in [("process", StoreDurability.process), ("power", .power)] {
    let endpoints = try (0..<500).map { StoreChange.save(.endpoint(try Samples.endpoint($0, phase: .creating))) }
    try report("update one of \(count) endpoints, durability \(name)", 500) {
      index = (index + 1) % endpoints.count
      let changes = [endpoints[index]]
      (_, revision) = try store.update(since: revision, durability) { _ in ((), changes) }
    }
  }
}
for count in [1_000, 10_000] {
  let directory = parent + "-\(count)"
  for file in ["state.db", "host.lock", "open.lock"] { unsafe unlink("\(directory)/\(file)") }
  unsafe rmdir("\(directory)/owners")
  unsafe rmdir(directory)
}
