import ContainerNetworking
import Netlink
import NetworkPrimitives
import Synchronization

/// The names in a store's records. A lookup sees everything that any process has written before it begins.
final class NameDirectory: Sendable {
  private let store: any Store
  private let index = Mutex(DirectoryIndex())
  private let isFailing = Mutex(false)
  private let onGone: @Sendable (_ networks: [String], _ sandboxes: [String]) -> Void
  private let onFailure: @Sendable (NetworkError) -> Void

  /// An empty directory; ``refresh()`` fills it.
  ///
  /// - Parameters:
  ///   - store: The source.
  ///   - onGone: Called with networks and sandboxes that are no longer recorded.
  ///   - onFailure: Called when the store cannot be read; once, until it can be read again.
  init(
    _ store: any Store, onGone: @escaping @Sendable (_ networks: [String], _ sandboxes: [String]) -> Void,
    onFailure: @escaping @Sendable (NetworkError) -> Void
  ) {
    self.store = store
    self.onGone = onGone
    self.onFailure = onFailure
  }

  /// The number of changes after which freed memory is returned, which takes a millisecond.
  private static let manyChanges = 1_000

  /// Reads changes; takes a few microseconds if there are none. While the store cannot be read, the last state is kept.
  func refresh() {
    do throws(NetworkError) {
      let (gone, count) = try index.withLock { (index) throws(NetworkError) in
        let delta = try store.read(since: index.revision)
        guard delta.isComplete || delta.revision != index.revision else { return (([String](), [String]()), 0) }
        return (index.take(delta), delta.changes.count)
      }
      // Reading so many records takes many times the memory of the index.
      if count > Self.manyChanges { Memory.returnFreed() }
      isFailing.withLock { $0 = false }
      if !gone.0.isEmpty || !gone.1.isEmpty { onGone(gone.0, gone.1) }
    } catch {
      let isNew = isFailing.withLock { isFailing in
        defer { isFailing = true }
        return !isFailing
      }
      if isNew { onFailure(error) }
    }
  }

  /// Looks a name up for a client, and returns the revision of the store with it.
  func look(
    up name: DomainName, _ type: RecordType, from source: IPAddress, at place: ListeningPlace
  ) -> (answer: LocalAnswer, revision: UInt64) {
    index.withLock { ($0.look(up: name, type, from: source, at: place), $0.revision) }
  }

  /// Whether the client is answered at all.
  func knows(_ source: IPAddress, at place: ListeningPlace) -> Bool { index.withLock { $0.knows(source, at: place) } }

  /// The ready networks, and for each the containers that need a server inside.
  func networks() -> [(network: NetworkRecord, sandboxes: [ServedSandbox])] {
    index.withLock { index in
      let records = index.networks.values.compactMap(\.record).filter { $0.phase == .ready }
      let inside = Set(records.filter { $0.servesNamesAt == .container }.map(\.id))
      var sandboxes: [String: [ServedSandbox]] = [:]
      for (id, sandbox) in inside.isEmpty ? [:] : index.sandboxes {
        guard let member = sandbox.members.first(where: \.isReady) else { continue }
        let served = ServedSandbox(id: id, container: member.container, namespacePath: member.namespacePath)
        for network in sandbox.networks where inside.contains(network) {
          sandboxes[network, default: []].append(served)
        }
      }
      return records.map { ($0, sandboxes[$0.id] ?? []) }
    }
  }

  /// The record of a network, as others wrote it.
  func network(_ id: String) -> NetworkRecord? { index.withLock { $0.networks[id]?.record } }
}
