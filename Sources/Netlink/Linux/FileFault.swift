import Glibc
package import NetworkPrimitives
package import SystemPackage

/// The fault of a file or a directory, as a sentence with the path, the rule and the remedy.
package enum FileFault {
  /// The error of a system call on a path.
  package static func error(
    _ call: String, _ path: FilePath, _ errno: Errno, operation: String
  ) -> NetworkError {
    // ENOSPC means a full disk, not an exhausted pool of this library.
    let code: NetworkError.Code = errno == .noSpace ? .kernelRefused : NetworkError.Code(errno)
    return NetworkError(
      code, operation: operation, reason: reason(errno, path),
      kernel: KernelReport(errno: errno, request: call))
  }

  /// The meaning of a system call's error for a path; empty where the kernel's own words suffice.
  package static func reason(_ errno: Errno, _ path: FilePath) -> String {
    // Looked for only where a sentence names it.
    var directory: FilePath { place(of: path) }
    return switch errno.rawValue {
    case ENOSPC: "the file system of \(directory) is full; make room there"
    case EDQUOT: "the quota on the file system of \(directory) is used up; raise it, or make room there"
    case EROFS: "\(directory) is on a file system that is read-only; mount it for writing, or name another directory"
    case EPERM, EACCES: "this process may not use \(path); run as root, or name a directory of its own"
    case ENOENT: missing(path, directory)
    case ENOTDIR: "\(obstacle(on: path)) is no directory; name another path"
    case ENAMETOOLONG: "a name in \(path) has more than 255 bytes, or all of it more than 4095; shorten it"
    case ELOOP: "the symbolic links of \(path) lead in a circle, or are more than 40; name the file itself"
    case EMFILE: "the limit of open files of this process is reached; raise it (ulimit -n)"
    case ENFILE: "the limit of open files of the machine is reached; raise fs.file-max"
    case EIO: "the disk of \(directory) failed; look into the kernel's log (dmesg)"
    default: ""
    }
  }

  private static func missing(_ path: FilePath, _ directory: FilePath) -> String {
    directory == path.removingLastComponent()
      ? "there is no \(path)" : "there is nothing but \(directory) of the path \(path); make the rest"
  }

  /// The deepest existing directory of a path.
  private static func place(of path: FilePath) -> FilePath {
    var directory = path.removingLastComponent()
    while !directory.components.isEmpty, unsafe access(directory.string, F_OK) != 0 { directory.removeLastComponent() }
    return directory.isEmpty ? "." : directory
  }

  /// The file on a path that should be a directory.
  private static func obstacle(on path: FilePath) -> FilePath {
    var way = path
    while !way.components.isEmpty {
      var status = stat()
      if unsafe stat(way.string, &status) == 0, status.st_mode & S_IFMT != S_IFDIR { return way }
      way.removeLastComponent()
    }
    return path
  }
}

/// Directories that a caller names and that are created on demand.
package enum DirectoryTree {
  /// Creates a directory and its missing parents; an existing one stays as it is.
  ///
  /// - Parameters:
  ///   - path: The directory.
  ///   - mode: The permissions of each created directory.
  ///   - isMade: Called for each created directory, the outermost first.
  /// - Throws: The obstacle and the remedy.
  package static func make(
    _ path: FilePath, mode: UInt32 = 0o700, isMade: (FilePath) throws(NetworkError) -> Void = { _ in }
  ) throws(NetworkError) {
    if unsafe mkdir(path.string, mode) == 0 { return try isMade(path) }
    var number = Errno(rawValue: errno)
    let parent = path.removingLastComponent()
    // Also where the parent exists by now: another process may have made it since.
    if number == .noSuchFileOrDirectory, !parent.isEmpty, parent != path {
      try make(parent, mode: mode, isMade: isMade)
      if unsafe mkdir(path.string, mode) == 0 { return try isMade(path) }
      number = Errno(rawValue: errno)
    }
    if number == .fileExists {
      var status = stat()
      guard unsafe stat(path.string, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR else { return }
      number = .notDirectory
    }
    throw FileFault.error("mkdir", path, number, operation: "make directory \(path)")
  }
}
