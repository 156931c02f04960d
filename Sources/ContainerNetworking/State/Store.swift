public import NetworkPrimitives
public import SystemPackage

/// Where controllers write down what they own: before the kernel is touched, and again when that is done.
///
/// A store may be shared by several controllers, of one process or of many. It keeps records by key and counts its
/// changes; each user keeps a copy in memory and asks what changed since.
public protocol Store: Sendable {
  /// Who this user of the store is, in the ``Endpoint/owner`` of records that it is making. Different for each user, and
  /// never used again.
  var token: String { get }

  /// The directory that it is kept in, where processes that share it find each other; nil for one of this process alone.
  var directory: FilePath? { get }

  /// Whether the user with that token is still there. When it is not, what it left unfinished is there to be taken over.
  func isAlive(_ token: String) -> Bool

  /// What changed since a revision; everything for 0, or when the store no longer knows.
  func read(since revision: UInt64) throws(NetworkError) -> StoreDelta

  /// What of the records is read before anything is done: those that are unsettled (``StoreRecord/isUnsettled``), in whatever
  /// order; nothing when nothing changed since a revision. A store that can finds them without reading the others.
  func readUnsettled(since revision: UInt64) throws(NetworkError) -> StoreDelta

  /// Exclusive access: `body` is given what changed since `revision`, and what it returns is saved, all or nothing.
  ///
  /// - Returns: What `body` gave, and the revision that includes its changes.
  /// - Throws: What `body` throws, nothing is saved then; `.kernelRefused` for a full disk and the like, with nothing
  ///   saved; `.damagedRecord`.
  func update<Value: Sendable>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64)

  /// Runs `body` while no other user of the store, in this process or another, runs one. For what all networks of a
  /// host have in common in the kernel.
  func exclusively<Value: Sendable>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value

  /// The events after a number, oldest first, each with its own; the oldest may have been dropped.
  func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)]
}

extension Store {
  /// Of this process alone.
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

/// What a change must survive.
public enum StoreDurability: Hashable, Sendable {
  /// The end of the process, by whatever means. After a power cut the last ones may be missing: what they tell of is gone
  /// from the kernel too.
  case process
  /// A power cut.
  case power
}

/// What changed between two revisions of a store.
public struct StoreDelta: Sendable {
  /// Whether it is all that there is, and what was known before is to be forgotten.
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
        reason: "\(fault), which every one has that was saved; the store has to give records back as they were")
    }
  }
}

/// A change of a store.
public enum StoreChange: Hashable, Sendable {
  /// Writes a record, new or in the place of the one that has its key.
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
  /// What all networks have in common.
  case host(HostRecord)

  /// What a record is found by.
  public struct Key: Hashable, Sendable {
    /// What it tells of.
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

    /// What it tells of.
    public var kind: Kind
    /// Unique among its kind.
    public var id: String

    /// A key.
    public init(_ kind: Kind, _ id: String) {
      self.kind = kind
      self.id = id
    }
  }

  /// Whether whoever opens a store has to know of it: a network, its search for addresses, the host; a container or an
  /// endpoint that somebody is at work on, whose ports are changing, or that is kept ready for nobody yet. All others may
  /// be thousands, and are as they should be.
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
