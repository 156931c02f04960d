import AdapterSupport
import ContainerNetworking
import FoundationEssentials
import Glibc
import SystemPackage

/// What `run` knows of a container that the record of networks does not: its command, and what was said of it.
struct RunDescription: Codable {
  /// Who runs the command, and takes the container away at its end.
  var supervisor: Int32
  /// The command's process; nil before it has started.
  var process: Int32?
  var created: Timestamp
  var command: [String]
  var labels: [String: String]
  /// What its environment has besides that of `cnet`, `NAME=value` each.
  var variables: [String]
  /// Ports that it is said to have, published or not.
  var exposed: [PortMapping]
  var publishesAll: Bool
  var isInteractive: Bool
  var hasTerminal: Bool
  var isDetached: Bool
  /// Where what a detached one prints goes.
  var log: String?
}

/// The file of a description, which is locked while its container's command is looked after: who finds it without the lock
/// knows that `cnet run` was killed.
final class RunFile {
  private let path: FilePath
  private let file: FileDescriptor
  private(set) var description: RunDescription

  /// Bytes of a container's name, as the library has it.
  private static let longestName = 200

  /// Writes a new one down; one that nobody looks after any more is replaced.
  ///
  /// - Throws: `.alreadyExists` while another has a container of that name.
  init(_ container: String, in directory: FilePath, _ description: RunDescription) throws(NetworkError) {
    guard container.utf8.count <= Self.longestName else {
      throw NetworkError(
        .invalidValue, operation: "run \"\(container.prefix(20))…\"",
        reason: "the container's name has \(container.utf8.count) bytes; \(Self.longestName) are possible")
    }
    path = Self.path(container, directory)
    // What cannot be made is told of the file in it.
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

  /// Writes down which process the command is.
  func started(_ process: Int32) throws(NetworkError) {
    description.process = process
    try write()
  }

  /// Takes it away, and what a detached command has printed.
  func remove() {
    if let log = description.log { _ = unlinked(FilePath(log)) }
    _ = unlinked(path)
  }

  private func write() throws(NetworkError) {
    do {
      let text = try JSON.line(description)
      // In one write, and the end cut off after it: who reads meanwhile looks again.
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
      // Who looks whether it is locked has it locked for a moment.
      guard (0..<20).contains(where: { _ in isLocked(file) }) else {
        try? file.close()
        throw NetworkError(
          .alreadyExists, operation: operation,
          reason: "there is a container \"\(container)\" that runs; stop it first, or choose another name")
      }
      // Its former owner may have taken it away between the two.
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

  /// Names of containers are no paths: letters, digits, `_`, `.` and `-`.
  private static func path(_ container: String, _ directory: FilePath) -> FilePath {
    directory.appending("\(container.split(separator: "/").joined(separator: "_")).json")
  }
}

/// What is known of the containers of a state directory.
struct RunFiles {
  let directory: FilePath

  /// A container's description, and whether somebody looks after it.
  struct Known {
    var description: RunDescription
    var isSupervised: Bool
  }

  init(_ place: StatePlace) { directory = place.directory.appending("run") }

  /// Nil for a container that `run` does not know.
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

  /// Takes away what is left of a container that nobody looks after.
  func forget(_ container: String) {
    guard let known = known(container), !known.isSupervised else { return }
    if let log = known.description.log { _ = unlinked(FilePath(log)) }
    _ = unlinked(directory.appending("\(container).json"))
  }

  /// Where a detached command's output goes.
  func log(of container: String) -> FilePath { directory.appending("\(container).log") }
}

/// - Returns: Whether there was such a file.
private func unlinked(_ path: FilePath) -> Bool { unsafe path.withPlatformString { unsafe unlink($0) } == 0 }
