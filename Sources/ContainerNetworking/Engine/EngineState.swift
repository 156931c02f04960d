import AddressPools
import NetworkPrimitives

/// The records of a store in memory, with derived data: address pools, published ports, indices. Every change of it is
/// a change of the store.
struct EngineState {
  private(set) var networks: [String: NetworkRecord] = [:]
  private(set) var endpoints: [String: Endpoint] = [:]
  private(set) var sandboxes: [String: SandboxRecord] = [:]
  private(set) var host: HostRecord?
  private(set) var ports = PortTable()
  private(set) var loads = BridgeLoads()
  var revision: UInt64 = 0

  private var containersBySandbox: [String: IDs] = [:]
  /// The number of containers in the namespace pinned at each path.
  private var containersByPin: [String: Int] = [:]
  /// Built on first use, then kept current.
  private var containersByNamespace: [UInt64: IDs]?
  private var endpointsByPort: [String: String] = [:]
  /// Endpoints whose MAC address is not derived from their IPv4 address.
  private var endpointsByMAC: [MACKey: String] = [:]
  private var poolRecords: [PoolKey: PoolRecord] = [:]
  private var endpointsByNetwork: [String: IDs] = [:]
  private var endpointsBySandbox: [String: IDs] = [:]
  private var endpointsByContainer: [String: IDs] = [:]
  /// Built on first use, then kept current with others' changes.
  private(set) var pools: [PoolKey: AddressPool] = [:]

  struct PoolKey: Hashable {
    var networkID: String
    var family: AddressFamily
  }

  private struct MACKey: Hashable {
    var networkID: String
    var address: MACAddress
  }

  /// Applies others' changes.
  ///
  /// - Returns: The sandboxes without containers now.
  mutating func take(_ delta: StoreDelta) -> [String] {
    if delta.changes.isEmpty, !delta.isComplete {
      revision = delta.revision
      return []
    }
    let nextPort = ports.nextEphemeral
    var touched: Set<String> = delta.isComplete ? Set(containersBySandbox.keys) : []
    if delta.isComplete {
      self = EngineState()
      // Most records are endpoints and sandboxes, in equal numbers.
      reserveCapacity(delta.changes.count / 2)
    }
    var poolKeys: Set<PoolKey> = []
    for change in delta.changes {
      switch change {
      case .save(.endpoint(let endpoint)) where !pools.isEmpty: follow(from: endpoints[endpoint.id], to: endpoint)
      case .remove(let key) where key.kind == .endpoint && !pools.isEmpty: follow(from: endpoints[key.id], to: nil)
      case .save(.pool(let pool)): poolKeys.insert(PoolKey(networkID: pool.networkID, family: pool.family))
      case .save(.network(let network)):
        if let old = networks[network.id], old.subnets != network.subnets { forgetPools(of: network.id) }
      case .save(.sandbox(let sandbox)) where !delta.isComplete:
        touched.insert(sandbox.sandboxID)
        if let old = sandboxes[sandbox.container] { touched.insert(old.sandboxID) }
      case .remove(let key) where key.kind == .sandbox:
        if let old = sandboxes[key.id] { touched.insert(old.sandboxID) }
      default: break
      }
      apply(change)
    }
    // After the leases: only addresses without a lease can rest.
    for key in poolKeys { settlePool(key) }
    if delta.isComplete { ports.goOn(from: nextPort) }
    revision = delta.revision
    return touched.filter { members(of: $0).isEmpty }
  }

  private mutating func reserveCapacity(_ count: Int) {
    guard count > 64 else { return }
    endpoints.reserveCapacity(count)
    sandboxes.reserveCapacity(count)
    containersBySandbox.reserveCapacity(count)
    endpointsBySandbox.reserveCapacity(count)
    endpointsByContainer.reserveCapacity(count)
    endpointsByPort.reserveCapacity(count)
  }

