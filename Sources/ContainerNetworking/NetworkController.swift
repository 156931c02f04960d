import Dispatch
public import NetworkPrimitives

/// The networks and sandboxes of one host namespace.
///
///     let controller = try await NetworkController(host: .current())
///     let web = try await controller.attach("web", to: .bridge, options: .init(ports: [PortMapping("8080:80")]))
///     print(web.namespace.path, web.endpoints[0].address)
///     try await controller.detach("web")
///
/// Any namespace can be the host; the controller changes nothing outside it. Independent calls run in parallel, on
/// threads of the controller. Controllers of many processes can share a store. A call that fails leaves nothing behind.
public final class NetworkController: Sendable {
  /// The namespace of bridges, routes and firewall rules.
  public let host: NetworkNamespace

  let worker = Worker(label: "ContainerNetworking.controller")
  let engine: Engine
  private let healer: Healer?
  private let follower: PortFollower?

  /// Makes a controller of `host`, and completes or undoes the unfinished work of earlier users of the store. Objects
  /// that cannot be removed now are reported to ``ControllerSettings/onHeal``, and stay among the ``differences()``. So is a
  /// network that cannot be restored after a start of the machine; with ``ControllerSettings/heals`` it is tried again.
  ///
  /// - Parameters:
  ///   - host: The namespace for bridges, addresses and rules; the machine's own, or any other.
  ///   - store: The store of the controller's records.
  ///   - settings: The default network and the pools for networks without a subnet of their own.
  public init(
    host: NetworkNamespace, store: any Store = MemoryStore(), settings: ControllerSettings = ControllerSettings()
  ) async throws(NetworkError) {
    self.host = host
    let engine = Engine(host: host, store: store, settings: settings)
    self.engine = engine
    healer = try await worker.run { [worker] () throws(NetworkError) in
      let isDue = try engine.open()
      return settings.heals ? try Healer(engine, worker, isDue: isDue) { [engine] in engine.tell($0) } : nil
    }
    follower = engine.keeper == nil ? nil : PortFollower(engine)
  }

  deinit { engine.closePorts() }

  /// The controller's threads, for tasks that make many calls or wait for each: `Task(executorPreference:)`,
  /// `withTaskExecutorPreference(_:)`. A call blocks until the kernel has answered, so it runs on one of these threads.
  /// The two switches of thread take about 50 µs; a task on this executor avoids them. There are 16 threads: other work
  /// that blocks them delays other calls.
  public var executor: any TaskExecutor { worker }

  /// Attaches a container to the network.
  ///
  /// - Parameters:
  ///   - container: The container's name, as used by ``detach(_:)`` and `container:` mode.
  ///   - mode: The network mode; see ``NetworkMode``.
  ///   - options: Ports, addresses.
  ///   - namespace: The container's existing namespace; nil for a new one. Not for host and container mode, which have
  ///     their own.
  /// - Throws: `.invalidValue`, `.conflictingOptions`; `.alreadyExists` for an attached container; `.notFound` for an
  ///   unknown network or donor; `.inUse` for another owner's address or port; `.exhausted` for a full pool; the
  ///   kernel's refusals.
  @discardableResult
  public func attach(
    _ container: String, to mode: NetworkMode = .bridge, options: AttachOptions = AttachOptions(),
    namespace: NetworkNamespace? = nil
  ) async throws(NetworkError) -> Sandbox {
    try await perform(.attach, container, mode.telemetryName) { (engine) throws(NetworkError) in
      try engine.attach(container, to: mode, options: options, namespace: namespace)
    }
  }

