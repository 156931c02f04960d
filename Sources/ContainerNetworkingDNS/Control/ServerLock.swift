import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// The lock of the server that serves a directory; it ends with the process, however that ends.
final class ServerLock: Sendable {
  private let file: FileDescriptor

  static let name = "dns.lock"

  /// Creates the directory, for its owner alone, if it is missing.
  ///
  /// - Throws: `.inUse` when another server has it; the errors of open(2) and mkdir(2).
  init(_ directory: FilePath) throws(NetworkError) {
    let operation = "serve names for \(directory)"
    try DirectoryTree.make(directory)
    let path = directory.appending(Self.name)
    do {
      file = try FileDescriptor.open(
        path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
    } catch { throw FileFault.error("open", path, error as? Errno ?? .ioError, operation: operation) }
    guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
      let errno = Errno(rawValue: errno)
      // Closed by `deinit`, which runs for an object whose properties all have values.
      throw NetworkError(
        errno == .wouldBlock ? .inUse : NetworkError.Code(errno), operation: operation,
        reason: "another name server serves this directory; stop it first, or use it",
        kernel: KernelReport(errno: errno, request: "flock"))
    }
  }

  /// Releases the lock, even while a child process that is just being started also has the descriptor.
  func release() { flock(file.rawValue, LOCK_UN) }

  deinit {
    release()
    try? file.close()
  }
}
