import Netlink
import NetworkPrimitives

/// The user's choice of source addresses for networks' outgoing packets.
extension BridgeDriver {
  /// Refuses an address that is not the host's, since no answer would arrive; nothing else finds a misspelling.
  func sourceAddressFaults(_ policy: NetworkPolicy, _ operation: String) throws(NetworkError) -> [NetworkError] {
    var faults: [NetworkError] = []
    for family in AddressFamily.allCases {
      guard let source = policy.sourceAddress(family), source.family == family, try !isOfHost(source) else { continue }
      faults.append(
        NetworkError(
          .notFound, operation: operation,
          reason:
            "the source address \(source) is not an address of this host; add it to a link first, or, if answers to it "
            + "are routed here anyway, set net.\(family == .ipv4 ? "ipv4" : "ipv6").ip_nonlocal_bind to 1"))
    }
    return faults
  }

  /// Source addresses that have been removed from the host.
  func sourceAddressDifferences(of network: NetworkRecord) throws(NetworkError) -> [Difference] {
    var list: [Difference] = []
    for family in network.families {
      guard let source = network.policy.sourceAddress(family), try !isOfHost(source) else { continue }
      list.append(
        Difference(
          .sourceAddress, network: network.name,
          "packets of network \"\(network.name)\" leave with the address \(source), which is not an address of this "
            + "host"
        ))
    }
    return list
  }

  /// Whether packets to an address are delivered to this host: by one of its addresses, or by a local route. With
  /// ip_nonlocal_bind (ip-sysctl.rst) any address counts, because it may come and go.
  func isOfHost(_ address: IPAddress) throws(NetworkError) -> Bool {
    if try host.addresses.list().contains(where: { $0.address.address == address }) { return true }
    let family = address.family == .ipv4 ? "ipv4" : "ipv6"
    if (try? host.sysctl("net/\(family)/ip_nonlocal_bind")) == "1" { return true }
    return try host.routes.list().contains { $0.kind == .local && $0.destination.contains(address) }
  }
}
