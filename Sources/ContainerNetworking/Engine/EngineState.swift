import AddressPools
import NetworkPrimitives

/// The records of a store in memory, with what follows from them: address pools, published ports, who is on what. Every
/// change of it is a change of the store.
struct EngineState {
  private(set) var networks: [String: NetworkRecord] = [:]
  private(set) var endpoints: [String: Endpoint] = [:]
  private(set) var sandboxes: [String: SandboxRecord] = [:]
  private(set) var host: HostRecord?
  private(set) var ports = PortTable()
  var revision: UInt64 = 0

  private var containersBySandbox: [String: Set<String>] = [:]
  /// How many containers are in the namespace that is pinned at a path.
  private var containersByPin: [String: Int] = [:]
  private var endpointsByPort: [String: String] = [:]
  private var poolRecords: [StoreRecord.Key: PoolRecord] = [:]
  private var endpointsByNetwork: [String: Set<String>] = [:]
  private var endpointsBySandbox: [String: Set<String>] = [:]
  private var endpointsByContainer: [String: Set<String>] = [:]
  /// Built when first asked for, and forgotten when others change the network's leases.
  private var pools: [StoreRecord.Key: AddressPool] = [:]

  /// Takes in what others changed.
  ///
  /// - Returns: The sandboxes that nobody is in any more.
  mutating func take(_ delta: StoreDelta) -> [String] {
    let nextPort = ports.nextEphemeral
    var touched: Set<String> = delta.isComplete ? Set(containersBySandbox.keys) : []
    if delta.isComplete { self = EngineState() }
    for change in delta.changes {
      switch change {
      case .save(.endpoint(let endpoint)): forgetPools(of: endpoint.networkID)
      case .remove(let key) where key.kind == .endpoint:
        if let endpoint = endpoints[key.id] { forgetPools(of: endpoint.networkID) }
      case .save(.pool(let pool)): forgetPools(of: pool.networkID)
      case .save(.sandbox(let sandbox)):
        touched.insert(sandbox.sandboxID)
        if let old = sandboxes[sandbox.container] { touched.insert(old.sandboxID) }
      case .remove(let key) where key.kind == .sandbox:
        if let old = sandboxes[key.id] { touched.insert(old.sandboxID) }
      default: break
      }
      apply(change)
    }
    if delta.isComplete { ports.goOn(from: nextPort) }
    revision = delta.revision
    return touched.filter { members(of: $0).isEmpty }
  }

  mutating func apply(_ change: StoreChange) {
    switch change {
    case .save(.network(let record)): networks[record.id] = record
    case .save(.sandbox(let record)):
      if let old = sandboxes[record.container] { leave(old) }
      sandboxes[record.container] = record
      containersBySandbox[record.sandboxID, default: []].insert(record.container)
      if let path = record.namespacePath { containersByPin[path, default: 0] += 1 }
    case .save(.host(let record)): host = record
    case .save(.pool(let record)): poolRecords[.pool(record.networkID, record.family)] = record
    case .save(.endpoint(let record)):
      let old = endpoints[record.id]
      if let old {
        ports.release(old.allPorts, of: old.container)
        if old.container != record.container { leave(old) }
      }
      endpoints[record.id] = record
      if let port = record.hostInterface { endpointsByPort[port.description] = record.id }
      endpointsByNetwork[record.networkID, default: []].insert(record.id)
      endpointsBySandbox[record.sandboxID, default: []].insert(record.id)
      endpointsByContainer[record.container, default: []].insert(record.id)
      ports.take(record.allPorts, for: record.container, after: old?.allPorts ?? [])
    case .remove(let key): remove(key)
    case .event: break
    }
  }

  private mutating func remove(_ key: StoreRecord.Key) {
    switch key.kind {
    case .network:
      networks[key.id] = nil
      endpointsByNetwork[key.id] = nil
      forgetPools(of: key.id)
    case .sandbox: if let old = sandboxes.removeValue(forKey: key.id) { leave(old) }
    case .host: host = nil
    case .pool: poolRecords[key] = nil
    case .endpoint:
      guard let endpoint = endpoints.removeValue(forKey: key.id) else { return }
      if let port = endpoint.hostInterface { endpointsByPort[port.description] = nil }
      endpointsByNetwork[endpoint.networkID]?.remove(key.id)
      endpointsBySandbox[endpoint.sandboxID]?.remove(key.id)
      if endpointsBySandbox[endpoint.sandboxID]?.isEmpty == true { endpointsBySandbox[endpoint.sandboxID] = nil }
      leave(endpoint)
      ports.release(endpoint.allPorts, of: endpoint.container)
    }
  }

  private mutating func leave(_ endpoint: Endpoint) {
    endpointsByContainer[endpoint.container]?.remove(endpoint.id)
    if endpointsByContainer[endpoint.container]?.isEmpty == true { endpointsByContainer[endpoint.container] = nil }
  }

  private mutating func leave(_ sandbox: SandboxRecord) {
    if let path = sandbox.namespacePath {
      let count = containersByPin[path] ?? 0
      containersByPin[path] = count > 1 ? count - 1 : nil
    }
    containersBySandbox[sandbox.sandboxID]?.remove(sandbox.container)
    if containersBySandbox[sandbox.sandboxID]?.isEmpty == true { containersBySandbox[sandbox.sandboxID] = nil }
  }

  private mutating func forgetPools(of networkID: String) {
    for family in AddressFamily.allCases { pools[.pool(networkID, family)] = nil }
  }

  // MARK: - Look-ups

