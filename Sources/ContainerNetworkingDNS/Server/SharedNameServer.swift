public import ContainerNetworking
import Dispatch
import Glibc
public import NetworkPrimitives
public import ServiceLifecycle
import Synchronization
import SystemPackage

/// The single name server of a record shared by several processes: each joins the server of the record's directory, or
/// becomes it. When the serving process ends, another takes over within a second.
///
///     let store = try SQLiteStore(at: directory)
///     let server = try SharedNameServer(host: host, store: store)
///     try await server.start()
///     settings.names = server          // in each program that has a controller of the record
public final class SharedNameServer: NameService, Service {
  private let server: NameServer
  private let remote: RemoteNameService
  private let isStarted = Mutex(false)
  /// A queue of its own: the calls it waits for may need threads that others occupy.
  private let queue = DispatchQueue(label: "ContainerNetworkingDNS.shared")

  /// The interval in which a joined server checks that the other is still alive.
  private static let interval = DispatchTimeInterval.milliseconds(500)

  /// A server that is inactive until started.
  ///
  /// - Parameters:
  ///   - host: The namespace of the networks' bridges.
  ///   - store: The store of the networks; see ``NameServer/init(host:store:settings:)``.
  ///   - settings: Limits and other settings, for the time in which it serves.
  /// - Throws: `.invalidValue` for a store without a directory, unless the settings have one.
  public init(
    host: NetworkNamespace, store: any Store, settings: NameServerSettings = NameServerSettings()
  ) throws(NetworkError) {
    guard let directory = settings.directory ?? store.directory else {
      throw NetworkError(
        .invalidValue, operation: "share a name server",
        reason: "the store is this process's alone, and the settings name no directory; use NameServer, or name one")
    }
    server = NameServer(host: host, store: store, settings: settings)
    remote = RemoteNameService(directory: directory)
  }

  /// Joins the server of the directory, or becomes it: when it returns, names are answered.
  ///
  /// - Throws: The error that prevents both; `.refused` when it was started before.
  public func start() async throws(NetworkError) {
    let isFirst = isStarted.withLock { isStarted in
      defer { isStarted = true }
      return !isStarted
    }
    guard isFirst else {
      throw NetworkError(.refused, operation: "start the name server", reason: "it is started already; call it once")
    }
    do throws(NetworkError) {
      try await onQueue { [self] in
        Result { () throws(NetworkError) in try attend { () throws(NetworkError) in try remote.check() } }
      }
      .get()
    } catch {
      isStarted.withLock { $0 = false }
      throw error
    }
    watch()
  }

  /// Whether this process serves, and answers for every network that there was when it began.
  public var isServing: Bool { server.isAnswering }

  /// Leaves the other server, or stops serving: another process of the record takes over.
  public func stop() async {
    isStarted.withLock { $0 = false }
    // Waits for a start that may be running.
    await onQueue {}
    await server.stop()
  }

  /// Runs until its service group shuts down, or the task is cancelled. Joins a server that was started before.
  ///
  /// - Throws: The errors of ``start()``.
  public func run() async throws {
    do throws(NetworkError) { try await start() } catch { if error.code != .refused { throw error } }
    try? await gracefulShutdown()
    await stop()
  }

  /// Returns once the names of the network are answered, whichever process serves.
  ///
  /// - Parameters:
  ///   - network: The network.
  ///   - sandboxes: The containers to serve inside, if the network is served there.
  /// - Throws: `.closed` unless it was started; else as ``NameServer/serve(_:in:)``.
  public func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    let operation = "serve names of network \"\(network.name)\""
    guard isStarted.withLock({ $0 }) else {
      throw NetworkError(.closed, operation: operation, reason: "the name server is not started; start it")
    }
    try attend { () throws(NetworkError) in try remote.serve(network, in: sandboxes) }
  }

  /// Makes the serving process close the network's sockets.
  ///
  /// - Parameter network: The network.
  public func withdraw(_ network: NetworkRecord) { remote.withdraw(network) }

  /// Makes the serving process close the sockets inside a sandbox.
  ///
  /// - Parameter sandbox: The container whose namespace it is.
  public func withdraw(_ sandbox: SandboxRecord) { remote.withdraw(sandbox) }

  /// Returns if a server serves the directory and answers.
  ///
  /// - Throws: `.closed` without a server; `.replyLost` when it does not answer in time.
  public func check() throws(NetworkError) { try remote.check() }

  /// The networks whose names are not answered.
  ///
  /// - Parameter networks: The networks.
  /// - Throws: `.closed` when no server serves the directory; `.replyLost` when it does not answer in time.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    try remote.unserved(networks)
  }

  /// The range of its listening ports on a gateway.
  public var gatewayPorts: ClosedRange<UInt16>? { Listener.gatewayPorts }

  /// Asks the serving process, and becomes it if there is none.
  private func attend(_ ask: () throws(NetworkError) -> Void) throws(NetworkError) {
    for attempt in 1...5 {
      do throws(NetworkError) { return try ask() } catch {
        guard error.isOfAbsence, attempt < 5 else { throw error }
      }
      // Another may have been faster, or be about to end.
      do throws(NetworkError) { try server.startAtOnce() } catch {
        guard error.code == .inUse || error.code == .refused else { throw error }
        usleep(100_000)
      }
    }
  }

  /// Takes over when another server ends.
  private func watch() {
    queue.asyncAfter(deadline: .now() + Self.interval) { [weak self] in
      guard let self, isStarted.withLock({ $0 }) else { return }
      // A live server holds the lock; a failure is retried at the next check.
      if !isServing { try? server.startAtOnce() }
      watch()
    }
  }

  private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
  }
}

extension NetworkError {
  /// Whether the error means that no server exists, or that it ended during the exchange; a silent one counts as
  /// existing.
  package var isOfAbsence: Bool { code == .closed || code == .replyLost && kernel?.errno != .wouldBlock }
}
