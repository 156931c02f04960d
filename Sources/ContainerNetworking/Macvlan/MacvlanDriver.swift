import Netlink
import NetworkPrimitives

/// Macvlan networks: a network is a link of the host, the parent; endpoints are macvlans on it, in the containers'
/// namespaces. The containers are on the parent's link. No packet passes the host, which has no bridge and no rules for
/// them.
struct MacvlanDriver: Driver {
  let host: NetworkNamespace
  let name = NetworkDriver.macvlan

  // MARK: - Networks

  func setUp(_ network: NetworkRecord) throws(NetworkError) {
    // validate(_:_:) has verified the parent; nothing of it is changed.
  }

  func bringBack(_ network: NetworkRecord) throws(NetworkError) {
    // A missing parent may still appear; until then it is a difference.
  }

  func tearDown(_ network: NetworkRecord) -> [NetworkError] { [] }
  func owns(_ network: NetworkRecord) -> Bool { true }

  // MARK: - Endpoints

  func macAddress(on network: NetworkRecord) throws(NetworkError) -> MACAddress? {
    // The kernel gives a macvlan in passthru mode its parent's address, and would change the parent's with it.
    network.macvlanMode == .passthru ? try parent(of: network).macAddress : nil
  }

  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    try plug(endpoint, to: network, in: namespace, routes: routes)
  }

  func plug(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    let mode = network.macvlanMode ?? .bridge
    let parent = try parent(of: network)
    // No echo: of a link in another namespace the kernel tells that one alone.
    do throws(NetworkError) {
      try host.connection(.route).execute(
        LinkRequests.createMacvlan(
          VethEnd(
            endpoint.interface, macAddress: mode == .passthru ? nil : endpoint.macAddress,
            namespace: namespace.handle.descriptor),
          // The kernel takes no more than the parent's, which may have fallen.
          parent: parent.index, mtu: min(network.mtu, parent.mtu), mode: mode))
    } catch {
      // After a lost answer the link may be there.
      guard error.code == .replyLost else { throw error }
      throw error.with(leftovers: unplug(endpoint, from: network, in: namespace))
    }
    do throws(NetworkError) {
      let inside = try namespace.links.get("\(endpoint.interface)").index
      try ignoreRouters(endpoint, in: namespace)
      try configure(endpoint, inside, in: namespace, routes: routes)
    } catch { throw error.with(leftovers: unplug(endpoint, from: network, in: namespace)) }
  }

  /// Other hosts share the link: their router advertisements would give the container addresses and routes.
  private func ignoreRouters(_ endpoint: Endpoint, in namespace: NetworkNamespace) throws(NetworkError) {
    do throws(NetworkError) {
      try namespace.setSysctl("net/ipv6/conf/\(endpoint.interface)/accept_ra", to: "0")
    } catch {
      // A host booted without IPv6 has no such sysctl.
      if endpoint.address(.ipv6) != nil || error.code != .notFound { throw error }
    }
  }

  func disconnect(
    _ endpoint: Endpoint, from network: NetworkRecord, in namespace: () throws(NetworkError) -> NetworkNamespace?
  ) -> [NetworkError] {
    do throws(NetworkError) {
      // The link went with its namespace.
      guard let namespace = try namespace() else { return [] }
      return unplug(endpoint, from: network, in: namespace)
    } catch { return [error] }
  }

  func unplug(_ endpoint: Endpoint, from network: NetworkRecord, in namespace: NetworkNamespace) -> [NetworkError] {
    attempt { () throws(NetworkError) in
      let link = try namespace.links.get("\(endpoint.interface)")
      guard try isOurs(link, endpoint, network) else { return }
      try namespace.links.delete(index: link.index)
    }
  }

  /// Whether a link of the endpoint's name was made for the endpoint, not by the container. The container may have
  /// changed its hardware address, but cannot change its parent.
  private func isOurs(
    _ link: Link, _ endpoint: Endpoint, _ network: NetworkRecord
  ) throws(NetworkError) -> Bool {
    guard link.kind == "macvlan" else { return false }
    if link.macAddress == endpoint.macAddress { return true }
    return link.peer == (try parent(of: network).index)
  }

  // MARK: - Repairs

  func differences(of network: NetworkRecord, _ survey: Survey) throws(NetworkError) -> [Difference] {
    guard let parent = network.parent else { return [] }
    guard survey.links[parent.description] != nil else {
      return [
        Difference(
          .parentMissing, network: network.name, "the parent \(parent) of network \"\(network.name)\" is gone")
      ]
    }
    let mtu = try host.links.get("\(parent)").mtu
    guard mtu < network.mtu else { return [] }
    return [
      Difference(
        .parentMTU, network: network.name,
        "the mtu \(network.mtu) of network \"\(network.name)\" is above the \(mtu) of its parent \(parent)")
    ]
  }

  /// Differences inside the container are found there.
  func differences(of endpoint: Endpoint, on network: NetworkRecord, _ survey: Survey) -> [Difference] { [] }

  func repair(_ network: NetworkRecord, _ survey: Survey) throws(NetworkError) {
    // The parent is its owner's to bring back.
  }

  func isPlugged(
    _ endpoint: Endpoint, in namespace: NetworkNamespace, _ survey: Survey
  ) throws(NetworkError) -> Bool {
    try namespace.links.list().contains { $0.name == endpoint.interface.description }
  }

  func replug(_ endpoint: Endpoint, to network: NetworkRecord) throws(NetworkError) {
    // The host has no end of it.
  }

  private func parent(of network: NetworkRecord) throws(NetworkError) -> Link {
    guard let parent = network.parent else {
      throw NetworkError(
        .damagedRecord, operation: "look for the parent of network \"\(network.name)\"",
        reason: "its record names none; remove the network and make it again")
    }
    return try host.links.get("\(parent)")
  }
}