  /// The id of the default network, once it is made.
  var readyDefaultNetwork: String? { networks.values.first { $0.name == "bridge" && $0.phase == .ready }?.id }

  /// The endpoints on a network, by container.
  func endpoints(ofNetwork id: String) -> [Endpoint] {
    (endpointsByNetwork[id] ?? []).compactMap { endpoints[$0] }.sorted {
      ($0.container, $0.id) < ($1.container, $1.id)
    }
  }

  /// The endpoints that were made for a container, by network.
  func endpoints(ofContainer name: String) -> [Endpoint] {
    (endpointsByContainer[name] ?? []).compactMap { endpoints[$0] }.sorted { $0.networkID < $1.networkID }
  }

  /// Whether a link of the host is the port of an endpoint that is made.
  func hasReadyPort(_ name: String) -> Bool {
    endpointsByPort[name].flatMap { endpoints[$0] }?.phase == .ready
  }

  /// Who is at work, or was, on a container or on an endpoint of its namespace; nil when nobody is.
  func unfinishedOwner(of container: String) -> String? {
    guard let record = sandboxes[container] else { return nil }
    if record.phase != .ready, record.phase != .stopped { return record.owner }
    return endpoints(ofSandbox: record.sandboxID).first { $0.phase != .ready && $0.phase != .stopped }?.owner
  }

  /// Whether a container is in a namespace that is found at a path.
  func isPin(_ path: String) -> Bool { containersByPin[path] != nil }

  /// The endpoints of a sandbox, in the order of their interfaces.
  func endpoints(ofSandbox id: String) -> [Endpoint] {
    (endpointsBySandbox[id] ?? []).compactMap { endpoints[$0] }.sorted {
      let names = ($0.interface.description, $1.interface.description)
      return names.0.utf8.count == names.1.utf8.count ? names.0 < names.1 : names.0.utf8.count < names.1.utf8.count
    }
  }

  /// The containers that share a namespace, by name; not those that are stopped.
  func members(of sandboxID: String) -> [SandboxRecord] {
    (containersBySandbox[sandboxID] ?? []).compactMap { sandboxes[$0] }.filter { $0.phase != .stopped }
      .sorted { $0.container < $1.container }
  }

  /// The network whose full id, name or unique id prefix that is.
  ///
  /// - Throws: `.notFound`; `.ambiguous`, listing the matches.
  func network(_ name: String) throws(NetworkError) -> NetworkRecord {
    if let network = networks[name] { return network }
    if let network = networks.values.first(where: { $0.name == name }) { return network }
    let matches = name.isEmpty ? [] : networks.values.filter { $0.id.hasPrefix(name) }
    if matches.count == 1 { return matches[0] }
    let known = networks.values.map(\.name).sorted().joined(separator: ", ")
    throw matches.isEmpty
      ? NetworkError(
        .notFound, operation: "find network \"\(name)\"",
        reason: "there is no network \"\(name)\"; there are: \(known.isEmpty ? "none" : known)")
      : NetworkError(
        .ambiguous, operation: "find network \"\(name)\"",
        reason: "the id prefix \"\(name)\" matches "
          + matches.map { "\($0.id.prefix(12)) (\($0.name))" }.sorted().joined(separator: ", "))
  }

  /// A container that is attached.
  ///
  /// - Throws: `.notFound`.
  func sandbox(_ container: String) throws(NetworkError) -> SandboxRecord {
    guard let record = sandboxes[container], record.phase != .stopped else {
      throw NetworkError(
        .notFound, operation: "find container \"\(container)\"", reason: "\"\(container)\" is not attached")
    }
    return record
  }

  // MARK: - Pools

  /// The pool of a network's family, with every endpoint's address leased.
  mutating func pool(of network: NetworkRecord, _ subnet: SubnetRecord) throws(NetworkError) -> AddressPool {
    let key = StoreRecord.Key.pool(network.id, subnet.subnet.family)
    if let pool = pools[key] { return pool }
    var leases: [Lease] = []
    for endpoint in endpoints(ofNetwork: network.id) {
      guard let address = endpoint.address(subnet.subnet.family)?.address else { continue }
      let isStatic = endpoint.staticAddresses.contains(address)
      leases.append(Lease(address: address, owner: endpoint.container, kind: isStatic ? .static : .dynamic))
    }
    let record = poolRecords[key]
    let pool = try AddressPool(
      SubnetConfiguration(
        subnet: subnet.subnet, ipRange: subnet.ipRange, gateway: subnet.gateway.map { .address($0) } ?? .omitted,
        auxiliaryAddresses: subnet.auxiliaryAddresses),
      leases: leases, cursor: record?.cursor, resting: record?.resting ?? [])
    pools[key] = pool
    return pool
  }

  /// Changes a pool in place, so that no copy is made of its leases, and gives the record of where it then stands.
  mutating func withPool<Value>(
    of network: NetworkRecord, _ subnet: SubnetRecord, _ body: (inout AddressPool) throws(NetworkError) -> Value
  ) throws(NetworkError) -> (Value, PoolRecord) {
    var pool = try pool(of: network, subnet)
    let key = StoreRecord.Key.pool(network.id, subnet.subnet.family)
    pools[key] = nil
    let result: Result<Value, NetworkError>
    do { result = .success(try body(&pool)) } catch { result = .failure(error) }
    pools[key] = pool
    let record = PoolRecord(
      networkID: network.id, family: subnet.subnet.family, cursor: pool.cursor, resting: pool.resting)
    return (try result.get(), record)
  }
}
