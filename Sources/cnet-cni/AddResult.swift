import AdapterSupport
import ContainerNetworking

/// The result of ADD, in each version's form ("Success" in section 5 of the CNI specification).
struct AddResult {
  private let version: SpecVersion
  private let interfaces: [JSON]
  private let addresses: [(address: InterfaceAddress, gateway: IPAddress?)]
  /// The index of the container's interface among them.
  private let place: Int
  private let routes: [JSON]
  private let dns: JSON
  private let previous: JSON?

  init(
    _ endpoint: Endpoint, on network: NetworkRecord, _ fields: NetworkFields, _ runtime: RuntimeConfiguration,
    _ configuration: Configuration, _ invocation: Invocation, _ host: NetworkNamespace
  ) throws(NetworkError) {
    version = configuration.version
    previous = configuration.previous
    dns = runtime.dns
    addresses = endpoint.addresses.map { address in
      (address, network.subnet(address.family)?.gateway)
    }
    var interfaces: [JSON] = []
    for name in [endpoint.bridge ?? network.bridge, endpoint.hostInterface].compactMap(\.self) {
      let link = try host.links.get(name.description)
      interfaces.append(
        .compact([
          "name": .describing(name), "mac": link.macAddress.map { .describing($0) },
          "mtu": version >= .v110 ? .number(Int64(network.mtu)) : nil,
        ]))
    }
    interfaces.append(
      .compact([
        "name": .describing(endpoint.interface), "mac": .describing(endpoint.macAddress),
        "mtu": version >= .v110 ? .number(Int64(network.mtu)) : nil, "sandbox": .text(invocation.namespace),
      ]))
    let before = previous?["interfaces"]?.list ?? []
    self.interfaces = before + interfaces
    place = before.count + interfaces.count - 1
    let ways = endpoint.gateways.map { (Subnet.all($0.family), $0.isUnspecified ? nil : $0) }
    routes = (ways + fields.wish.routes.map { ($0.destination, $0.gateway) }).map { destination, gateway in
      .compact(["dst": .describing(destination), "gw": gateway.map { .describing($0) }])
    }
  }

  var json: JSON {
    if version < .v030 { return former }
    let ips = addresses.map { address, gateway -> JSON in
      .compact([
        "version": version < .v100 ? .text(address.family == .ipv4 ? "4" : "6") : nil,
        "address": .describing(address), "gateway": gateway.map { .describing($0) },
        "interface": .number(Int64(place)),
      ])
    }
    return .compact([
      "cniVersion": .text(version.rawValue), "interfaces": .list(interfaces),
      "ips": .list((previous?["ips"]?.list ?? []) + ips), "routes": .list((previous?["routes"]?.list ?? []) + routes),
      "dns": dns,
    ])
  }

  /// Before 0.3.0 a result has one address of each family, and no interface names.
  private var former: JSON {
    var parts: [String: JSON] = ["cniVersion": .text(version.rawValue), "dns": dns]
    for (address, gateway) in addresses {
      let routes = routes.filter { route in
        route["dst"]?.text.flatMap { try? Subnet($0) }?.family == address.family
      }
      parts[address.family == .ipv4 ? "ip4" : "ip6"] = .compact([
        "ip": .describing(address), "gateway": gateway.map { .describing($0) },
        "routes": routes.isEmpty ? nil : .list(routes),
      ])
    }
    return .object(parts)
  }
}
