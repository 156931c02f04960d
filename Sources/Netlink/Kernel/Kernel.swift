public import NetworkPrimitives
import Synchronization
public import SystemPackage

/// The seam to the kernel: every kernel call of this library goes through it. ``LinuxKernel`` is the real kernel; the
/// TestKit's simulated kernel answers with the same bytes.
///
/// Calls block, some for tens of milliseconds: make them on a thread of your own, not on Swift's cooperative pool.
public protocol Kernel: Sendable {
  /// The network namespace of the calling thread.
  func currentNamespace() throws(NetworkError) -> NamespaceHandle

  /// Makes a namespace that has only `lo`, down. It lives as long as a handle, a pin or a process holds it.
  func makeNamespace() throws(NetworkError) -> NamespaceHandle

  /// Opens the namespace of a file: one pinned with ``pinNamespace(_:at:)`` or by `ip netns add`, or
  /// `/proc/PID/ns/net`.
  func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle

  /// Binds the namespace to a new file; under `/run/netns`, as `ip-netns(8)` does.
  func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError)

  /// Removes a pin and its file.
  func unpinNamespace(at path: FilePath) throws(NetworkError)

  /// The names of a directory's files at which namespaces are pinned, in order; empty for a missing directory.
  func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String]

  /// Finds a namespace that a process is in or holds open, and a path that opens it as long as that process holds it.
  /// Nil if no visible process has it, nor sees a pin of it. Searches all processes: for a namespace to which no path is
  /// known.
  func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)?

  /// The mount namespace of this process, in which it sees paths, and the PID namespace, in which it sees processes; nil if
  /// every process of the kernel sees the same.
  var viewpoint: String? { get }

  /// A netlink socket of the namespace, usable from any thread.
  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket

  /// The value of a sysctl of the namespace, without the newline: `net/ipv4/ip_forward`, as under `/proc/sys`.
  func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String

  /// Sets a sysctl of the namespace.
  func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError)

  /// The ports among `bindings` that cannot be bound in the namespace, because a socket there holds them. A holder
  /// listens or, with UDP, is bound; closed connections do not count.
  ///
  /// - Throws: `.notFound` (`EADDRNOTAVAIL`) for an address that the namespace does not have; `.unsupported` for a protocol
  ///   that the kernel does not have.
  func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding]

  /// A socket of the namespace that is bound to an address and port and, with TCP, listens. It does not block, and
  /// works from any thread. The caller closes it. The address need not exist yet (`IP_FREEBIND`, ip(7)).
  ///
  /// - Throws: `.inUse` for a port that another socket holds, with the holder's name where it can be found;
  ///   `.permissionDenied`; `.unsupported` for SCTP, and by a kernel without sockets.
  func bindSocket(to binding: TransportAddress, in namespace: NamespaceHandle) throws(NetworkError) -> FileDescriptor

  /// A socket of the namespace on a port of the kernel's choice that is connected or, with TCP, connecting: then it
  /// becomes writable or fails. It does not block, and works from any thread. The caller closes it.
  ///
  /// - Throws: `.kernelRefused` without a route; `.unsupported` as ``bindSocket(to:in:)``.
  func connectSocket(to peer: TransportAddress, in namespace: NamespaceHandle) throws(NetworkError) -> FileDescriptor

  /// Reserves the free ports among `bindings` in the namespace until the reservations are released. Other sockets hold
  /// the rest.
  ///
  /// - Throws: As ``heldPorts(among:in:)``, with no port reserved; `.exhausted` when the process may open no more
  ///   files.
  func reservePorts(_ bindings: [PortBinding], in namespace: NamespaceHandle) throws(NetworkError) -> [PortReservation]

  /// A socket in the namespace for sending one packet; the last reference closes it.
  ///
  /// - Throws: `EADDRNOTAVAIL` for a source that the namespace does not have. `.permissionDenied` for an echo without
  ///   `CAP_NET_RAW`, unless `net/ipv4/ping_group_range` permits it. `.unsupported` by kernels without packets.
  func openProbe(_ packet: ProbePacket, in namespace: NamespaceHandle) throws(NetworkError) -> any PacketProbe

  /// Starts a program in the namespace.
  func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess

  /// Waits until a program started by ``spawn(_:in:)`` has ended; blocks the calling thread.
  ///
  /// - Throws: `.replyLost` past the limit; `.kernelRefused` with `ECHILD` after an earlier wait.
  func wait(for process: ChildProcess, timeout: Duration?) throws(NetworkError) -> ProcessExit

  /// As ``wait(for:timeout:)``, without blocking a thread.
  ///
  /// - Throws: As ``wait(for:timeout:)``; `.closed` when the task is cancelled.
  func end(of process: ChildProcess, within limit: Duration?) async throws(NetworkError) -> ProcessExit

  /// Sends a signal to a program started by ``spawn(_:in:)``.
  ///
  /// - Throws: `.notFound` after a wait.
  func signal(_ number: Int32, to process: ChildProcess) throws(NetworkError)
}