  mutating func apply(_ change: StoreChange) {
    switch change {
    case .save(.network(let record)): networks[record.id] = record
    case .save(.sandbox(let record)):
      let old = sandboxes.updateValue(record, forKey: record.container)
      if containersByNamespace != nil, old?.namespaceInode != record.namespaceInode { move(old, to: record) }
      if let old {
        if old.sandboxID == record.sandboxID, old.namespacePath == record.namespacePath { return }
        leave(old)
      }
      containersBySandbox[record.sandboxID, default: IDs()].insert(record.container)
      if let path = record.namespacePath { containersByPin[path, default: 0] += 1 }
    case .save(.host(let record)): host = record
    case .save(.pool(let record)):
      poolRecords[PoolKey(networkID: record.networkID, family: record.family)] = record
    case .save(.endpoint(let record)):
      let old = endpoints.updateValue(record, forKey: record.id)
      if let old {
        // Usually only the phase changed; the indices stay valid.
        if old.isFound(as: record) { return }
        ports.release(old.allPorts, of: old.container)
        loads.leave(old)
        leaveMAC(of: old)
        if old.container != record.container { leave(old) }
      }
      loads.take(record)
      if !record.hasDerivedMACAddress, record.phase != .stopped {
        endpointsByMAC[MACKey(networkID: record.networkID, address: record.macAddress)] = record.id
      }
      if let port = record.hostInterface { endpointsByPort[port.description] = record.id }
      if let link = record.handedOutLink { endpointsByPort[link.description] = record.id }
      endpointsByNetwork[record.networkID, default: IDs()].insert(record.id)
      endpointsBySandbox[record.sandboxID, default: IDs()].insert(record.id)
      endpointsByContainer[record.container, default: IDs()].insert(record.id)
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
      loads.forget(key.id)
      forgetPools(of: key.id)
    case .sandbox:
      guard let old = sandboxes.removeValue(forKey: key.id) else { return }
      move(old, to: nil)
      leave(old)
    case .host: host = nil
    case .pool:
      for family in AddressFamily.allCases {
        let id = String(key.id.prefix { $0 != "/" })
        if key == .pool(id, family) { poolRecords[PoolKey(networkID: id, family: family)] = nil }
      }
    case .endpoint:
      guard let endpoint = endpoints.removeValue(forKey: key.id) else { return }
      if let port = endpoint.hostInterface { endpointsByPort[port.description] = nil }
      if let link = endpoint.handedOutLink { endpointsByPort[link.description] = nil }
      endpointsByNetwork[endpoint.networkID]?.remove(key.id)
      endpointsBySandbox[endpoint.sandboxID]?.remove(key.id)
      if endpointsBySandbox[endpoint.sandboxID]?.isEmpty == true { endpointsBySandbox[endpoint.sandboxID] = nil }
      leave(endpoint)
      leaveMAC(of: endpoint)
      loads.leave(endpoint)
      ports.release(endpoint.allPorts, of: endpoint.container)
    }
  }

