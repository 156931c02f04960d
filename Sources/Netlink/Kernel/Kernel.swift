public import NetworkPrimitives
import Synchronization
public import SystemPackage

/// The seam to the kernel: everything this library asks of one goes through here. ``LinuxKernel`` is the real one; the
/// TestKit's simulated kernel answers the same bytes.
///
/// Calls block, some for tens of milliseconds: make them on a thread of your own, not on Swift's cooperative pool.
public protocol Kernel: Sendable {
  /// The network namespace of the calling thread.
  func currentNamespace() throws(NetworkError) -> NamespaceHandle

  /// A new namespace, with nothing in it but `lo`, down. It lives as long as a handle, a pin or a process holds it.
  func makeNamespace() throws(NetworkError) -> NamespaceHandle

  /// The namespace of a file: one pinned with ``pinNamespace(_:at:)`` or by `ip netns add`, or `/proc/PID/ns/net`.
  func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle

  /// Binds the namespace to a file that does not exist yet; under `/run/netns`, as `ip-netns(8)` does.
  func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError)

  /// Removes a pin and its file.
  func unpinNamespace(at path: FilePath) throws(NetworkError)

  /// The names of the files of a directory that namespaces are pinned at, in order; none where there is no directory.
  func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String]

  /// A namespace that a process is in or holds open, found by what it is known by, and a path that opens it for as long as that
  /// process does; nil where none is seen. It looks through all processes: for the namespace that no path leads to.
  func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)?

  /// A netlink socket of the namespace, usable from any thread.
  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket

  /// The value of a sysctl of the namespace, without the newline: `net/ipv4/ip_forward`, as under `/proc/sys`.
  func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String

  /// Sets a sysctl of the namespace.
  func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError)

  /// Those of the ports that cannot be bound in the namespace, because a socket there holds them: one of a program that
  /// listens or, by UDP, is bound; connections that are over do not count.
  ///
  /// - Throws: `.notFound` (`EADDRNOTAVAIL`) for an address that the namespace does not have; `.unsupported` for a protocol
  ///   that the kernel does not have.
  func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding]

  /// A socket of the namespace that is bound to an address and port and, by TCP, listens; it does not block, and works
  /// from any thread. The caller closes it. The address need not be there yet (`IP_FREEBIND`, ip(7)).
  ///
  /// - Throws: `.inUse` for a port that another holds, naming who where that can be found; `.permissionDenied`;
  ///   `.unsupported` for SCTP, and by a kernel without sockets.
  func bindSocket(to binding: TransportAddress, in namespace: NamespaceHandle) throws(NetworkError) -> FileDescriptor

  /// A socket of the namespace, with a port of the kernel's choice, that is connected or, by TCP, about to be: it is
  /// writable then, or fails. It does not block, and works from any thread. The caller closes it.
  ///
  /// - Throws: `.kernelRefused` where no route leads; `.unsupported` as ``bindSocket(to:in:)``.
  func connectSocket(to peer: TransportAddress, in namespace: NamespaceHandle) throws(NetworkError) -> FileDescriptor

  /// Takes those of the ports that can be had in the namespace, until what is returned is let go; the others are held by
  /// other sockets.
  ///
  /// - Throws: As ``heldPorts(among:in:)``, with none of them taken; `.exhausted` when the process may have no more open
  ///   files.
  func reservePorts(_ bindings: [PortBinding], in namespace: NamespaceHandle) throws(NetworkError) -> [PortReservation]

  /// A socket in the namespace that is to send one packet; it goes with the last reference.
  ///
  /// - Throws: `EADDRNOTAVAIL` for a source that the namespace does not have; `.permissionDenied` for an echo without
  ///   `CAP_NET_RAW`, unless `net/ipv4/ping_group_range` lets anybody; `.unsupported` by kernels without packets.
  func openProbe(_ packet: ProbePacket, in namespace: NamespaceHandle) throws(NetworkError) -> any PacketProbe

  /// Starts a program in the namespace.
  func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess

  /// Waits until a program that ``spawn(_:in:)`` started has ended; blocks the calling thread.
  ///
  /// - Throws: `.replyLost` past the time; `.kernelRefused` with `ECHILD` when it was waited for.
  func wait(for process: ChildProcess, timeout: Duration?) throws(NetworkError) -> ProcessExit

  /// The same without a thread.
  ///
  /// - Throws: As ``wait(for:timeout:)``; `.closed` when the task is cancelled.
  func end(of process: ChildProcess, within limit: Duration?) async throws(NetworkError) -> ProcessExit

  /// Sends a signal to a program that ``spawn(_:in:)`` started.
  ///
  /// - Throws: `.notFound` when it was waited for.
  func signal(_ number: Int32, to process: ChildProcess) throws(NetworkError)
}

/// Which netlink family a socket speaks (`NETLINK_*` in `linux/netlink.h`).
public enum NetlinkFamily: Int32, Sendable {
  /// `NETLINK_ROUTE`: links, addresses, routes, neighbours.
  case route = 0
  /// `NETLINK_NETFILTER`: nftables and connection tracking.
  case netfilter = 12
}

