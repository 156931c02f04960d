import ContainerNetworking
import SystemPackage

/// Whether anybody needs names: whether a container is on a network that has them.
final class Demand {
  private let store: any Store
  private let isThere: () -> Bool
  private var revision: UInt64 = 0
  private var networks: [String: NetworkRecord] = [:]
  private var endpoints: [String: Endpoint] = [:]

  /// - Parameters:
  ///   - store: Where networks and containers are on record.
  ///   - isThere: Whether the host and the record of it still are.
  init(_ store: any Store, isThere: @escaping () -> Bool) {
    self.store = store
    self.isThere = isThere
  }

  /// How things are.
  enum State: Equatable {
    /// Nobody does.
    case idle
    /// Somebody is on the way to.
    case coming
    /// Somebody does.
    case needed
  }

  /// Takes in what changed.
  func look() -> State {
    guard isThere() else { return .idle }
    // What cannot be read for once is as it was.
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
