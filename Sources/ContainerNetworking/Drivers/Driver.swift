import Netlink
import NetworkPrimitives

/// What networks of one kind are made of, and how: validate, set up, tear down. The engine decides when, and writes it down.
///
/// What takes away tries every step and returns what failed; what is gone already is no failure.
protocol Driver: Sendable {
  /// Has the options say what the host has to say to them, and finds what they cannot have.
  ///
  /// - Returns: Every fault.
  /// - Throws: When the kernel could not be asked.
  func validate(_ options: inout NetworkOptions, _ operation: String) throws(NetworkError) -> [NetworkError]

  // MARK: - Networks

  /// Makes the host's part of a network.
  ///
  /// - Throws: What failed, with what could then not be taken back as ``NetworkError/leftovers``.
  func setUp(_ network: NetworkRecord) throws(NetworkError)
  /// Makes it again after a start of the machine; whatever is there already stays.
  func bringBack(_ network: NetworkRecord) throws(NetworkError)
  /// Takes the host's part of a network away.
  func tearDown(_ network: NetworkRecord) -> [NetworkError]
  /// Whether what there is on the host of a network that was perhaps never made is the network's, and not somebody else's
  /// under the same name.
  func owns(_ network: NetworkRecord) -> Bool

  // MARK: - Endpoints

  /// The hardware address that every endpoint of a network has; nil if each has one of its own.
  func macAddress(on network: NetworkRecord) throws(NetworkError) -> MACAddress?
  /// Makes an endpoint.
  ///
  /// - Parameter routes: The families whose default route it has.
  /// - Throws: As ``setUp(_:)``.
  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError)
  /// Takes an endpoint away.
  ///
  /// - Parameter namespace: Opens the container's namespace, for those that need it; nil where it is gone.
  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError]

  /// Publishes ports of an endpoint that is there.
  ///
  /// - Parameter endpoint: With the ports that it has besides.
  /// - Throws: As ``setUp(_:)``.
  func publish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError)
  /// Takes published ports of an endpoint that stays away.
  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError]

  // MARK: - Repairs

  /// What the host lacks of a network.
  func differences(of network: NetworkRecord, _ survey: Survey) throws(NetworkError) -> [Difference]
  /// What the host lacks of an endpoint.
  func differences(of endpoint: Endpoint, on network: NetworkRecord, _ survey: Survey) -> [Difference]
  /// Makes what the host lacks of a network.
  func repair(_ network: NetworkRecord, _ survey: Survey) throws(NetworkError)
  /// Whether an endpoint's link is there.
  func isPlugged(_ endpoint: Endpoint, in namespace: NetworkNamespace, _ survey: Survey) throws(NetworkError) -> Bool
  /// Makes an endpoint's link, its addresses and routes.
  ///
  /// - Throws: As ``setUp(_:)``.
  func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError)
  /// Has the host's part of a link that is there be as it should.
  func replug(_ endpoint: Endpoint, to network: NetworkRecord) throws(NetworkError)
  /// Deletes an endpoint's link.
  func unplug(_ endpoint: Endpoint, from network: NetworkRecord, in namespace: NetworkNamespace) -> [NetworkError]
}

extension Driver {
  // Of most drivers nothing is published: see NetworkRecord.passesHost.
  func publish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {}
  func unpublish(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> [NetworkError] { [] }

  /// Sets up the container's interface, which was just made: addresses, up, default routes.
  func configure(
    _ endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    if endpoint.announcesToAll != true { settings.announcesAddresses = endpoint.address(.ipv4) != nil }
    var requests = [LinkRequests.change(inside, settings)]
    for address in endpoint.addresses { requests.append(AddressRequests.add(address, to: inside)) }
    if endpoint.address(.ipv6) != nil {
      // By this one the container asks for the gateway when it answers from another network's address.
      let own = try InterfaceAddress(address: .v6(endpoint.macAddress.linkLocalAddress), prefixLength: 64)
      requests.append(AddressRequests.add(own, to: inside))
    }
    requests.append(LinkRequests.change(inside, LinkChange(isUp: true)))
    for gateway in endpoint.gateways where routes.contains(gateway.family) {
      requests.append(RouteRequests.add(Route(to: .all(gateway.family), via: gateway, link: inside)))
    }
    // A link carries packets once linkwatch has run, up to a second later; to be asked about it makes the kernel look at
    // once (linkwatch_sync_dev in rtnl_getlink).
    requests.append(LinkRequests.glance(at: inside))
    if endpoint.address(.ipv4) == nil, endpoint.announcesToAll != true {
      // A hardware address that says nothing of the IPv6 one: tell the neighbours (unsolicited NA, RFC 4861 7.2.6).
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

  /// Gives the container's interface what it lacks of addresses, and sets it up.
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
