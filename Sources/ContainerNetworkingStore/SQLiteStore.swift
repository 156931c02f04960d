public import ContainerNetworking
public import NetworkPrimitives
import Synchronization
public import SystemPackage

/// A store on disk, in an SQLite database: it outlives its processes, and any number of them on one machine may share
/// it.
///
/// Usable from any thread; calls block. The directory must be on a local file system, because it contains the files for
/// locks and shared memory.
public final class SQLiteStore: Store {
  private let path: FilePath
  private let owners: Owners
  private let database: Mutex<StateDatabase>
  private let host: Mutex<LockFile>

  /// Opens the store in a directory, which is created on demand with its missing parents, for its owner alone (0700).
  ///
  /// - Throws: `.damagedRecord` for an unreadable file, see ``recover(at:)``; `.refused` for another application's
  ///   database; `.unsupported` for one of a newer version of this library; `.permissionDenied`, `.notFound`,
  ///   `.kernelRefused` as the system refuses. Then an existing file is unchanged.
  public convenience init(at directory: FilePath) throws(NetworkError) {
    try self.init(StateDirectory(path: directory), schema: .current)
  }

  init(_ directory: StateDirectory, schema: Schema) throws(NetworkError) {
    try directory.make()
    path = directory.path
    host = Mutex(try LockFile(directory.hostLock))
    let opening = try LockFile(directory.openLock)
    try opening.lock()
    defer { opening.unlock() }
    owners = try Owners(directory.owners)
    database = Mutex(try StateDatabase.open(directory, schema))
  }

  /// The directory of the store.
  public var directory: FilePath? { path }

  /// Different for each object.
  public var token: String { owners.token }

  /// Whether a store object with that token is alive, in any process.
  public func isAlive(_ token: String) -> Bool { owners.isAlive(token) }

  /// The changes since a revision; takes a few microseconds if there are none.
  public func read(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    try database.withLock { (database) throws(NetworkError) in try database.read(since: revision) }
  }

  /// The unsettled records. Takes no longer beside thousands of settled ones.
  public func readUnsettled(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    try database.withLock { (database) throws(NetworkError) in try database.readUnsettled(since: revision) }
  }

  /// Takes exclusive access. `body` must not use the store; others wait for it, at most ten seconds.
  ///
  /// - Throws: The errors of `body`; `.inUse` when another process held the database for too long; `.kernelRefused`;
  ///   `.damagedRecord`.
  public func update<Value>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64) {
    var value: Value?
    let revision = try database.withLock { (database) throws(NetworkError) in
      let delta = try database.begin(since: revision, durability)
      let changes: [StoreChange]
      do throws(NetworkError) { (value, changes) = try body(delta) } catch {
        database.rollBack()
        throw error
      }
      return try database.commit(changes, over: delta.revision)
    }
    guard let value else { fatalError("an update that did not run its body has thrown") }
    return (value, revision)
  }

  /// Runs one `body` at a time, in all processes. `body` may use the store, except this method.
  public func exclusively<Value>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    var value: Value?
    try host.withLock { (lock) throws(NetworkError) in
      try lock.lock()
      defer { lock.unlock() }
      value = try body()
    }
    guard let value else { fatalError("a body that was not run has thrown") }
    return value
  }

  /// The kept events: the last 1,000.
  public func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
    try database.withLock { (database) throws(NetworkError) in try database.events(after: number) }
  }
}
