import AdapterSupport
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

/// The data of a container that only `run` has: its command and options.
struct RunDescription: Codable {
  /// The process that runs the command, and removes the container at its end.
  var supervisor: Int32
  /// The command's process; nil before it has started.
  var process: Int32?
  var created: Timestamp
  var command: [String]
  var labels: [String: String]
  /// Its environment in addition to `cnet`'s, `NAME=value` each.
  var variables: [String]
  /// Its exposed ports, published or not.
  var exposed: [PortMapping]
  var publishesAll: Bool
  var isInteractive: Bool
  var hasTerminal: Bool
  var isDetached: Bool
  /// The file with a detached command's output.
  var log: String?
}

/// The file of a description, which is locked while its container's command is supervised: an unlocked file means that
/// `cnet run` was killed.
final class RunFile {
  private let path: FilePath
  private let file: FileDescriptor
  private(set) var description: RunDescription

  /// The library's limit of a container's name, bytes.
  private static let longestName = 200

  /// Creates a file; replaces one without a supervisor.
  ///
  /// - Throws: `.alreadyExists` while a supervised container has the name.
  init(_ container: String, in directory: FilePath, _ description: RunDescription) throws(NetworkError) {
    guard container.utf8.count <= Self.longestName else {
      throw NetworkError(
        .invalidValue, operation: "run \"\(container.prefix(20))…\"",
        reason: "the container's name has \(container.utf8.count) bytes; \(Self.longestName) are possible")
    }
    path = Self.path(container, directory)
    // A failure shows in the creation of the file.
    try? FileManager.default.createDirectory(
      atPath: directory.string, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    file = try Self.claim(path, container)
    self.description = description
    do throws(NetworkError) { try write() } catch {
      remove()
      throw error
    }
  }

  deinit { try? file.close() }

  /// Records the command's process.
  func started(_ process: Int32) throws(NetworkError) {
    description.process = process
    try write()
  }

  /// Removes it, and the output of a detached command.
  func remove() {
    if let log = description.log { _ = unlinked(FilePath(log)) }
    _ = unlinked(path)
  }

  private func write() throws(NetworkError) {
    do {
      let text = try JSON.line(description)
      // One write, and the truncation after it: a concurrent reader reads again.
      try file.writeAll(toAbsoluteOffset: 0, text.utf8)
      try file.resize(to: Int64(text.utf8.count))
    } catch {
      let errno = error as? Errno ?? .ioError
      throw NetworkError(
        NetworkError.Code(errno), operation: "write \(path)", kernel: KernelReport(errno: errno, request: "write"))
    }
  }

  private static func claim(_ path: FilePath, _ container: String) throws(NetworkError) -> FileDescriptor {
    let operation = "run \"\(container)\""
    while true {
      let file: FileDescriptor
      do {
        file = try FileDescriptor.open(
          path, .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
      } catch {
        let errno = error as? Errno ?? .ioError
        throw NetworkError(
          NetworkError.Code(errno), operation: operation, reason: "the file \(path) cannot be written",
          kernel: KernelReport(errno: errno, request: "open"))
      }
      // A concurrent check of the lock holds it for a moment.
      guard (0..<20).contains(where: { _ in isLocked(file) }) else {
        try? file.close()
        throw NetworkError(
          .alreadyExists, operation: operation,
          reason: "a container \"\(container)\" runs already; stop it first, or choose another name")
      }
      // Its former owner may have removed it between open and lock.
      if isAt(path, file) { return file }
      try? file.close()
    }
  }

  private static func isLocked(_ file: FileDescriptor) -> Bool {
    if flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 { return true }
    usleep(5_000)
    return false
  }

  private static func isAt(_ path: FilePath, _ file: FileDescriptor) -> Bool {
    var (named, open) = (stat(), stat())
    guard unsafe path.withPlatformString({ unsafe stat($0, &named) }) == 0, unsafe fstat(file.rawValue, &open) == 0
    else {
      return false
    }
    return named.st_ino == open.st_ino && named.st_dev == open.st_dev
  }

  /// Names of containers are not paths: letters, digits, `_`, `.` and `-`.
  private static func path(_ container: String, _ directory: FilePath) -> FilePath {
    directory.appending("\(container.split(separator: "/").joined(separator: "_")).json")
  }
}

/// The descriptions in a state directory.
struct RunFiles {
  let directory: FilePath

  /// A container's description, and whether it is supervised.
  struct Known {
    var description: RunDescription
    var isSupervised: Bool
  }

  init(_ place: StatePlace) { directory = place.directory.appending("run") }

  /// Nil for a container without a description.
  func known(_ container: String) -> Known? {
    let path = directory.appending("\(container).json")
    for _ in 0..<20 {
      guard let file = try? FileDescriptor.open(path, .readOnly, options: .closeOnExec) else { return nil }
      defer { try? file.close() }
      let text = (try? Data(contentsOf: URL(filePath: path.string))) ?? Data()
      if let description = try? JSONDecoder().decode(RunDescription.self, from: text) {
        return Known(description: description, isSupervised: flock(file.rawValue, LOCK_SH | LOCK_NB) != 0)
      }
      usleep(1_000)
    }
    return nil
  }

  /// Removes the remains of an unsupervised container.
  func forget(_ container: String) {
    guard let known = known(container), !known.isSupervised else { return }
    if let log = known.description.log { _ = unlinked(FilePath(log)) }
    _ = unlinked(directory.appending("\(container).json"))
  }

  /// The file of a detached command's output.
  func log(of container: String) -> FilePath { directory.appending("\(container).log") }
}

/// - Returns: Whether the file existed.
private func unlinked(_ path: FilePath) -> Bool { unsafe path.withPlatformString { unsafe unlink($0) } == 0 }
