import Netlink
import NetworkPrimitives

/// The implementation of one kind of network: validate, set up, tear down. The engine decides the order, and records
/// it.
///
/// Removals try every step and return the failures; a missing object is no failure.
protocol Driver: Sendable {
  /// The name by which networks' records tell it.
  var name: NetworkDriver { get }
  /// The properties of its networks.
  var traits: DriverTraits { get }

  /// Completes the options from the host (a parent's MTU, say) and returns every fault.
  ///
  /// - Returns: Every fault.
  /// - Throws: When the kernel could not be asked.
  func validate(_ options: inout NetworkOptions, _ operation: String) throws(NetworkError) -> [NetworkError]

  // MARK: - Networks

  /// Makes the host's part of a network.
  ///
  /// - Throws: The failure, with objects that the undo could not remove as ``NetworkError/leftovers``.
  func setUp(_ network: NetworkRecord) throws(NetworkError)
  /// Restores it after a start of the machine; existing parts stay.
  func bringBack(_ network: NetworkRecord) throws(NetworkError)
  /// Removes the host's part of a network.
  func tearDown(_ network: NetworkRecord) -> [NetworkError]
  /// Whether the host objects under this half-made network's names are ours.
  func owns(_ network: NetworkRecord) -> Bool

  // MARK: - Endpoints

  /// The shared hardware address of a network's endpoints; nil if each has its own.
  func macAddress(on network: NetworkRecord) throws(NetworkError) -> MACAddress?
  /// Creates an endpoint.
  ///
  /// - Parameter routes: The families for which it has the default route.
  /// - Throws: As ``setUp(_:)``.
  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError)
  /// Removes an endpoint.
  ///
  /// - Parameter namespace: Opens the container's namespace, for drivers that need it; returns nil if it is gone.
  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError]

  /// Publishes ports of an existing endpoint.
  ///
  /// - Parameter endpoint: The endpoint with its other published ports.
  /// - Throws: As ``setUp(_:)``.
  func publish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError)
  /// Releases some published ports of an endpoint.
  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError]

  // MARK: - Repairs

  /// The missing parts of a network on the host.
  func differences(of network: NetworkRecord, _ survey: Survey) throws(NetworkError) -> [Difference]
  /// The missing parts of an endpoint on the host.
  func differences(of endpoint: Endpoint, on network: NetworkRecord, _ survey: Survey) -> [Difference]
  /// Restores the missing parts of a network on the host.
  func repair(_ network: NetworkRecord, _ survey: Survey) throws(NetworkError)
  /// Whether an endpoint's link exists.
  func isPlugged(_ endpoint: Endpoint, in namespace: NetworkNamespace, _ survey: Survey) throws(NetworkError) -> Bool
  /// Creates an endpoint's link, its addresses and routes.
  ///
  /// - Throws: As ``setUp(_:)``.
  func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError)
  /// Restores the settings of the host's part of an existing link.
  func replug(_ endpoint: Endpoint, to network: NetworkRecord) throws(NetworkError)
  /// Deletes an endpoint's link.
  func unplug(_ endpoint: Endpoint, from network: NetworkRecord, in namespace: NetworkNamespace) -> [NetworkError]
}

extension Driver {
  var traits: DriverTraits { DriverTraits() }

  // Most drivers publish nothing: see DriverTraits.publishesPorts.
  func publish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {}
  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError] { [] }

  /// Configures the container's new interface: addresses, up, default routes.
  func configure(
    _ endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    if endpoint.announcesToAll != true { settings.announcesAddresses = endpoint.address(.ipv4) != nil }
    var requests = [LinkRequests.change(inside, settings)]
    for address in endpoint.addresses { requests.append(AddressRequests.add(address, to: inside)) }
    if endpoint.address(.ipv6) != nil {
      // The source address of neighbour solicitations for the gateway, when the container answers from another
      // network's address.
      let own = try InterfaceAddress(address: .v6(endpoint.macAddress.linkLocalAddress), prefixLength: 64)
      requests.append(AddressRequests.add(own, to: inside))
    }
    requests.append(LinkRequests.change(inside, LinkChange(isUp: true)))
    for gateway in endpoint.gateways where routes.contains(gateway.family) {
      requests.append(RouteRequests.add(Route(to: .all(gateway.family), via: gateway, link: inside)))
    }
    // A link's carrier comes up only when linkwatch runs, up to a second later; a query makes the kernel update it at
    // once (linkwatch_sync_dev in rtnl_getlink).
    requests.append(LinkRequests.glance(at: inside))
    if endpoint.address(.ipv4) == nil, endpoint.announcesToAll != true {
      // The hardware address is not derived from the IPv6 one: tell the neighbours (unsolicited NA, RFC 4861 7.2.6).
      try namespace.setSysctl("net/ipv6/conf/\(endpoint.interface)/ndisc_notify", to: "1")
    }
    do throws(NetworkError) { try namespace.perform(requests) } catch {
      guard error.isOfMissingPrefix, endpoint.address(.ipv6) != nil else { throw error }
      try restorePrefixes(of: endpoint, inside, in: namespace, routes: routes)
    }
  }

  /// Makes the route of the IPv6 prefix, and the default route by it that was refused.
  ///
  /// When a link comes up, the kernel makes the routes of its prefixes without waiting for memory, and goes on where there is
  /// none (fixup_permanent_addr, net/ipv6/addrconf.c). To set an address that is there makes its route again, and waits.
  private func restorePrefixes(
    of endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    var requests = endpoint.addresses.filter { $0.family == .ipv6 }.map { AddressRequests.replace($0, of: inside) }
    for gateway in endpoint.gateways where gateway.family == .ipv6 && routes.contains(.ipv6) {
      requests.append(RouteRequests.add(Route(to: .all(.ipv6), via: gateway, link: inside)))
    }
    try namespace.perform(requests + [LinkRequests.glance(at: inside)])
  }

  /// Adds the missing addresses of the container's interface, and brings it up.
  func reconfigure(_ endpoint: Endpoint, in namespace: NetworkNamespace) throws(NetworkError) {
    let link = try namespace.links.get("\(endpoint.interface)").index
    let has = Set(try namespace.addresses.list(link: link).map(\.address))
    let missing = endpoint.addresses.filter { !has.contains($0) }
    try namespace.perform(
      missing.map { AddressRequests.add($0, to: link) } + [LinkRequests.change(link, LinkChange(isUp: true))])
  }
}

extension NetworkError {
  /// Whether a route was refused since none leads to its gateway: of IPv6, since IPv4 says `ENETUNREACH`.
  fileprivate var isOfMissingPrefix: Bool {
    kernel?.errno == .noRouteToHost && kernel?.request == "RTM_NEWROUTE"
  }
}
