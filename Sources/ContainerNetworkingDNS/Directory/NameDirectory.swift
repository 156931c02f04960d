import ContainerNetworking
import Netlink
import NetworkPrimitives
import Synchronization

/// The names that a store's records give. What any process has written before a look-up begins, the look-up sees.
final class NameDirectory: Sendable {
  private let store: any Store
  private let index = Mutex(DirectoryIndex())
  private let isFailing = Mutex(false)
  private let onGone: @Sendable (_ networks: [String], _ sandboxes: [String]) -> Void
  private let onFailure: @Sendable (NetworkError) -> Void

  /// An empty one; ``refresh()`` fills it.
  ///
  /// - Parameters:
  ///   - store: What it reads.
  ///   - onGone: Told of networks and sandboxes that are no longer on record.
  ///   - onFailure: Told when the store cannot be read; once, until it can be again.
  init(
    _ store: any Store, onGone: @escaping @Sendable (_ networks: [String], _ sandboxes: [String]) -> Void,
    onFailure: @escaping @Sendable (NetworkError) -> Void
  ) {
    self.store = store
    self.onGone = onGone
    self.onFailure = onFailure
  }

  /// How many changes at once are worth giving their memory back, which takes a millisecond.
  private static let manyChanges = 1_000

  /// Takes in what changed; a few microseconds when nothing did. While the store cannot be read, what is known stays true.
  func refresh() {
    do throws(NetworkError) {
      let (gone, count) = try index.withLock { (index) throws(NetworkError) in
        let delta = try store.read(since: index.revision)
        guard delta.isComplete || delta.revision != index.revision else { return (([String](), [String]()), 0) }
        return (index.take(delta), delta.changes.count)
      }
      // What so many records took while they were read is many times what is kept of them.
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

  /// What a name means for who asks, and the revision of the store that says so.
  func look(
    up name: DomainName, _ type: RecordType, from source: IPAddress, at place: ListeningPlace
  ) -> (answer: LocalAnswer, revision: UInt64) {
    index.withLock { ($0.look(up: name, type, from: source, at: place), $0.revision) }
  }

  /// Whether who asks is answered at all.
  func knows(_ source: IPAddress, at place: ListeningPlace) -> Bool { index.withLock { $0.knows(source, at: place) } }

  /// The networks that are ready, and for each one the containers whose namespaces want a server of their own.
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

  /// The record of a network, and of containers, which others wrote.
  func network(_ id: String) -> NetworkRecord? { index.withLock { $0.networks[id]?.record } }
}
