import Dispatch
public import NetworkPrimitives

/// The networks and sandboxes of one host namespace.
///
///     let controller = try await NetworkController(host: .current())
///     let web = try await controller.attach("web", to: .bridge, options: .init(ports: [PortMapping("8080:80")]))
///     print(web.namespace.path, web.endpoints[0].address)
///     try await controller.detach("web")
///
/// Any namespace can be the host; nothing outside it is touched. Calls that have nothing to do with each other run side by
/// side, on threads of the controller's; a store can be shared by controllers of many processes.
/// Every call that fails leaves nothing behind.
public final class NetworkController: Sendable {
  /// The namespace that bridges, routes and firewall rules are made in.
  public let host: NetworkNamespace

  let worker = Worker(label: "ContainerNetworking.controller")
  let engine: Engine
  private let healer: Healer?
  private let follower: PortFollower?

  /// A controller of `host`. What earlier users of the store left unfinished is finished or undone; what of that cannot
  /// be taken away now is told to ``ControllerSettings/onHeal``, and stays one of the ``differences()``.
  ///
  /// - Parameters:
  ///   - host: Where bridges, addresses and rules are made; the machine's own namespace, or any other.
  ///   - store: Where what it owns is written down.
  ///   - settings: The default network and the pools for those without a subnet of their own.
  public init(
    host: NetworkNamespace, store: any Store = MemoryStore(), settings: ControllerSettings = ControllerSettings()
  ) async throws(NetworkError) {
    self.host = host
    let engine = Engine(host: host, store: store, settings: settings)
    self.engine = engine
    healer = try await worker.run { [worker] () throws(NetworkError) in
      try engine.open()
      return settings.heals ? try Healer(engine, worker) { [engine] in engine.tell($0) } : nil
    }
    follower = engine.keeper == nil ? nil : PortFollower(engine)
  }

  deinit { engine.closePorts() }

  /// The controller's threads, for tasks that make many calls or wait for each: `Task(executorPreference:)`,
  /// `withTaskExecutorPreference(_:)`. A call blocks until the kernel has answered, so it is handed to one of these threads,
  /// and its result back to the caller's; that is two turns of threads, about 50 µs, which a task that is on them does without.
  /// There are 16: what blocks them otherwise keeps other calls waiting.
  public var executor: any TaskExecutor { worker }

  /// Puts a container on the network.
  ///
  /// - Parameters:
  ///   - container: The container's name, which ``detach(_:)`` and `container:` mode know it by.
  ///   - mode: How; see ``NetworkMode``.
  ///   - options: Ports, addresses.
  ///   - namespace: The container's namespace, when it exists already; a new one otherwise. Not for host and
  ///     container mode, which have theirs.
  /// - Throws: `.invalidValue`, `.conflictingOptions`; `.alreadyExists` when it is attached; `.notFound` for an unknown
  ///   network or donor; `.inUse` for an address or port of another's; `.exhausted` for a full pool; the kernel's
  ///   refusals.
  @discardableResult
  public func attach(
    _ container: String, to mode: NetworkMode = .bridge, options: AttachOptions = AttachOptions(),
    namespace: NetworkNamespace? = nil
  ) async throws(NetworkError) -> Sandbox {
    try await perform(.attach, container, mode.telemetryName) { (engine) throws(NetworkError) in
      try engine.attach(container, to: mode, options: options, namespace: namespace)
    }
  }

  /// Puts many containers on the network at once: on bridge networks with two changes of the record, one nftables transaction
  /// and a few sends to the host's kernel for all of them, where each alone has its own.
  ///
  /// Each is attached whole or not at all, whatever becomes of the others. Those that ask for a port of the host's choice, or
  /// are not on a bridge network that is there, are attached one by one after the rest.
  ///
  /// - Parameter requests: The containers; each as ``attach(_:to:options:namespace:)`` takes it.
  /// - Returns: What became of each, in the order of the requests; failures as that call throws them.
  public func attach(_ requests: [AttachRequest]) async -> [Result<Sandbox, NetworkError>] {
    do throws(NetworkError) {
      return try await worker.run { [engine] () throws(NetworkError) in
        try engine.telemetry.follow(.attach, Telemetry.Subject(count: requests.count)) { () throws(NetworkError) in
          try engine.attachAll(requests)
        }
      }
    } catch { return requests.map { _ in .failure(error) } }
  }

