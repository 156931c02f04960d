import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// What a bridge does with the ports of endpoints.
///
/// A new container announces itself, and the kernel would deliver that to every port of the bridge before it returns to who
/// made the container: beside a thousand containers that is most of what an attach takes. Nobody needs it, since
/// a hardware address goes with its IPv4 address: whoever knows one by the other is right. So ports are kept from hearing
/// announcements (`neigh_suppress`; `br_do_proxy_suppress_arp` and `br_flood` in net/bridge). What such a port sends itself is
/// delivered to all as ever; a port is one once its container has announced itself. One whose addresses neighbours may know by
/// another hardware address announces itself after that, and all hear it. The ports between the bridges of a network that has
/// grown are such from the beginning: what comes by them, for all or for none, was decided where it came from.
extension BridgeDriver {
  /// Settings of a port: none, or one request.
  func portSettings(_ endpoint: Endpoint, _ network: NetworkRecord) throws(NetworkError) -> [NetlinkRequest] {
    var options = BridgePortOptions()
    if !endpoint.ports.isEmpty { options.isHairpin = true }
    if hearsNoAnnouncements(network) { options.suppressesNeighbors = true }
    if options == BridgePortOptions() { return [] }
    return [LinkRequests.changeBridgePort(named: try endpoint.requirePort(), options)]
  }

  /// Has a container announce itself, to all whom its port is one of by now: to set the hardware address that it has makes the
  /// kernel do so (`NETDEV_CHANGEADDR` in net/ipv4/devinet.c and net/ipv6/ndisc.c). To come up does so, too, but its port
  /// carries frames by then only if the kernel has not yet looked at its carrier.
  func announce(
    _ endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace
  ) throws(NetworkError) {
    if endpoint.address(.ipv6) != nil {
      // An unsolicited neighbour advertisement (RFC 4861 7.2.6).
      try namespace.setSysctl("net/ipv6/conf/\(endpoint.interface)/ndisc_notify", to: "1")
    }
    var settings = LinkChange()
    settings.announcesAddresses = true
    var address = LinkChange()
    address.macAddress = endpoint.macAddress
    try namespace.perform([LinkRequests.change(inside, settings), LinkRequests.change(inside, address)])
  }

  /// Has the bridges of a network that has grown know where containers are by now. They would go on to send what is for a
  /// hardware address to where somebody else had it, until a frame of the container's own comes by. That are two at the most:
  /// the bridge that it is on, and the first, by which it is reached from all others.
  func tellBridges(
    _ placed: [(endpoint: Endpoint, network: NetworkRecord, echo: NetlinkMessage?)]
  ) throws(NetworkError) {
    for _ in 0..<2 {
      var requests: [NetlinkRequest] = []
      var trunks: Set<InterfaceName> = []
      for (endpoint, network, echo) in placed where network.hasGrown {
        requests.append(NeighborRequests.place(endpoint.macAddress, behind: try portIndex(of: endpoint, echo)))
        guard let name = endpoint.bridge, let further = network.furtherBridge(name),
          let trunk = try trunkIndex(of: further)
        else { continue }
        trunks.insert(try further.trunk)
        requests.append(NeighborRequests.place(endpoint.macAddress, behind: trunk))
      }
      guard !requests.isEmpty else { return }
      let refusals = try host.connection(.route).perform(requests).compactMap { $0.error?.kernel?.errno }
      // A port that carries nothing is refused it (EPERM), and has forgotten whom it knew (br_stp_disable_port). Only where no
      // link has the index, or one that is no bridge's, it may be that of a trunk that is no more.
      guard refusals.contains(where: { [Errno(rawValue: ENODEV), .notSupportedOnSocket].contains($0) }) else { return }
      for trunk in trunks { indices.forget(trunk) }
    }
  }

  private func trunkIndex(of further: FurtherBridge) throws(NetworkError) -> Int32? {
    let name = try further.trunk
    if let index = indices.known(name) { return index }
    let index = try trunk(of: further)
    if let index { indices.note(name, index) }
    return index
  }

  /// Whether the ports of a network's endpoints are kept from announcements. A bridge of the user's has other ports, and what
  /// is behind them may move to other hardware addresses.
  func hearsNoAnnouncements(_ network: NetworkRecord) -> Bool { !network.adoptsBridge }

  func publish(
    _ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord
  ) throws(NetworkError) {
    do throws(NetworkError) {
      try setHairpin(true, endpoint)
      try firewall.add(FirewallElements(ports, of: endpoint, on: network))
    } catch {
      // Elements that exist belong to another record. After a lost answer, our change may have been made: remove it.
      let isUntouched = error.code == .alreadyExists || error.code == .inUse
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

  /// Whether the port sends back where a packet came from (`IFLA_BRPORT_MODE`): what a container sends to its own published
  /// port comes back by the port that it left by, where br_netfilter redirects frames within the bridge. With ports alone.
  ///
  /// - Parameter endpoint: With the ports that it has besides those that come or go.
  private func setHairpin(_ isOn: Bool, _ endpoint: Endpoint) throws(NetworkError) {
    guard endpoint.ports.isEmpty else { return }
    var options = BridgePortOptions()
    options.isHairpin = isOn
    try host.perform([LinkRequests.changeBridgePort(named: endpoint.requirePort(), options)])
  }
}
