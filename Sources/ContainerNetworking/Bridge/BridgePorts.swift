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
    } catch {
      // What is there already is another's; of a change whose answer was lost it is not known whether it was made.
      let isUntouched = error.code == .alreadyExists
      let leftovers =
        isUntouched
        ? attempt { () throws(NetworkError) in try setHairpin(false, endpoint) }
        : unpublish(ports, of: endpoint, on: network)
      throw error.with(leftovers: leftovers)
    }
    do throws(NetworkError) {
      // Not before: a packet that came before the ports were in the map would have made its flow anew.
      try forgetFlows(of: ports, to: endpoint, isReleased: false)
    } catch { throw error.with(leftovers: unpublish(ports, of: endpoint, on: network)) }
  }

  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError] {
    attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(ports, of: endpoint, on: network)) }
      + attempt { () throws(NetworkError) in try forgetFlows(of: ports, to: endpoint, isReleased: true) }
      + attempt { () throws(NetworkError) in try setHairpin(false, endpoint) }
  }

  /// Whether the port sends back where a packet came from: with ports alone, see ``plug(_:to:in:routes:)``.
  ///
  /// - Parameter endpoint: With the ports that it has besides those that come or go.
  private func setHairpin(_ isOn: Bool, _ endpoint: Endpoint) throws(NetworkError) {
    guard endpoint.ports.isEmpty else { return }
    try host.perform([LinkRequests.setBridgePort(named: endpoint.requirePort(), isHairpin: isOn)])
  }
}
