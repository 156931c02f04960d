import ContainerNetworking
import Glibc
public import NetworkPrimitives
public import SystemPackage

/// The result of a recovery.
public struct StoreRecovery: Hashable, Sendable, CustomStringConvertible {
  /// The number of records in the new file.
  public var records: Int
  /// The number of events in it.
  public var events: Int
  /// The unreadable records, a sentence each; empty if nothing was lost.
  public var lost: [String]
  /// The path of the damaged file.
  public var damagedFile: FilePath

  /// A line, and one for each loss.
  public var description: String {
    let kept = "\(records) records and \(events) events were saved; the damaged file is \(damagedFile)"
    return ([kept] + lost.map { "lost: \($0)" }).joined(separator: "\n")
  }
}

extension SQLiteStore {
  /// Saves the readable records of a damaged store into a new file, which then replaces it. The damaged one stays
  /// beside it, under a name with the time. A lost record's kernel objects stay, and no record lists them any more.
  ///
  /// - Throws: `.inUse` while the store is open in any process; `.notFound` for a missing one; `.refused` for another
  ///   application's database; `.unsupported` for a newer schema. Then nothing was changed.
  @discardableResult
  public static func recover(at directory: FilePath) throws(NetworkError) -> StoreRecovery {
    let directory = StateDirectory(path: directory)
    let operation = "recover the store \(directory.database)"
    guard Files.exists(directory.database) else {
      throw NetworkError(.notFound, operation: operation, reason: "there is no such file")
    }
    try directory.make()
    let opening = try LockFile(directory.openLock)
    try opening.lock()
    defer { opening.unlock() }
    let users = try Owners.alive(in: directory.owners)
    guard users.isEmpty else {
      throw NetworkError(
        .inUse, operation: operation,
        reason:
          "\(counted(users.count, "user")) have it open; end those first. fuser(1) names them by the files in "
          + "\(directory.owners)"
      )
    }
    return try replace(directory.database)
  }

  private static func replace(_ file: FilePath) throws(NetworkError) -> StoreRecovery {
    let copy = Files.with(".salvage", file)
    try StateDatabase.remove(copy)
    defer { try? StateDatabase.remove(copy) }
    for suffix in ["", "-wal"] where Files.exists(Files.with(suffix, file)) {
      try Files.copy(Files.with(suffix, file), to: Files.with(suffix, copy))
    }
    let salvage = try Salvage(copy: copy)
    let damaged = Files.with(".damaged-\(Timestamp.now())", file)
    try StateDatabase.make(file, .current, keeping: damaged) { (database) throws(NetworkError) in
      try database.fill(salvage)
    }
    return StoreRecovery(
      records: salvage.records.count, events: salvage.events.count, lost: salvage.lost, damagedFile: damaged)
  }
}
