import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// Reads and writes small files as a whole.
///
/// Unsafe code: paths become C strings for the length of a call; buffers are arrays that outlive the call.
enum TextFiles {
  /// Readable by every user in the container.
  private static let mode = FilePermissions(rawValue: 0o644)
  private static let limit = 1 << 20

  /// A file's bytes; nil if it is missing. A special file, or one larger than ours can be, is not ours: at most the
  /// limit is read.
  static func read(_ path: FilePath) throws(NetworkError) -> [UInt8]? {
    do {
      let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow, .nonBlocking])
      return try file.closeAfter {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while bytes.count < limit {
          let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
          if count == 0 { break }
          bytes += buffer[..<count]
        }
        return bytes
      }
    } catch let error as Errno {
      if error == .noSuchFileOrDirectory || error == .notDirectory { return nil }
      // A link or a directory in its place.
      if error == .tooManySymbolicLinkLevels || error == .isDirectory { return [] }
      throw fileError("read", path, error)
    } catch { throw fileError("read", path, .ioError) }
  }

  /// Creates or overwrites a file.
  static func write(_ text: String, to path: FilePath) throws(NetworkError) {
    try attempt("write", path) {
      let file = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate, .closeOnExec, .noFollow], permissions: mode)
      try file.closeAfter {
        // Independent of the process's umask.
        if fchmod(file.rawValue, mode.rawValue) != 0 { throw Errno(rawValue: errno) }
        try file.writeAll(text.utf8)
      }
    }
  }

  /// Rewrites a file in place: the inode stays, and with it the bind mounts.
  static func rewrite(_ path: FilePath, _ text: String) throws(NetworkError) {
    try attempt("write", path) {
      let file = try FileDescriptor.open(path, .writeOnly, options: [.closeOnExec, .noFollow])
      try file.closeAfter {
        try file.writeAll(text.utf8)
        try file.resize(to: Int64(text.utf8.count))
      }
    }
  }

  static func rename(_ old: FilePath, to new: FilePath) throws(NetworkError) {
    guard unsafe Glibc.rename(old.string, new.string) != 0 else { return }
    throw fileError("rename", old, Errno(rawValue: errno))
  }

  fileprivate static func attempt<Value>(
    _ call: String, _ path: FilePath, _ body: () throws -> Value
  ) throws(NetworkError) -> Value {
    do { return try body() } catch { throw fileError(call, path, error as? Errno ?? .ioError) }
  }

  fileprivate static func fileError(_ call: String, _ path: FilePath, _ errno: Errno) -> NetworkError {
    FileFault.error(call, path, errno, operation: "use the container's file \(path)")
  }
}

/// Operations on directories.
///
/// Unsafe code: as above.
enum Directories {
  /// Creates a world-readable directory and its missing parents; an existing one stays as it is.
  static func make(_ path: FilePath) throws(NetworkError) { try DirectoryTree.make(path, mode: 0o755) }

  /// Locks a directory, flock(2), until the descriptor is closed; waits for other holders.
  static func lock(_ path: FilePath) throws(NetworkError) -> FileDescriptor {
    let directory = try TextFiles.attempt("open", path) {
      try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
    }
    while flock(directory.rawValue, LOCK_EX) != 0 {
      let errno = Errno(rawValue: errno)
      if errno == .interrupted { continue }
      try? directory.close()
      throw TextFiles.fileError("flock", path, errno)
    }
    return directory
  }

  /// The names in a directory, without `.` and `..`; empty for a missing directory.
  static func names(in path: FilePath) throws(NetworkError) -> [String] {
    do throws(Errno) { return try directoryNames(path) } catch {
      // A path below a file does not exist either.
      if error == .noSuchFileOrDirectory || error == .notDirectory { return [] }
      throw TextFiles.fileError("opendir", path, error)
    }
  }

  /// Removes a directory and its contents; does not follow links.
  static func removeTree(_ path: FilePath) throws(NetworkError) {
    for name in try names(in: path) {
      let entry = path.appending(name)
      if unsafe unlink(entry.string) == 0 { continue }
      let errno = Errno(rawValue: errno)
      switch errno {
      case .noSuchFileOrDirectory: break
      case .isDirectory: try removeTree(entry)
      default: throw TextFiles.fileError("unlink", entry, errno)
      }
    }
    if unsafe rmdir(path.string) == 0 { return }
    let errno = Errno(rawValue: errno)
    if errno != .noSuchFileOrDirectory && errno != .notDirectory { throw TextFiles.fileError("rmdir", path, errno) }
  }
}
