import ContainerNetworking
import SystemPackage

/// Whether a name server is needed: whether a container is on a network with discovery.
final class Demand {
  private let store: any Store
  private let isThere: () -> Bool
  private var revision: UInt64 = 0
  private var networks: [String: NetworkRecord] = [:]
  private var endpoints: [String: Endpoint] = [:]

  /// - Parameters:
  ///   - store: The store of networks and containers.
  ///   - isThere: Whether the host and its record still exist.
  init(_ store: any Store, isThere: @escaping () -> Bool) {
    self.store = store
    self.isThere = isThere
  }

  /// The demand for a server.
  enum State: Equatable {
    /// No container needs it.
    case idle
    /// A container is being attached.
    case coming
    /// A container needs it.
    case needed
  }

  /// Reads the changes.
  func look() -> State {
    guard isThere() else { return .idle }
    // After a failed read, the last state counts.
    if let delta = try? store.read(since: revision) { take(delta) }
    let served = endpoints.values.filter { endpoint in
      endpoint.phase != .stopped && networks[endpoint.networkID].map { $0.servesNamesAt != .off } ?? false
    }
    return served.isEmpty ? .idle : served.contains { $0.phase == .creating } ? .coming : .needed
  }

  private func take(_ delta: StoreDelta) {
    if delta.isComplete { (networks, endpoints) = ([:], [:]) }
    for change in delta.changes {
      switch change {
      case .save(.network(let network)): networks[network.id] = network
      case .save(.endpoint(let endpoint)): endpoints[endpoint.id] = endpoint
      case .remove(let key):
        if key.kind == .network { networks[key.id] = nil }
        if key.kind == .endpoint { endpoints[key.id] = nil }
      default: break
      }
    }
    revision = delta.revision
  }
}