  /// Keeps sandboxes ready on a network: namespaces that are made, wired and addressed before anybody asks for them, so that
  /// ``attach(_:to:options:namespace:)`` only hands one over. Returns when there are as many.
  ///
  /// An attach takes one when it asks for nothing that has to be made for it: ports, aliases and a gateway priority it can
  /// have, a namespace, an address, a hardware address or an interface name of its own it is made anew for. In the place of
  /// one that was handed over another is made, in the background.
  ///
  /// What is kept takes addresses of the network, and gives them up when nothing else is left for a container. It is on
  /// record, and goes with this process: whoever opens the store next finds nothing left of it. ``removeAll(isFinal:)`` and
  /// ``removeNetwork(_:)`` take it away and end it.
  ///
  /// - Parameters:
  ///   - count: How many; 0 for none any more.
  ///   - network: The network, by name, id or unique id prefix; the default one is made if need be.
  ///   - refillsPerSecond: How fast they are made again at the most, so that this does not get in the way of what containers
  ///     wait for; above 0, to 10,000.
  /// - Throws: `.invalidValue`; `.exhausted` above ``ControllerSettings/readyLimit``, or when the network has fewer addresses:
  ///   those that could be made are kept then; `.notFound`; as ``attach(_:to:options:namespace:)``.
  public func keepReady(
    _ count: Int, on network: String = "bridge", refillsPerSecond: Double = 50
  ) async throws(NetworkError) {
    try await perform(.keepReady, nil, network) { (engine) throws(NetworkError) in
      try engine.keepReady(count, on: network, refillsPerSecond: refillsPerSecond)
    }
  }

  /// How many sandboxes are kept ready on a network by this controller.
  ///
  /// - Parameter network: The network, by name, id or unique id prefix.
  /// - Throws: `.notFound`.
  public func readySandboxes(on network: String = "bridge") async throws(NetworkError) -> ReadySandboxes {
    try await worker.run { [engine] () throws(NetworkError) in try engine.readySandboxes(on: network) }
  }

  /// Takes a container off the network: endpoint, published ports, address, all of it. A namespace that others share
  /// keeps its interfaces until the last of them is detached.
  ///
  /// - Throws: `.notFound` when it is not attached; everything that could not be taken away, after all was tried.
  public func detach(_ container: String) async throws(NetworkError) {
    try await perform(.detach, container) { (engine) throws(NetworkError) in
      try engine.detach(container)
    }
  }

