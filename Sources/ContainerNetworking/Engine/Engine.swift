import AddressPools
import CoreMetrics
import Dispatch
import Glibc
import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// The work of ``NetworkController``, on the calling thread: the order of the steps. Owned objects are recorded in the
/// store before the kernel is changed; drivers do the kernel's part.
///
/// No lock is held during kernel work, except for objects that all networks of a host share
/// (``Store/exclusively(_:)``). A call that creates or removes an object first marks its record as its own.
final class Engine: Sendable {
  let host: NetworkNamespace
  let store: any Store
  let settings: ControllerSettings
  let firewall: Firewall
  let bridges: BridgeDriver
  let drivers: DriverRegistry
  /// The namespaces that this process holds open, by sandbox id.
  let namespaces = Mutex<[String: NetworkNamespace]>([:])
  /// Reserves published ports for this process; nil if it does not.
  let keeper: PortKeeper?
  /// The places from which this process sees paths and processes, see ``Kernel/viewpoint``.
  let viewpoint: String?
  /// The id of ``keeper`` among those of the same store.
  let holderID: String
  /// Whether other processes have changed endpoints since ``followPorts()``.
  let arePortsStale = Atomic(false)
  /// The other forwarders at the last check, see `Engine+Forwarding.swift`.
  let otherForwardersSeen = Mutex<Set<String>>([])
  let telemetry: Telemetry
  /// What every call that changes something passes.
  let gate = Gate()
  /// Whether a prune is running.
  let pruning = Mutex(false)
  /// Locked during repairs of the kernel.
  let healing = Mutex(())
  /// What was told of subnets that the host has come to live in; see `Engine+Overlaps.swift`.
  let overlapsTold = Mutex<Set<Difference>>([])
  /// What is kept ready, by network; see `Engine+Ready.swift`.
  let stocks = Mutex<[String: Stock]>([:])
  let refills = DispatchQueue(label: "ContainerNetworking.refills")
  private let state = Mutex(EngineState())
  /// The unsettled records, until all records are read.
  private let unsettled = Mutex(EngineState())
  /// Records whose ownership ends with the next change, see ``letGo(containers:endpoints:networks:)``.
  private let unfinished = Mutex<Set<StoreRecord.Key>>([])

  init(host: NetworkNamespace, store: any Store, settings: ControllerSettings) {
    self.host = host
    self.store = store
    self.settings = settings
    viewpoint = host.kernel.viewpoint
    firewall = Firewall(host: host)
    bridges = BridgeDriver(host: host, firewall: firewall)
    drivers = DriverRegistry(
      [bridges, MacvlanDriver(host: host), IpvlanDriver(host: host)] + settings.drivers)
    let keeps = settings.reservesPorts || settings.forwarder != nil
    keeper = keeps ? PortKeeper(host: host, forwarder: settings.forwarder) : nil
    holderID = "\(store.token) \(makeID().prefix(12))"
    telemetry = Telemetry(settings.logger, settings.metrics ?? MetricsSystem.factory)
  }

  /// Tells of a repair that nobody has called for.
  func tell(_ report: ReconcileReport) {
    telemetry.note(report)
    settings.onHeal(report)
  }

  // MARK: - State

  /// A change of the records, all or nothing.
  func transaction<Value: Sendable>(
    _ durability: StoreDurability = .process, _ body: (inout Transaction) throws(NetworkError) -> Value
  ) throws(NetworkError) -> Value {
    try state.withLock { (state) throws(NetworkError) in
      let unfinished = self.unfinished.withLock { $0 }
      var transaction = Transaction()
      swap(&transaction.state, &state)
      defer { swap(&transaction.state, &state) }
      do throws(NetworkError) {
        let (value, revision) = try store.update(since: transaction.state.revision, durability) {
          (delta) throws(NetworkError) in
          try take(delta, into: &transaction.state)
          transaction.letGo(unfinished, of: store.token)
          let value = try body(&transaction)
          return (value, transaction.changes)
        }
        transaction.state.revision = revision
        if !unfinished.isEmpty { self.unfinished.withLock { $0.subtract(unfinished) } }
        return value
      } catch {
        // Changes in memory were not saved: everything is read again next time.
        if transaction.isDirty { transaction.state.revision = 0 }
        throw error
      }
    }
  }

