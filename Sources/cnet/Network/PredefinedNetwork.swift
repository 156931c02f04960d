import ContainerNetworking

/// The networks that are always there. Host and none have no record, and the default one has none before it is used; they
/// are listed with ids of their own all the same, as scripts expect.
enum PredefinedNetwork: String, CaseIterable {
  case bridge, host, none

  var id: String {
    let number = String((Self.allCases.firstIndex(of: self) ?? 0) + 1)
    return String(repeating: "0", count: 11) + number + String(repeating: "0", count: 52)
  }

  var driver: String { self == .none ? "null" : rawValue }

  /// Whether a network without labels that was not made by anybody is meant.
  func isMeant(by filter: NetworkFilter, drivers: Set<String>) -> Bool {
    let wanted = drivers.union(filter.drivers.map(\.rawValue))
    return (wanted.isEmpty || wanted.contains(driver))
      && (filter.ids.isEmpty || filter.ids.contains { id.hasPrefix($0) })
      && (filter.names.isEmpty || filter.names.contains { rawValue.contains($0) })
      && (filter.scopes.isEmpty || filter.scopes.contains("local"))
      && filter.labels.isEmpty && filter.isCustom != true && filter.isDangling == nil && filter.until == nil
  }

  /// The containers that are on it: those in its mode.
  func members(of sandboxes: [Sandbox]) -> [Sandbox] {
    sandboxes.filter { self == .host && $0.mode == .host || self == .none && $0.mode == .none }
  }
}

/// A predefined network without a record, in the form of ``NetworkInspection``.
struct PredefinedInspection: Encodable {
  let network: PredefinedNetwork
  let members: [Sandbox]

  private struct Pools: Encodable {
    let Driver = "default"
    let Options: [String: String] = [:]
    let Config: [String] = []
  }

  private struct Member: Encodable {
    let Name: String
    let EndpointID = ""
    let MacAddress = ""
    let IPv4Address = ""
    let IPv6Address = ""
  }

  private enum Key: String, CodingKey {
    case Name, Id, Scope, Driver, EnableIPv4, EnableIPv6, IPAM, Internal, Containers, Options, Labels
  }

  func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(network.rawValue, forKey: .Name)
    try fields.encode(network.id, forKey: .Id)
    try fields.encode("local", forKey: .Scope)
    try fields.encode(network.driver, forKey: .Driver)
    try fields.encode(true, forKey: .EnableIPv4)
    try fields.encode(false, forKey: .EnableIPv6)
    try fields.encode(Pools(), forKey: .IPAM)
    try fields.encode(false, forKey: .Internal)
    let containers = members.map { ($0.container, Member(Name: $0.container)) }
    try fields.encode(Dictionary(containers) { first, _ in first }, forKey: .Containers)
    try fields.encode([String: String](), forKey: .Options)
    try fields.encode([String: String](), forKey: .Labels)
  }
}
