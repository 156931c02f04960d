import CBenchmarkFloor
import ContainerNetworking
import ContainerNetworkingStore
import Glibc
import StoreSamples
import SystemPackage

// What the record on disk costs: opening it with 1,000 and 10,000 containers, against SQLite's C API stepping over the same
// rows; a program from its start to its end that lists networks or containers; an update of one endpoint; a read with
// nothing changed.
//
//     store-benchmark

// Before there are threads: what a controller has for its host is a namespace of this process's own.
guard floor_enter_new_namespace() == 0 else { fatalError("no network namespace can be made: run as root") }
let clock = ContinuousClock()
let parent = "/tmp/store-benchmark-\(getpid())"
let host = try NetworkNamespace.current()
/// As a process that is gone soon: it holds no ports.
let settings = ControllerSettings(reservesPorts: false)

func samples(_ rounds: Int, _ body: () async throws -> Void) async rethrows -> [Int] {
  var samples: [Duration] = []
  for _ in 0..<rounds {
    let start = clock.now
    try await body()
    samples.append(clock.now - start)
  }
  return samples.sorted().map { Int($0 / .microseconds(1)) }
}

@discardableResult
func report(
  _ what: String, _ rounds: Int, against floor: Int? = nil, _ body: () async throws -> Void
) async rethrows -> Int {
  let samples = try await samples(rounds, body)
  let median = samples[rounds / 2]
  let ratio = floor.map { ", ratio \((Double(median) / Double(max(1, $0)) * 100).rounded() / 100)" } ?? ""
  print("\(what): median \(median), p99 \(samples[rounds * 99 / 100])\(ratio)")
  return median
}

/// Containers with an endpoint and a published port each, all on one network.
func fill(_ store: SQLiteStore, _ count: Int) async throws {
  // The host's record, with which this namespace is known.
  _ = try await NetworkController(host: host, store: store, settings: settings)
  var changes: [StoreChange] = [.save(.network(try Samples.network("blue")))]
  let (first, container) = try (Samples.endpoint(0), Samples.sandbox("c0"))
  for index in 0..<count {
    let digits = String(index, radix: 16)
    var endpoint = first
    endpoint.id = String(repeating: "0", count: 64 - digits.count) + digits
    endpoint.container = "c\(index)"
    endpoint.sandboxID = String(endpoint.id.reversed())
    endpoint.hostInterface = try InterfaceName("veth\(digits)")
    endpoint.ports[0].hostPort = UInt16(10_000 + index)
    endpoint.addresses = [try InterfaceAddress("172.18.\(1 + index / 250).\(index % 250)/16")]
    var sandbox = container
    sandbox.container = endpoint.container
    sandbox.sandboxID = endpoint.sandboxID
    sandbox.phase = .ready
    changes += [.save(.sandbox(sandbox)), .save(.endpoint(endpoint))]
  }
  _ = try store.update(since: 0, .process) { _ in ((), changes) }
}

/// The tool, built beside this.
let tool = FilePath(CommandLine.arguments[0]).removingLastComponent().appending("cnet")
let hasTool = unsafe access(tool.string, X_OK) == 0

func run(_ arguments: String..., in directory: FilePath) throws {
  let sink = try FileDescriptor.open(FilePath("/dev/null"), .writeOnly)
  defer { try? sink.close() }
  var command = Command(tool.string, arguments + ["--state-dir", directory.string, "--name-server", "none"])
  command.output = sink.rawValue
  let status = try host.spawn(command).wait()
  guard status == .exited(0) else {
    throw NetworkError(.refused, operation: "run \(tool)", reason: "it ended with \(status)")
  }
}

print("store; microseconds")
for count in [1_000, 10_000] {
  let directory = FilePath(parent + "-\(count)")
  do { try await fill(SQLiteStore(at: directory), count) }
  let file = directory.appending("state.db").string
  let floor = try await report("\(count) containers: C steps over all rows", 20) {
    guard unsafe floor_store_read(file) == 2 * count + 2 else {
      throw NetworkError(.refused, operation: "read \(file)", reason: "there are not as many rows as were written")
    }
  }
  try await report("opened and all read", 20, against: floor) { _ = try SQLiteStore(at: directory).read(since: 0) }
  try await report("opened, a controller on it", 20, against: floor) {
    _ = try await NetworkController(host: host, store: SQLiteStore(at: directory), settings: settings)
  }
  try await report("the same, and looked for one container", 20, against: floor) {
    let controller = try await NetworkController(host: host, store: SQLiteStore(at: directory), settings: settings)
    _ = try? await controller.sandbox("c1")
  }
  if hasTool {
    try await report("cnet --help, from exec to exit", 20) { try run("--help", in: directory) }
    try await report("cnet ls", 20) { try run("network", "ls", in: directory) }
    try await report("cnet ps -q", 20) { try run("ps", "-q", in: directory) }
  }
  let store = try SQLiteStore(at: directory)
  var revision = try store.read(since: 0).revision
  try await report("read, nothing changed", 2_000) { _ = try store.read(since: revision) }
  var index = 0
  for (name, durability) in [("process", StoreDurability.process), ("power", .power)] {
    let endpoints = try (0..<500).map { StoreChange.save(.endpoint(try Samples.endpoint($0, phase: .creating))) }
    try await report("update one endpoint, durability \(name)", 500) {
      index = (index + 1) % endpoints.count
      let changes = [endpoints[index]]
      (_, revision) = try store.update(since: revision, durability) { _ in ((), changes) }
    }
  }
}
for count in [1_000, 10_000] {
  let directory = parent + "-\(count)"
  for file in ["state.db", "host.lock", "open.lock"] { unsafe unlink("\(directory)/\(file)") }
  for child in ["owners", "netns", "files", ""] { unsafe rmdir("\(directory)/\(child)") }
}