/// The netlink family of a socket (`NETLINK_*` in `linux/netlink.h`).
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

  /// Sends one datagram on another thread, so that this one can receive replies before the system call returns.
  ///
  /// - Parameters:
  ///   - datagram: The bytes to send.
  ///   - whenDone: Called when the send returns, with the kernel's refusal of the datagram, if any.
  func sendAside(_ datagram: [UInt8], whenDone: @escaping @Sendable (NetworkError?) -> Void)

  /// Waits for one datagram.
  ///
  /// - Throws: `.replyLost` when the kernel dropped datagrams (`ENOBUFS`) or none arrives within the socket's limit.
  func receive() throws(NetworkError) -> [UInt8]

  /// Joins a multicast group (`RTNLGRP_*`, `NFNLGRP_*`).
  func join(group: Int32) throws(NetworkError)

  /// Waits, without limit, for one datagram of a group; nil after ``interrupt()``.
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
      .unsupported, operation: "receive netlink events", reason: "this socket cannot be read without waiting")
  }
}

extension Kernel {
  /// For kernels without a list of pins.
  ///
  /// - Throws: `.unsupported`.
  public func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    throw NetworkError(
      .unsupported, operation: "list network namespaces in \(directory)",
      reason: "this kernel cannot list its pins; open them by name")
  }
}

extension Kernel {
  /// For kernels without processes: finds none.
  public func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? { nil }

  /// For kernels without processes.
  public var viewpoint: String? { nil }
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
  /// For sockets that answer within ``send(_:)``: sends on the calling thread.
  public func sendAside(_ datagram: [UInt8], whenDone: @escaping @Sendable (NetworkError?) -> Void) {
    do throws(NetworkError) {
      try send(datagram)
      whenDone(nil)
    } catch { whenDone(error) }
  }

  /// For sockets that never drop a datagram: does nothing.
  public func drain() throws(NetworkError) {}
}

/// An open network namespace: it exists as long as the handle lives.
public final class NamespaceHandle: Sendable {
  /// The descriptor: of this process, or a number of the simulated kernel.
  public let descriptor: Int32
  /// The identity of the namespace: the same for every handle of it.
  public let identity: NamespaceIdentity
  private let close: @Sendable (Int32) -> Void
  private let knownCookie = Atomic<UInt64>(0)

  /// The kernel's cookie of the namespace, by which threads verify that they are in it; 0 until a socket was opened in
  /// it.
  package var cookie: UInt64 {
    get { knownCookie.load(ordering: .relaxed) }
    set { knownCookie.store(newValue, ordering: .relaxed) }
  }

  /// Takes over a descriptor, which `close` receives when the last reference is released.
  public init(descriptor: Int32, identity: NamespaceIdentity, close: @escaping @Sendable (Int32) -> Void) {
    self.descriptor = descriptor
    self.identity = identity
    self.close = close
  }

  deinit { close(descriptor) }
}

/// Device and inode of a namespace's file, which together identify it while it lives (`namespaces(7)`).
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
