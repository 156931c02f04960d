import AddressPools
import CoreMetrics
import Dispatch
import Glibc
import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// What ``NetworkController`` does, on whichever thread calls it: the order of steps. What is owned is in the store, and
/// is written down before the kernel is touched; kernel work is the drivers'.
///
/// No lock is held while the kernel works, but for what all networks of a host share (``Store/exclusively(_:)``): who
/// makes or removes a thing has marked its record as its own.
final class Engine: Sendable {
  let host: NetworkNamespace
  let store: any Store
  let settings: ControllerSettings
  let firewall: Firewall
  let bridges: BridgeDriver
  let macvlans: MacvlanDriver
  /// The namespaces that this process holds open, by sandbox id.
  let namespaces = Mutex<[String: NetworkNamespace]>([:])
  /// What holds published ports for this process; nil where nothing does.
  let keeper: PortKeeper?
  /// What ``keeper`` is known by among those of the same store.
  let holderID: String
  /// Whether others have changed endpoints since ``followPorts()``.
  let arePortsStale = Atomic(false)
  /// Who else forwarded at the last look, see `Engine+Forwarding.swift`.
  let otherForwardersSeen = Mutex<Set<String>>([])
  let telemetry: Telemetry
  /// What every call that changes something passes.
  let gate = Gate()
  /// Whether a prune is under way.
  let pruning = Mutex(false)
  /// Held while the kernel is made to be as the records say.
  let healing = Mutex(())
  /// What was told of subnets that the host has come to live in; see `Engine+Overlaps.swift`.
  let overlapsTold = Mutex<Set<Difference>>([])
  /// What is kept ready, by network; see `Engine+Ready.swift`.
  let stocks = Mutex<[String: Stock]>([:])
  let refills = DispatchQueue(label: "ContainerNetworking.refills")
  private let state = Mutex(EngineState())
  /// What of the records is unsettled, until all of them are read.
  private let unsettled = Mutex(EngineState())
  /// What is to be let go with the next change, see ``letGo(containers:endpoints:networks:)``.
  private let unfinished = Mutex<Set<StoreRecord.Key>>([])

  init(host: NetworkNamespace, store: any Store, settings: ControllerSettings) {
    self.host = host
    self.store = store
    self.settings = settings
    firewall = Firewall(host: host)
    bridges = BridgeDriver(host: host, firewall: firewall)
    macvlans = MacvlanDriver(host: host)
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
        // What was changed in memory was not saved: read everything anew next time.
        if transaction.isDirty { transaction.state.revision = 0 }
        throw error
      }
    }
  }

  /// A look at the records as they are now.
  func look<Value: Sendable>(_ body: (EngineState) throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    // What cannot be written now either is seen as it is.
    if !unfinished.withLock({ $0.isEmpty }) { _ = attempt { () throws(NetworkError) in try transaction { _ in } } }
    return try state.withLock { (state) throws(NetworkError) in
      try take(try store.read(since: state.revision), into: &state)
      return try body(state)
    }
  }

  /// A look at what of the records is unsettled (``StoreRecord/isUnsettled``): all networks, the host, and those containers and
  /// endpoints that somebody is at work on. A process that has not asked for the others yet does not read them for it.
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

  /// Holds namespaces open no more that others have emptied.
  private func close(_ vacated: [String]) {
    guard !vacated.isEmpty else { return }
    namespaces.withLock { namespaces in for id in vacated { namespaces[id] = nil } }
  }

  /// Records in the making: the state, and what has been changed of it.
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

    /// Takes a user's token off records that it could not finish.
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

    /// The containers that are recorded as being in a namespace.
    mutating func containers(in namespace: NetworkNamespace) -> [SandboxRecord] {
      state.containers(inNamespace: namespace.identity.inode)
    }

    /// A network's pool as it is.
    mutating func pool(of network: NetworkRecord, _ subnet: SubnetRecord) throws(NetworkError) -> AddressPool {
      try state.pool(of: network, subnet)
    }

    /// Changes a pool, and saves where its search then stands.
    mutating func withPool<Value>(
      of network: NetworkRecord, _ subnet: SubnetRecord,
      _ body: (inout AddressPool) throws(NetworkError) -> Value
    ) throws(NetworkError) -> Value {
      let (value, record) = try state.withPool(of: network, subnet, body)
      save(.pool(record))
      return value
    }

    /// Has the addresses of an endpoint be another container's from now on.
    mutating func transfer(
      _ endpoint: Endpoint, to container: String, on network: NetworkRecord
    ) throws(NetworkError) {
      for address in endpoint.addresses {
        guard let subnet = network.subnet(address.family) else { continue }
        _ = try state.withPool(of: network, subnet) { (pool) throws(NetworkError) in
          try pool.transfer(address.address, to: container)
        }
      }
    }

    /// Forgets an endpoint and gives its addresses back.
    mutating func release(_ endpoint: Endpoint) throws(NetworkError) {
      // What was given back already may be somebody else's by now.
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

  /// Whether somebody is at work on a record: one that is not ready, and whose owner lives.
  func isAtWork(_ phase: Phase, _ owner: String) -> Bool {
    phase != .ready && phase != .stopped && isAlive(owner)
  }

  /// Whether somebody is at work under that token. Without one nobody is: what could not be taken away belongs to whoever
  /// tries again.
  func isAlive(_ owner: String) -> Bool { !owner.isEmpty && store.isAlive(owner) }

  /// Leaves records that this user of the store had at work, and could not finish, to whoever tries again: at once, or
  /// with the next change, when nothing can be written at the moment.
  ///
  /// - Returns: Why not at once.
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

  /// Those whose namespaces are there, by name.
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
      // One whose namespace is gone is known to reconcile and detach, not here.
      (try? namespace(of: record)).map { Sandbox(record, endpoints, $0) }
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
    // Sharers first: a namespace goes with its last container.
    for sandbox in try look({ state in state.sandboxes.values.sorted { $0.container < $1.container } }) {
      failures += attempt { () throws(NetworkError) in try detach(sandbox.container) }
    }
    for network in try look({ state in Array(state.networks.values) }) {
      failures += attempt { () throws(NetworkError) in try removeNetwork(id: network.id) }
    }
    try failures.throwLeftovers("remove everything")
  }
}

/// 64 random hexadecimal digits, as Docker's ids.
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
