import BenchmarkKit
import CBenchmarkFloor
import ContainerNetworking
import Glibc

/// Connections from outside to a container: how fast they are made, and how much one of them carries.
@MainActor struct Traffic {
  let notebook: Notebook
  let connections: Int
  let bytes: Int64
  private let home: Int32

  init(_ settings: Settings, _ notebook: Notebook) throws {
    self.notebook = notebook
    connections = settings.connections
    bytes = settings.bytes
    home = try NetworkNamespace.current().duplicate()
  }

  /// - Parameters:
  ///   - who: Whose way it is.
  ///   - ports: How many are published.
  ///   - client: The namespace that connects.
  ///   - address: Where it connects to, and the port there.
  ///   - server: The namespace where that ends, at port 80.
  func measure(
    _ who: Contestant, ports: Int, from client: NetworkNamespace, to address: String, _ port: Int,
    in server: NetworkNamespace
  ) throws {
    guard let target = try IPAddress(address).v4?.rawValue.bigEndian else {
      throw NetworkError(.invalidValue, operation: "connect to \(address)", reason: "it is not IPv4")
    }
    let what = "connect to \(address):\(port)"
    let port = UInt16(port).bigEndian
    let from = client.handle.descriptor
    let listener = try check(floor_listen(home, server.handle.descriptor, UInt16(80).bigEndian), "listen")
    defer { close(listener) }
    var times = [Int64](repeating: 0, count: connections)
    var rates: [Double] = []
    var all: [Double] = []
    // The first to warm up: neighbours, caches.
    for round in 0...3 {
      let elapsed = try check(
        unsafe floor_connect(home, from, target, port, listener, Int32(connections), &times), what)
      guard round > 0 else { continue }
      rates.append(Double(connections) / (Double(elapsed) / 1e9))
      all += times.map { Double($0) / 1_000 }
    }
    try notebook.note(.connect, of: who, at: ports, all)
    try notebook.note(.connectRate, of: who, at: ports, rates)
    let speeds = try (0..<3).map { _ in
      let elapsed = try check(floor_transfer(home, from, target, port, listener, bytes), what)
      return Double(bytes) / 1e6 / (Double(elapsed) / 1e9)
    }
    try notebook.note(.throughput, of: who, at: ports, speeds)
  }
}