/// A netlink socket. One thread at a time sends and receives; ``interrupt()`` may come from any.
public protocol NetlinkSocket: AnyObject, Sendable {
  /// The address that the kernel gave the socket (`nl_pid`).
  var portID: UInt32 { get }

  /// Sends one datagram.
  func send(_ datagram: [UInt8]) throws(NetworkError)

  /// Sends one datagram on another thread, so that this one can receive what comes of it before the kernel is done with it.
  ///
  /// - Parameters:
  ///   - datagram: What is sent.
  ///   - whenDone: Called when the kernel is done, with its refusal of the datagram if it refused that.
  func sendAside(_ datagram: [UInt8], whenDone: @escaping @Sendable (NetworkError?) -> Void)

  /// Waits for one datagram.
  ///
  /// - Throws: `.replyLost` when the kernel dropped datagrams (`ENOBUFS`) or none comes within the socket's limit.
  func receive() throws(NetworkError) -> [UInt8]

  /// Joins a multicast group (`RTNLGRP_*`, `NFNLGRP_*`).
  func join(group: Int32) throws(NetworkError)

  /// Waits, without limit, for one datagram of a group; nil once ``interrupt()`` was called.
  func nextEvent() throws(NetworkError) -> [UInt8]?

  /// One datagram of a group that has arrived; nil where none has.
  ///
  /// - Throws: `.replyLost` when the kernel dropped datagrams (`ENOBUFS`).
  func takeEvent() throws(NetworkError) -> [UInt8]?

  /// Throws away the datagrams that have arrived. After `ENOBUFS` they are older than the ones that were dropped, and
  /// nothing more is received until they are gone.
  func drain() throws(NetworkError)

  /// Ends the wait of ``nextEvent()``, now and for good.
  func interrupt()
}

extension NetlinkSocket {
  /// For sockets that can only wait.
  ///
  /// - Throws: `.unsupported`.
  public func takeEvent() throws(NetworkError) -> [UInt8]? {
    throw NetworkError(
      .unsupported, operation: "receive netlink events", reason: "this socket cannot be asked without waiting")
  }
}

extension Kernel {
  /// For kernels that keep no list.
  ///
  /// - Throws: `.unsupported`.
  public func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    throw NetworkError(
      .unsupported, operation: "list network namespaces in \(directory)",
      reason: "this kernel cannot list its pins; open them by name")
  }
}

extension Kernel {
  /// For kernels without processes: none.
  public func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? { nil }
}

extension Kernel {
  /// For kernels without sockets.
  ///
  /// - Throws: `.unsupported`.
  public func bindSocket(to binding: TransportAddress, in namespace: NamespaceHandle) throws(NetworkError)
    -> FileDescriptor
  {
    throw .noSockets("bind a socket to \(binding)")
  }

  /// For kernels without sockets.
  ///
  /// - Throws: `.unsupported`.
  public func connectSocket(to peer: TransportAddress, in namespace: NamespaceHandle) throws(NetworkError)
    -> FileDescriptor
  {
    throw .noSockets("connect a socket to \(peer)")
  }
}

extension NetworkError {
  fileprivate static func noSockets(_ operation: String) -> NetworkError {
    NetworkError(
      .unsupported, operation: operation, reason: "this kernel has no sockets for programs; use LinuxKernel")
  }
}

extension NetlinkSocket {
  /// For sockets that answer within ``send(_:)``, and let nobody wait: on this thread.
  public func sendAside(_ datagram: [UInt8], whenDone: @escaping @Sendable (NetworkError?) -> Void) {
    do throws(NetworkError) {
      try send(datagram)
      whenDone(nil)
    } catch { whenDone(error) }
  }

  /// For sockets that never drop a datagram: there is nothing to throw away.
  public func drain() throws(NetworkError) {}
}

/// A network namespace that is held open: it cannot vanish while the handle lives.
public final class NamespaceHandle: Sendable {
  /// The descriptor: of this process, or a number of the simulated kernel.
  public let descriptor: Int32
  /// What the namespace is known by: the same for every handle of it.
  public let identity: NamespaceIdentity
  private let close: @Sendable (Int32) -> Void
  private let knownCookie = Atomic<UInt64>(0)

  /// What the kernel tells threads in the namespace from others by; 0 until a socket was opened in it.
  var cookie: UInt64 {
    get { knownCookie.load(ordering: .relaxed) }
    set { knownCookie.store(newValue, ordering: .relaxed) }
  }

  /// Takes over a descriptor, which `close` is given when the last reference goes.
  public init(descriptor: Int32, identity: NamespaceIdentity, close: @escaping @Sendable (Int32) -> Void) {
    self.descriptor = descriptor
    self.identity = identity
    self.close = close
  }

  deinit { close(descriptor) }
}

/// Device and inode of a namespace's file, which together name it while it lives (`namespaces(7)`).
public struct NamespaceIdentity: Hashable, Sendable, CustomStringConvertible {
  /// Device number of nsfs.
  public var device: UInt64
  /// Inode number, as in `net:[4026531840]`.
  public var inode: UInt64

  /// Makes an identity.
  public init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }

  /// As `readlink /proc/self/ns/net` prints it.
  public var description: String { "net:[\(inode)]" }
}
