import BenchmarkKit
import CBenchmarkFloor
import ContainerNetworking
import Glibc

/// One more element of the map of published ports, added and removed: by this library, which encodes it and sends it, and by
/// bytes that were built beforehand.
@MainActor struct Elements {
  private let host: NetworkNamespace
  private let socket: Int32
  private let map = NftSet(
    table: NftTable(family: .inet, name: "containernetworking"), name: "published4", key: [.transportProtocol, .port],
    data: .values([.ipv4Address, .port]))
  /// Of a port that no container has.
  private let element = NftElement(
    .concatenation(.tcp, .port(9)),
    data: .value(.concatenation(.ipv4(IPv4Address(10, 60, 0, 9)), .port(80))))

  init(on host: NetworkNamespace) throws {
    self.host = host
    let home = try NetworkNamespace.current().duplicate()
    defer { close(home) }
    socket = try check(floor_socket(home, host.handle.descriptor, NetlinkFamily.netfilter.rawValue), "open a socket")
  }

  func finish() { close(socket) }

  func measure(ports: Int, rounds: Int, _ notebook: Notebook) throws {
    var (add, remove) = (NftTransaction(), NftTransaction())
    try add.add([element], to: map)
    try remove.delete([element], from: map)
    let (plainAdd, plainRemove) = (Datagram(add), Datagram(remove))
    let connection = try host.connection(.netfilter)
    let clock = ContinuousClock()
    var (library, floor): ([Double], [Double]) = ([], [])
    for _ in 0..<rounds {
      var start = clock.now
      var changes = NftTransaction()
      try changes.add([element], to: map)
      try changes.commit(over: connection)
      changes = NftTransaction()
      try changes.delete([element], from: map)
      try changes.commit(over: connection)
      library.append((clock.now - start) / .microseconds(1))
      start = clock.now
      try plainAdd.exchange(over: socket)
      try plainRemove.exchange(over: socket)
      floor.append((clock.now - start) / .microseconds(1))
    }
    try notebook.note(.element, of: .library, at: ports, library)
    try notebook.note(.element, of: .floor, at: ports, floor)
  }
}
