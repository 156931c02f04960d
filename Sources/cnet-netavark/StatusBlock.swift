import AdapterSupport
import ContainerNetworking

/// What setup answers of one network.
struct StatusBlock {
  let json: JSON

  /// podman's search domain, below which containers are found, too.
  static let searchDomain = "dns.podman"

  init(_ endpoint: Endpoint, on network: NetworkRecord, servesNames: Bool) {
    let servers: [JSON] =
      switch servesNames ? network.servesNamesAt : .off {
      case .off: []
      case .gateway: network.bridgeGateways.map { .describing($0) }
      case .container: [.text("127.0.0.11")]
      }
    let subnets = endpoint.addresses.map { address -> JSON in
      let gateway = network.subnet(address.family)?.gateway
      return .object([
        "ipnet": .describing(address), "gateway": gateway.map { .describing($0) } ?? .null,
      ])
    }
    json = .object([
      "dns_search_domains": .texts(servers.isEmpty ? [] : [Self.searchDomain]),
      "dns_server_ips": .list(servers),
      "interfaces": .object([
        endpoint.interface.description: .object([
          "mac_address": .describing(endpoint.macAddress), "subnets": .list(subnets),
        ])
      ]),
    ])
  }

  /// Names that others know a container by: podman's name for it first, and each below the search domain.
  static func names(of containerName: String, _ aliases: [String]) -> [String] {
    var names: [String] = []
    for name in [containerName] + aliases where !name.isEmpty && !names.contains(name) { names.append(name) }
    // A name that DNS has no room for is one that nobody asks for.
    names = names.filter { $0.utf8.count <= 200 && $0.split(separator: ".").allSatisfy { $0.utf8.count <= 63 } }
    return names + names.map { "\($0).\(searchDomain)" }
  }
}
