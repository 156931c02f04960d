import ContainerNetworking
import NetworkPrimitives

/// The endpoints by the names of one network.
struct NetworkNames: Sendable {
  /// The network; nil while only endpoints of it are known.
  var record: NetworkRecord?
  /// The network's name, as a suffix of its names; nil if it is not a domain name.
  var suffix: DomainName?
  /// Indices of the endpoints that have a name.
  private var owners: [DomainName: Places] = [:]
  /// Indices of the endpoints that have every name below one.
  private var wildcards: [DomainName: Places] = [:]
  /// Indices of the endpoints by address.
  private(set) var places: [IPAddress: Int32] = [:]

  /// Most names have one owner.
  private enum Places: Sendable {
    case one(Int32)
    case many([Int32])

    var all: [Int32] {
      switch self {
      case .one(let place): [place]
      case .many(let places): places
      }
    }

    mutating func add(_ place: Int32) {
      var places = all
      if !places.contains(place) { places.append(place) }
      self = places.count == 1 ? .one(places[0]) : .many(places)
    }

    /// Without the index; nil if none remains.
    func without(_ place: Int32) -> Places? {
      let places = all.filter { $0 != place }
      return places.isEmpty ? nil : places.count == 1 ? .one(places[0]) : .many(places)
    }
  }

  init() {}

  var isEmpty: Bool { record == nil && places.isEmpty && owners.isEmpty && wildcards.isEmpty }

  mutating func add(_ endpoint: EndpointNames, at place: Int32) {
    for address in endpoint.addresses { places[address] = place }
    for name in endpoint.names {
      let (key, isWildcard) = Self.key(name)
      if isWildcard {
        if wildcards[key]?.add(place) == nil { wildcards[key] = .one(place) }
      } else {
        if owners[key]?.add(place) == nil { owners[key] = .one(place) }
      }
    }
  }

  mutating func remove(_ endpoint: EndpointNames, at place: Int32) {
    for address in endpoint.addresses where places[address] == place { places[address] = nil }
    for name in endpoint.names {
      let (key, isWildcard) = Self.key(name)
      if isWildcard {
        wildcards[key] = wildcards[key]?.without(place)
      } else {
        owners[key] = owners[key]?.without(place)
      }
    }
  }

  /// The endpoints with exactly this name.
  func owners(of name: DomainName) -> [Int32] { owners[name]?.all ?? [] }

  /// The endpoints with the closest wildcard above the name (RFC 4592, section 3.3.1).
  func wildcardOwners(of name: DomainName) -> (places: [Int32], depth: Int) {
    guard !wildcards.isEmpty else { return ([], 0) }
    var ancestor = name.parent
    while let parent = ancestor {
      if let places = wildcards[parent] { return (places.all, parent.labelCount) }
      ancestor = parent.parent
    }
    return ([], 0)
  }

  /// The part before the network's name in `<name>.<network>`.
  func relative(_ name: DomainName) -> DomainName? {
    guard let suffix, name.wire.count > suffix.wire.count, name.isSubdomain(of: suffix) else { return nil }
    return DomainName(checked: Array(name.wire[..<(name.wire.count - suffix.wire.count)]))
  }

  /// `*.foo` is kept by `foo`.
  private static func key(_ name: DomainName) -> (DomainName, isWildcard: Bool) {
    guard name.wire.starts(with: [1, UInt8(ascii: "*")]), let parent = name.parent else { return (name, false) }
    return (parent, true)
  }
}

/// The keys of an endpoint in the index, and its data.
struct EndpointNames: Sendable {
  var id: String
  var networkID: String
  var sandboxID: String
  /// The container's name, the result of reverse lookups.
  var container: DomainName?
  /// Names of its own.
  var own: [DomainName]
  /// Host names of the containers in its namespace.
  var hostnames: [DomainName]
  var addresses: [IPAddress]

  var names: [DomainName] { own + hostnames }
}
