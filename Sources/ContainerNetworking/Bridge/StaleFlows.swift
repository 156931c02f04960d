import Netlink
import NetworkPrimitives

extension BridgeDriver {
  /// Deletes the host's UDP flows that a change of an endpoint's published ports makes stale.
  ///
  /// - Parameter isReleased: Whether the ports are being released, so that flows to the container are stale, too.
  func forgetFlows(
    of endpoint: Endpoint, on network: NetworkRecord, isReleased: Bool
  ) throws(NetworkError) {
    var alone = endpoint
    alone.ports = []
    try forgetFlows(of: endpoint.ports, to: alone, isReleased: isReleased)
  }

  /// As above, for some of the ports.
  ///
  /// A flow is translated as its first packet was, and lasts while there are packets. A flow from before the
  /// publication would never reach the container; one to a removed container would never reach its successor. TCP is
  /// exempt: its connections end with their endpoints.
  ///
  /// - Parameters:
  ///   - changed: The ports that are published or released.
  ///   - endpoint: Their endpoint, with its other published ports.
  ///   - isReleased: As above, except flows to a container's port that another published port still maps to.
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
      // The host's addresses are listed only if there are flows, and a published port on the wildcard.
      if ours == nil, !flows.isEmpty, published.contains(where: \.address.isUnspecified) {
        ours = Set(try host.addresses.list().map(\.address.address))
      }
      // Grouped by port, so that many flows are not each compared with many ports.
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
  /// Whether traffic reaches the container by its address of the family.
  fileprivate func reaches(_ family: AddressFamily) -> Bool {
    hostAddress == nil || hostAddress?.family == family || forwarded != nil
  }
}