  /// Reads the current records.
  func look<Value: Sendable>(_ body: (EngineState) throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    // If this cannot be written now either, the read shows the records as they are.
    if !unfinished.withLock({ $0.isEmpty }) { _ = attempt { () throws(NetworkError) in try transaction { _ in } } }
    return try state.withLock { (state) throws(NetworkError) in
      try take(try store.read(since: state.revision), into: &state)
      return try body(state)
    }
  }

  /// Reads the unsettled records (``StoreRecord/isUnsettled``): all networks, the host, and the containers and
  /// endpoints that are being changed. Does not load the others, unless this process has read them before.
  func lookAtUnsettled<Value: Sendable>(
    _ body: (EngineState) throws(NetworkError) -> Value
  ) throws(NetworkError) -> Value {
    guard unfinished.withLock(\.isEmpty), state.withLock({ $0.revision == 0 }) else { return try look(body) }
    return try unsettled.withLock { (state) throws(NetworkError) in
      let delta = try store.readUnsettled(since: state.revision)
      if delta.isComplete {
        try delta.check()
        _ = state.take(delta)
      }
      return try body(state)
    }
  }

  /// Takes in what others changed.
  private func take(_ delta: StoreDelta, into state: inout EngineState) throws(NetworkError) {
    try delta.check()
    close(state.take(delta))
    guard keeper != nil, !delta.changes.isEmpty else { return }
    let concernsEndpoints = delta.changes.contains { change in
      switch change {
      case .save(.endpoint): true
      case .remove(let key): key.kind == .endpoint
      default: false
      }
    }
    if delta.isComplete || concernsEndpoints { arePortsStale.store(true, ordering: .relaxed) }
  }

  /// Closes namespaces whose last container another process has detached.
  private func close(_ vacated: [String]) {
    guard !vacated.isEmpty else { return }
    namespaces.withLock { namespaces in for id in vacated { namespaces[id] = nil } }
  }

  /// Records under change: the state, and its changes so far.
  struct Transaction {
    fileprivate(set) var state = EngineState()
    fileprivate var changes: [StoreChange] = []
    fileprivate var isDirty = false

    mutating func save(_ record: StoreRecord) { note(.save(record)) }
    mutating func remove(_ kind: StoreRecord.Key.Kind, _ id: String) { note(.remove(StoreRecord.Key(kind, id))) }
    mutating func note(_ event: NetworkEvent) { note(.event(event)) }

    private mutating func note(_ change: StoreChange) {
      isDirty = true
      state.apply(change)
      changes.append(change)
    }

    /// Clears a user's token in records that it could not finish.
    fileprivate mutating func letGo(_ keys: Set<StoreRecord.Key>, of token: String) {
      for key in keys {
        switch key.kind {
        case .sandbox:
          guard var record = state.sandboxes[key.id], record.owner == token else { continue }
          record.owner = ""
          save(.sandbox(record))
        case .endpoint:
          guard var record = state.endpoints[key.id], record.owner == token || record.portChange?.owner == token
          else { continue }
          if record.owner == token { record.owner = "" }
          if record.portChange?.owner == token { record.portChange?.owner = "" }
          save(.endpoint(record))
        case .network:
          guard var record = state.networks[key.id], record.owner == token else { continue }
          record.owner = ""
          save(.network(record))
        case .pool, .host: continue
        }
      }
    }

    /// The containers that are recorded in a namespace.
    mutating func containers(in namespace: NetworkNamespace) -> [SandboxRecord] {
      state.containers(inNamespace: namespace.identity.inode)
    }

    /// A network's current pool.
    mutating func pool(of network: NetworkRecord, _ subnet: SubnetRecord) throws(NetworkError) -> AddressPool {
      try state.pool(of: network, subnet)
    }

    /// Changes a pool, and saves the position of its search.
    mutating func withPool<Value>(
      of network: NetworkRecord, _ subnet: SubnetRecord,
      _ body: (inout AddressPool) throws(NetworkError) -> Value
    ) throws(NetworkError) -> Value {
      let (value, record) = try state.withPool(of: network, subnet, body)
      save(.pool(record))
      return value
    }

    /// Transfers the addresses of an endpoint to another container.
    mutating func transfer(
      _ endpoint: Endpoint, to container: String, on network: NetworkRecord
    ) throws(NetworkError) {
      for address in endpoint.addresses {
        guard let subnet = network.subnet(address.family) else { continue }
        _ = try state.withPool(of: network, subnet) { (pool) throws(NetworkError) in
          try pool.transfer(address.address, to: container)
        }
        // The lease is saved with the endpoint.
        isDirty = true
      }
    }