  /// Waits until the kernel has freed what ``detach(_:)`` and the other calls of this controller took away.
  ///
  /// When those return, the links are gone for everyone: they carry nothing, and are found by no name. The kernel then frees
  /// them once nobody can still be reading of them, 10 to 30 ms later, and it does so even if this process ends; that is
  /// of interest to those who count memory.
  public func settled() async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in engine.host.deletions.wait() }
  }

  /// Takes a container off the network as ``detach(_:)`` does, but leaves its static addresses its own: nobody else gets
  /// them until it is attached again, and gets them back, or is detached.
  ///
  /// - Throws: As ``detach(_:)``.
  public func stop(_ container: String) async throws(NetworkError) {
    try await perform(.stop, container) { (engine) throws(NetworkError) in
      try engine.detach(container, keepsAddresses: true)
    }
  }

  /// Puts a container that is attached on one more network, while it runs.
  ///
  /// - Throws: `.notFound`; `.alreadyExists` when it is on that network; `.conflictingOptions` for a container in host, none
  ///   or container mode; else as ``attach(_:to:options:namespace:)``.
  @discardableResult
  public func connect(
    _ container: String, to network: String, options: EndpointOptions = EndpointOptions()
  ) async throws(NetworkError) -> Endpoint {
    try await perform(.connect, container, network) { (engine) throws(NetworkError) in
      try engine.connect(container, to: network, options: options)
    }
  }

  /// Takes a container off one network, while it runs. Its aliases and published ports there are gone then, unless they are
  /// kept: ``connect(_:to:options:)`` gives it what was kept, but for what that asks for otherwise.
  ///
  /// - Parameters:
  ///   - container: The container.
  ///   - network: The network, by name, id or unique id prefix.
  ///   - isForced: Whether a container that is stopped, or whose namespace is gone, is taken off too.
  ///   - keepsSettings: Whether its addresses, aliases, ports, interface and priority there stay its own, until it is
  ///     connected again, disconnected once more, or detached.
  /// - Returns: The endpoint that it had.
  /// - Throws: `.notFound` when it is not on that network; `.conflictingOptions` as ``connect(_:to:options:)``; everything
  ///   that could not be taken away.
  @discardableResult
  public func disconnect(
    _ container: String, from network: String, isForced: Bool = false, keepsSettings: Bool = false
  ) async throws(NetworkError) -> Endpoint {
    try await perform(.disconnect, container, network) { (engine) throws(NetworkError) in
      try engine.disconnect(container, from: network, isForced: isForced, keepsSettings: keepsSettings)
    }
  }

  /// The sandbox of a container that is attached.
  public func sandbox(_ container: String) async throws(NetworkError) -> Sandbox {
    try await worker.run { [engine] () throws(NetworkError) in try engine.sandbox(container) }
  }

  /// Every container that is attached, by name.
  public func sandboxes() async throws(NetworkError) -> [Sandbox] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.allSandboxes() }
  }

  /// Makes a custom network.
  ///
  /// - Throws: `.refused` for a predefined name; `.alreadyExists`; every fault of the options together, as causes;
  ///   `.conflictingOptions` for a subnet that overlaps another network's or a route of the host; `.unsupported` for a
  ///   driver that there is not, or that the kernel has not; `.inUse` for a bridge or parent that is another network's.
  @discardableResult
  public func createNetwork(
    _ name: String, options: NetworkOptions = NetworkOptions()
  ) async throws(NetworkError) -> NetworkRecord {
    try await perform(.createNetwork, nil, name) { (engine) throws(NetworkError) in
      try engine.createNetwork(name, options: options)
    }
  }

  /// Removes a custom network, its bridge and its rules; a parent or a bridge that was there before stays.
  ///
  /// - Throws: `.inUse`, naming them, while containers are attached; `.refused` for a predefined one; `.notFound`.
  public func removeNetwork(_ name: String) async throws(NetworkError) {
    try await perform(.removeNetwork, nil, name) { (engine) throws(NetworkError) in
      try engine.removeNetwork(name)
    }
  }

  /// A network by full id, name, or unique id prefix.
  ///
  /// - Throws: `.notFound`; `.ambiguous`, listing the matches.
  public func network(_ name: String) async throws(NetworkError) -> NetworkRecord {
    try await worker.run { [engine] () throws(NetworkError) in try engine.network(name) }
  }

  /// The networks that a filter means, in the natural order of their names; the default one only once it was used.
  public func networks(matching filter: NetworkFilter) async throws(NetworkError) -> [NetworkRecord] {
    try await worker.run { [engine] () throws(NetworkError) in
      let matching = { (state: EngineState) in
        state.networks.values.filter { network in
          filter.matches(network, isUsed: state.isUsed(network.id))
        }.sorted { NaturalOrder.precedes($0.name, $1.name) }
      }
      // Who is on them is read for those alone who ask.
      return filter.isDangling == nil ? try engine.lookAtUnsettled(matching) : try engine.look(matching)
    }
  }

  /// A network with who is on it and how full it is, by full id, name, or unique id prefix.
  ///
  /// - Throws: `.notFound`; `.ambiguous`, listing the matches.
  public func inspect(_ network: String) async throws(NetworkError) -> NetworkInspection {
    try await worker.run { [engine] () throws(NetworkError) in try engine.inspect(network) }
  }

  /// Removes the custom networks that a filter means and that nothing is on; one that cannot be removed is no reason to
  /// leave the others.
  ///
  /// - Throws: `.inUse` while another prune of this controller is under way.
  @discardableResult
  public func prune(matching filter: NetworkFilter = NetworkFilter()) async throws(NetworkError) -> PruneReport {
    try await perform(.prune) { (engine) throws(NetworkError) in
      try engine.prune(filter)
    }
  }

  /// What happened to networks lately, oldest first, each with its number; with another process's, where the store is
  /// shared. A store keeps the last 1,000.
  ///
  /// - Parameter number: The last one that is known; 0 for all.
  public func events(
    after number: UInt64 = 0
  ) async throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.store.events(after: number) }
  }

  /// Every network, by name; the default one only once it was used.
  public func networks() async throws(NetworkError) -> [NetworkRecord] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.allNetworks() }
  }

  /// Every difference between what is recorded and what is in the kernel, containers' namespaces included. Nothing is
  /// changed.
  public func differences() async throws(NetworkError) -> [Difference] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.differences() }
  }

  /// What the record is known by on its host, beside others: eight hexadecimal digits. The comment of each element of our
  /// firewall tables has it.
  public var recordID: String { engine.firewall.id.description }

  /// The other records that have networks on the same host. They share our firewall tables, and what is theirs is never
  /// touched.
  public func otherRecords() async throws(NetworkError) -> [OtherRecord] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.otherRecords() }
  }

  /// Takes away all that another record has on this host: its elements of our tables, the ends of its containers' cables, and its
  /// bridges. For a record that is lost for ever, whose state directory was deleted: whether it is in use is not known here, and a
  /// program that has it open puts its own back.
  ///
  /// - Parameter id: As in ``otherRecords()``.
  /// - Returns: The names of its bridges that were left, since they may be the host's own.
  /// - Throws: `.notFound` for one that is not there; `.refused` for this controller's own.
  @discardableResult
  public func forgetRecord(_ id: String) async throws(NetworkError) -> [String] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.forgetRecord(id) }
  }

  /// Rules of other owners that drop our networks' packets, and what would allow them. Nothing is sent, and nothing changed.
  public func obstacles() async throws(NetworkError) -> [Obstacle] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.obstacles() }
  }

  /// Links of the host that forward for our networks alone, where somebody may want more of them: another link forwards by its
  /// owner's own setting, or packets were dropped. Nothing is changed.
  public func keptUplinks() async throws(NetworkError) -> [KeptUplinks] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.keptUplinks() }
  }

  /// Repairs every difference between what is recorded and what is in the kernel, and undoes or finishes what others left
  /// unfinished. Only what the records name is touched.
  ///
  /// - Throws: When it could not look; what could not be repaired is in the report.
  @discardableResult
  public func reconcile() async throws(NetworkError) -> ReconcileReport {
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.telemetry.follow(.reconcile) { () throws(NetworkError) in
        try engine.gate.pass { () throws(NetworkError) in try engine.reconcile() }
      }
    }
  }

  /// Puts our firewall tables back if they are not as the records say, and looks at nothing else: for whoever has flushed the
  /// host's ruleset, and reads so of ours in ``ReconcileReport/found`` alone. It takes one transaction.
  ///
  /// - Throws: As ``reconcile()``.
  @discardableResult
  public func reconcileRules() async throws(NetworkError) -> ReconcileReport {
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.telemetry.follow(.reconcile) { () throws(NetworkError) in
        try engine.gate.pass { () throws(NetworkError) in try engine.reconcile(.rules) }
      }
    }
  }

  /// The changes that ``reconcileRules()`` makes where our tables are gone, for whoever measures what the kernel takes for them.
  package func rulesRestoration() async throws(NetworkError) -> NftTransaction {
    try await looking { (engine) throws(NetworkError) in try engine.rulesRestoration() }
  }

  /// Does a verb on a thread of the controller's, and tells of it.
  func perform<Value: Sendable>(
    _ verb: Verb, _ container: String? = nil, _ network: String? = nil,
    _ body: @escaping @Sendable (Engine) throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    try await worker.run { [engine] () throws(NetworkError) in
      let subject = Telemetry.Subject(container: container, network: network)
      return try engine.telemetry.follow(verb, subject) { () throws(NetworkError) in
        try engine.verb { () throws(NetworkError) in try body(engine) }
      }
    }
  }

  /// Looks at what there is, on a thread of the controller's.
  func looking<Value: Sendable>(
    _ body: @escaping @Sendable (Engine) throws(NetworkError) -> Value
  ) async throws(NetworkError) -> Value {
    try await worker.run { [engine] () throws(NetworkError) in try body(engine) }
  }

  /// Detaches every container and removes every network of this controller, and its firewall table.
  ///
  /// Waits for calls that are under way; those that come while it removes are refused with `.closed`.
  ///
  /// - Parameter isFinal: Whether calls that come after it are refused too, as when the process is about to end.
  /// - Throws: Everything that could not be taken away, after all was tried.
  public func removeAll(isFinal: Bool = false) async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.telemetry.follow(.removeAll) { () throws(NetworkError) in
        try engine.gate.alone(staysClosed: isFinal) { () throws(NetworkError) in try engine.removeAll() }
      }
    }
  }
}
