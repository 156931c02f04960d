import NetworkPrimitives

/// The published ports of an endpoint, indexed by container port, so that many mappings are not each compared with many
/// ports.
struct PortIndex {
  private let ports: [PublishedPort]
  private let places: [UInt16: [Int]]
  private var meant: Set<Int> = []
  /// The number of compared ports.
  private(set) var looks = 0

  init(_ ports: [PublishedPort]) {
    self.ports = ports
    places = Dictionary(grouping: ports.indices) { ports[$0].containerPort }
  }

  /// The ports that the mappings match, and the others, each in their order.
  var split: (meant: [PublishedPort], others: [PublishedPort]) {
    (meant.sorted().map { ports[$0] }, ports.indices.filter { !meant.contains($0) }.map { ports[$0] })
  }

  /// - Throws: `.notFound` for a mapping that could have produced none of the ports.
  mutating func mean(_ mappings: [PortMapping], _ operation: String) throws(NetworkError) {
    for mapping in mappings {
      var isFound = false
      for port in mapping.containerPorts.ports {
        for place in places[port] ?? [] {
          looks += 1
          guard mapping.means(ports[place]) else { continue }
          isFound = true
          meant.insert(place)
        }
      }
      guard isFound else {
        let known = ports.prefix(20).map(\.description).joined(separator: ", ") + (ports.count > 20 ? ", …" : "")
        throw NetworkError(
          .notFound, operation: operation,
          reason: "\(mapping.containerPorts)/\(mapping.transport) is not published in that form; "
            + (known.isEmpty ? "no port is published" : "published are: \(known)"))
      }
    }
  }
}

extension PortMapping {
  /// Whether this mapping could have produced the port.
  fileprivate func means(_ port: PublishedPort) -> Bool {
    guard transport == port.transport, containerPorts.contains(port.containerPort) else { return false }
    if let hostAddress, hostAddress != port.hostAddress { return false }
    guard let hostPorts else { return true }
    guard containerPorts.count > 1 else { return hostPorts.contains(port.hostPort) }
    return Int(port.hostPort) - Int(hostPorts.lower) == Int(port.containerPort) - Int(containerPorts.lower)
  }
}
