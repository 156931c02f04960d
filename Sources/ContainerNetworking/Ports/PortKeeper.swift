import Netlink
import NetworkPrimitives
import Synchronization

/// The sockets that reserve the host's published ports for a process, and their forwarding.
final class PortKeeper: Sendable {
  private struct Entry {
    var sockets: [PortBinding: PortReservation] = [:]
    var forwards: Set<ForwardedPort> = []
    /// The bindings of this process's running change; those of others' changes are not reserved before they are made.
    var pending: Set<PortBinding> = []
  }

  private let host: NetworkNamespace
  private let forwarder: (any PortForwarding)?
  /// By endpoint. Locked while a forwarder is called, so that each port's calls come in order.
  private let entries = Mutex<[String: Entry]>([:])
  /// The listening bindings, by endpoint. A lock of their own: they are read under the lock of the state, which is
  /// taken under the lock of the entries.
  private let carried = Mutex<[String: Set<PortBinding>]>([:])

  init(host: NetworkNamespace, forwarder: (any PortForwarding)?) {
    self.host = host
    self.forwarder = forwarder
  }

  deinit {
    // A forwarder may outlive the controller, whose ports these are.
    endAll()
  }

  /// The number of reserving sockets.
  var count: Int { entries.withLock { entries in entries.values.reduce(0) { $0 + $1.sockets.count } } }

  /// Keeps the sockets taken for a change of an endpoint until ``settle(_:)``, even without a record of them.
  func hold(_ sockets: [PortReservation], for endpoint: String) {
    guard !sockets.isEmpty else { return }
    entries.withLock { entries in
      for socket in sockets {
        entries[endpoint, default: Entry()].sockets[socket.binding] = socket
        entries[endpoint]?.pending.insert(socket.binding)
      }
    }
  }

  /// Ends a change: from now on the record decides.
  ///
  /// - Parameter yields: Whether another process forwards: its listening addresses are released.
  func settle(_ endpoint: Endpoint, yields: Bool) {
    let dropped = entries.withLock { entries -> [PortReservation] in
      entries[endpoint.id]?.pending = []
      guard yields else { return [] }
      return endpoint.listeners.compactMap { entries[endpoint.id]?.sockets.removeValue(forKey: $0) }
    }
    withExtendedLifetime(dropped) {}
  }

  /// The bindings that listen for an endpoint.
  func listeners(of endpoint: String) -> Set<PortBinding> {
    carried.withLock { $0[endpoint] ?? [] }
  }

  private func noteListeners(of endpoint: String, _ entry: Entry?) {
    let listeners = Set((entry?.forwards ?? []).map(\.listening))
    carried.withLock { $0[endpoint] = listeners.isEmpty ? nil : listeners }
  }

  /// Starts to forward the reserved ports of an endpoint that need it.
  ///
  /// - Throws: The forwarder's error; forwarding that has started continues until ``end(_:of:)``.
  func begin(_ ports: [PublishedPort], of endpoint: Endpoint) throws(NetworkError) {
    guard let forwarder, ports.contains(where: { $0.forwarded != nil }) else { return }
    try entries.withLock { (entries) throws(NetworkError) in
      try begin(ports, of: endpoint, by: forwarder, &entries)
    }
  }

  private func begin(
    _ ports: [PublishedPort], of endpoint: Endpoint, by forwarder: any PortForwarding, _ entries: inout [String: Entry]
  ) throws(NetworkError) {
    defer { noteListeners(of: endpoint.id, entries[endpoint.id]) }
    for way in ports.flatMap({ endpoint.forwards(of: $0) }) {
      guard let socket = entries[endpoint.id]?.sockets[way.listening],
        entries[endpoint.id]?.forwards.contains(way) == false
      else { continue }
      try forwarder.forward(way, from: socket, in: host)
      entries[endpoint.id]?.forwards.insert(way)
    }
  }

