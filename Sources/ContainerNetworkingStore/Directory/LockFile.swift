import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// A file that is there to be locked, by flock(2): the lock goes with the process, however that ends. Each object is a user
/// of its own, two of one process as well.
final class LockFile: Sendable {
  let path: FilePath
  private let descriptor: FileDescriptor

  /// Opens the file; with `creates`, makes it if need be.
  ///
  /// - Throws: `.notFound`, `.permissionDenied` and whatever else open(2) may say.
  init(_ path: FilePath, creates: Bool = true) throws(NetworkError) {
    self.path = path
    descriptor = try attempt("open", path) {
      try FileDescriptor.open(
        path, creates ? .readWrite : .readOnly, options: creates ? [.create, .closeOnExec] : .closeOnExec,
        permissions: .ownerReadWrite)
    }
  }

  deinit {
    // A process that is just being started has the descriptor too, and with it the lock, until it executes its program.
    unlock()
    try? descriptor.close()
  }

  /// Takes the lock; blocks until it is free.
  func lock() throws(NetworkError) { try lock(LOCK_EX) }

  /// Gives it back.
  func unlock() { flock(descriptor.rawValue, LOCK_UN) }

  /// Takes the lock if nobody has it, for as long as this object lives.
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

/// What `body` gives; the error of a system call that was made on `path`.
func attempt<Value>(_ call: String, _ path: FilePath, _ body: () throws -> Value) throws(NetworkError) -> Value {
  do { return try body() } catch { throw fileError(call, path, error as? Errno ?? .ioError) }
}

func fileError(_ call: String, _ path: FilePath, _ errno: Errno) -> NetworkError {
  FileFault.error(call, path, errno, operation: "use the store's file \(path)")
}
