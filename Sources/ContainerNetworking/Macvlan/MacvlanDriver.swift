import Netlink
import NetworkPrimitives

/// Macvlan networks: endpoints are macvlans on the parent, each with a hardware address of its own.
struct MacvlanDriver: ParentDriver {
  static let kind: (article: String, name: String) = (article: "a", name: "macvlan")

  let host: NetworkNamespace
  let name = NetworkDriver.macvlan

  func validate(_ plan: inout NetworkPlan) throws(NetworkError) -> [NetworkError] {
    plan.macvlanMode = plan.options.macvlanMode
    return try parentFaults(&plan)
  }

  func request(
    _ end: VethEnd, parent: Int32, mtu: UInt32, of settings: ParentLinkSettings
  ) throws(NetworkError) -> NetlinkRequest {
    LinkRequests.createMacvlan(end, parent: parent, mtu: mtu, mode: settings.macvlanMode ?? .bridge)
  }

  func endpointTraits(on network: NetworkRecord) throws(NetworkError) -> EndpointTraits {
    var traits = EndpointTraits(network)
    // The kernel gives a macvlan in passthru mode its parent's address, and would change the parent's with it.
    if network.macvlanMode == .passthru {
      (traits.macAddress, traits.isForOne) = (try parent(of: network).macAddress, true)
    }
    return traits
  }

  func connect(
    _ endpoint: Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    let mac = network.macvlanMode == .passthru ? nil : endpoint.macAddress
    try make(endpoint, mac, on: network, in: namespace) { (inside) throws(NetworkError) in
      try configure(endpoint, inside, in: namespace, routes: routes)
    }
  }
}
