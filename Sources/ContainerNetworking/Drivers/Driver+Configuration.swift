import Netlink
public import NetworkPrimitives

/// The container's end of an endpoint, which is alike for every driver.
extension Driver {
  /// Configures the container's new interface: addresses, up, default routes.
  ///
  /// - Parameters:
  ///   - endpoint: The endpoint.
  ///   - inside: The interface's index.
  ///   - namespace: The container's namespace.
  ///   - routes: The families for which it has the default route.
  /// - Throws: The kernel's refusals; the interface may then have some of it.
  public func configure(
    _ endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    try configure(
      endpoint, inside, in: namespace, routes: routes, linkLocal: endpoint.macAddress.linkLocalAddress)
  }

  /// As above, with a link-local address other than the one of its hardware address; nil for none.
  func configure(
    _ endpoint: Endpoint, _ inside: Int32, in namespace: NetworkNamespace, routes: [AddressFamily],
    linkLocal: IPv6Address?
  ) throws(NetworkError) {
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    if endpoint.announcesToAll != true { settings.announcesAddresses = endpoint.address(.ipv4) != nil }
    var requests = [LinkRequests.change(inside, settings)]
    for address in endpoint.addresses { requests.append(AddressRequests.add(address, to: inside)) }
    if endpoint.address(.ipv6) != nil, let linkLocal {
      // The source address of neighbour solicitations for the gateway, when the container answers from another
      // network's address.
      let own = try InterfaceAddress(address: .v6(linkLocal), prefixLength: 64)
      requests.append(AddressRequests.add(own, to: inside))
    }
    requests.append(LinkRequests.change(inside, LinkChange(isUp: true)))
    for gateway in endpoint.gateways where routes.contains(gateway.family) {
      requests.append(RouteRequests.add(.standard(by: gateway, link: inside)))
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
      requests.append(RouteRequests.add(.standard(by: gateway, link: inside)))
    }
    try namespace.perform(requests + [LinkRequests.glance(at: inside)])
  }

  /// Adds the missing addresses of the container's interface, and brings it up; nothing where all is there.
  func reconfigure(_ endpoint: Endpoint, in namespace: NetworkNamespace) throws(NetworkError) {
    if try namespace.missing([endpoint]).isEmpty { return }
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

extension Route {
  /// The default route of a family by a next hop; by the link itself for the unspecified address.
  static func standard(by gateway: IPAddress, link: Int32) -> Route {
    Route(to: .all(gateway.family), via: gateway.isUnspecified ? nil : gateway, link: link)
  }
}

extension NetworkNamespace {
  /// The missing settings of endpoints' interfaces in a container; a missing veth pair is a difference of the host.
  func missing(_ endpoints: [Endpoint]) throws(NetworkError) -> [(Endpoint, Difference.Kind, String)] {
    let links = try self.links.glances()
    let addresses = try self.addresses.list()
    var list: [(Endpoint, Difference.Kind, String)] = []
    for endpoint in endpoints {
      guard let link = links.first(where: { $0.name == endpoint.interface.description }) else {
        if endpoint.hostInterface == nil { list.append((endpoint, .linkMissing, "is gone")) }
        continue
      }
      if !link.flags.contains(.up) { list.append((endpoint, .containerSettings, "is down")) }
      for address in endpoint.addresses
      where !addresses.contains(where: { $0.link == link.index && $0.address == address }) {
        list.append((endpoint, .containerSettings, "does not have the address \(address)"))
      }
    }
    return list
  }
}