    /// Removes an endpoint and releases its addresses.
    mutating func release(_ endpoint: Endpoint) throws(NetworkError) {
      // Addresses released earlier may have a new holder.
      guard state.endpoints[endpoint.id] != nil else { return }
      remove(.endpoint, endpoint.id)
      let bridge = state.networks[endpoint.networkID]?.bridge
      for var other in state.endpoints(ofSandbox: endpoint.sandboxID) where other.forget(endpoint, on: bridge) {
        save(.endpoint(other))
      }
      guard var network = state.networks[endpoint.networkID] else { return }
      if network.noteMovedAddresses(of: endpoint) { save(.network(network)) }
      for address in endpoint.addresses {
        guard let subnet = network.subnet(address.family) else { continue }
        try withPool(of: network, subnet) { (pool) throws(NetworkError) in
          if pool.lease(of: address.address) != nil { try pool.release(address.address) }
        }
      }
    }
  }

  /// Whether a record is being changed: it is not ready, and its owner is alive.
  func isAtWork(_ phase: Phase, _ owner: String) -> Bool {
    phase != .ready && phase != .stopped && isAlive(owner)
  }

  /// Whether the owner of a token is alive. Without a token there is no owner: leftovers wait for the next attempt.
  func isAlive(_ owner: String) -> Bool { !owner.isEmpty && store.isAlive(owner) }

  /// Gives up ownership of records this process could not finish. If the store cannot be written now, the next
  /// transaction does it.
  ///
  /// - Returns: The failure to write now, if any.
  func letGo(
    containers: [String] = [], endpoints: [String] = [], networks: [String] = []
  ) -> [NetworkError] {
    let keys =
      containers.map { StoreRecord.Key(.sandbox, $0) } + endpoints.map { StoreRecord.Key(.endpoint, $0) }
      + networks.map { StoreRecord.Key(.network, $0) }
    unfinished.withLock { $0.formUnion(keys) }
    return attempt { () throws(NetworkError) in try transaction { _ in } }
  }

  // MARK: - Look-ups

  func sandbox(_ container: String) throws(NetworkError) -> Sandbox {
    let (record, endpoints) = try look { (state) throws(NetworkError) in
      let record = try state.sandbox(container)
      return (
        record, state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase != .stopped }.map { served($0, state) }
      )
    }
    return Sandbox(record, endpoints, try namespace(of: record))
  }

  /// The attached containers whose namespaces exist, by name.
  func allSandboxes() throws(NetworkError) -> [Sandbox] {
    let all = try look { state in
      state.sandboxes.values.filter { $0.phase != .stopped && !$0.isKeptReady }.map { record in
        (
          record: record,
          endpoints: state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase != .stopped }.map {
            served($0, state)
          }
        )
      }
    }
    return all.sorted { $0.record.container < $1.record.container }.compactMap { record, endpoints in
      // A container whose namespace is gone is left to reconcile and detach.
      (try? namespace(of: record, isListed: true)).map { Sandbox(record, endpoints, $0) }
    }
  }

  func allNetworks() throws(NetworkError) -> [NetworkRecord] {
    try lookAtUnsettled { state in state.networks.values.sorted { $0.name < $1.name } }
  }

  func network(_ name: String) throws(NetworkError) -> NetworkRecord {
    try lookAtUnsettled { (state) throws(NetworkError) in try state.network(name) }
  }

  static let hostSandbox = "host"

  func removeAll() throws(NetworkError) {
    var failures = keepNoneReady()
    // In any order: a namespace is removed with its last container.
    for sandbox in try look({ state in state.sandboxes.values.sorted { $0.container < $1.container } }) {
      failures += attempt { () throws(NetworkError) in try detach(sandbox.container) }
    }
    for network in try look({ state in Array(state.networks.values) }) {
      failures += attempt { () throws(NetworkError) in try removeNetwork(id: network.id) }
    }
    try failures.throwLeftovers("remove everything")
  }
}

/// 64 random hexadecimal digits, like Docker's ids.
func makeID() -> String {
  let bytes = randomBytes(32)
  var digits: [UInt8] = []
  digits.reserveCapacity(64)
  for byte in bytes {
    digits.append(digit(byte >> 4))
    digits.append(digit(byte & 0xf))
  }
  return String(decoding: digits, as: UTF8.self)
}

private func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
