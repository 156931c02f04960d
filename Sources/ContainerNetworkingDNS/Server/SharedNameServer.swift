public import ContainerNetworking
import Dispatch
import Glibc
public import NetworkPrimitives
public import ServiceLifecycle
import Synchronization
import SystemPackage

/// The name server of a record, in whichever process of those that share it: it joins the one that serves the record's
/// directory, or is it. When the process of that one ends, another takes its place within a second.
///
///     let store = try SQLiteStore(at: directory)
///     let server = try SharedNameServer(host: host, store: store)
///     try await server.start()
///     settings.names = server          // in each program that has a controller of the record
public final class SharedNameServer: NameService, Service {
  private let server: NameServer
  private let remote: RemoteNameService
  private let isStarted = Mutex(false)
  /// One of its own: what it waits for may be served by threads that others wait for.
  private let queue = DispatchQueue(label: "ContainerNetworkingDNS.shared")

  /// How often one that has joined another looks whether that is still there.
  private static let interval = DispatchTimeInterval.milliseconds(500)

  /// A server that does nothing before it is started.
  ///
  /// - Parameters:
  ///   - host: The namespace that the networks' bridges are in.
  ///   - store: Where the networks are written down; see ``NameServer/init(host:store:settings:)``.
  ///   - settings: How, and how much; for when it serves.
  /// - Throws: `.invalidValue` for a store that has no directory, where the settings name none.
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

  /// Joins the server that serves the directory, or serves it: when it returns, names are answered.
  ///
  /// - Throws: What keeps it from both; `.refused` when it is started already.
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

  /// Leaves the other, or stops to serve: another process that shares the record takes over.
  public func stop() async {
    isStarted.withLock { $0 = false }
    // What is under way may be a start.
    await onQueue {}
    await server.stop()
  }

  /// Runs until the service group that it is in shuts down, or the task is cancelled. One that is started already is joined.
  ///
  /// - Throws: What ``start()`` throws.
  public func run() async throws {
    do throws(NetworkError) { try await start() } catch { if error.code != .refused { throw error } }
    try? await gracefulShutdown()
    await stop()
  }

  /// Returns once the names of the network are answered, by whichever process serves.
  ///
  /// - Parameters:
  ///   - network: The network.
  ///   - sandboxes: For a network that is served inside its containers: those that are.
  /// - Throws: `.closed` unless it is started; else as ``NameServer/serve(_:in:)``.
  public func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    let operation = "serve names of network \"\(network.name)\""
    guard isStarted.withLock({ $0 }) else {
      throw NetworkError(.closed, operation: operation, reason: "the name server is not started; start it")
    }
    try attend { () throws(NetworkError) in try remote.serve(network, in: sandboxes) }
  }

  /// Has whoever serves let go of the network's sockets.
  ///
  /// - Parameter network: The network.
  public func withdraw(_ network: NetworkRecord) { remote.withdraw(network) }

  /// Has whoever serves let go of the sockets inside a sandbox.
  ///
  /// - Parameter sandbox: The container whose namespace it is.
  public func withdraw(_ sandbox: SandboxRecord) { remote.withdraw(sandbox) }

  /// Returns if a server serves the directory and answers.
  ///
  /// - Throws: `.closed` when none does; `.replyLost` when it does not answer in time.
  public func check() throws(NetworkError) { try remote.check() }

  /// Those of the networks whose names nobody answers.
  ///
  /// - Parameter networks: The networks.
  /// - Throws: `.closed` when no server serves the directory; `.replyLost` when it does not answer in time.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    try remote.unserved(networks)
  }

  /// The ports at one of which it listens on a gateway.
  public var gatewayPorts: ClosedRange<UInt16>? { Listener.gatewayPorts }

  /// Asks whoever serves, and serves where nobody does.
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

  /// Takes the place of another that ends.
  private func watch() {
    queue.asyncAfter(deadline: .now() + Self.interval) { [weak self] in
      guard let self, isStarted.withLock({ $0 }) else { return }
      // Whoever still serves has the lock; what cannot be had now is tried again.
      if !isServing { try? server.startAtOnce() }
      watch()
    }
  }

  private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
  }
}

extension NetworkError {
  /// Whether it says that no server is there, or that it went away while it was asked; one that does not answer is there.
  package var isOfAbsence: Bool { code == .closed || code == .replyLost && kernel?.errno != .wouldBlock }
}
