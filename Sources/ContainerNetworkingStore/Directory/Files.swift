import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// Operations on files and directories.
///
/// Unsafe code: paths become C strings for the length of a call; buffers are arrays that outlive the call.
enum Files {
  /// The first bytes of a file.
  static func read(_ path: FilePath, atMost limit: Int) throws(NetworkError) -> [UInt8] {
    try attempt("read", path) {
      let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
      return try file.closeAfter {
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
          let read = try unsafe bytes.withUnsafeMutableBytes { buffer in
            try unsafe file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
          }
          if read == 0 { break }
          count += read
        }
        return Array(bytes[..<count])
      }
    }
  }

  /// Creates an empty file for its owner alone; SQLite gives its companion files the same permissions.
  static func create(_ path: FilePath) throws(NetworkError) {
    try attempt("open", path) {
      try FileDescriptor.open(
        path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite
      ).close()
    }
  }

  /// Copies a file's bytes to a new one.
  static func copy(_ path: FilePath, to copy: FilePath) throws(NetworkError) {
    try attempt("copy", path) {
      let source = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
      try source.closeAfter {
        let target = try FileDescriptor.open(
          copy, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
        try target.closeAfter {
          var buffer = [UInt8](repeating: 0, count: 1 << 16)
          while true {
            let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe source.read(into: $0) }
            if count == 0 { return }
            try target.writeAll(buffer[..<count])
          }
        }
      }
    }
  }

  /// Adds `suffix` to the name of a file.
  static func with(_ suffix: String, _ path: FilePath) -> FilePath { FilePath(path.string + suffix) }

  /// Whether the file exists.
  static func exists(_ path: FilePath) -> Bool { unsafe access(path.string, F_OK) == 0 }

  /// Removes a file; a missing one is no failure.
  static func remove(_ path: FilePath) throws(NetworkError) {
    guard unsafe unlink(path.string) != 0, errno != ENOENT else { return }
    throw fileError("unlink", path, Errno(rawValue: errno))
  }

  /// Renames a file, replacing any existing one.
  static func rename(_ old: FilePath, to new: FilePath) throws(NetworkError) {
    guard unsafe Glibc.rename(old.string, new.string) != 0 else { return }
    throw fileError("rename", old, Errno(rawValue: errno))
  }

  /// Gives a file a second name.
  static func link(_ old: FilePath, as new: FilePath) throws(NetworkError) {
    guard unsafe Glibc.link(old.string, new.string) != 0 else { return }
    throw fileError("link", old, Errno(rawValue: errno))
  }

  /// Creates a directory and its missing parents, for its owner alone; an existing one stays as it is.
  static func makeDirectory(_ path: FilePath) throws(NetworkError) {
    try DirectoryTree.make(path) { (made) throws(NetworkError) in
      // Otherwise a power cut may lose the entry, and the directory with it.
      try synchronize(made.removingLastComponent())
    }
  }

  /// Flushes a file, or a directory's entries, to the disk.
  static func synchronize(_ path: FilePath) throws(NetworkError) {
    let path: FilePath = path.isEmpty ? "." : path
    let file = try attempt("open", path) { try FileDescriptor.open(path, .readOnly, options: .closeOnExec) }
    defer { try? file.close() }
    guard fsync(file.rawValue) == 0 else { throw fileError("fsync", path, Errno(rawValue: errno)) }
  }

  /// The names in a directory, without `.` and `..`.
  static func names(in path: FilePath) throws(NetworkError) -> [String] {
    do throws(Errno) { return try directoryNames(path) } catch { throw fileError("opendir", path, error) }
  }
}
