import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// Small files, whole.
///
/// Unsafe code: paths become C strings for the length of a call; buffers are arrays that outlive the call.
enum TextFiles {
  /// What anybody in the container may read.
  private static let mode = FilePermissions(rawValue: 0o644)
  private static let limit = 1 << 20

  /// A file's bytes; nil if there is none. What is no plain file, and what is larger than any of ours, is somebody else's:
  /// it is read as far as that.
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

  /// Makes a file, or writes it anew.
  static func write(_ text: String, to path: FilePath) throws(NetworkError) {
    try attempt("write", path) {
      let file = try FileDescriptor.open(
        path, .writeOnly, options: [.create, .truncate, .closeOnExec, .noFollow], permissions: mode)
      try file.closeAfter {
        // Whatever the process's mask.
        if fchmod(file.rawValue, mode.rawValue) != 0 { throw Errno(rawValue: errno) }
        try file.writeAll(text.utf8)
      }
    }
  }

  /// Writes a file anew in place: the inode stays, and with it what is bound elsewhere.
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

/// Directories of files.
///
/// Unsafe code: as above.
enum Directories {
  /// Makes a directory that anybody may look into, and what is missing of the way there, unless it is there.
  static func make(_ path: FilePath) throws(NetworkError) { try DirectoryTree.make(path, mode: 0o755) }

  /// Locks a directory, flock(2), until the descriptor is closed; waits for others.
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

  /// The names in a directory, but for `.` and `..`; none if there is no such directory.
  static func names(in path: FilePath) throws(NetworkError) -> [String] {
    do throws(Errno) { return try directoryNames(path) } catch {
      // What is below a file is not there either.
      if error == .noSuchFileOrDirectory || error == .notDirectory { return [] }
      throw TextFiles.fileError("opendir", path, error)
    }
  }

  /// Removes a directory and all that is in it; follows no links.
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