  /// Lets go of everything.
  func endAll() {
    let dropped = entries.withLock { entries in entries.keys.flatMap { end(nil, of: $0, &entries) } }
    withExtendedLifetime(dropped) {}
  }

  /// Lets go of an endpoint's ports; of all of them, unless some are named.
  func end(_ ports: [PublishedPort]? = nil, of endpoint: String) {
    let dropped = entries.withLock { entries in end(ports, of: endpoint, &entries) }
    // Closed here and not under the lock, since that may take the kernel a while.
    withExtendedLifetime(dropped) {}
  }

  private func end(
    _ ports: [PublishedPort]?, of endpoint: String, _ entries: inout [String: Entry]
  ) -> [PortReservation] {
    guard var entry = entries[endpoint] else { return [] }
    let bindings = ports.map { Set($0.flatMap(\.bindings)) } ?? Set(entry.sockets.keys)
    for way in entry.forwards where bindings.contains(way.listening) {
      forwarder?.stop(way)
      entry.forwards.remove(way)
    }
    let dropped = bindings.compactMap { entry.sockets.removeValue(forKey: $0) }
    entry.pending.subtract(bindings)
    entries[endpoint] = entry.sockets.isEmpty ? nil : entry
    noteListeners(of: endpoint, entry)
    return dropped
  }

  /// Releases ports that are no longer recorded, and reserves recorded ones that are ready. A port that cannot be
  /// reserved is skipped: another process of the same record may hold it.
  ///
  /// - Parameters:
  ///   - yields: Whether another process forwards: its listening addresses are left to it.
  ///   - record: All recorded endpoints, read while nothing here changes.
  func follow(yields: Bool, _ record: () throws(NetworkError) -> [Endpoint]) throws(NetworkError) {
    var dropped: [PortReservation] = []
    try entries.withLock { (entries) throws(NetworkError) in
      let endpoints = try record()
      let known = Set(endpoints.map(\.id))
      for id in entries.keys where !known.contains(id) { dropped += end(nil, of: id, &entries) }
      for endpoint in endpoints { dropped += follow(endpoint, yields: yields, &entries) }
    }
    withExtendedLifetime(dropped) {}
  }

  private func follow(
    _ endpoint: Endpoint, yields: Bool, _ entries: inout [String: Entry]
  ) -> [PortReservation] {
    let sockets = entries[endpoint.id]?.sockets ?? [:]
    var dropped: [PortReservation] = []
    let others = yields ? endpoint.listeners : []
    if !sockets.isEmpty {
      let recorded = Set(endpoint.ports.flatMap(\.bindings)).subtracting(others)
        .union(entries[endpoint.id]?.pending ?? [])
      let gone = sockets.keys.filter { !recorded.contains($0) }
      if !gone.isEmpty {
        for way in entries[endpoint.id]?.forwards ?? [] where gone.contains(way.listening) {
          forwarder?.stop(way)
          entries[endpoint.id]?.forwards.remove(way)
        }
        noteListeners(of: endpoint.id, entries[endpoint.id])
        dropped = gone.compactMap { entries[endpoint.id]?.sockets.removeValue(forKey: $0) }
        if entries[endpoint.id]?.sockets.isEmpty == true { entries[endpoint.id] = nil }
      }
    }
    guard endpoint.phase == .ready, !endpoint.ports.isEmpty else { return dropped }
    let missing = endpoint.ports.flatMap(\.bindings).filter { sockets[$0] == nil && !others.contains($0) }
    // A binding that cannot be tested, as of a removed address, must not keep the others from being reserved.
    for binding in missing {
      guard let socket = try? host.kernel.reservePorts([binding], in: host.handle).first else { continue }
      entries[endpoint.id, default: Entry()].sockets[binding] = socket
    }
    if let forwarder { try? begin(endpoint.ports, of: endpoint, by: forwarder, &entries) }
    return dropped
  }
}