  private mutating func leaveMAC(of endpoint: Endpoint) {
    let key = MACKey(networkID: endpoint.networkID, address: endpoint.macAddress)
    if endpointsByMAC[key] == endpoint.id { endpointsByMAC[key] = nil }
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

  private mutating func move(_ old: SandboxRecord?, to new: SandboxRecord?) {
    if let old, let inode = old.namespaceInode { containersByNamespace?[inode]?.remove(old.container) }
    if let new, let inode = new.namespaceInode {
      containersByNamespace?[inode, default: IDs()].insert(new.container)
    }
  }

  private mutating func forgetPools(of networkID: String) {
    for family in AddressFamily.allCases { pools[PoolKey(networkID: networkID, family: family)] = nil }
  }

  // MARK: - Pools of others' making

  /// Applies another process's lease or release to the built pools. A pool that refuses it is dropped; its next use
  /// builds it again and reports the reason.
  private mutating func follow(from old: Endpoint?, to new: Endpoint?) {
    guard let networkID = new?.networkID ?? old?.networkID else { return }
    let owner = old?.container ?? ""
    let kept = new?.container == owner ? new?.addresses ?? [] : []
    for address in old?.addresses ?? [] where !kept.contains(address) {
      pools[PoolKey(networkID: networkID, family: address.family)]?.forget(address.address, of: owner)
    }
    guard let new else { return }
    for address in new.addresses {
      let key = PoolKey(networkID: networkID, family: address.family)
      guard pools[key] != nil else { continue }
      do throws(NetworkError) { try pools[key]?.adopt(new.lease(of: address.address)) } catch { pools[key] = nil }
    }
  }

  /// Moves a built pool's search to its recorded position.
  private mutating func settlePool(_ key: PoolKey) {
    guard pools[key] != nil, let record = poolRecords[key] else { return }
    do throws(NetworkError) { try pools[key]?.settle(cursor: record.cursor, resting: record.resting) } catch {
      pools[key] = nil
    }
  }

  // MARK: - Look-ups

  /// The id of the default network, if it is ready.
  var readyDefaultNetwork: String? { networks.values.first { $0.name == "bridge" && $0.phase == .ready }?.id }

  /// The endpoints on a network, by container.
  func endpoints(ofNetwork id: String) -> [Endpoint] {
    (endpointsByNetwork[id]?.all ?? []).compactMap { endpoints[$0] }.sorted {
      ($0.container, $0.id) < ($1.container, $1.id)
    }
  }

  /// Whether an endpoint is on a network.
  func isUsed(_ networkID: String) -> Bool { endpointsByNetwork[networkID]?.isEmpty == false }

  /// The endpoints of a container, by network.
  func endpoints(ofContainer name: String) -> [Endpoint] {
    (endpointsByContainer[name]?.all ?? []).compactMap { endpoints[$0] }.sorted { $0.networkID < $1.networkID }
  }

  /// The endpoint on a network with a MAC address that is not derived from its IPv4 address; nil for none.
  func endpoint(having address: MACAddress, onNetwork id: String) -> Endpoint? {
    endpointsByMAC[MACKey(networkID: id, address: address)].flatMap { endpoints[$0] }
  }

  /// Whether a link of the host is a ready endpoint's port.
  func hasReadyPort(_ name: String) -> Bool {
    endpointsByPort[name].flatMap { endpoints[$0] }?.phase == .ready
  }

  /// Whether a link of the host is, or is to be, the port of an endpoint.
  func isPort(_ name: String) -> Bool { endpointsByPort[name] != nil }

  /// Who is at work, or was, on a container or on an endpoint of its namespace; nil when nobody is.
  func unfinishedOwner(of container: String) -> String? {
    guard let record = sandboxes[container] else { return nil }
    if record.phase != .ready, record.phase != .stopped { return record.owner }
    return endpoints(ofSandbox: record.sandboxID).first { $0.phase != .ready && $0.phase != .stopped }?.owner
  }

  /// The containers that are recorded in a namespace, its owner first.
  mutating func containers(inNamespace inode: UInt64) -> [SandboxRecord] {
    if containersByNamespace == nil {
      containersByNamespace = [:]
      for record in sandboxes.values { move(nil, to: record) }
    }
    return (containersByNamespace?[inode]?.all ?? []).compactMap { sandboxes[$0] }.sorted {
      ($0.isSharer ? 1 : 0, $0.container) < ($1.isSharer ? 1 : 0, $1.container)
    }
  }

  /// Whether a container's namespace is pinned at a path.
  func isPin(_ path: String) -> Bool { containersByPin[path] != nil }

  /// The endpoints of a sandbox, in the order of their interfaces.
  func endpoints(ofSandbox id: String) -> [Endpoint] {
    guard let ids = endpointsBySandbox[id]?.all else { return [] }
    if ids.count == 1, let only = ids.first { return endpoints[only].map { [$0] } ?? [] }
    return ids.compactMap { endpoints[$0] }.sorted {
      let names = ($0.interface.description, $1.interface.description)
      return names.0.utf8.count == names.1.utf8.count ? names.0 < names.1 : names.0.utf8.count < names.1.utf8.count
    }
  }

  /// The containers in a namespace, by name; stopped ones excluded.
  func members(of sandboxID: String) -> [SandboxRecord] {
    (containersBySandbox[sandboxID]?.all ?? []).compactMap { sandboxes[$0] }.filter { $0.phase != .stopped }
      .sorted { $0.container < $1.container }
  }

  /// The network with a full id, name or unique id prefix.
  ///
  /// - Throws: `.notFound`; `.ambiguous`, listing the matches.
  func network(_ name: String) throws(NetworkError) -> NetworkRecord {
    if let network = networks[name] { return network }
    if let network = networks.values.first(where: { $0.name == name }) { return network }
    let matches = name.isEmpty ? [] : networks.values.filter { $0.id.hasPrefix(name) }
    if matches.count == 1 { return matches[0] }
    let names = networks.values.map(\.name).sorted().joined(separator: ", ")
    let known =
      switch name {
      case "host", "none": "it is a mode, not a network, and has no endpoints"
      case "bridge": "it is made when a container is first attached to it"
      default: names.isEmpty ? "there are no networks yet" : "there are: \(names)"
      }
    throw matches.isEmpty
      ? NetworkError(
        .notFound, operation: "find network \"\(name)\"",
        reason: "there is no network \"\(name)\"; \(known)")
      : NetworkError(
        .ambiguous, operation: "find network \"\(name)\"",
        reason: "the id prefix \"\(name)\" matches "
          + matches.map { "\($0.id.prefix(12)) (\($0.name))" }.sorted().joined(separator: ", "))
  }

  /// The record of an attached container.
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
    let key = PoolKey(networkID: network.id, family: subnet.subnet.family)
    if let pool = pools[key] { return pool }
    var leases: [Lease] = []
    for id in endpointsByNetwork[network.id]?.all ?? [] {
      guard let endpoint = endpoints[id], let own = endpoint.address(subnet.subnet.family) else { continue }
      leases.append(endpoint.lease(of: own.address))
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

  /// The holder of an address on a network, as far as its pool is built; nil for none.
  func holder(of address: IPAddress, onNetwork id: String) -> String? {
    pools[PoolKey(networkID: id, family: address.family)]?.owner(of: address)
  }

  /// Changes a pool in place, without a copy of its leases, and returns the record of its position.
  mutating func withPool<Value>(
    of network: NetworkRecord, _ subnet: SubnetRecord, _ body: (inout AddressPool) throws(NetworkError) -> Value
  ) throws(NetworkError) -> (Value, PoolRecord) {
    var pool = try pool(of: network, subnet)
    let key = PoolKey(networkID: network.id, family: subnet.subnet.family)
    pools[key] = nil
    let result: Result<Value, NetworkError>
    do { result = .success(try body(&pool)) } catch { result = .failure(error) }
    pools[key] = pool
    let record = PoolRecord(
      networkID: network.id, family: subnet.subnet.family, cursor: pool.cursor, resting: pool.resting)
    return (try result.get(), record)
  }
}

extension Endpoint {
  fileprivate func lease(of address: IPAddress) -> Lease {
    Lease(address: address, owner: container, kind: staticAddresses.contains(address) ? .static : .dynamic)
  }

  /// Whether it has the same index keys and ports as another version of the endpoint.
  fileprivate func isFound(as other: Endpoint) -> Bool {
    container == other.container && sandboxID == other.sandboxID && networkID == other.networkID
      && macAddress == other.macAddress && addresses == other.addresses
      && hostInterface == other.hostInterface && bridge == other.bridge && ports == other.ports
      && portChange == other.portChange && (phase == .stopped) == (other.phase == .stopped)
  }
}
