import CBenchmarkFloor
import ContainerNetworking
import Glibc
import Playground

// What a published port costs with 1, 100, 1,000 and 10,000 of them: a connection through one, from outside; and an element
// added to the map and removed, by this library and by bytes that were built beforehand and sent by C.
//
//     ports-benchmark [ROUNDS]

let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 2_000

@discardableResult
func check(_ result: Int32, _ what: String) throws(NetworkError) -> Int32 {
  guard result < 0 else { return result }
  throw NetworkError(.kernelRefused, operation: what, reason: "errno \(-result)")
}

func median(_ samples: [Double]) -> Double { samples.sorted()[samples.count / 2] }

func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// Microseconds.
func text(_ time: Double) -> String { "\((time * 10).rounded() / 10)" }

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

struct Line {
  var ports: Int
  var direct = 0.0
  var published = 0.0
  var added = 0.0
  var floor = 0.0
}

/// The element of one more port, which no container has.
func extraElement() -> (map: NftSet, element: NftElement) {
  let map = NftSet(
    table: NftTable(family: .inet, name: "containernetworking"), name: "published4", key: [.transportProtocol, .port],
    data: .values([.ipv4Address, .port]))
  let target = NftValue.concatenation(.ipv4(IPv4Address(10, 60, 0, 9)), .port(80))
  return (map, NftElement(.concatenation(.tcp, .port(9)), data: .value(target)))
}

/// Adds and removes the element, by turns through the library and as bytes.
func measureElements(_ world: Playground, _ home: Int32, into line: inout Line) throws {
  let (map, element) = extraElement()
  var (add, remove) = (NftTransaction(), NftTransaction())
  try add.add([element], to: map)
  try remove.delete([element], from: map)
  let (plainAdd, plainRemove) = (datagram(add), datagram(remove))
  let socket = try check(
    floor_socket(home, world.host.handle.descriptor, NetlinkFamily.netfilter.rawValue), "open a socket")
  defer { close(socket) }
  let connection = try world.host.connection(.netfilter)
  let clock = ContinuousClock()
  var (library, floor): ([Double], [Double]) = ([], [])
  for _ in 0..<max(50, rounds / 10) {
    var start = clock.now
    var changes = NftTransaction()
    try changes.add([element], to: map)
    try changes.commit(over: connection)
    changes = NftTransaction()
    try changes.delete([element], from: map)
    try changes.commit(over: connection)
    library.append((clock.now - start) / .microseconds(1))
    start = clock.now
    try check(unsafe floor_exchange(socket, plainAdd.bytes, plainAdd.bytes.count, plainAdd.last), "add an element")
    try check(
      unsafe floor_exchange(socket, plainRemove.bytes, plainRemove.bytes.count, plainRemove.last), "remove an element")
    floor.append((clock.now - start) / .microseconds(1))
  }
  (line.added, line.floor) = (median(library), median(floor))
}

/// Connects again and again from outside, and gives the median.
func connect(
  _ world: Playground, _ home: Int32, from namespace: NetworkNamespace, to address: IPv4Address, _ port: UInt16,
  _ listener: Int32
) throws -> Double {
  var times = [Int64](repeating: 0, count: rounds)
  try check(
    unsafe floor_connect(
      home, namespace.handle.descriptor, address.rawValue.bigEndian, port.bigEndian, listener, Int32(rounds), &times),
    "connect to \(address):\(port)")
  return median(times.map { Double($0) / 1_000 })
}

extension NetworkNamespace {
  /// A descriptor of it that stays open.
  func duplicate() throws -> Int32 { try check(fcntl(handle.descriptor, F_DUPFD_CLOEXEC, 0), "keep the namespace") }
}

await Playground.run([]) { world, controller in
  let home = try NetworkNamespace.current().duplicate()
  // Open, so that the same container is reached by its own address as well.
  let policy = NetworkPolicy(gatewayModeIPv4: .natUnprotected)
  try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.60.0.0/16"), policy: policy))
  try world.outside.routes.add(
    Route(
      to: try Subnet("10.60.0.0/16"), via: try IPAddress(Playground.hostAddress),
      link: try world.outside.links.get("eth0").index))
  let first = try await controller.attach(
    "first", to: .network("net"), options: AttachOptions(ports: [try PortMapping("8000:80")]))
  guard let own = first.endpoints[0].address.address.v4, let host = try IPAddress(Playground.hostAddress).v4 else {
    throw NetworkError(.invalidValue, operation: "read addresses", reason: "they are not IPv4")
  }
  let listener = try check(floor_listen(home, first.namespace.handle.descriptor, UInt16(80).bigEndian), "listen")
  var (published, containers) = (1, [first])
  var lines: [Line] = []
  for count in [1, 100, 1_000, 10_000] {
    while published < count {
      let more = min(99, count - published)
      let port = 9_999 + published
      containers.append(
        try await controller.attach(
          "c\(published)", to: .network("net"),
          options: AttachOptions(ports: [try PortMapping("\(port)-\(port + more - 1):\(port)-\(port + more - 1)")])))
      published += more
    }
    var line = Line(ports: count)
    _ = try connect(world, home, from: world.outside, to: host, 8_000, listener)
    line.published = try connect(world, home, from: world.outside, to: host, 8_000, listener)
    line.direct = try connect(world, home, from: world.outside, to: own, 80, listener)
    try measureElements(world, home, into: &line)
    lines.append(line)
  }
  close(listener)
  print("\(rounds) connections each, medians, microseconds\n")
  print("  ports   connect: published   routed    add and remove an element: library   bytes by C")
  for line in lines {
    print(
      padded("\(line.ports)", 7), padded(text(line.published), 20), padded(text(line.direct), 8),
      padded(text(line.added), 38), padded(text(line.floor), 12))
  }
}
