import Netlink
import NetworkPrimitives

extension Engine {
  /// The graph of the records and of the host's own links.
  func graph() throws(NetworkError) -> NetworkGraph {
    let (networks, sandboxes, endpoints) = try look { state in
      (
        state.networks.values.filter { $0.phase == .ready },
        state.sandboxes.values.filter { $0.phase == .ready && !$0.isKeptReady },
        state.endpoints.values.filter { $0.phase == .ready && !$0.isKeptReady }
      )
    }
    let byID = Dictionary(uniqueKeysWithValues: networks.map { ($0.id, $0) })
    let ofSandbox = Dictionary(grouping: endpoints, by: \.sandboxID)
    let members = Dictionary(grouping: sandboxes, by: \.sandboxID)

    var graph = NetworkGraph()
    graph.networks = networks.map(NetworkGraph.Network.init).sorted { left, right in
      left.name == "bridge" || right.name == "bridge"
        ? left.name == "bridge" && right.name != "bridge" : NaturalOrder.precedes(left.name, right.name)
    }
    for (id, sharing) in members {
      let names = sharing.map(\.container).sorted { NaturalOrder.precedes($0, $1) }
      // All users of the host's namespace are equal; otherwise one container owns the namespace and the rest joined it.
      let owners = sharing.filter { if case .container = $0.mode { false } else { true } }
      let shown = id == Self.hostSandbox ? owners : Array((owners.isEmpty ? sharing : owners).prefix(1))
      for owner in shown {
        let sharers =
          id == Self.hostSandbox ? sharing.filter { $0.mode == .container(owner.container) }.map(\.container) : names
        graph.containers.append(
          NetworkGraph.Container(
            name: owner.container, mode: owner.mode,
            interfaces: Self.interfaces(ofSandbox: ofSandbox[id] ?? [], byID),
            sharers: sharers.filter { $0 != owner.container }))
      }
    }
    graph.containers.sort { NaturalOrder.precedes($0.name, $1.name) }
    graph.uplinks = try uplinks(
      except: Set(networks.flatMap(\.ownLinks) + endpoints.compactMap(\.hostInterface?.description)))
    return graph
  }

  private static func interfaces(
    ofSandbox endpoints: [Endpoint], _ networks: [String: NetworkRecord]
  ) -> [NetworkGraph.Interface] {
    let foremost = AddressFamily.allCases.map { ($0, Self.foremost(endpoints, networks, $0)?.id) }
    return endpoints.sorted { NaturalOrder.precedes("\($0.interface)", "\($1.interface)") }.map { endpoint in
      NetworkGraph.Interface(
        name: endpoint.interface, network: endpoint.networkName, hostInterface: endpoint.hostInterface,
        macAddress: endpoint.macAddress, addresses: endpoint.addresses,
        defaultRoutes: foremost.filter { $0.1 == endpoint.id }.map(\.0), ports: endpoint.ports)
    }
  }

  /// The host's links that are up and have an address or a route.
  private func uplinks(except ours: Set<String>) throws(NetworkError) -> [NetworkGraph.Uplink] {
    let links = try host.links.list().filter {
      !$0.flags.contains(.loopback) && $0.flags.contains(.up) && $0.master == nil && !ours.contains($0.name)
    }
    let addresses = Dictionary(grouping: try host.addresses.list(), by: \.link)
    let routes = try host.routes.list(table: 254).filter { $0.destination.prefixLength == 0 && $0.kind == .unicast }
    return links.map { link in
      NetworkGraph.Uplink(
        name: link.name, macAddress: link.macAddress,
        addresses: (addresses[link.index] ?? []).map(\.address).filter { !$0.address.isLinkLocal },
        gateways: routes.filter { $0.link == link.index }.compactMap(\.gateway))
    }.filter { !$0.addresses.isEmpty || !$0.gateways.isEmpty }.sorted {
      $0.gateways.isEmpty == $1.gateways.isEmpty
        ? NaturalOrder.precedes($0.name, $1.name) : $1.gateways.isEmpty
    }
  }
}

extension NetworkGraph.Network {
  init(_ record: NetworkRecord) {
    self.init(
      name: record.name, driver: record.driver, bridge: record.bridge,
      furtherBridges: (record.furtherBridges ?? []).map(\.name), parent: record.parent,
      subnets: record.subnets.map { NetworkGraph.Subnetwork($0.subnet, gateway: $0.gateway) },
      isInternal: record.isInternal, policy: record.policy)
  }
}

extension NetworkController {
  /// The current networks of the host, their containers and the links that lead outside.
  ///
  /// - Throws: When the records or the kernel cannot be read.
  public func graph() async throws(NetworkError) -> NetworkGraph {
    try await looking { (engine) throws(NetworkError) in try engine.graph() }
  }
}
