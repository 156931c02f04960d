import CContainerNetworking
import Glibc
public import NetworkPrimitives
public import SystemPackage

/// The kernel this process runs on.
///
/// Calls that must run inside a namespace run on one C thread that enters it and returns. No Swift code ever runs in a
/// foreign namespace, and the calling thread's namespace never changes.
public struct LinuxKernel: Kernel {
  /// The maximum wait of one receive for the kernel's answer. The kernel answers within the send, so the limit only
  /// covers lost answers.
  public let replyTimeout: Duration

  /// The running kernel.
  public init(replyTimeout: Duration = .seconds(5)) { self.replyTimeout = replyTimeout }

  /// The network namespace of the calling thread (`/proc/thread-self/ns/net`).
  public func currentNamespace() throws(NetworkError) -> NamespaceHandle {
    try openNamespace(at: "/proc/thread-self/ns/net")
  }

  /// Makes a namespace with `unshare(2)`. Throws `.permissionDenied` without `CAP_SYS_ADMIN`.
  public func makeNamespace() throws(NetworkError) -> NamespaceHandle {
    let descriptor = try check(
      cn_namespace_create(), "unshare", "create network namespace",
      remedy: "it needs CAP_SYS_ADMIN: run as root, or under unshare -Urn")
    return try adopt(descriptor, operation: "create network namespace")
  }

  /// Opens the namespace of a file. Throws `.notFound`, or `.invalidValue` for a file that is not a network namespace.
  public func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle {
    let operation = "open network namespace \(path)"
    let descriptor = unsafe open(path.string, O_RDONLY | O_CLOEXEC)
    if descriptor < 0, errno == ENOENT { throw Self.noNamespace(at: path) }
    try check(descriptor, orErrno: "open", operation)
    guard cn_is_network_namespace(descriptor) == 1 else {
      close(descriptor)
      throw NetworkError(
        .invalidValue, operation: operation,
        reason: "\(path) is not a network namespace; name one under /run/netns or /proc/PID/ns/net")
    }
    return try adopt(descriptor, operation: operation)
  }

  /// The error for a path that does not exist; the simulated kernel uses it too.
  package static func noNamespace(at path: FilePath) -> NetworkError {
    let parts = path.components.map(\.string)
    let isProcess = parts.count == 4 && parts[0] == "proc" && parts[2] == "ns"
    return NetworkError(
      .notFound, operation: "open network namespace \(path)",
      reason: isProcess
        ? "there is no process \(parts[1]); a namespace outlives its last process only where it is pinned or held open"
        : "there is no file \(path); name a pinned namespace, as under /run/netns, or /proc/PID/ns/net",
      kernel: KernelReport(errno: .noSuchFileOrDirectory, request: "open"))
  }

  /// Bind-mounts the namespace on a new file. Throws `.alreadyExists` for an existing one.
  public func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    let directory = path.removingLastComponent()
    let operation = "pin network namespace at \(path)"
    var failed: UnsafePointer<CChar>?
    let result = unsafe cn_namespace_pin(
      namespace.descriptor, path.string, directory.string, directory == "/run/netns" ? 1 : 0, &failed)
    guard result < 0 else { return }
    let call = unsafe failed.map { unsafe String(cString: $0) } ?? "mount"
    let number = Errno(rawValue: -result)
    guard call != "mount" else { throw systemError(number, call, operation) }
    var error = FileFault.error(call, path, number, operation: operation)
    if number == .fileExists { error.reason = "there is a file \(path) already; give another path, or remove it" }
    throw error
  }

  /// Removes a pin. Throws `.refused` for any other file.
  public func unpinNamespace(at path: FilePath) throws(NetworkError) {
    // A plain file may be a user's data; only the empty file of an unfinished pin is removed.
    var status = stat()
    let operation = "unpin network namespace \(path)"
    try check(unsafe lstat(path.string, &status), orErrno: "lstat", operation)
    let isPin = unsafe cn_filesystem_type(path.string) == 0x6e73_6673  // NSFS_MAGIC
    guard isPin || (status.st_mode & S_IFMT == S_IFREG && status.st_size == 0) else {
      throw NetworkError(.refused, operation: operation, reason: "\(path) is not a pinned namespace; it is left alone")
    }
    try check(unsafe cn_namespace_unpin(path.string), "umount2", operation)
  }

  /// A socket opened by libmnl inside the namespace. Throws the kernel's refusal of `socket` or `bind`.
  public func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    let socket = try LinuxSocket(family, namespace: namespace.descriptor, timeout: replyTimeout.milliseconds)
    if namespace.cookie == 0 { namespace.cookie = socket.namespaceCookie }
    return socket
  }

  /// Reads a file under `/proc/sys/net`. Throws `.invalidValue` for any other, `.notFound` for a missing one.
  public func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
    let file = try openSysctl(name, FileDescriptor.AccessMode.readOnly, in: namespace, operation: "read sysctl \(name)")
    defer { try? file.close() }
    do {
      // One read returns all of it or as much as the buffer holds: lists as ip_local_reserved_ports have 200 KiB and
      // more.
      var buffer = [UInt8](repeating: 0, count: 4_096)
      var count = try Self.read(file, into: &buffer)
      if count == buffer.count {
        buffer = [UInt8](repeating: 0, count: 1 << 20)
        count = try Self.read(file, into: &buffer)
      }
      var text = String(decoding: buffer[..<count], as: UTF8.self)
      if text.last == "\n" { text.removeLast() }
      return text
    } catch { throw systemError(error, "read", "read sysctl \(name)") }
  }

  private static func read(_ file: FileDescriptor, into buffer: inout [UInt8]) throws -> Int {
    try unsafe buffer.withUnsafeMutableBytes { bytes in try unsafe file.read(fromAbsoluteOffset: 0, into: bytes) }
  }

  /// Writes a file under `/proc/sys/net`. Throws the kernel's refusal of the value.
  public func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    let operation = "set sysctl \(name) to \(value)"
    let file = try openSysctl(name, FileDescriptor.AccessMode.writeOnly, in: namespace, operation: operation)
    defer { try? file.close() }
    do { try file.writeAll(value.utf8) } catch { throw systemError(error, "write", operation) }
  }

  private func openSysctl(
    _ name: String, _ mode: FileDescriptor.AccessMode, in namespace: NamespaceHandle, operation: String
  ) throws(NetworkError) -> FileDescriptor {
    guard name.hasPrefix("net/"), !name.contains("..") else {
      throw NetworkError(
        .invalidValue, operation: operation,
        reason: "\"\(name)\" is not a sysctl of a network namespace; those are named as in net/ipv4/ip_forward")
    }
    let descriptor = unsafe cn_namespace_open_file(namespace.descriptor, "/proc/sys/\(name)", mode.rawValue)
    return FileDescriptor(rawValue: try check(descriptor, "open", operation))
  }

  private func adopt(_ descriptor: Int32, operation: String) throws(NetworkError) -> NamespaceHandle {
    var identity = NamespaceIdentity(device: 0, inode: 0)
    let result = unsafe cn_identity(descriptor, &identity.device, &identity.inode)
    guard result == 0 else {
      close(descriptor)
      throw systemError(Errno(rawValue: -result), "fstat", operation)
    }
    return NamespaceHandle(descriptor: descriptor, identity: identity) { close($0) }
  }
}
