public import NetworkPrimitives
import Synchronization

/// Where a controller writes down what it owns, before it counts as done.
public protocol Store: Sendable {
  /// Writes a network, new or changed.
  func save(_ network: NetworkRecord) throws(NetworkError)
  /// Forgets a network.
  func removeNetwork(id: String) throws(NetworkError)
  /// Every network.
  func networks() throws(NetworkError) -> [NetworkRecord]
  /// Writes a sandbox, new or changed.
  func save(_ sandbox: SandboxRecord) throws(NetworkError)
  /// Forgets a sandbox.
  func removeSandbox(container: String) throws(NetworkError)
  /// Every sandbox.
  func sandboxes() throws(NetworkError) -> [SandboxRecord]
}

/// A store that is gone with the process.
public final class MemoryStore: Store {
  private struct Contents {
    var networks: [String: NetworkRecord] = [:]
    var sandboxes: [String: SandboxRecord] = [:]
  }

  private let contents = Mutex(Contents())

  /// An empty store.
  public init() {}

  /// Writes a network.
  public func save(_ network: NetworkRecord) { contents.withLock { $0.networks[network.id] = network } }

  /// Forgets a network; one that is unknown is forgotten already.
  public func removeNetwork(id: String) { contents.withLock { _ = $0.networks.removeValue(forKey: id) } }

  /// Every network, by name.
  public func networks() -> [NetworkRecord] {
    contents.withLock { $0.networks.values.sorted { $0.name < $1.name } }
  }

  /// Writes a sandbox.
  public func save(_ sandbox: SandboxRecord) { contents.withLock { $0.sandboxes[sandbox.container] = sandbox } }

  /// Forgets a sandbox; one that is unknown is forgotten already.
  public func removeSandbox(container: String) {
    contents.withLock { _ = $0.sandboxes.removeValue(forKey: container) }
  }

  /// Every sandbox, by container.
  public func sandboxes() -> [SandboxRecord] {
    contents.withLock { $0.sandboxes.values.sorted { $0.container < $1.container } }
  }
}
