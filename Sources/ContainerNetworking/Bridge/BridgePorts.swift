import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// The bridge's treatment of endpoints' ports.
///
/// A new container announces itself, and the kernel delivers that to every port of the bridge before the caller
/// continues. Beside a thousand containers this is most of the time of an attach. Neighbours do not need it: the MAC
/// address is derived from the IPv4 address, so their entries are right. Ports therefore have neighbour suppression
/// (`neigh_suppress`; `br_do_proxy_suppress_arp` and `br_flood` in net/bridge), which takes effect once the container
/// has announced itself. Frames that such a port sends are still delivered to all.
///
/// An endpoint whose addresses neighbours may know with another MAC address announces itself after that, and all
/// receive it. The ports between the bridges of a grown network have suppression from the start: the source's bridge
/// has already decided whether to flood a frame.
extension BridgeDriver {
  /// The requests for a port's settings: none or one.
  func portSettings(_ endpoint: Endpoint, _ network: NetworkRecord) throws(NetworkError) -> [NetlinkRequest] {
    var options = BridgePortOptions()
    if !endpoint.ports.isEmpty { options.isHairpin = true }
    if hearsNoAnnouncements(network) { options.suppressesNeighbors = true }
    if options == BridgePortOptions() { return [] }
    return [LinkRequests.changeBridgePort(named: try endpoint.requirePort(), options)]
  }

  /// Makes a container announce itself to all neighbours, past the suppression of its port. Setting the MAC address
  /// that the link already has triggers the announcement (`NETDEV_CHANGEADDR` in net/ipv4/devinet.c and
  /// net/ipv6/ndisc.c). Bringing the link up triggers one, too, but the port may not carry frames yet.
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

  /// Updates the forwarding entries of a grown network's bridges. Otherwise they send frames for a reused MAC address
  /// to its former port until the new container sends a frame. Two bridges at most are affected: the endpoint's own,
  /// and the first, which connects all others.
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
      // A port without carrier refuses the entry (EPERM), and has flushed its entries (br_stp_disable_port). If the
      // index belongs to no link, or to one outside a bridge, it may be a deleted trunk's.
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

  /// Whether the ports of a network's endpoints have neighbour suppression. An adopted bridge has other ports, and
  /// hosts behind them may change their MAC addresses.
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
      // Not earlier: a packet before the ports' map entries would have created the flow again.
      try forgetFlows(of: ports, to: endpoint, isReleased: false)
    } catch { throw error.with(leftovers: unpublish(ports, of: endpoint, on: network)) }
  }

  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError] {
    attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(ports, of: endpoint, on: network)) }
      + attempt { () throws(NetworkError) in try forgetFlows(of: ports, to: endpoint, isReleased: true) }
      + attempt { () throws(NetworkError) in try setHairpin(false, endpoint) }
  }

  /// Sets hairpin mode (`IFLA_BRPORT_MODE`): a packet may leave by the port on which it arrived. A container needs it
  /// to reach its own published port if br_netfilter redirects frames within the bridge. Ports without published ports
  /// do not have it.
  ///
  /// - Parameter endpoint: The endpoint with its other published ports.
  private func setHairpin(_ isOn: Bool, _ endpoint: Endpoint) throws(NetworkError) {
    guard endpoint.ports.isEmpty else { return }
    var options = BridgePortOptions()
    options.isHairpin = isOn
    try host.perform([LinkRequests.changeBridgePort(named: endpoint.requirePort(), options)])
  }
}
