public import ContainerNetworking
import Dispatch
import NIOCore
public import NetworkPrimitives
public import ServiceLifecycle

/// Answers the containers of custom networks: the names that they have for each other by itself, and all others by asking
/// the servers of the container, of its network or of the host.
///
///     let store = try SQLiteStore(at: directory)
///     let server = NameServer(host: host, store: store)
///     try await server.start()
///     settings.names = server          // of the controllers of this process
///
/// What is to be answered it reads in the store, each time that it is asked: what any process has written is in the next
/// answer. It listens at port 53 of each network's gateways, on the host, or at 127.0.0.11:53 inside the containers of networks
/// that want that.
public final class NameServer: NameService, Service {
  private let host: NetworkNamespace
  private let store: any Store
  private let settings: NameServerSettings
  private let stage = ServerStage()
  private let queue = DispatchQueue(label: "ContainerNetworkingDNS.server")

  /// A server of the networks of a store; it does nothing before it is started.
  ///
  /// - Parameters:
  ///   - host: The namespace that the networks' bridges are in. Other servers are asked from there.
  ///   - store: Where the networks are written down. Give the server an object of its own: it reads between two queries, and
  ///     would wait for changes that are made through the same one.
  ///   - settings: How, and how much.
  public init(host: NetworkNamespace, store: any Store, settings: NameServerSettings = NameServerSettings()) {
    self.host = host
    self.store = store
    self.settings = settings
  }

  /// Starts to answer: when it returns, every network that is on record is served. One that cannot be, because its port is
  /// taken for example, is told to ``NameServerSettings/onFailure`` and is no reason not to serve the others.
  ///
  /// - Throws: `.inUse` when another server serves the directory; `.refused` when it runs already.
  public func start() async throws(NetworkError) {
    try stage.beginStart()
    try await onQueue { [self] in Result { () throws(NetworkError) in try startNow() } }.get()
  }

  /// The same where one may block.
  func startAtOnce() throws(NetworkError) {
    try stage.beginStart()
    try startNow()
  }

  private func startNow() throws(NetworkError) {
    do throws(NetworkError) {
      var settings = settings
      settings.directory = settings.directory ?? store.directory
      let running = try RunningServer(host: host, store: store, settings: settings)
      // Others can reach it now; what they serve meanwhile is not served twice.
      stage.has(running)
      running.serveAll()
      stage.isStarted()
    } catch {
      stage.hasFailed(error)
      throw error
    }
  }

  /// Stops to answer, and lets go of every socket. Networks stay as they are.
  public func stop() async {
    guard let running = stage.beginStop() else { return }
    await running.close()
    stage.isStopped()
  }

  /// Runs until the service group that it is in shuts down, or the task is cancelled. One that is started already, or is
  /// just being, is joined.
  ///
  /// - Throws: What ``start()`` throws.
  public func run() async throws {
    do throws(NetworkError) { try await start() } catch {
      guard error.code == .refused, stage.isUsed else { throw error }
      try await ready()
    }
    try? await gracefulShutdown()
    await stop()
  }

  /// Returns once it answers, whoever starts it and whenever: at once when it does already.
  ///
  /// - Throws: Why it could not be started; `CancellationError`.
  public func ready() async throws { try await stage.ready() }

  /// Returns once the names of the network are answered.
  ///
  /// - Parameters:
  ///   - network: The network.
  ///   - sandboxes: For a network that is served inside its containers: those that are.
  /// - Throws: `.inUse` when the port is taken, naming by whom; `.closed` when the server does not run; the kernel's refusals.
  public func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    try running("serve names of network \"\(network.name)\"").serve(network, in: sandboxes)
  }

  /// The ports at one of which it listens on a gateway: the network's rules lead there from port 53.
  public var gatewayPorts: ClosedRange<UInt16>? { Listener.gatewayPorts }

  /// Whether it answers, for every network that it can.
  var isAnswering: Bool { stage.isRunning }

  /// Returns if it runs.
  ///
  /// - Throws: `.closed`.
  public func check() throws(NetworkError) { _ = try running("look for the name server") }

  /// Those of the networks whose names it does not answer.
  ///
  /// - Parameter networks: The networks.
  /// - Throws: `.closed` when it does not run.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    let unserved = Set(try running("look for the name server").unserved(networks.map(\.id)))
    return networks.filter { unserved.contains($0.id) }
  }

  private func running(_ operation: String) throws(NetworkError) -> RunningServer {
    if let running = stage.running { return running }
    throw NetworkError(.closed, operation: operation, reason: "the name server is not running; start it")
  }

  /// Lets go of the network's sockets on the host.
  ///
  /// - Parameter network: The network.
  public func withdraw(_ network: NetworkRecord) {
    stage.running?.withdraw(.gateway(network: network.id), isAwaited: true)
  }

  /// Lets go of the sockets inside a sandbox, which would keep its namespace.
  ///
  /// - Parameter sandbox: The container whose namespace it is.
  public func withdraw(_ sandbox: SandboxRecord) {
    stage.running?.withdraw(.sandbox(sandbox.sandboxID), isAwaited: true)
  }

  /// Blocking calls have a thread that nobody else waits for.
  private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
  }
}