  /// Attaches many containers at once. All of them share two changes of the record, and on bridge networks one nftables
  /// transaction and a few sends to the host's kernel.
  ///
  /// Each container is attached whole or not at all, independently of the others. Requests for a port of the host's
  /// choice, or for a network that does not exist yet, are processed one by one after the rest.
  ///
  /// - Parameter requests: The containers; each as ``attach(_:to:options:namespace:)`` takes it.
  /// - Returns: The result of each request, in order; failures as that call throws them.
  public func attach(_ requests: [AttachRequest]) async -> [Result<Sandbox, NetworkError>] {
    do throws(NetworkError) {
      return try await worker.run { [engine] () throws(NetworkError) in
        try engine.telemetry.follow(.attach, Telemetry.Subject(count: requests.count)) { () throws(NetworkError) in
          try engine.attachAll(requests)
        }
      }
    } catch { return requests.map { _ in .failure(error) } }
  }

  /// Keeps sandboxes ready on a network: namespaces that are made, wired and addressed in advance, so that
  /// ``attach(_:to:options:namespace:)`` only hands one over. Returns when all are ready.
  ///
  /// `attach` uses a ready sandbox unless it asks for its own namespace, address, MAC address or interface name. Ports,
  /// aliases and a gateway priority can be added afterwards. A replacement is made in the background.
  ///
  /// Ready sandboxes hold addresses of the network, and release them when no other is left for a container. They are
  /// recorded and end with this process: the next user of the store finds nothing left of them. ``removeAll(isFinal:)``
  /// and ``removeNetwork(_:)`` remove them and stop their replacement.
  ///
  /// - Parameters:
  ///   - count: The number of sandboxes; 0 to stop.
  ///   - network: The network, by name, id or unique id prefix; the default one is made on demand.
  ///   - refillsPerSecond: The maximum rate of replacement, so that it does not delay waiting containers; above 0, to
  ///     10,000.
  /// - Throws: `.invalidValue`; `.exhausted` above ``ControllerSettings/readyLimit``, or when the network has fewer
  ///   addresses: the sandboxes made until then stay ready; `.notFound`; as ``attach(_:to:options:namespace:)``.
  public func keepReady(
    _ count: Int, on network: String = "bridge", refillsPerSecond: Double = 50
  ) async throws(NetworkError) {
    try await perform(.keepReady, nil, network) { (engine) throws(NetworkError) in
      try engine.keepReady(count, on: network, refillsPerSecond: refillsPerSecond)
    }
  }

  /// The number of sandboxes that this controller keeps ready on a network.
  ///
  /// - Parameter network: The network, by name, id or unique id prefix.
  /// - Throws: `.notFound`.
  public func readySandboxes(on network: String = "bridge") async throws(NetworkError) -> ReadySandboxes {
    try await worker.run { [engine] () throws(NetworkError) in try engine.readySandboxes(on: network) }
  }

  /// Detaches a container: removes its endpoints, published ports and addresses. A shared namespace keeps its
  /// interfaces until the last container in it is detached.
  ///
  /// - Throws: `.notFound` for a container that is not attached; after all steps, everything that could not be removed.
  public func detach(_ container: String) async throws(NetworkError) {
    try await perform(.detach, container) { (engine) throws(NetworkError) in
      try engine.detach(container)
    }
  }

