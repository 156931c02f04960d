import Netlink
import NetworkPrimitives
import SystemPackage

/// The files that namespaces are pinned at.
extension Engine {
  /// Pins a namespace, in a directory that is made if it is not there.
  func pin(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    do throws(NetworkError) { try host.kernel.pinNamespace(namespace, at: path) } catch {
      guard error.code == .notFound, error.kernel?.request == "open" else { throw error }
      try DirectoryTree.make(path.removingLastComponent())
      try host.kernel.pinNamespace(namespace, at: path)
    }
  }

  /// Removes the files of a sandbox, and unpins the namespace that was made for it, if it was; what is gone is not a failure,
  /// and what somebody else has put in its place is theirs.
  func leave(_ record: SandboxRecord) -> [NetworkError] {
    if record.isSharer, record.phase == .creating { return [] }
    let failures = removeFiles(of: record)
    guard record.ownsNamespace, let path = record.namespacePath else { return failures }
    return failures + attempt { () throws(NetworkError) in try unpin(FilePath(path), record.namespaceInode) }
  }

  /// Removes a pin of a namespace, or what a process that died meanwhile or another start of the machine left of it.
  func unpin(_ path: FilePath, _ inode: UInt64?) throws(NetworkError) {
    let found: NamespaceHandle?
    do throws(NetworkError) { found = try host.kernel.openNamespace(at: path) } catch {
      // What is below a file is not there.
      if error.kernel?.errno == .notDirectory { return }
      // A file without a namespace.
      guard error.code == .invalidValue else { throw error }
      found = nil
    }
    if let found, found.identity.inode != inode { return }
    do throws(NetworkError) { try host.kernel.unpinNamespace(at: path) } catch {
      // A file with something in it is none of ours.
      if error.code != .refused { throw error }
    }
  }
}
