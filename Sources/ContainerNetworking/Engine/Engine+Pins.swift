import Netlink
import NetworkPrimitives
import SystemPackage

/// The pins of namespaces.
extension Engine {
  /// Pins a namespace; creates the directory if it is missing.
  func pin(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    do throws(NetworkError) { try host.kernel.pinNamespace(namespace, at: path) } catch {
      guard error.code == .notFound, error.kernel?.request == "open" else { throw error }
      try DirectoryTree.make(path.removingLastComponent())
      try host.kernel.pinNamespace(namespace, at: path)
    }
  }

  /// Removes the files of a sandbox, and the pin of a namespace made for it. A missing file is no failure, and a
  /// foreign one in its place stays.
  func leave(_ record: SandboxRecord) -> [NetworkError] {
    if record.isSharer, record.phase == .creating { return [] }
    let failures = removeFiles(of: record)
    guard record.ownsNamespace, let path = record.namespacePath else { return failures }
    return failures + attempt { () throws(NetworkError) in try unpin(FilePath(path), record.namespaceInode) }
  }

  /// Removes a pin, or its remainder after a crash or a start of the machine.
  func unpin(_ path: FilePath, _ inode: UInt64?) throws(NetworkError) {
    let found: NamespaceHandle?
    do throws(NetworkError) { found = try host.kernel.openNamespace(at: path) } catch {
      // A path below a file does not exist.
      if error.kernel?.errno == .notDirectory { return }
      // A file without a namespace.
      guard error.code == .invalidValue else { throw error }
      found = nil
    }
    if let found, found.identity.inode != inode { return }
    do throws(NetworkError) { try host.kernel.unpinNamespace(at: path) } catch {
      // A file with contents is not ours.
      if error.code != .refused { throw error }
    }
  }
}
