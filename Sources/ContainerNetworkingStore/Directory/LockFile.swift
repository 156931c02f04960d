import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// A file for locking by flock(2): the lock ends with the process, however that ends. Each object is a separate user,
/// even within one process.
final class LockFile: Sendable {
  let path: FilePath
  private let descriptor: FileDescriptor

  /// Opens the file; creates it on demand.
  ///
  /// - Throws: `.permissionDenied` and the other errors of open(2).
  convenience init(_ path: FilePath) throws(NetworkError) {
    self.init(
      path,
      try attempt("open", path) {
        try FileDescriptor.open(path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
      })
  }

  private init(_ path: FilePath, _ descriptor: FileDescriptor) {
    self.path = path
    self.descriptor = descriptor
  }

  /// Opens an existing file; nil if there is none, which is no error and costs no description of one.
  ///
  /// - Throws: The other errors of open(2).
  static func existing(_ path: FilePath) throws(NetworkError) -> LockFile? {
    do {
      return LockFile(path, try FileDescriptor.open(path, .readOnly, options: .closeOnExec))
    } catch {
      let errno = error as? Errno ?? .ioError
      if errno == .noSuchFileOrDirectory { return nil }
      throw fileError("open", path, errno)
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
