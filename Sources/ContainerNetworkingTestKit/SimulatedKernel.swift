import Glibc
public import Netlink
public import NetworkPrimitives
import Synchronization
public import SystemPackage

/// A kernel in memory: it reads the netlink requests of a real one, and answers with the same bytes, rules and errors.
/// It needs no privilege and changes nothing on the machine; its descriptors are numbers of its own.
///
/// Pass it wherever a kernel is expected, and inspect the result with ``snapshot()``. Make requests fail with
/// ``inject(_:on:times:)``, ``failRequest(number:with:)`` and its other faults.
public final class SimulatedKernel: Kernel {
  let state: Mutex<SimulatedState>
  let processes = SimulatedProcesses()
  /// Whether it supports SCTP; many kernels do not.
  public let hasSCTP: Bool

  /// A kernel with one namespace, the machine's own.
  ///
  /// - Parameters:
  ///   - privileged: False to refuse every change with `EPERM`, as without `CAP_NET_ADMIN`.
  ///   - hasSCTP: Whether SCTP sockets exist.
  public init(privileged: Bool = true, hasSCTP: Bool = false) {
    state = Mutex(SimulatedState(privileged: privileged))
    self.hasSCTP = hasSCTP
  }

  /// The machine's own namespace.
  public func currentNamespace() throws(NetworkError) -> NamespaceHandle {
    handle(of: SimulatedState.initialNamespace)
  }

  /// A new namespace with only `lo`, down.
  public func makeNamespace() throws(NetworkError) -> NamespaceHandle {
    let inode = try state.withLock { (state) throws(NetworkError) in
      try state.countCall("unshare", operation: "make network namespace")
      return state.makeNamespace()
    }
    return handle(of: inode)
  }

  /// The namespace pinned at `path`.
  ///
  /// - Throws: `.notFound`.
  public func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle {
    let own = ["self", "thread-self", "\(getpid())"].map { "/proc/\($0)/ns/net" }
    if own.contains(path.string) { return try currentNamespace() }
    // The form of NetworkNamespace.path: a descriptor of this process.
    let parts = path.string.split(separator: "/")
    let isDescriptor = parts.count == 4 && parts[0] == "proc" && parts[2] == "fd"
    if parts.count == 4, parts[0] == "proc", parts[2] == "ns", parts[3] == "net",
      let held = Int32(parts[1]).flatMap({ processes.namespace(of: $0) })
    {
      return handle(of: held.identity.inode)
    }
    let descriptor = isDescriptor ? Int32(parts[3]) : nil
    let inode = state.withLock { state in
      state.pins[path.string] ?? descriptor.flatMap { state.namespace(ofDescriptor: $0) }
    }
    guard let inode else { throw LinuxKernel.noNamespace(at: path) }
    return handle(of: inode)
  }

  /// Records the pin at `path`; creates no file.
  ///
  /// - Throws: `.alreadyExists`, `.permissionDenied`.
  public func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    try state.withLock { (state) throws(NetworkError) in
      try state.countCall("mount", operation: "pin network namespace at \(path)")
      guard state.pins[path.string] == nil else {
        throw systemError(.fileExists, "open", "pin network namespace at \(path)")
      }
      state.pins[path.string] = namespace.identity.inode
    }
  }

  /// Removes a pin; the namespace vanishes with its last holder.
  ///
  /// - Throws: `.notFound`, `.permissionDenied`.
  public func unpinNamespace(at path: FilePath) throws(NetworkError) {
    try state.withLock { (state) throws(NetworkError) in
      try state.countCall("umount", operation: "unpin network namespace \(path)")
      guard let inode = state.pins.removeValue(forKey: path.string) else {
        throw systemError(.noSuchFileOrDirectory, "umount", "unpin network namespace \(path)")
      }
      state.collect(inode)
      state.deliver()
    }
  }

  /// The last components of the pinned paths in `directory`.
  public func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    let paths = state.withLock { $0.pins.keys.map { FilePath($0) } }
    return paths.filter { $0.removingLastComponent() == directory }.compactMap { $0.lastComponent?.string }.sorted()
  }

  /// A socket that answers within `send`, on the calling thread.
  public func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    let inode = namespace.identity.inode
    let portID = try state.withLock { (state) throws(NetworkError) in
      guard state.namespaces[inode] != nil else {
        throw systemError(.badFileDescriptor, "setns", "open \(family) netlink socket")
      }
      return state.addSocket(in: inode)
    }
    return SimulatedSocket(kernel: self, family: family, namespace: inode, portID: portID)
  }

  /// The written value, or the kernel's default.
  ///
  /// - Throws: `.notFound` for an unknown sysctl, and for a link that does not exist.
  public func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
    let value = state.withLock { $0.namespaces[namespace.identity.inode]?.sysctl(name) }
    guard let value else { throw systemError(.noSuchFileOrDirectory, "open", "read sysctl \(name)") }
    return value
  }

  /// Sets a value.
  ///
  /// - Throws: `.notFound` as ``readSysctl(_:in:)``, `.permissionDenied`.
  public func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    try state.withLock { (state) throws(NetworkError) in
      try state.countCall("sysctl", operation: "write sysctl \(name)")
      guard state.setSysctl(name, to: value, in: namespace.identity.inode) else {
        throw systemError(.noSuchFileOrDirectory, "open", "write sysctl \(name)")
      }
      state.deliver()
    }
  }

  private func handle(of inode: UInt64) -> NamespaceHandle {
    let descriptor = state.withLock { $0.addDescriptor(of: inode) }
    return NamespaceHandle(
      descriptor: descriptor, identity: NamespaceIdentity(device: 4, inode: inode),
      close: { [self] descriptor in state.withLock { $0.closeDescriptor(descriptor) } })
  }
}

/// The error of a system call that failed.
func systemError(_ errno: Errno, _ call: String, _ operation: String) -> NetworkError {
  let code = NetworkError.Code(errno)
  let remedy = call == "unshare" ? "it needs CAP_SYS_ADMIN: run as root, or under unshare -Urn" : Remedy.privilege
  return NetworkError(
    code, operation: operation, reason: code == .permissionDenied ? remedy : "",
    kernel: KernelReport(errno: errno, request: call))
}
