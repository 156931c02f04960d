import NetworkPrimitives
import SystemPackage

/// The directory of a store, and the names of its files.
struct StateDirectory {
  let path: FilePath

  /// The records.
  var database: FilePath { path.appending("state.db") }
  /// Locked while a store is opened or recovered.
  var openLock: FilePath { path.appending("open.lock") }
  /// Held by `exclusively`.
  var hostLock: FilePath { path.appending("host.lock") }
  /// One locked file for each user.
  var owners: FilePath { path.appending("owners") }

  /// Creates the directory, for its owner alone, unless it exists.
  func make() throws(NetworkError) {
    try Files.makeDirectory(path)
    try Files.makeDirectory(owners)
  }
}
