public import NetworkPrimitives
public import SystemPackage

/// Records the objects that controllers own: before a change of the kernel, and again after it.
///
/// Several controllers, of one process or of many, may share a store. It keeps records by key and counts its changes;
/// each user keeps a copy in memory and reads the changes since.
public protocol Store: Sendable {
  /// The identity of this user of the store, in the ``Endpoint/owner`` of records that it is changing. Unique, and
  /// never reused.
  var token: String { get }

  /// The store's directory, where processes that share it find each other; nil for a store of this process alone.
  var directory: FilePath? { get }

  /// Whether the user with that token is alive. The unfinished records of a dead user may be taken over.
  func isAlive(_ token: String) -> Bool

  /// The changes since a revision; everything for 0, or when the store no longer has that revision.
  func read(since revision: UInt64) throws(NetworkError) -> StoreDelta

  /// Returns only what must be known when a store is opened: unsettled records (``StoreRecord/isUnsettled``), in any
  /// order. Empty if nothing changed since the revision. A store that can finds them without reading the others.
  func readUnsettled(since revision: UInt64) throws(NetworkError) -> StoreDelta

  /// Takes exclusive access: `body` receives the changes since `revision`, and the changes that it returns are saved,
  /// all or none.
  ///
  /// - Returns: The result of `body`, and the revision that includes its changes.
  /// - Throws: The errors of `body`, with nothing saved; `.kernelRefused`, for a full disk say, with nothing saved;
  ///   `.damagedRecord`.
  func update<Value: Sendable>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64)

  /// Runs `body` while no other user of the store, in this process or another, runs one. For kernel objects that all
  /// networks of a host share.
  func exclusively<Value: Sendable>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value

  /// The events after a number, oldest first, each with its own number; the oldest may have been dropped.
  func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)]
}

extension Store {
  /// Nil: for stores of this process alone.
  public var directory: FilePath? { nil }

  /// The unsettled ones of all.
  public func readUnsettled(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    var delta = try read(since: revision)
    guard delta.isComplete || delta.revision != revision else { return delta }
    if !delta.isComplete { delta = try read(since: 0) }
    delta.changes.removeAll { change in if case .save(let record) = change { !record.isUnsettled } else { true } }
    return delta
  }
}

/// The events that a change must survive.
public enum StoreDurability: Hashable, Sendable {
  /// The end of the process, by whatever means. A power cut may lose the last changes: the kernel objects of their
  /// records are lost, too.
  case process
  /// A power cut.
  case power
}

/// The changes between two revisions of a store.
public struct StoreDelta: Sendable {
  /// Whether it contains all records, and replaces the earlier state.
  public var isComplete: Bool
  /// The changes, in order; no events.
  public var changes: [StoreChange]
  /// The revision that they lead to.
  public var revision: UInt64

  /// A difference, or everything.
  public init(isComplete: Bool, changes: [StoreChange], revision: UInt64) {
    self.isComplete = isComplete
    self.changes = changes
    self.revision = revision
  }

  /// Checks what the controller relies on, of a store that is not ours.
  ///
  /// - Throws: `.damagedRecord` for a network without a subnet and an endpoint without an address.
  func check() throws(NetworkError) {
    for case .save(let record) in changes {
      let fault: String? =
        switch record {
        case .network(let network) where network.subnets.isEmpty: "network \"\(network.name)\" has no subnet"
        case .endpoint(let endpoint) where endpoint.addresses.isEmpty:
          "the endpoint of \"\(endpoint.container)\" on \"\(endpoint.networkName)\" has no address"
        default: nil
        }
      guard let fault else { continue }
      throw NetworkError(
        .damagedRecord, operation: "read the records",
        reason: "\(fault), though every saved record has one; the store must return records unchanged")
    }
  }
}

/// A change of a store.
public enum StoreChange: Hashable, Sendable {
  /// Writes a record, new or replacing the one with its key.
  case save(StoreRecord)
  /// Forgets the record of a key.
  case remove(StoreRecord.Key)
  /// Appends an event.
  case event(NetworkEvent)
}

/// A record of any kind.
public enum StoreRecord: Hashable, Sendable, Codable {
  /// A network.
  case network(NetworkRecord)
  /// A network's search for addresses.
  case pool(PoolRecord)
  /// A container.
  case sandbox(SandboxRecord)
  /// A container's attachment.
  case endpoint(Endpoint)
  /// The shared data of all networks.
  case host(HostRecord)

  /// The key of a record.
  public struct Key: Hashable, Sendable {
    /// The kind of record.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
      /// ``StoreRecord/network(_:)``.
      case network
      /// ``StoreRecord/pool(_:)``.
      case pool
      /// ``StoreRecord/sandbox(_:)``.
      case sandbox
      /// ``StoreRecord/endpoint(_:)``.
      case endpoint
      /// ``StoreRecord/host(_:)``.
      case host
    }

    /// The kind of record.
    public var kind: Kind
    /// Unique among its kind.
    public var id: String

    /// A key.
    public init(_ kind: Kind, _ id: String) {
      self.kind = kind
      self.id = id
    }
  }

  /// Whether it must be read when a store is opened: a network, its pool, the host. Also a container or an endpoint
  /// that is being changed, whose ports are changing, or that is kept ready. All others may be thousands, and need no
  /// attention.
  public var isUnsettled: Bool {
    switch self {
    case .network, .pool, .host: true
    case .sandbox(let record): record.phase != .ready && record.phase != .stopped || record.isKeptReady
    case .endpoint(let record):
      record.phase != .ready && record.phase != .stopped || record.portChange != nil || record.isKeptReady
    }
  }

  /// The record's key: ids of networks and endpoints, a container's name.
  public var key: Key {
    switch self {
    case .network(let record): Key(.network, record.id)
    case .pool(let record): .pool(record.networkID, record.family)
    case .sandbox(let record): Key(.sandbox, record.container)
    case .endpoint(let record): Key(.endpoint, record.id)
    case .host: Key(.host, "host")
    }
  }
}

extension StoreRecord.Key {
  /// The key of a network's pool.
  public static func pool(_ networkID: String, _ family: AddressFamily) -> StoreRecord.Key {
    StoreRecord.Key(.pool, "\(networkID)/\(family)")
  }
}
