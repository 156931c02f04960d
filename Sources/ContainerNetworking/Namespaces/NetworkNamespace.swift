import Dispatch
public import Netlink
public import NetworkPrimitives
import Synchronization
public import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// A network namespace and its objects. Usable on its own, without a controller or state.
///
/// Calls block the calling thread until the kernel has answered; from async code, make them on a thread of your own.
public final class NetworkNamespace: Sendable {
  /// The kernel it belongs to.
  public let kernel: any Kernel
  /// The handle that keeps it open.
  public let handle: NamespaceHandle
  /// A file that opens it in any process; nil for a namespace that only this process holds.
  public let origin: FilePath?

  private struct Connections {
    var route: [NetlinkConnection] = []
    var netfilter: [NetlinkConnection] = []
  }

  private let openConnections = Mutex(Connections())
  private static let connectionLimit = 8
  /// Deletions of links that the kernel has not completed.
  let deletions = DispatchGroup()

  /// Wraps a handle of `kernel`; `origin` is a path that opens the same namespace.
  public init(_ handle: NamespaceHandle, of kernel: any Kernel = LinuxKernel(), origin: FilePath? = nil) {
    self.handle = handle
    self.kernel = kernel
    self.origin = origin
  }

  /// Creates a namespace, its `lo` up. It vanishes with the last handle, pin or process that holds it.
  ///
  /// - Throws: `.permissionDenied` without `CAP_SYS_ADMIN`.
  public static func create(on kernel: any Kernel = LinuxKernel()) throws(NetworkError) -> NetworkNamespace {
    let namespace = NetworkNamespace(try kernel.makeNamespace(), of: kernel)
    try namespace.links.setUp(index: 1)

    return namespace
  }

  /// The namespace of the calling thread.
  public static func current(on kernel: any Kernel = LinuxKernel()) throws(NetworkError) -> NetworkNamespace {
    NetworkNamespace(try kernel.currentNamespace(), of: kernel)
  }

  /// Opens the namespace of a file.
  ///
  /// - Throws: `.notFound`; `.invalidValue` for a file that is not a network namespace.
  public static func open(
    at path: FilePath, on kernel: any Kernel = LinuxKernel()
  ) throws(NetworkError) -> NetworkNamespace {
    NetworkNamespace(try kernel.openNamespace(at: path), of: kernel, origin: path)
  }

  /// Opens a named namespace: one that `ip netns add` or ``pin(name:)`` put under `/run/netns`.
  ///
  /// - Throws: `.notFound`; `.invalidValue` for an invalid file name.
  public static func open(
    name: String, on kernel: any Kernel = LinuxKernel()
  ) throws(NetworkError) -> NetworkNamespace {
    try open(at: try namedPath(name), on: kernel)
  }

  /// Opens the namespace of a process.
  ///
  /// - Throws: `.notFound` for an unknown process; `.invalidValue` for an invalid process id; `.permissionDenied` for
  ///   another user's process.
  public static func open(
    process id: Int32, on kernel: any Kernel = LinuxKernel()
  ) throws(NetworkError) -> NetworkNamespace {
    guard id > 0 else {
      throw .invalid("open network namespace of process \(id)", "\(id) is not a process id; ids are 1 and up")
    }
    return try open(at: FilePath("/proc/\(id)/ns/net"), on: kernel)
  }

  /// The namespaces under `/run/netns`, by name, whatever their origin. Other files there are skipped, as is a
  /// namespace that vanishes meanwhile.
  public static func named(on kernel: any Kernel = LinuxKernel()) throws(NetworkError) -> [NamedNamespace] {
    var named: [NamedNamespace] = []
    for name in try kernel.pinnedNamespaces(in: directory) {
      do throws(NetworkError) {
        let handle = try kernel.openNamespace(at: directory.appending(name))
        named.append(NamedNamespace(name: name, identity: handle.identity))
      } catch {
        guard [.notFound, .invalidValue].contains(error.code) else { throw error }
      }
    }
    return named
  }

  /// The identity of the namespace, independent of how it was opened.
  public var identity: NamespaceIdentity { handle.identity }

  /// A path that opens it while this object lives; the value of an OCI runtime's `linux.namespaces[].path`.
  public var path: FilePath { origin ?? FilePath("/proc/\(getpid())/fd/\(handle.descriptor)") }

