import CBenchmarkFloor
import ContainerNetworking
import Glibc
import NetworkPrimitives
import StoreSamples

// What it takes to put the rules of 1,000 and 10,000 endpoints back after the host's ruleset was flushed: found, restored in one
// transaction and looked at again by this library; and the bytes of that transaction in one send, by C. The containers are
// on record only: rules are of records. Then 1,000 containers that are there: what each holds of this process, and what it
// takes to look at everything and to find and repair the same.
//
//     rules-benchmark [ROUNDS]

let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 20

// Before there are threads: the whole benchmark is in a namespace of its own.
func check(_ result: Int32, _ what: String) throws(NetworkError) {
  if result < 0 { throw NetworkError(.kernelRefused, operation: what, reason: "errno \(-result)") }
}

func median(_ samples: [Double]) -> Double { samples.sorted()[samples.count / 2] }
func text(_ milliseconds: Double) -> String { "\((milliseconds * 100).rounded() / 100)" }

/// A transaction as the bytes of one datagram, and the number of the message that is acknowledged.
func datagram(_ changes: NftTransaction) -> (bytes: [UInt8], last: UInt32) {
  var datagram = PayloadWriter()
  let requests = [NftTransaction.begin()] + changes.requests + [NftTransaction.end]
  let last = UInt32(requests.count - 1)
  for (number, request) in zip(UInt32(1)..., requests) {
    var flags = request.flags.union(.request)
    if number == last { flags.insert(.acknowledge) }
    NetlinkMessage(type: request.type, flags: flags, sequence: number, payload: request.body[...])
      .encode(into: &datagram)
  }
  return (datagram.bytes, last)
}

func flush(_ host: NetworkNamespace) throws(NetworkError) {
  var changes = NftTransaction()
  for family in [NftFamily.inet, .bridge] { changes.delete(NftTable(family: family, name: "containernetworking")) }
  try changes.commit(over: host.connection(.netfilter))
}

try check(floor_enter_new_namespace(), "make a namespace")
let host = try NetworkNamespace.current()
let home = host.handle.descriptor
let clock = ContinuousClock()
/// Resident bytes of this process.
func residentBytes() -> Double {
  var bytes = [UInt8](repeating: 0, count: 128)
  let file = unsafe open("/proc/self/statm", O_RDONLY)
  defer { close(file) }
  let count = unsafe read(file, &bytes, bytes.count)
  let numbers = String(decoding: bytes[..<max(0, count)], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
  return Double(numbers[1] * Int(getpagesize()))
}

func milliseconds(_ body: () async throws -> Void) async rethrows -> Double {
  let start = clock.now
  try await body()
  return (clock.now - start) / .milliseconds(1)
}

let containers = try await NetworkController(
  host: host, settings: ControllerSettings(resolvers: [], reservesPorts: false))
try await containers.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.61.0.0/16")))
try await containers.attach("first", to: .network("net"))
let before = residentBytes()
for first in stride(from: 0, to: 1_000, by: 50) {
  let requests = try (first..<first + 50).map { number in
    AttachRequest(
      "c\(number)", to: .network("net"), options: AttachOptions(ports: [try PortMapping("\(10_000 + number):80")]))
  }
  for result in await containers.attach(requests) { _ = try result.get() }
}
let held = (residentBytes() - before) / 1_000
print("1,000 containers: \(Int(held / 100) * 100) bytes held for each")
for _ in 0..<5 {
  let look = try await milliseconds {
    guard try await containers.differences().isEmpty else { fatalError("differences") }
  }
  try flush(host)
  let rules = try await milliseconds { try await containers.reconcileRules() }
  try flush(host)
  let whole = try await milliseconds {
    guard try await containers.reconcile().remaining.isEmpty else { fatalError("differences") }
  }
  print(
    "1,000 containers, ms: a look at everything \(text(look)), rules alone back \(text(rules)), everything looked at and "
      + "rules back \(text(whole))")
}
print("1,000 containers after that: \(Int((residentBytes() - before) / 100_000) * 100) bytes held for each")
try await containers.removeAll()

print("rules back after a flush; medians of \(rounds), milliseconds")
for count in [1_000, 10_000] {
  let store = MemoryStore()
  let controller = try await NetworkController(
    host: host, store: store, settings: ControllerSettings(reservesPorts: false))
  let network = try await controller.createNetwork(
    "net", options: NetworkOptions(subnet: try Subnet("10.60.0.0/16")))
  let endpoints = try (0..<count).map { index in
    var endpoint = try Samples.endpoint(index)
    endpoint.networkID = network.id
    endpoint.networkName = network.name
    endpoint.addresses = [
      try InterfaceAddress(
        address: .v4(IPv4Address(10, 60, UInt8(1 + index >> 8), UInt8(index & 255))), prefixLength: 16)
    ]
    endpoint.ports[0].hostPort = UInt16(10_000 + index)
    return StoreChange.save(.endpoint(endpoint))
  }
  _ = try store.update(since: 0, .process) { _ in ((), endpoints) }
  let plain = datagram(try await controller.rulesRestoration())
  let socket = floor_socket(home, home, NetlinkFamily.netfilter.rawValue)
  try check(socket, "open a socket")
  var size = 64 << 20
  try check(
    unsafe setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size)),
    "make the socket's buffer larger")
  var (library, floor, processor): ([Double], [Double], [Double]) = ([], [], [])
  for _ in 0..<rounds {
    try flush(host)
    usleep(30_000)
    var start = clock.now
    let busy = floor_processor_time()
    let report = try await controller.reconcileRules()
    library.append((clock.now - start) / .milliseconds(1))
    processor.append(Double(floor_processor_time() - busy) / 1_000_000)
    guard report.found.map(\.kind) == [.rules], report.remaining.isEmpty, report.failures.isEmpty else {
      throw NetworkError(.refused, operation: "restore rules", reason: "\(report)")
    }
    try flush(host)
    usleep(30_000)
    start = clock.now
    try check(unsafe floor_exchange(socket, plain.bytes, plain.bytes.count, plain.last), "restore rules")
    floor.append((clock.now - start) / .milliseconds(1))
  }
  close(socket)
  let ratio = median(library) / median(floor)
  print(
    "\(count) endpoints with a port each, \(plain.bytes.count >> 10) KiB: library \(text(median(library))) "
      + "(processor \(text(median(processor)))), C \(text(median(floor))), ratio \(text(ratio))")
  let gone = endpoints.compactMap { if case .save(let record) = $0 { StoreChange.remove(record.key) } else { nil } }
  _ = try store.update(since: 0, .process) { _ in ((), gone) }
  try await controller.removeAll()
}
