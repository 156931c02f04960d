public import NetworkPrimitives
import Synchronization

/// A store that ends with the process: for tests, and for controllers without state on disk.
public final class MemoryStore: Store {
  fileprivate struct Contents {
    var records: [StoreRecord.Key: (record: StoreRecord, revision: UInt64)] = [:]
    var revision: UInt64 = 1
    /// The keys of the last changes, each with its revision, in order.
    var journal: [(revision: UInt64, key: StoreRecord.Key)] = []
    /// The oldest revision that ``journal`` covers.
    var knownSince: UInt64 = 1
    var events: [(number: UInt64, event: NetworkEvent)] = []
    var lastEvent: UInt64 = 0
  }

  /// The minimum number of remembered changes, for reads since a revision; temporarily up to twice as many.
  static let journalLimit = 10_000
  /// The number of kept events.
  public static let eventLimit = 1_000

  private let contents = Mutex(Contents())
  private let host = Mutex(())

  /// An empty store.
  public init() {}

  /// All its users are in this process, and alive.
  public var token: String { "memory" }

  /// Always true: the store ends with its users.
  public func isAlive(_ token: String) -> Bool { true }

  /// The changes since a revision.
  public func read(since revision: UInt64) -> StoreDelta { contents.withLock { Self.delta($0, revision) } }

  /// Exclusive access.
  public func update<Value: Sendable>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64) {
    try contents.withLock { (contents) throws(NetworkError) in
      let (value, changes) = try body(Self.delta(contents, revision))
      if !changes.isEmpty { contents.revision += 1 }
      for change in changes {
        switch change {
        case .save(let record):
          let key = record.key
          contents.records[key] = (record, contents.revision)
          contents.journal.append((contents.revision, key))
        case .remove(let key):
          contents.records[key] = nil
          contents.journal.append((contents.revision, key))
        case .event(let event):
          contents.lastEvent += 1
          contents.events.append((contents.lastEvent, event))
          if contents.events.count > Self.eventLimit { contents.events.removeFirst() }
        }
      }
      contents.forgetOldChanges()
      return (value, contents.revision)
    }
  }

  /// Runs one `body` at a time.
  public func exclusively<Value: Sendable>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    try host.withLock { (_) throws(NetworkError) in try body() }
  }

  /// The events that are kept.
  public func events(after number: UInt64) -> [(number: UInt64, event: NetworkEvent)] {
    contents.withLock { $0.events.filter { $0.number > number } }
  }

  private static func delta(_ contents: Contents, _ revision: UInt64) -> StoreDelta {
    guard revision != contents.revision else {
      return StoreDelta(isComplete: false, changes: [], revision: revision)
    }
    guard revision < contents.revision, revision >= contents.knownSince else {
      let records = contents.records.values.sorted { $0.revision < $1.revision }.map { StoreChange.save($0.record) }
      return StoreDelta(isComplete: true, changes: records, revision: contents.revision)
    }
    // The last change of each key, in order.
    var known: Set<StoreRecord.Key> = []
    var changes: [StoreChange] = []
    for (changed, key) in contents.journal.reversed() {
      guard changed > revision else { break }
      guard known.insert(key).inserted else { continue }
      changes.append(contents.records[key].map { .save($0.record) } ?? .remove(key))
    }
    return StoreDelta(isComplete: false, changes: changes.reversed(), revision: contents.revision)
  }
}

extension MemoryStore.Contents {
  fileprivate mutating func forgetOldChanges() {
    guard journal.count > 2 * MemoryStore.journalLimit else { return }
    let kept = journal.count - MemoryStore.journalLimit
    knownSince = journal[kept - 1].revision
    journal.removeFirst(kept)
  }
}
