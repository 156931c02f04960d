import NetworkPrimitives

/// The published ports of an endpoint by the container's port, so that many mappings are not each held against many ports.
struct PortIndex {
  private let ports: [PublishedPort]
  private let places: [UInt16: [Int]]
  private var meant: Set<Int> = []
  /// How many ports were looked at.
  private(set) var looks = 0

  init(_ ports: [PublishedPort]) {
    self.ports = ports
    places = Dictionary(grouping: ports.indices) { ports[$0].containerPort }
  }

  /// Those that mappings meant, and the others, each in their order.
  var split: (meant: [PublishedPort], others: [PublishedPort]) {
    (meant.sorted().map { ports[$0] }, ports.indices.filter { !meant.contains($0) }.map { ports[$0] })
  }

  /// - Throws: `.notFound` for a mapping that none of the ports could have become of.
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
          reason: "\(mapping.containerPorts)/\(mapping.transport) is not published like that; "
            + (known.isEmpty ? "no port is published" : "published are: \(known)"))
      }
    }
  }
}

extension PortMapping {
  /// Whether a published port could have become of this.
  fileprivate func means(_ port: PublishedPort) -> Bool {
    guard transport == port.transport, containerPorts.contains(port.containerPort) else { return false }
    if let hostAddress, hostAddress != port.hostAddress { return false }
    guard let hostPorts else { return true }
    guard containerPorts.count > 1 else { return hostPorts.contains(port.hostPort) }
    return Int(port.hostPort) - Int(hostPorts.lower) == Int(port.containerPort) - Int(containerPorts.lower)
  }
}
