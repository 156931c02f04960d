import ContainerNetworking

/// The networks that always exist. Host and none have no record, and the default one has none before its first use. All
/// are listed with ids of their own, as scripts expect.
enum PredefinedNetwork: String, CaseIterable {
  case bridge, host, none

  var id: String {
    let number = String((Self.allCases.firstIndex(of: self) ?? 0) + 1)
    return String(repeating: "0", count: 11) + number + String(repeating: "0", count: 52)
  }

  var driver: String { self == .none ? "null" : rawValue }

  /// Whether a filter selects a network without labels and creator.
  func isMeant(by filter: NetworkFilter, drivers: Set<String>) -> Bool {
    let wanted = drivers.union(filter.drivers.map(\.rawValue))
    return (wanted.isEmpty || wanted.contains(driver))
      && (filter.ids.isEmpty || filter.ids.contains { id.hasPrefix($0) })
      && (filter.names.isEmpty || filter.names.contains { rawValue.contains($0) })
      && (filter.scopes.isEmpty || filter.scopes.contains("local"))
      && filter.labels.isEmpty && filter.isCustom != true && filter.isDangling == nil && filter.until == nil
  }

  /// Its containers: those in its mode.
  func members(of sandboxes: [Sandbox]) -> [Sandbox] {
    sandboxes.filter { self == .host && $0.mode == .host || self == .none && $0.mode == .none }
  }
}

/// A predefined network without a record, in the form of ``NetworkInspection``.
struct PredefinedInspection: Encodable {
  let network: PredefinedNetwork
  let members: [Sandbox]

  private struct Pools: Encodable {
    let driver = "default"
    let options: [String: String] = [:]
    let config: [String] = []

    private enum CodingKeys: String, CodingKey {
      case driver = "Driver", options = "Options", config = "Config"
    }
  }

  private struct Member: Encodable {
    let name: String
    let endpointID = ""
    let macAddress = ""
    let ipv4Address = ""
    let ipv6Address = ""

    private enum CodingKeys: String, CodingKey {
      case name = "Name", endpointID = "EndpointID", macAddress = "MacAddress", ipv4Address = "IPv4Address",
        ipv6Address = "IPv6Address"
    }
  }

  private enum Key: String, CodingKey {
    case name = "Name", id = "Id", scope = "Scope", driver = "Driver", enableIPv4 = "EnableIPv4", enableIPv6 =
      "EnableIPv6"
    case ipam = "IPAM", isInternal = "Internal", containers = "Containers", options = "Options", labels = "Labels"
  }

  func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(network.rawValue, forKey: .name)
    try fields.encode(network.id, forKey: .id)
    try fields.encode("local", forKey: .scope)
    try fields.encode(network.driver, forKey: .driver)
    try fields.encode(true, forKey: .enableIPv4)
    try fields.encode(false, forKey: .enableIPv6)
    try fields.encode(Pools(), forKey: .ipam)
    try fields.encode(false, forKey: .isInternal)
    let containers = members.map { ($0.container, Member(name: $0.container)) }
    try fields.encode(Dictionary(containers) { first, _ in first }, forKey: .containers)
    try fields.encode([String: String](), forKey: .options)
    try fields.encode([String: String](), forKey: .labels)
  }
}
