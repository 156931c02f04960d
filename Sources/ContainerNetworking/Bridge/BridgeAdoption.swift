import Netlink
import NetworkPrimitives

/// Bridges that were there before their networks, and stay after them.
extension BridgeDriver {
  /// Adopts an existing bridge, with its addresses unless the user gives others.
  func adopt(_ plan: inout NetworkPlan) throws(NetworkError) {
    guard let name = plan.options.bridge else { return }
    let link: Link
    do throws(NetworkError) { link = try host.links.get("\(name)") } catch {
      if error.code == .notFound { return }
      throw error
    }
    // Nobody has requested this bridge: it is a remainder, or foreign.
    guard !Name.predefined.contains(plan.name) else {
      throw NetworkError(
        .alreadyExists, operation: "make bridge \"\(name)\"",
        reason: "there is a link \"\(name)\" already, and no record says that it is ours; "
          + "delete it, or choose another name for the default network's bridge")
    }
    guard link.kind == "bridge" else {
      throw NetworkError(
        .conflictingOptions, operation: "adopt bridge \"\(name)\"",
        reason: "the link \"\(name)\" is no bridge but \(link.kind ?? "hardware"); name another one")
    }
    if let other = try firewall.othersBridges()["\(name)"] {
      throw NetworkError(
        .inUse, operation: "adopt bridge \"\(name)\"",
        reason: "the bridge \"\(name)\" is in use by another record (\(other)) on this host; name another one")
    }
    let addresses = try host.addresses.list(link: link.index).map(\.address)
    for address in addresses
    where !address.address.isLinkLocal && !plan.options.subnets.contains(where: { $0.family == address.family }) {
      plan.options.subnets.append(address.subnet)
      plan.options.gateways.append(address.address)
    }
    plan.adopted = AdoptedBridge(
      addresses: addresses, sysctls: settings(ofBridge: name), isUp: link.flags.contains(.up))
  }

  /// The current values of the settings that a network changes on a bridge.
  private func settings(ofBridge bridge: InterfaceName) -> [String: String] {
    let names = [
      "ipv4/conf/\(bridge)/forwarding", "ipv4/conf/\(bridge)/route_localnet", "ipv6/conf/\(bridge)/accept_ra",
      "ipv6/conf/\(bridge)/force_forwarding",
    ]
    // A sysctl that the kernel lacks will not be changed.
    let values = names.compactMap { name in (try? host.sysctl("net/\(name)")).map { ("net/\(name)", $0) } }
    return Dictionary(uniqueKeysWithValues: values)
  }

  func setBack(_ network: NetworkRecord, to adopted: AdoptedBridge) -> [NetworkError] {
    var failures = attempt { () throws(NetworkError) in
      let bridge = try host.links.get("\(network.requireBridge())")
      let has = Set(try host.addresses.list(link: bridge.index).map(\.address)).subtracting(adopted.addresses)
      let down = adopted.isUp ? [] : attempt { () throws(NetworkError) in try host.links.setDown(index: bridge.index) }
      try all(addresses(of: network).filter(has.contains)) { (address) throws(NetworkError) in
        try host.addresses.remove(address, from: bridge.index)
      }
      if let first = down.first { throw first }
    }
    for (name, value) in adopted.sysctls.sorted(by: { $0.key < $1.key }) {
      failures += attempt { () throws(NetworkError) in
        if try host.sysctl(name) != value { try host.setSysctl(name, to: value) }
      }
    }
    return failures
  }
}
