import Netlink
import NetworkPrimitives

/// Ports of endpoints that are there.
extension BridgeDriver {
  func publish(
    _ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord
  ) throws(NetworkError) {
    do throws(NetworkError) {
      try setHairpin(true, endpoint)
      try firewall.add(FirewallElements(ports, of: endpoint, on: network))
      // Not before: a packet that came before the ports were in the map would have made its flow anew.
      try forgetFlows(of: ports, to: endpoint, isReleased: false)
    } catch { throw error.with(leftovers: unpublish(ports, of: endpoint, on: network, notBegun: error)) }
  }

  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError] {
    attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(ports, of: endpoint, on: network)) }
      + attempt { () throws(NetworkError) in try forgetFlows(of: ports, to: endpoint, isReleased: true) }
      + attempt { () throws(NetworkError) in try setHairpin(false, endpoint) }
  }

  /// The same after a failure: what the kernel has under our names but not from here is another's.
  private func unpublish(
    _ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord, notBegun error: NetworkError
  ) -> [NetworkError] {
    guard error.code == .alreadyExists else { return unpublish(ports, of: endpoint, on: network) }
    return attempt { () throws(NetworkError) in try setHairpin(false, endpoint) }
  }

  /// Whether the port sends back where a packet came from: with ports alone, see ``plug(_:to:in:routes:)``.
  ///
  /// - Parameter endpoint: With the ports that it has besides those that come or go.
  private func setHairpin(_ isOn: Bool, _ endpoint: Endpoint) throws(NetworkError) {
    guard endpoint.ports.isEmpty else { return }
    try host.perform([LinkRequests.setBridgePort(named: endpoint.requirePort(), isHairpin: isOn)])
  }
}
