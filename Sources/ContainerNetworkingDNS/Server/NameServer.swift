public import ContainerNetworking
import Dispatch
import NIOCore
public import NetworkPrimitives
public import ServiceLifecycle
import Synchronization

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
  /// Starts and ends from one call to the next.
  private struct State {
    var running: RunningServer?
    var isChanging = false
  }

  private let host: NetworkNamespace
  private let store: any Store
  private let settings: NameServerSettings
  private let state = Mutex(State())
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

  /// Starts to answer: when it returns, every network that is on record is served. One that cannot be, because its port 53 is
  /// taken for example, is told to ``NameServerSettings/onFailure`` and is no reason not to serve the others.
  ///
  /// - Throws: `.inUse` when another server serves the directory; `.refused` when it runs already.
  public func start() async throws(NetworkError) {
    try beginChange(isStart: true)
    let result = await onQueue { [host, store, settings] in
      do throws(NetworkError) {
        return Result<RunningServer, NetworkError>.success(
          try RunningServer(host: host, store: store, settings: settings))
      } catch { return .failure(error) }
    }
    let running = try? result.get()
    state.withLock { state in
      state.running = running
      state.isChanging = false
    }
    _ = try result.get()
    guard let running else { return }
    // Others can reach it now; what they serve meanwhile is not served twice.
    await onQueue { running.serveAll() }
  }

  /// Stops to answer, and lets go of every socket. Networks stay as they are.
  public func stop() async {
    guard (try? beginChange(isStart: false)) != nil else { return }
    let running = state.withLock { state in
      defer { state.running = nil }
      return state.running
    }
    await running?.close()
    state.withLock { $0.isChanging = false }
  }

  /// Runs until the service group that it is in shuts down, or the task is cancelled.
  ///
  /// - Throws: What ``start()`` throws.
  public func run() async throws {
    try await start()
    try? await gracefulShutdown()
    await stop()
  }

  /// Returns once the names of the network are answered.
  ///
  /// - Parameters:
  ///   - network: The network.
  ///   - sandboxes: For a network that is served inside its containers: those that are.
  /// - Throws: `.inUse` when port 53 is taken, naming by whom; `.closed` when the server does not run; the kernel's refusals.
  public func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    guard let running = state.withLock({ $0.running }) else {
      throw NetworkError(
        .closed, operation: "serve names of network \"\(network.name)\"",
        reason: "the name server is not running; start it")
    }
    try running.serve(network, in: sandboxes)
  }

  /// Lets go of the network's sockets on the host.
  ///
  /// - Parameter network: The network.
  public func withdraw(_ network: NetworkRecord) {
    state.withLock { $0.running }?.withdraw(.gateway(network: network.id), isAwaited: true)
  }

  /// Lets go of the sockets inside a sandbox, which would keep its namespace.
  ///
  /// - Parameter sandbox: The container whose namespace it is.
  public func withdraw(_ sandbox: SandboxRecord) {
    state.withLock { $0.running }?.withdraw(.sandbox(sandbox.sandboxID), isAwaited: true)
  }

  private func beginChange(isStart: Bool) throws(NetworkError) {
    try state.withLock { (state) throws(NetworkError) in
      guard !state.isChanging, isStart == (state.running == nil) else {
        throw NetworkError(
          .refused, operation: isStart ? "start the name server" : "stop the name server",
          reason: "it is running, starting or stopping; wait for that, and call it once")
      }
      state.isChanging = true
    }
  }

  /// Blocking calls have a thread that nobody else waits for.
  private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
  }
}
