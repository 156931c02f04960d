import ContainerNetworking
import NIOCore
import NetworkPrimitives
import Synchronization
import SystemPackage

/// A namespace to serve names in.
struct ServedSandbox: Sendable {
  var id: String
  var container: String
  var namespacePath: String?

  init(id: String, container: String, namespacePath: String?) {
    self.id = id
    self.container = container
    self.namespacePath = namespacePath
  }

  init(_ record: SandboxRecord) {
    self.init(id: record.sandboxID, container: record.container, namespacePath: record.namespacePath)
  }
}

/// The served places and their sockets.
final class Listeners: Sendable {
  private struct State {
    var open: [ListeningPlace: Listener] = [:]
    var isClosed = false
  }

  private let context: ServerContext
  private let loops: ServerLoops
  private let state = Mutex(State())
  /// One change at a time, so that none conflicts with a port that another is just releasing.
  private let changing = Mutex(())

  /// The name server's address inside a namespace.
  static let insideAddress = IPAddress.v4(IPv4Address(127, 0, 0, 11))

  init(_ context: ServerContext, _ loops: ServerLoops) {
    self.context = context
    self.loops = loops
  }

  /// Serves a network, unless it is served already. Blocks; must not be called on an event loop's thread.
  func serve(_ network: NetworkRecord, in sandboxes: [ServedSandbox]) throws(NetworkError) {
    let operation = "serve names of network \"\(network.name)\""
    switch network.servesNamesAt {
    case .off: return
    case .gateway:
      let addresses = network.bridgeGateways
      guard !addresses.isEmpty else {
        throw NetworkError(
          .conflictingOptions, operation: operation,
          reason: "the host has no address on it; have its names served inside the containers")
      }
      try open(.gateway(network: network.id), at: addresses, network.nameServerPort, in: context.host, operation)
    case .container:
      for sandbox in sandboxes {
        guard let path = sandbox.namespacePath else {
          throw NetworkError(
            .unsupported, operation: operation,
            reason:
              "the namespace of \"\(sandbox.container)\" has no path; pin namespaces, or serve the names at the "
              + "gateway")
        }
        let namespace = try NetworkNamespace.open(at: FilePath(path), on: context.host.kernel)
        try open(.sandbox(sandbox.id), at: [Self.insideAddress], Listener.port, in: namespace, operation)
      }
    }
  }

  private func open(
    _ place: ListeningPlace, at addresses: [IPAddress], _ port: UInt16, in namespace: NetworkNamespace,
    _ operation: String
  ) throws(NetworkError) {
    if isServed(place, addresses, port, namespace) { return }
    let result = changing.withLock { _ -> Result<Void, NetworkError> in
      if isServed(place, addresses, port, namespace) { return .success(()) }
      close(place, isAwaited: true)
      do throws(NetworkError) {
        let listener = try Listener.open(place, at: addresses, port, in: namespace, context, loops)
        let isKept = state.withLock { state in
          if !state.isClosed { state.open[place] = listener }
          return !state.isClosed
        }
        guard isKept else {
          for future in listener.close() { try? future.wait() }
          throw NetworkError(.closed, operation: operation, reason: "the name server is stopping")
        }
        if case .gateway = place { context.add(own: addresses) }
        return .success(())
      } catch {
        return .failure(
          NetworkError(
            error.code, operation: operation, reason: error.reason, kernel: error.kernel, causes: error.causes))
      }
    }
    try result.get()
  }

  private func isServed(
    _ place: ListeningPlace, _ addresses: [IPAddress], _ port: UInt16, _ namespace: NetworkNamespace
  ) -> Bool {
    guard let listener = state.withLock({ $0.open[place] }) else { return false }
    return listener.addresses == addresses && listener.port == port && listener.namespace == namespace.identity
      && listener.isOpen
  }

  /// Whether the names of a network are answered at all of its places.
  func isServed(_ network: NetworkRecord, in sandboxes: [ServedSandbox]) -> Bool {
    switch network.servesNamesAt {
    case .off: true
    case .gateway:
      isServed(.gateway(network: network.id), network.bridgeGateways, network.nameServerPort, context.host)
    case .container:
      sandboxes.allSatisfy { sandbox in state.withLock { $0.open[.sandbox(sandbox.id)]?.isOpen == true } }
    }
  }

  /// Closes the sockets of a place; with `isAwaited`, blocks until they are closed.
  func withdraw(_ place: ListeningPlace, isAwaited: Bool) {
    if isAwaited { changing.withLock { _ in close(place, isAwaited: true) } } else { close(place, isAwaited: false) }
  }

  private func close(_ place: ListeningPlace, isAwaited: Bool) {
    guard let listener = state.withLock({ $0.open.removeValue(forKey: place) }) else { return }
    if case .gateway = place { context.remove(own: listener.addresses) }
    let futures = listener.close()
    // After the listener, which could accept further ones.
    loops.closeConnections(at: place)
    if isAwaited { for future in futures { try? future.wait() } }
  }

  /// Closes the sockets of unrecorded networks and sandboxes, without waiting.
  func forget(_ networks: [String], _ sandboxes: [String]) {
    for network in networks { close(.gateway(network: network), isAwaited: false) }
    for sandbox in sandboxes { close(.sandbox(sandbox), isAwaited: false) }
  }

  /// The places that are served.
  var places: Set<ListeningPlace> { state.withLock { Set($0.open.keys) } }

  /// Lets go of everything, for good.
  func close() async {
    let open = state.withLock { state in
      defer { state = State(isClosed: true) }
      return state.open
    }
    for (place, listener) in open {
      for future in listener.close() { try? await future.get() }
      loops.closeConnections(at: place)
    }
  }
}
