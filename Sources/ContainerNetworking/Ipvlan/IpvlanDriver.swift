import Netlink
import NetworkPrimitives

/// Ipvlan networks: endpoints are ipvlans on the parent, all with the parent's hardware address, told apart by their IP
/// addresses. In mode `l2` the parent switches between them; in `l3` and `l3s` its namespace routes, and there is neither ARP
/// nor broadcast (Documentation/networking/ipvlan.rst of Linux).
struct IpvlanDriver: ParentDriver {
  static let kind: (article: String, name: String) = (article: "an", name: "ipvlan")

  let host: NetworkNamespace
  let name = NetworkDriver.ipvlan

  func validate(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError] {
    var faults: [NetworkError] = []
    if plan.options.macvlanMode != .bridge {
      faults.append(
        plan.fault(.conflictingOptions, "macvlan_mode is the macvlan driver's; leave it out, or give ipvlan_mode"))
    }
    do throws(NetworkError) { plan.state = try Settings(plan.options.driverOptions).state } catch {
      faults.append(plan.fault(error.code, error.reason))
    }
    return faults + (try parentFaults(&plan))
  }

  func request(
    _ end: VethEnd, parent: Int32, mtu: UInt32, of settings: ParentLinkSettings
  ) throws(NetworkError) -> NetlinkRequest {
    let settings = try Settings(settings.state)
    return LinkRequests.createIpvlan(end, parent: parent, mtu: mtu, mode: settings.mode, flag: settings.flag)
  }

  func endpointTraits(on network: NetworkRecord) throws(NetworkError) -> EndpointTraits {
    var traits = EndpointTraits(network)
    traits.macAddress = try parent(of: network).macAddress
    // Without ARP there is no next hop to ask for: the default route is the link itself.
    if try Settings(network).routes { traits.gateways = network.families.map { .any($0) } }
    return traits
  }

  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    // Every ipvlan of a parent has its hardware address, and would make the same link-local address of it, which the kernel
    // gives one of them only.
    let linkLocal = try Settings(network).routes ? nil : endpoint.ownLinkLocalAddress
    try make(endpoint, nil, on: network, in: namespace) { (inside) throws(NetworkError) in
      try configure(endpoint, inside, in: namespace, routes: routes, linkLocal: linkLocal)
    }
  }
}

extension Endpoint {
  /// The link-local address with the last 64 bits of its IPv6 address; nil without IPv6.
  fileprivate var ownLinkLocalAddress: IPv6Address? {
    address(.ipv6)?.address.v6.map { own in
      IPv6Address(rawValue: UInt128(0xfe80) << 112 | own.rawValue & UInt128(UInt64.max))
    }
  }
}