  /// Binds it to a new file, so that it outlives every handle.
  ///
  /// - Throws: `.alreadyExists`; `.notFound` for the directory; `.invalidValue` for a relative path; `.permissionDenied`
  ///   without `CAP_SYS_ADMIN`.
  public func pin(at path: FilePath) throws(NetworkError) {
    try kernel.pinNamespace(handle, at: try Self.checked(path))
  }

  /// Removes a pin and its file; the namespace vanishes with its last other holder.
  ///
  /// - Throws: `.notFound`; `.refused` for a file that is not a pin; `.permissionDenied` without `CAP_SYS_ADMIN`.
  public static func unpin(at path: FilePath, on kernel: any Kernel = LinuxKernel()) throws(NetworkError) {
    try kernel.unpinNamespace(at: try checked(path))
  }

  /// Names it under `/run/netns`, as `ip netns add` does, so that it outlives every handle.
  ///
  /// - Throws: `.alreadyExists`; `.invalidValue` for a name with a slash; `.permissionDenied` without `CAP_SYS_ADMIN`.
  public func pin(name: String) throws(NetworkError) { try kernel.pinNamespace(handle, at: try Self.namedPath(name)) }

  /// Removes a name made by ``pin(name:)`` or `ip netns add`.
  ///
  /// - Throws: `.notFound`; `.refused` for a file that is not a pin; `.permissionDenied` without `CAP_SYS_ADMIN`.
  public static func unpin(name: String, on kernel: any Kernel = LinuxKernel()) throws(NetworkError) {
    try kernel.unpinNamespace(at: try namedPath(name))
  }

  /// Starts a program in the namespace.
  ///
  /// - Throws: `.notFound` for a missing program.
  public func spawn(_ command: Command) throws(NetworkError) -> ChildProcess {
    try kernel.spawn(command, in: handle)
  }

  /// A sysctl's value: `net/ipv4/ip_forward`.
  public func sysctl(_ name: String) throws(NetworkError) -> String { try kernel.readSysctl(name, in: handle) }

  /// Sets a sysctl.
  public func setSysctl(_ name: String, to value: String) throws(NetworkError) {
    try kernel.writeSysctl(name, to: value, in: handle)
  }

  /// A connection for this object's calls: an idle one, or a new one while there are few, so that a slow request delays
  /// no other.
  public func connection(_ family: NetlinkFamily) throws(NetworkError) -> NetlinkConnection {
    try openConnections.withLock { (connections) throws(NetworkError) in
      switch family {
      case .route: try connection(family, &connections.route)
      case .netfilter: try connection(family, &connections.netfilter)
      }
    }
  }

  private func connection(
    _ family: NetlinkFamily, _ open: inout [NetlinkConnection]
  ) throws(NetworkError) -> NetlinkConnection {
    for connection in open where connection.isIdle { return connection }
    if open.count >= Self.connectionLimit, let any = open.randomElement() { return any }
    let connection = NetlinkConnection(try kernel.openSocket(family, in: handle))
    open.append(connection)
    return connection
  }

  private static func namedPath(_ name: String) throws(NetworkError) -> FilePath {
    guard !name.isEmpty, name.utf8.count < 256, !name.utf8.contains(where: { $0 == 0x2f || $0 == 0 }), name != ".",
      name != ".."
    else {
      throw NetworkError(
        .invalidValue, operation: "name network namespace",
        reason: "\(quoted(name)) is not a file name; give one of 1 to 255 bytes without a slash, as in \"blue\"")
    }
    return directory.appending(name)
  }

  private static func checked(_ path: FilePath) throws(NetworkError) -> FilePath {
    guard path.isAbsolute, path.lastComponent != nil else {
      throw .invalid(
        "pin network namespace",
        "\(quoted(path.string)) is not an absolute path of a file; give one, as in /run/me/blue")
    }
    return path
  }

  private static let directory = FilePath("/run/netns")
}

extension NetworkNamespace: Hashable {
  /// Whether both are the same namespace, however each was opened. Equally numbered namespaces of two simulated kernels
  /// are equal, too.
  public static func == (left: NetworkNamespace, right: NetworkNamespace) -> Bool { left.identity == right.identity }

  /// Hashes the identity.
  public func hash(into hasher: inout Hasher) { hasher.combine(identity) }
}

/// A namespace with a name under `/run/netns`.
public struct NamedNamespace: Hashable, Sendable {
  /// Its name, as `ip netns list` prints it.
  public var name: String
  /// The identity of the namespace, independent of how it is opened.
  public var identity: NamespaceIdentity

  /// Makes the description of one.
  public init(name: String, identity: NamespaceIdentity) {
    self.name = name
    self.identity = identity
  }
}
