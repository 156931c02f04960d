public import ContainerNetworking
import Dispatch
import NIOCore
public import NetworkPrimitives
public import ServiceLifecycle

/// The name server of custom networks' containers. It answers names of containers itself, and forwards all others to
/// the servers of the container, of its network or of the host.
///
///     let store = try SQLiteStore(at: directory)
///     let server = NameServer(host: host, store: store)
///     try await server.start()
///     settings.names = server          // of the controllers of this process
///
/// Answers are computed from the store for each query, so any process's change is in the next one. It listens at port
/// 53 of each network's gateways, on the host, or at 127.0.0.11:53 inside the containers of networks that choose so.
public final class NameServer: NameService, Service {
  private let host: NetworkNamespace
  private let store: any Store
  private let settings: NameServerSettings
  private let stage = ServerStage()
  private let queue = DispatchQueue(label: "ContainerNetworkingDNS.server")

  /// A server of the networks of a store; it is inactive until started.
  ///
  /// - Parameters:
  ///   - host: The namespace of the networks' bridges, from which other servers are asked.
  ///   - store: The store of the networks. Give the server a store object of its own: it reads between two queries, and
  ///     would wait for changes made through the same object.
  ///   - settings: Limits and other settings.
  public init(host: NetworkNamespace, store: any Store, settings: NameServerSettings = NameServerSettings()) {
    self.host = host
    self.store = store
    self.settings = settings
  }

  /// Starts to answer: when it returns, every recorded network is served. A network that cannot be served, because its
  /// port is taken for example, is reported to ``NameServerSettings/onFailure``, and the others are served all the
  /// same.
  ///
  /// - Throws: `.inUse` when another server serves the directory; `.refused` when it is already running.
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
      // From now on others can reach it; networks that they serve meanwhile are not served twice.
      stage.has(running)
      running.serveAll()
      stage.isStarted()
    } catch {
      stage.hasFailed(error)
      throw error
    }
  }

  /// Stops answering, and closes every socket. Networks stay as they are.
  public func stop() async {
    guard let running = stage.beginStop() else { return }
    await running.close()
    stage.isStopped()
  }

  /// Runs until its service group shuts down, or the task is cancelled. Joins a server that was started before.
  ///
  /// - Throws: The errors of ``start()``.
  public func run() async throws {
    do throws(NetworkError) { try await start() } catch {
      guard error.code == .refused, stage.isUsed else { throw error }
      try await ready()
    }
    try? await gracefulShutdown()
    await stop()
  }

  /// Returns once it answers, whichever task starts it and whenever; at once if it already does.
  ///
  /// - Throws: The error of its start; `CancellationError`.
  public func ready() async throws { try await stage.ready() }

  /// Returns once the names of the network are answered.
  ///
  /// - Parameters:
  ///   - network: The network.
  ///   - sandboxes: The containers to serve inside, if the network is served there.
  /// - Throws: `.inUse` for a port that is taken, naming the holder; `.closed` when the server is not running; the
  ///   kernel's refusals.
  public func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    try running("serve names of network \"\(network.name)\"").serve(network, in: sandboxes)
  }

  /// The range of its listening ports on a gateway, to one of which the network's rules redirect port 53.
  public var gatewayPorts: ClosedRange<UInt16>? { Listener.gatewayPorts }

  /// Whether it answers, for every network that it can.
  var isAnswering: Bool { stage.isRunning }

  /// Returns if it runs.
  ///
  /// - Throws: `.closed`.
  public func check() throws(NetworkError) { _ = try running("find the name server") }

  /// The networks whose names it does not answer.
  ///
  /// - Parameter networks: The networks.
  /// - Throws: `.closed` when it is not running.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    let unserved = Set(try running("find the name server").unserved(networks.map(\.id)))
    return networks.filter { unserved.contains($0.id) }
  }

  private func running(_ operation: String) throws(NetworkError) -> RunningServer {
    if let running = stage.running { return running }
    throw NetworkError(.closed, operation: operation, reason: "the name server is not running; start it")
  }

  /// Closes the network's sockets on the host.
  ///
  /// - Parameter network: The network.
  public func withdraw(_ network: NetworkRecord) {
    stage.running?.withdraw(.gateway(network: network.id), isAwaited: true)
  }

  /// Closes the sockets inside a sandbox, which would keep its namespace.
  ///
  /// - Parameter sandbox: The container whose namespace it is.
  public func withdraw(_ sandbox: SandboxRecord) {
    stage.running?.withdraw(.sandbox(sandbox.sandboxID), isAwaited: true)
  }

  /// Runs a blocking call on a thread for which nobody else waits.
  private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
  }
}
