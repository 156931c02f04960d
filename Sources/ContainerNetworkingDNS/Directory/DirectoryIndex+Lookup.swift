import ContainerNetworking
import NetworkPrimitives

/// The place at which a query arrived.
enum ListeningPlace: Hashable, Sendable {
  /// At the gateway of a network, by its id.
  case gateway(network: String)
  /// Inside a namespace, by the sandbox's id.
  case sandbox(String)
}

/// The decision about a query.
enum LocalAnswer: Sendable, Equatable {
  /// The client is outside the network: it gets no answer.
  case stranger
  /// A name of the network, with the requested addresses; empty if it only has others.
  case addresses([IPAddress])
  /// The names of an address.
  case names([DomainName])
  /// Not a name of the network; these servers may know it.
  case elsewhere(Upstreams)
  /// Not a name of the network, and the client may not ask further.
  case noWayOut
}

/// The servers for all other names.
enum Upstreams: Hashable, Sendable {
  /// The servers of the host's resolv.conf.
  case host
  /// The servers given by the container or its network.
  case servers([IPAddress])
}

extension DirectoryIndex {
  /// The client: the networks whose names it may see, and its sandbox. Nil for a stranger.
  private func asker(_ source: IPAddress, at place: ListeningPlace) -> (networks: [String], sandbox: SandboxNames?)? {
    switch place {
    case .sandbox(let id):
      guard let sandbox = sandboxes[id] else { return nil }
      let isInside =
        source.isLoopback
        || sandbox.places.contains { endpoint(at: $0)?.addresses.contains(source) == true }
      return isInside ? (sandbox.networks, sandbox) : nil
    case .gateway(let id):
      guard let network = networks[id], let record = network.record else { return nil }
      if let place = network.places[source], let endpoint = endpoint(at: place),
        let sandbox = sandboxes[endpoint.sandboxID]
      {
        return (sandbox.networks, sandbox)
      }
      return record.subnets.contains { $0.subnet.contains(source) } ? ([id], nil) : nil
    }
  }

  /// Whether the client is answered at all.
  func knows(_ source: IPAddress, at place: ListeningPlace) -> Bool { asker(source, at: place) != nil }

  /// Looks a name up for a client.
  func look(up name: DomainName, _ type: RecordType, from source: IPAddress, at place: ListeningPlace) -> LocalAnswer {
    guard let (visible, sandbox) = asker(source, at: place) else { return .stranger }
    let found = owners(of: name, in: visible)
    if !found.isEmpty {
      var addresses: [IPAddress] = []
      for place in found {
        for address in endpoint(at: place)?.addresses ?? [] where type.asks(for: address.family) {
          if !addresses.contains(address) || found.count > 64 { addresses.append(address) }
        }
      }
      return .addresses(addresses)
    }
    if let names = reverse(name, in: visible) { return type == .ptr || type == .any ? .names(names) : .addresses([]) }
    return route(place, visible, sandbox)
  }

  private func owners(of name: DomainName, in visible: [String]) -> [Int32] {
    var found: [Int32] = []
    for id in visible {
      guard let network = networks[id] else { continue }
      found += network.owners(of: name)
      if let relative = network.relative(name) { found += network.owners(of: relative) }
    }
    guard found.isEmpty else { return found }
    var closest = -1
    for id in visible {
      guard let network = networks[id] else { continue }
      for candidate in [name, network.relative(name)].compactMap({ $0 }) {
        let (places, depth) = network.wildcardOwners(of: candidate)
        guard !places.isEmpty, depth >= closest else { continue }
        if depth > closest { found = [] }
        closest = depth
        found += places
      }
    }
    return found
  }

  /// `<name>.<network>` of the container with the address; nil if no container has it.
  private func reverse(_ name: DomainName, in visible: [String]) -> [DomainName]? {
    guard name.isSubdomain(of: .arpa), let address = name.reverseAddress else { return nil }
    for id in visible {
      guard let network = networks[id], let place = network.places[address], let endpoint = endpoint(at: place) else {
        continue
      }
      let full = endpoint.container.flatMap { name in network.suffix.flatMap { try? name.appending($0) } }
      return full.map { [$0] } ?? []
    }
    return nil
  }

  private func route(_ place: ListeningPlace, _ visible: [String], _ sandbox: SandboxNames?) -> LocalAnswer {
    let records = visible.compactMap { networks[$0]?.record }
    // A container without access to the outside must not get it through names.
    guard records.contains(where: { !$0.isInternal }) else { return .noWayOut }
    if let servers = sandbox?.servers, !servers.isEmpty { return .elsewhere(.servers(servers)) }
    var ordered = records
    if case .gateway(let id) = place, let first = ordered.firstIndex(where: { $0.id == id }) {
      ordered.swapAt(0, first)
    }
    for record in ordered where !record.isInternal {
      if let servers = record.dnsServers, !servers.isEmpty { return .elsewhere(.servers(servers)) }
    }
    return .elsewhere(.host)
  }
}

extension DomainName {
  fileprivate static let arpa = DomainName(checked: [4] + Array("arpa".utf8))
}

extension RecordType {
  /// Whether a query of this type asks for addresses of a family.
  fileprivate func asks(for family: AddressFamily) -> Bool {
    switch self {
    case .any: true
    case .a: family == .ipv4
    case .aaaa: family == .ipv6
    default: false
    }
  }
}
