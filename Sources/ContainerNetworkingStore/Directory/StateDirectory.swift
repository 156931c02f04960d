import NetworkPrimitives
import SystemPackage

/// Where a store is, and what its files are called.
struct StateDirectory {
  let path: FilePath

  /// The records.
  var database: FilePath { path.appending("state.db") }
  /// Held while a store is opened or recovered.
  var openLock: FilePath { path.appending("open.lock") }
  /// Held by `exclusively`.
  var hostLock: FilePath { path.appending("host.lock") }
  /// One locked file for each user.
  var owners: FilePath { path.appending("owners") }

  /// Makes the directory, for its owner alone, unless it is there.
  func make() throws(NetworkError) {
    try Files.makeDirectory(path)
    try Files.makeDirectory(owners)
  }
}
