import Netlink
import NetworkPrimitives

extension BridgeDriver {
  /// Has the host's kernel forget the UDP flows that a change of an endpoint's published ports makes wrong.
  ///
  /// A flow is translated as its first packet was, and lasts while there are packets: one from before the port was published
  /// would never reach the container, one to a container that is gone would never reach its successor. TCP is left alone: its
  /// connections end with the ends.
  ///
  /// - Parameter isReleased: Whether the ports are published no more, so that flows to the container are wrong, too.
  func forgetFlows(
    of endpoint: Endpoint, on network: NetworkRecord, isReleased: Bool
  ) throws(NetworkError) {
    let ports = endpoint.ports.filter { $0.transport == .udp }
    guard !ports.isEmpty else { return }
    var ours: Set<IPAddress>?
    for own in endpoint.addresses {
      let published = ports.flatMap { $0.bindings(on: network) }.filter { $0.address.family == own.family }
      let inside = isReleased ? Set(ports.filter { $0.isPublished(own.family) }.map(\.containerPort)) : []
      guard !published.isEmpty || !inside.isEmpty else { continue }
      let flows = try host.connections.list(.udp, family: own.family)
      // Which addresses are the host's is asked only when there are flows, and one of all addresses' ports.
      if ours == nil, !flows.isEmpty, published.contains(where: \.address.isUnspecified) {
        ours = Set(try host.addresses.list().map(\.address.address))
      }
      let isOurs = { (address: IPAddress) in address.isLoopback || ours?.contains(address) == true }
      let stale = flows.filter { flow in
        if flow.reply.source == own.address, inside.contains(flow.reply.sourcePort) { return true }
        return published.contains { port in
          port.port == flow.original.destinationPort
            && (port.address.isUnspecified
              ? isOurs(flow.original.destination) : port.address == flow.original.destination)
        }
      }
      try host.connections.delete(stale)
    }
  }
}

extension PublishedPort {
  /// Whether it is one of a family.
  fileprivate func isPublished(_ family: AddressFamily) -> Bool { hostAddress == nil || hostAddress?.family == family }
}
