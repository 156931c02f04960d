import Glibc
import NetworkPrimitives
import SystemPackage

/// The lock by which one server serves a directory; it goes with the process, however that ends.
final class ServerLock: Sendable {
  private let file: FileDescriptor

  static let name = "dns.lock"

  /// - Throws: `.inUse` when another server has it; `.notFound` for a directory that is not there; what else open(2) says.
  init(_ directory: FilePath) throws(NetworkError) {
    let operation = "serve names for \(directory)"
    do {
      file = try FileDescriptor.open(
        directory.appending(Self.name), .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
    } catch {
      let errno = error as? Errno ?? .ioError
      throw NetworkError(
        NetworkError.Code(errno), operation: operation, kernel: KernelReport(errno: errno, request: "open"))
    }
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
