public import Netlink
public import NetworkPrimitives
import Synchronization
public import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// A network namespace and what is in it. Usable on its own: no controller, no state.
///
/// Calls block the calling thread until the kernel has answered; from async code, make them on a thread of your own.
public final class NetworkNamespace: Sendable {
  /// The kernel it belongs to.
  public let kernel: any Kernel
  /// What holds it open.
  public let handle: NamespaceHandle

  private let connections = Mutex<[NetlinkFamily: NetlinkConnection]>([:])

  /// Wraps a handle of `kernel`.
  public init(_ handle: NamespaceHandle, of kernel: any Kernel = LinuxKernel()) {
    self.handle = handle
    self.kernel = kernel
  }

  /// A new namespace, its `lo` up. It vanishes with the last handle, pin or process that holds it.
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

  /// The namespace of a file.
  ///
  /// - Throws: `.notFound`; `.invalidValue` for a file that is no network namespace.
  public static func open(
    at path: FilePath, on kernel: any Kernel = LinuxKernel()
  ) throws(NetworkError) -> NetworkNamespace {
    NetworkNamespace(try kernel.openNamespace(at: path), of: kernel)
  }

  /// A named namespace: one that `ip netns add` or ``pin(name:)`` put under `/run/netns`.
  public static func open(
    name: String, on kernel: any Kernel = LinuxKernel()
  ) throws(NetworkError) -> NetworkNamespace {
    try open(at: try namedPath(name), on: kernel)
  }

  /// The namespace of a process.
  public static func open(
    process id: Int32, on kernel: any Kernel = LinuxKernel()
  ) throws(NetworkError) -> NetworkNamespace {
    try open(at: FilePath("/proc/\(id)/ns/net"), on: kernel)
  }

  /// What it is known by, whichever way it was opened.
  public var identity: NamespaceIdentity { handle.identity }

  /// A path that opens it while this object lives; what an OCI runtime takes as `linux.namespaces[].path`.
  public var path: FilePath { FilePath("/proc/\(getpid())/fd/\(handle.descriptor)") }

  /// Gives it a name under `/run/netns`, as `ip netns add` does, so that it outlives every handle.
  ///
  /// - Throws: `.alreadyExists`; `.invalidValue` for a name with a slash.
  public func pin(name: String) throws(NetworkError) { try kernel.pinNamespace(handle, at: try Self.namedPath(name)) }

  /// Removes a name that ``pin(name:)`` or `ip netns add` gave.
  public static func unpin(name: String, on kernel: any Kernel = LinuxKernel()) throws(NetworkError) {
    try kernel.unpinNamespace(at: try namedPath(name))
  }

  /// Starts a program inside.
  ///
  /// - Throws: `.notFound` where there is no such program.
  public func spawn(_ command: Command) throws(NetworkError) -> ChildProcess {
    try kernel.spawn(command, in: handle)
  }

  /// A sysctl's value: `net/ipv4/ip_forward`.
  public func sysctl(_ name: String) throws(NetworkError) -> String { try kernel.readSysctl(name, in: handle) }

  /// Sets a sysctl.
  public func setSysctl(_ name: String, to value: String) throws(NetworkError) {
    try kernel.writeSysctl(name, to: value, in: handle)
  }

  /// The connection that this object's calls share; opened at the first.
  public func connection(_ family: NetlinkFamily) throws(NetworkError) -> NetlinkConnection {
    try connections.withLock { (open) throws(NetworkError) in
      if let connection = open[family] { return connection }
      let connection = NetlinkConnection(try kernel.openSocket(family, in: handle))
      open[family] = connection
      return connection
    }
  }

  private static func namedPath(_ name: String) throws(NetworkError) -> FilePath {
    guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
      throw NetworkError(
        .invalidValue, operation: "name network namespace",
        reason: "\"\(name)\" is no file name; give one without a slash, as in \"blue\"")
    }
    return FilePath("/run/netns").appending(name)
  }
}
