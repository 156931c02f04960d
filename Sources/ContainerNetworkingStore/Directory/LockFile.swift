import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// A file for locking by flock(2): the lock ends with the process, however that ends. Each object is a separate user,
/// even within one process.
final class LockFile: Sendable {
  let path: FilePath
  private let descriptor: FileDescriptor

  /// Opens the file; with `creates`, creates it on demand.
  ///
  /// - Throws: `.notFound`, `.permissionDenied` and the other errors of open(2).
  init(_ path: FilePath, creates: Bool = true) throws(NetworkError) {
    self.path = path
    descriptor = try attempt("open", path) {
      try FileDescriptor.open(
        path, creates ? .readWrite : .readOnly, options: creates ? [.create, .closeOnExec] : .closeOnExec,
        permissions: .ownerReadWrite)
    }
  }

  deinit {
    // A child process that is just being started also has the descriptor, and the lock with it, until it executes its
    // program.
    unlock()
    try? descriptor.close()
  }

  /// Takes the lock; blocks until it is free.
  func lock() throws(NetworkError) { try lock(LOCK_EX) }

  /// Releases the lock.
  func unlock() { flock(descriptor.rawValue, LOCK_UN) }

  /// Takes the lock if it is free, as long as this object lives.
  func tryLock(isShared: Bool = false) throws(NetworkError) -> Bool {
    do throws(NetworkError) {
      try lock((isShared ? LOCK_SH : LOCK_EX) | LOCK_NB)
      return true
    } catch {
      guard error.kernel?.errno == .wouldBlock else { throw error }
      return false
    }
  }

  private func lock(_ mode: CInt) throws(NetworkError) {
    while flock(descriptor.rawValue, mode) != 0 {
      let errno = Errno(rawValue: errno)
      if errno == .interrupted { continue }
      throw fileError("flock", path, errno)
    }
  }
}

/// Returns the result of `body`; its error becomes that of a system call on `path`.
func attempt<Value>(_ call: String, _ path: FilePath, _ body: () throws -> Value) throws(NetworkError) -> Value {
  do { return try body() } catch { throw fileError(call, path, error as? Errno ?? .ioError) }
}

func fileError(_ call: String, _ path: FilePath, _ errno: Errno) -> NetworkError {
  FileFault.error(call, path, errno, operation: "use the store's file \(path)")
}
