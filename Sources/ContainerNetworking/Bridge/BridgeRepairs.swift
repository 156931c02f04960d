import Netlink
import NetworkPrimitives

/// Compares bridges and veth pairs with the records, and repairs them.
extension BridgeDriver {
  func owns(_ network: NetworkRecord) -> Bool {
    guard network.phase == .creating, !network.adoptsBridge, let bridge = network.bridge,
      let link = try? host.links.get("\(bridge)")
    else { return true }
    return link.kind == "bridge" && link.macAddress == network.bridgeMACAddress
  }

  func differences(
    of network: NetworkRecord, _ endpoints: [Endpoint], _ host: HostSnapshot
  ) throws(NetworkError) -> [Difference] {
    try differences(of: network, host) + endpoints.flatMap { differences(of: $0, on: network, host) }
  }

  private func differences(of network: NetworkRecord, _ found: HostSnapshot) throws(NetworkError) -> [Difference] {
    let name = try network.requireBridge().description
    guard let link = found.links[name], link.kind == "bridge" else {
      return [
        Difference(.bridgeMissing, network: network.name, "the bridge \(name) of network \"\(network.name)\" is gone")
      ]
    }
    var list = try sourceAddressDifferences(of: network)
    let differ = { (what: String) in
      list.append(
        Difference(.bridgeSettings, network: network.name, "the bridge \(name) of network \"\(network.name)\" \(what)"))
    }
    if !link.flags.contains(.up) { differ("is down") }
    list += try furtherDifferences(of: network, found)
    for address in try addresses(of: network)
    where !found.addresses.contains(where: { $0.link == link.index && $0.address == address }) {
      differ("does not have the address \(address)")
    }
    if network.families.contains(.ipv4), (try? host.sysctl("net/ipv4/conf/\(name)/route_localnet")) == "0" {
      differ("does not route 127.0.0.0/8, which the host's access to published ports needs")
    }
    if let taken = try? host.sysctl("net/ipv6/conf/\(name)/accept_ra"), taken != "0" {
      differ("accepts router advertisements of containers (accept_ra)")
    }
    if !network.isInternal {
      if network.families.contains(.ipv4), (try? host.sysctl("net/ipv4/conf/\(name)/forwarding")) == "0" {
        differ("does not forward IPv4")
      }
      if network.families.contains(.ipv6), (try? host.sysctl("net/ipv6/conf/\(name)/force_forwarding")) == "0" {
        differ("does not forward IPv6")
      }
    }
    return list
  }

  private func differences(
    of endpoint: Endpoint, on network: NetworkRecord, _ host: HostSnapshot
  ) -> [Difference] {
    guard let bridgeName = try? network.bridge(of: endpoint), let name = endpoint.hostInterface else { return [] }
    let what = "\(name) of \"\(endpoint.container)\" on \"\(network.name)\""
    guard let link = host.links[name.description] else {
      return [
        Difference(
          .linkMissing, network: network.name, container: endpoint.container, "the veth pair \(what) is gone")
      ]
    }
    let bridge = host.links[bridgeName.description]
    var list: [Difference] = []
    if bridge == nil || link.master != bridge?.index {
      list.append(
        Difference(
          .portSettings, network: network.name, container: endpoint.container,
          "the veth \(what) is not a port of \(bridgeName)"))
    }
    if hearsNoAnnouncements(network), link.suppressesNeighbors == false {
      list.append(
        Difference(
          .portSettings, network: network.name, container: endpoint.container,
          "neighbour suppression is off on the veth \(what)"))
    }
    if !link.flags.contains(.up) {
      list.append(
        Difference(
          .portSettings, network: network.name, container: endpoint.container, "the veth \(what) is down"))
    }
    return list
  }

  func restore(
    _ endpoint: Endpoint, on network: NetworkRecord, in namespace: NetworkNamespace, _ host: HostSnapshot
  ) throws(NetworkError) {
    guard host.links[try endpoint.requirePort().description] != nil else {
      return try plug(endpoint, to: network, in: namespace, routes: [])
    }
    try replug(endpoint, to: network)
    try reconfigure(endpoint, in: namespace)
  }

  // MARK: - Rules

  func elements(of network: NetworkRecord) -> [(elements: FirewallElements, isSettled: Bool)] {
    var own = FirewallElements(network)
    var parts: [(elements: FirewallElements, isSettled: Bool)] = []
    if network.nameServer?.phase == .creating {
      // The rules may still redirect to the former port, or already to the new one.
      let names = FirewallElements(namesOf: network)
      own = own.filtered { set, element in !names.contains(element, in: set) }
      parts.append((names, false))
    }
    parts.append((own, true))
    for further in network.furtherBridges ?? [] {
      guard let own = try? FirewallElements(further, of: network) else { continue }
      parts.append((own, further.phase == .ready))
    }
    return parts
  }

  func elements(of endpoint: Endpoint, on network: NetworkRecord) -> FirewallElements {
    FirewallElements(endpoint, on: network)
  }

  func elements(of ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) -> FirewallElements {
    FirewallElements(ports, of: endpoint, on: network)
  }
}
