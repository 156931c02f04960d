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

  func differences(of network: NetworkRecord, _ survey: Survey) throws(NetworkError) -> [Difference] {
    let name = try network.requireBridge().description
    guard let link = survey.links[name], link.kind == "bridge" else {
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
    list += try furtherDifferences(of: network, survey)
    for address in try addresses(of: network)
    where !survey.addresses.contains(where: { $0.link == link.index && $0.address == address }) {
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

  func differences(of endpoint: Endpoint, on network: NetworkRecord, _ survey: Survey) -> [Difference] {
    guard let bridgeName = try? network.bridge(of: endpoint), let name = endpoint.hostInterface else { return [] }
    let what = "\(name) of \"\(endpoint.container)\" on \"\(network.name)\""
    guard let link = survey.links[name.description] else {
      return [
        Difference(
          .linkMissing, network: network.name, container: endpoint.container, "the veth pair \(what) is gone")
      ]
    }
    let bridge = survey.links[bridgeName.description]
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

  func repair(_ network: NetworkRecord, _ survey: Survey) throws(NetworkError) {
    if survey.links[try network.requireBridge().description] == nil {
      do throws(NetworkError) { try makeBridge(network) } catch {
        // A concurrent repair may have made it.
        if error.code != .alreadyExists { throw error }
      }
    }
    try configure(network)
  }

  func isPlugged(
    _ endpoint: Endpoint, in namespace: NetworkNamespace, _ survey: Survey
  ) throws(NetworkError) -> Bool {
    survey.links[try endpoint.requirePort().description] != nil
  }
}
