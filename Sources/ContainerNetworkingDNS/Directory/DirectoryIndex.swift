import ContainerNetworking
import NetworkPrimitives

/// The records of a store, indexed by name. A change costs in proportion to its own size, not the store's.
struct DirectoryIndex: Sendable {
  private(set) var revision: UInt64 = 0
  private(set) var networks: [String: NetworkNames] = [:]
  private(set) var sandboxes: [String: SandboxNames] = [:]
  private var sandboxIDs: [String: String] = [:]
  /// The answered endpoints, which are ready.
  private var endpoints: [EndpointNames?] = []
  private var places: [String: Int32] = [:]
  private var priorities: [String: Int] = [:]
  private var free: [Int32] = []

  /// Applies changes.
  ///
  /// - Returns: The networks and sandboxes that were removed.
  mutating func take(_ delta: StoreDelta) -> (networks: [String], sandboxes: [String]) {
    var former: (networks: Set<String>, sandboxes: Set<String>) = ([], [])
    if delta.isComplete {
      former = (Set(networks.keys), Set(sandboxes.keys))
      self = DirectoryIndex()
      reserveCapacity(delta.changes.count / 2)
    }
    for change in delta.changes {
      switch change {
      case .save(.network(let record)): save(record)
      case .save(.sandbox(let record)):
        if let old = sandboxIDs[record.container], old != record.sandboxID {
          former.sandboxes.insert(old)
          leave(record.container, old)
        }
        save(record)
      case .save(.endpoint(let record)): save(record)
      case .remove(let key):
        switch key.kind {
        case .network: former.networks.insert(key.id)
        case .sandbox: if let id = sandboxIDs[key.id] { former.sandboxes.insert(id) }
        case .endpoint, .pool, .host: break
        }
        remove(key)
      case .save(.pool), .save(.host), .event: break
      }
    }
    revision = delta.revision
    return (
      former.networks.filter { networks[$0]?.record == nil },
      former.sandboxes.filter { sandboxes[$0]?.members.isEmpty ?? true }
    )
  }

  /// Reserves memory for that many containers.
  private mutating func reserveCapacity(_ count: Int) {
    endpoints.reserveCapacity(count)
    places.reserveCapacity(count)
    sandboxes.reserveCapacity(count)
    sandboxIDs.reserveCapacity(count)
  }

  private mutating func save(_ record: NetworkRecord) {
    networks[record.id, default: NetworkNames()].record = record
    networks[record.id]?.suffix = DomainName(record.name)
  }

  private mutating func save(_ record: SandboxRecord) {
    let id = known(sandbox: record.sandboxID)
    sandboxIDs[record.container] = id
    sandboxes[id, default: SandboxNames()].save(SandboxNames.Member(record))
    rename(id)
  }

  private mutating func leave(_ container: String, _ sandboxID: String) {
    sandboxIDs[container] = nil
    sandboxes[sandboxID]?.remove(container)
    rename(sandboxID)
    forgetIfEmpty(sandbox: sandboxID)
  }

  /// Updates the host names of a sandbox's endpoints.
  private mutating func rename(_ sandboxID: String) {
    guard let sandbox = sandboxes[sandboxID] else { return }
    let hostnames = sandbox.hostnames
    for place in sandbox.places {
      guard var endpoint = endpoints[Int(place)], endpoint.hostnames != hostnames else { continue }
      networks[endpoint.networkID]?.remove(endpoint, at: place)
      endpoint.hostnames = hostnames
      endpoints[Int(place)] = endpoint
      networks[endpoint.networkID]?.add(endpoint, at: place)
    }
  }

  private mutating func save(_ record: Endpoint) {
    removeEndpoint(record.id)
    // A ready sandbox has no owner yet.
    guard record.phase == .ready, !record.isKeptReady else { return }
    let sandboxID = known(sandbox: record.sandboxID)
    let networkID = known(network: record.networkID)
    let hostnames = sandboxes[sandboxID]?.hostnames ?? []
    let aliases = record.aliases.map { DomainName($0) }
    // An engine's id of 64 digits is too long for a DNS name; a reverse look-up then answers the first alias.
    let container = DomainName(record.container) ?? aliases.first { $0 != nil } ?? nil
    let own = [container, DomainName(String(sandboxID.prefix(12)))] + aliases
    let endpoint = EndpointNames(
      id: record.id, networkID: networkID, sandboxID: sandboxID, container: container,
      own: own.compactMap { $0 }, hostnames: hostnames, addresses: record.addresses.map(\.address))
    let place: Int32
    if let last = free.popLast() {
      place = last
      endpoints[Int(place)] = endpoint
    } else {
      place = Int32(endpoints.count)
      endpoints.append(endpoint)
    }
    places[record.id] = place
    if record.gatewayPriority != 0 { priorities[record.id] = record.gatewayPriority }
    networks[networkID, default: NetworkNames()].add(endpoint, at: place)
    sandboxes[sandboxID, default: SandboxNames()].places.append(place)
    order(sandboxID)
  }

  private mutating func remove(_ key: StoreRecord.Key) {
    switch key.kind {
    case .network:
      networks[key.id]?.record = nil
      networks[key.id]?.suffix = nil
      if networks[key.id]?.isEmpty == true { networks[key.id] = nil }
    case .sandbox: if let id = sandboxIDs[key.id] { leave(key.id, id) }
    case .endpoint: removeEndpoint(key.id)
    case .pool, .host: break
    }
  }

  private mutating func removeEndpoint(_ id: String) {
    guard let place = places.removeValue(forKey: id), let endpoint = endpoints[Int(place)] else { return }
    priorities[id] = nil
    endpoints[Int(place)] = nil
    free.append(place)
    networks[endpoint.networkID]?.remove(endpoint, at: place)
    if networks[endpoint.networkID]?.isEmpty == true { networks[endpoint.networkID] = nil }
    sandboxes[endpoint.sandboxID]?.places.removeAll { $0 == place }
    order(endpoint.sandboxID)
    forgetIfEmpty(sandbox: endpoint.sandboxID)
  }

  private mutating func forgetIfEmpty(sandbox id: String) {
    if let sandbox = sandboxes[id], sandbox.members.isEmpty, sandbox.places.isEmpty { sandboxes[id] = nil }
  }

  /// The stored copy of an id, if any: each record would bring another copy, of 64 digits.
  private func known(sandbox id: String) -> String { sandboxes.index(forKey: id).map { sandboxes.keys[$0] } ?? id }
  private func known(network id: String) -> String { networks.index(forKey: id).map { networks.keys[$0] } ?? id }

  private mutating func order(_ sandboxID: String) {
    guard let sandbox = sandboxes[sandboxID] else { return }
    if sandbox.places.count == 1, let own = endpoints[Int(sandbox.places[0])] {
      sandboxes[sandboxID]?.networks = [own.networkID]
      return
    }
    let own = sandbox.places.compactMap { endpoints[Int($0)] }.sorted {
      let ranks = (priorities[$0.id] ?? 0, priorities[$1.id] ?? 0)
      return ranks.0 == ranks.1 ? $0.networkID < $1.networkID : ranks.0 > ranks.1
    }
    sandboxes[sandboxID]?.networks = own.map(\.networkID)
  }

  /// The endpoint at a place.
  func endpoint(at place: Int32) -> EndpointNames? { endpoints[Int(place)] }
}
