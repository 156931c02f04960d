public import NetworkPrimitives

/// The networks and sandboxes of one host namespace.
///
///     let controller = try await NetworkController(host: .current())
///     let web = try await controller.attach("web", to: .bridge, options: .init(ports: [PortMapping("8080:80")]))
///     print(web.namespace.path, web.endpoints[0].address)
///     try await controller.detach("web")
///
/// Any namespace can be the host; nothing outside it is touched. Calls take turns on a thread of the controller's.
/// Every call that fails leaves nothing behind.
public final class NetworkController: Sendable {
  /// The namespace that bridges, routes and firewall rules are made in.
  public let host: NetworkNamespace

  private let worker = Worker(label: "ContainerNetworking.controller")
  private let engine: Engine

  /// A controller of `host`.
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
    try await worker.run { () throws(NetworkError) in try engine.open() }
  }

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
    try await worker.run { [engine] () throws(NetworkError) in
      try engine.attach(container, to: mode, options: options, namespace: namespace)
    }
  }

  /// Takes a container off the network: endpoint, published ports, address, all of it. A namespace that others share
  /// keeps its interfaces until the last of them is detached.
  ///
  /// - Throws: `.notFound` when it is not attached; everything that could not be taken away, after all was tried.
  public func detach(_ container: String) async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in try engine.detach(container) }
  }

  /// The sandbox of a container that is attached.
  public func sandbox(_ container: String) async throws(NetworkError) -> Sandbox {
    try await worker.run { [engine] () throws(NetworkError) in try engine.sandbox(container) }
  }

  /// Every container that is attached, by name.
  public func sandboxes() async throws(NetworkError) -> [Sandbox] {
    try await worker.run { [engine] () throws(NetworkError) in engine.allSandboxes() }
  }

  /// Makes a custom network.
  ///
  /// - Throws: `.refused` for a predefined name; `.alreadyExists`; every fault of the options together, as causes;
  ///   `.conflictingOptions` for a subnet that overlaps another network's or a route of the host.
  @discardableResult
  public func createNetwork(
    _ name: String, options: NetworkOptions = NetworkOptions()
  ) async throws(NetworkError) -> NetworkRecord {
    try await worker.run { [engine] () throws(NetworkError) in try engine.createNetwork(name, options: options) }
  }

  /// Removes a custom network, its bridge and its rules.
  ///
  /// - Throws: `.inUse`, naming them, while containers are attached; `.refused` for a predefined one; `.notFound`.
  public func removeNetwork(_ name: String) async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in try engine.removeNetwork(name) }
  }

  /// A network by full id, name, or unique id prefix.
  ///
  /// - Throws: `.notFound`; `.ambiguous`, listing the matches.
  public func network(_ name: String) async throws(NetworkError) -> NetworkRecord {
    try await worker.run { [engine] () throws(NetworkError) in try engine.network(name).record }
  }

  /// Every bridge network, by name; the default one only once it was used.
  public func networks() async throws(NetworkError) -> [NetworkRecord] {
    try await worker.run { [engine] () throws(NetworkError) in engine.allNetworks() }
  }

  /// Detaches every container and removes every network of this controller, and its firewall table.
  ///
  /// - Throws: Everything that could not be taken away, after all was tried.
  public func removeAll() async throws(NetworkError) {
    try await worker.run { [engine] () throws(NetworkError) in try engine.removeAll() }
  }
}

/// What a controller does without being told.
public struct ControllerSettings: Sendable {
  /// Name of the default network's bridge; Docker's is `docker0`.
  public var defaultBridge: String
  /// Where networks without a subnet get one, the first that no route of the host and none of ``resolvers`` overlaps.
  public var pools: DefaultPools
  /// The name servers that the host asks; nil for those of the machine's own resolv.conf(5), read when one is needed.
  public var resolvers: [IPAddress]?

  /// Makes settings.
  public init(
    defaultBridge: String = "cn0", pools: DefaultPools = .ofThisMachine(), resolvers: [IPAddress]? = nil
  ) {
    self.defaultBridge = defaultBridge
    self.pools = pools
    self.resolvers = resolvers
  }
}

/// What a container gets: its namespace, its endpoints, and what could not be done.
public struct Sandbox: Sendable {
  /// The container's name.
  public let container: String
  /// How it is on the network.
  public let mode: NetworkMode
  /// Its namespace; ``NetworkNamespace/path`` is what an OCI runtime takes.
  public let namespace: NetworkNamespace
  /// Its endpoints; in container mode the donor's.
  public let endpoints: [Endpoint]
  /// What was asked for and not done.
  public let warnings: [AttachWarning]
}
