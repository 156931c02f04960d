import Netlink
import NetworkPrimitives

extension BridgeDriver {
  /// Has the host's kernel forget the UDP flows that a change of an endpoint's published ports makes wrong.
  ///
  /// - Parameter isReleased: Whether the ports are published no more, so that flows to the container are wrong, too.
  func forgetFlows(
    of endpoint: Endpoint, on network: NetworkRecord, isReleased: Bool
  ) throws(NetworkError) {
    var alone = endpoint
    alone.ports = []
    try forgetFlows(of: endpoint.ports, to: alone, isReleased: isReleased)
  }

  /// The same of some of its ports.
  ///
  /// A flow is translated as its first packet was, and lasts while there are packets: one from before the port was published
  /// would never reach the container, one to a container that is gone would never reach its successor. TCP is left alone: its
  /// connections end with the ends.
  ///
  /// - Parameters:
  ///   - changed: The ports that come or go.
  ///   - endpoint: Whose; with the ports that it has besides.
  ///   - isReleased: As above; not those to a port of the container's that stays published by another of the host's.
  func forgetFlows(
    of changed: [PublishedPort], to endpoint: Endpoint, isReleased: Bool
  ) throws(NetworkError) {
    let ports = changed.filter { $0.transport == .udp }
    guard !ports.isEmpty else { return }
    let staying = Set(endpoint.ports.filter { $0.transport == .udp }.map(\.containerPort))
    var ours: Set<IPAddress>?
    for own in endpoint.addresses {
      let published = ports.flatMap { port in
        port.translatedAddresses.filter { $0.family == own.family }.map { PortBinding($0, port.hostPort, .udp) }
      }
      let inside =
        isReleased ? Set(ports.filter { $0.reaches(own.family) }.map(\.containerPort)).subtracting(staying) : []
      guard !published.isEmpty || !inside.isEmpty else { continue }
      let flows = try host.connections.list(.udp, family: own.family)
      // Which addresses are the host's is asked only when there are flows, and one of all addresses' ports.
      if ours == nil, !flows.isEmpty, published.contains(where: \.address.isUnspecified) {
        ours = Set(try host.addresses.list().map(\.address.address))
      }
      // By their numbers, so that many flows are not each held against many ports.
      let addresses = Dictionary(grouping: published, by: \.port).mapValues { Set($0.map(\.address)) }
      let isOurs = { (address: IPAddress) in address.isLoopback || ours?.contains(address) == true }
      let stale = flows.filter { flow in
        if flow.reply.source == own.address, inside.contains(flow.reply.sourcePort) { return true }
        guard let places = addresses[flow.original.destinationPort] else { return false }
        let destination = flow.original.destination
        return places.contains(destination) || places.contains(.any(own.family)) && isOurs(destination)
      }
      try host.connections.delete(stale)
    }
  }
}

extension PublishedPort {
  /// Whether the container is reached by its address of a family.
  fileprivate func reaches(_ family: AddressFamily) -> Bool {
    hostAddress == nil || hostAddress?.family == family || forwarded != nil
  }
}
