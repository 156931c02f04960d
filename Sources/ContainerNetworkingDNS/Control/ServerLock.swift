import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// The lock by which one server serves a directory; it goes with the process, however that ends.
final class ServerLock: Sendable {
  private let file: FileDescriptor

  static let name = "dns.lock"

  /// Makes the directory, for its owner alone, if it is not there.
  ///
  /// - Throws: `.inUse` when another server has it; what open(2) and mkdir(2) say.
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

  /// Lets another server take it, also while a process that is just being started has the descriptor, too.
  func release() { flock(file.rawValue, LOCK_UN) }

  deinit {
    release()
    try? file.close()
  }
}
