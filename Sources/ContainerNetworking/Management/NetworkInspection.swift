public import NetworkPrimitives

/// A network in the form of Docker's `network inspect`, field for field: scripts that read Docker's output can read it,
/// encoded with any `Encoder`.
public struct NetworkInspection: Hashable, Sendable, Encodable {
  /// The network.
  public let network: NetworkRecord
  /// Its endpoints.
  public let endpoints: [Endpoint]
  /// The numbers of used and free addresses of each subnet, in the order of the subnets.
  public let usage: [SubnetUsage]

  /// The use of a subnet's addresses.
  public struct SubnetUsage: Hashable, Sendable {
    /// The subnet.
    public let subnet: Subnet
    /// Unavailable addresses: leased, or reserved.
    public let inUse: Int
    /// Addresses that can still be chosen.
    public let available: UInt128
  }

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { return nil }
  }

  /// Writes the fields.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(network.name, forKey: Key("Name"))
    try fields.encode(network.id, forKey: Key("Id"))
    try fields.encode(network.created.description, forKey: Key("Created"))
    try fields.encode("local", forKey: Key("Scope"))
    try fields.encode(network.driver.rawValue, forKey: Key("Driver"))
    try fields.encode(network.families.contains(.ipv4), forKey: Key("EnableIPv4"))
    try fields.encode(network.families.contains(.ipv6), forKey: Key("EnableIPv6"))
    try encodeIPAM(to: &fields)
    try fields.encode(network.isInternal, forKey: Key("Internal"))
    try encodeContainers(to: &fields)
    try fields.encode(network.options, forKey: Key("Options"))
    try fields.encode(network.labels, forKey: Key("Labels"))
    // These are no fields of Docker's.
    if let further = network.furtherBridges, !further.isEmpty {
      try fields.encode(further.map(\.name.description), forKey: Key("FurtherBridges"))
    }
    if network.servesNamesAt == .gateway, let place = network.nameServer {
      let places = network.bridgeGateways.map { $0.family == .ipv6 ? "[\($0)]:\(place.port)" : "\($0):\(place.port)" }
      try fields.encode(places, forKey: Key("NamesAnsweredAt"))
    }
    if let servers = network.dnsServers { try fields.encode(servers.map(\.description), forKey: Key("NameServers")) }
    try encodeStatus(to: &fields)
  }

  private func encodeIPAM(to fields: inout KeyedEncodingContainer<Key>) throws {
    var ipam = fields.nestedContainer(keyedBy: Key.self, forKey: Key("IPAM"))
    try ipam.encode("default", forKey: Key("Driver"))
    try ipam.encode([String: String](), forKey: Key("Options"))
    var list = ipam.nestedUnkeyedContainer(forKey: Key("Config"))
    for subnet in network.subnets {
      var entry = list.nestedContainer(keyedBy: Key.self)
      try entry.encode("\(subnet.subnet)", forKey: Key("Subnet"))
      if let range = subnet.ipRange { try entry.encode("\(range)", forKey: Key("IPRange")) }
      if let gateway = subnet.gateway { try entry.encode("\(gateway)", forKey: Key("Gateway")) }
      if !subnet.auxiliaryAddresses.isEmpty {
        try entry.encode(subnet.auxiliaryAddresses.mapValues(\.description), forKey: Key("AuxiliaryAddresses"))
      }
    }
  }

  private func encodeContainers(to fields: inout KeyedEncodingContainer<Key>) throws {
    var containers = fields.nestedContainer(keyedBy: Key.self, forKey: Key("Containers"))
    for endpoint in endpoints where endpoint.phase == .ready {
      var entry = containers.nestedContainer(keyedBy: Key.self, forKey: Key(endpoint.sandboxID))
      try entry.encode(endpoint.container, forKey: Key("Name"))
      try entry.encode(endpoint.id, forKey: Key("EndpointID"))
      try entry.encode("\(endpoint.macAddress)", forKey: Key("MacAddress"))
      try entry.encode(endpoint.address(.ipv4)?.description ?? "", forKey: Key("IPv4Address"))
      try entry.encode(endpoint.address(.ipv6)?.description ?? "", forKey: Key("IPv6Address"))
    }
  }

  private func encodeStatus(to fields: inout KeyedEncodingContainer<Key>) throws {
    var status = fields.nestedContainer(keyedBy: Key.self, forKey: Key("Status"))
    var ipam = status.nestedContainer(keyedBy: Key.self, forKey: Key("IPAM"))
    var subnets = ipam.nestedContainer(keyedBy: Key.self, forKey: Key("Subnets"))
    for usage in usage {
      var entry = subnets.nestedContainer(keyedBy: Key.self, forKey: Key("\(usage.subnet)"))
      try entry.encode(usage.inUse, forKey: Key("IPsInUse"))
      // The addresses of a /64 exceed the numbers of JSON parsers.
      try entry.encode(UInt64(clamping: usage.available), forKey: Key("DynamicIPsAvailable"))
    }
  }
}

extension Engine {
  func inspect(_ name: String) throws(NetworkError) -> NetworkInspection {
    try transaction { (transaction) throws(NetworkError) in
      let network = try transaction.state.network(name)
      return NetworkInspection(
        network: network,
        endpoints: transaction.state.endpoints(ofNetwork: network.id).filter { !$0.isKeptReady }.map {
          served($0, transaction.state)
        },
        usage: try transaction.usage(of: network))
    }
  }
}

extension Engine.Transaction {
  mutating func usage(of network: NetworkRecord) throws(NetworkError) -> [NetworkInspection.SubnetUsage] {
    var usage: [NetworkInspection.SubnetUsage] = []
    for subnet in network.subnets {
      let pool = try pool(of: network, subnet)
      usage.append(
        NetworkInspection.SubnetUsage(
          subnet: subnet.subnet, inUse: pool.inUseCount, available: pool.availableCount))
    }
    return usage
  }
}