  /// Waits until the kernel has freed the objects that ``detach(_:)`` and other calls of this controller removed.
  ///
  /// When those calls return, the links are already gone for everyone: they carry nothing, and no name finds them. The
  /// kernel frees their memory once no reader is left, 10 to 30 ms later, even if this process ends. Only callers that
  /// measure memory need this call.
  public func settled() async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in engine.host.deletions.wait() }
  }

  /// Detaches a container as ``detach(_:)`` does, but reserves its static addresses: it gets them back when it is
  /// attached again, and releases them when it is detached.
  ///
  /// - Throws: As ``detach(_:)``.
  public func stop(_ container: String) async throws(NetworkError) {
    try await perform(.stop, container) { (engine) throws(NetworkError) in
      try engine.detach(container, keepsAddresses: true)
    }
  }

  /// Connects an attached container to one more network, while it runs.
  ///
  /// - Throws: `.notFound`; `.alreadyExists` if it is on that network; `.conflictingOptions` for a container in host,
  ///   none or container mode; else as ``attach(_:to:options:namespace:)``.
  @discardableResult
  public func connect(
    _ container: String, to network: String, options: EndpointOptions = EndpointOptions()
  ) async throws(NetworkError) -> Endpoint {
    try await perform(.connect, container, network) { (engine) throws(NetworkError) in
      try engine.connect(container, to: network, options: options)
    }
  }

  /// Disconnects a container from one network, while it runs. Its aliases and published ports there are removed. With
  /// `keepsSettings` they are kept, and ``connect(_:to:options:)`` restores those that its options do not replace.
  ///
  /// - Parameters:
  ///   - container: The container.
  ///   - network: The network, by name, id or unique id prefix.
  ///   - isForced: Whether a stopped container, or one whose namespace is gone, is disconnected too.
  ///   - keepsSettings: Whether its addresses, aliases, ports, interface and priority there stay reserved, until it is
  ///     connected again, disconnected once more, or detached.
  /// - Returns: The endpoint that it had.
  /// - Throws: `.notFound` if it is not on that network; `.conflictingOptions` as ``connect(_:to:options:)``;
  ///   everything that could not be removed.
  @discardableResult
  public func disconnect(
    _ container: String, from network: String, isForced: Bool = false, keepsSettings: Bool = false
  ) async throws(NetworkError) -> Endpoint {
    try await perform(.disconnect, container, network) { (engine) throws(NetworkError) in
      try engine.disconnect(container, from: network, isForced: isForced, keepsSettings: keepsSettings)
    }
  }

  /// The sandbox of an attached container.
  public func sandbox(_ container: String) async throws(NetworkError) -> Sandbox {
    try await worker.run { [engine] () throws(NetworkError) in try engine.sandbox(container) }
  }

  /// Every attached container's sandbox, by name.
  public func sandboxes() async throws(NetworkError) -> [Sandbox] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.allSandboxes() }
  }

  /// Creates a custom network.
  ///
  /// - Throws: `.refused` for a predefined name; `.alreadyExists`; every fault of the options together, as causes;
  ///   `.conflictingOptions` for a subnet that overlaps another network's or a route of the host; `.unsupported` for an
  ///   unknown driver, or one that the kernel lacks; `.inUse` for another network's bridge or parent.
  @discardableResult
  public func createNetwork(
    _ name: String, options: NetworkOptions = NetworkOptions()
  ) async throws(NetworkError) -> NetworkRecord {
    try await perform(.createNetwork, nil, name) { (engine) throws(NetworkError) in
      try engine.createNetwork(name, options: options)
    }
  }

  /// Removes a custom network, its bridge and its rules; a parent or an adopted bridge stays.
  ///
  /// - Throws: `.inUse`, with their names, while containers are attached; `.refused` for a predefined one; `.notFound`.
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

  /// The networks that match a filter, in the natural order of their names; the default one only once it was used.
  public func networks(matching filter: NetworkFilter) async throws(NetworkError) -> [NetworkRecord] {
    try await worker.run { [engine] () throws(NetworkError) in
      let matching = { (state: EngineState) in
        state.networks.values.filter { network in
          filter.matches(network, isUsed: state.isUsed(network.id))
        }.sorted { NaturalOrder.precedes($0.name, $1.name) }
      }
      // Endpoints are read only if the filter asks for dangling networks.
      return filter.isDangling == nil ? try engine.lookAtUnsettled(matching) : try engine.look(matching)
    }
  }

  /// A network with its endpoints and its use of addresses, by full id, name, or unique id prefix.
  ///
  /// - Throws: `.notFound`; `.ambiguous`, listing the matches.
  public func inspect(_ network: String) async throws(NetworkError) -> NetworkInspection {
    try await worker.run { [engine] () throws(NetworkError) in try engine.inspect(network) }
  }

  /// Removes the unused custom networks that match a filter; a failure does not stop the removal of others.
  ///
  /// - Throws: `.inUse` while another prune of this controller is running.
  @discardableResult
  public func prune(matching filter: NetworkFilter = NetworkFilter()) async throws(NetworkError) -> PruneReport {
    try await perform(.prune) { (engine) throws(NetworkError) in
      try engine.prune(filter)
    }
  }

  /// The recent events of networks, oldest first, each with its number; on a shared store other processes' too. A store
  /// keeps the last 1,000.
  ///
  /// - Parameter number: The last known event; 0 for all.
  public func events(
    after number: UInt64 = 0
  ) async throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.store.events(after: number) }
  }

  /// Every network, by name; the default one only once it was used.
  public func networks() async throws(NetworkError) -> [NetworkRecord] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.allNetworks() }
  }

  /// Every difference between the records and the kernel, containers' namespaces included. Changes nothing.
  public func differences() async throws(NetworkError) -> [Difference] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.differences() }
  }

  /// The id of this record among others on its host: eight hexadecimal digits. The comment of each element of our
  /// firewall tables contains it.
  public var recordID: String { engine.firewall.id.description }

  /// The other records with networks on the same host. They share our firewall tables, and their objects are never
  /// changed.
  public func otherRecords() async throws(NetworkError) -> [OtherRecord] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.otherRecords() }
  }

  /// Removes everything that another record has on this host: its elements of our tables, the host's ends of its veth
  /// pairs, and its bridges. Meant for a lost record, whose state directory was deleted. Whether the record is in use
  /// is unknown here; a program that has it open restores its objects.
  ///
  /// - Parameter id: As in ``otherRecords()``.
  /// - Returns: The names of its bridges that were left, because they may be the host's own.
  /// - Throws: `.notFound` for an unknown id; `.refused` for this controller's own.
  @discardableResult
  public func forgetRecord(_ id: String) async throws(NetworkError) -> [String] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.forgetRecord(id) }
  }

  /// Foreign rules that drop our networks' packets, and the remedies. Sends and changes nothing.
  public func obstacles() async throws(NetworkError) -> [Obstacle] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.obstacles() }
  }

  /// Links of the host that forward for our networks alone, where somebody may want more of them: another link forwards by its
  /// owner's own setting, or packets were dropped. Nothing is changed.
  public func keptUplinks() async throws(NetworkError) -> [KeptUplinks] {
    try await worker.run { [engine] () throws(NetworkError) in try engine.keptUplinks() }
  }

  /// Repairs every difference between record and kernel, and undoes or finishes interrupted changes. Only recorded
  /// objects are touched.
  ///
  /// - Throws: When the kernel or the store could not be read; failed repairs are in the report.
  @discardableResult
  public func reconcile() async throws(NetworkError) -> ReconcileReport {
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.telemetry.follow(.reconcile) { () throws(NetworkError) in
        try engine.gate.pass { () throws(NetworkError) in try engine.reconcile() }
      }
    }
  }

  /// Restores our firewall tables if they differ from the records, and checks nothing else. Meant for callers that have
  /// flushed the host's ruleset; ``ReconcileReport/found`` then lists differences of our tables alone. Takes one
  /// transaction.
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

  /// The changes that ``reconcileRules()`` makes when our tables are gone, for benchmarks of the kernel's part.
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

  /// Detaches every container and removes every network and the firewall table of this controller.
  ///
  /// Waits for running calls; calls made during the removal are refused with `.closed`.
  ///
  /// - Parameter isFinal: Whether later calls are refused too, as when the process is about to end.
  /// - Throws: After all steps, everything that could not be removed.
  public func removeAll(isFinal: Bool = false) async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.telemetry.follow(.removeAll) { () throws(NetworkError) in
        try engine.gate.alone(staysClosed: isFinal) { () throws(NetworkError) in try engine.removeAll() }
      }
    }
  }
}
