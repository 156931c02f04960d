public import Netlink
public import NetworkPrimitives
public import SystemPackage

/// A kernel that forwards every call to another, for tests that observe, refuse or delay some calls: implement those
/// only.
///
///     final class CountingKernel: ForwardingKernel {
///       let base: any Kernel = LinuxKernel()
///       let namespaces = Atomic(0)
///
///       func makeNamespace() throws(NetworkError) -> NamespaceHandle {
///         namespaces.add(1, ordering: .relaxed)
///         return try base.makeNamespace()
///       }
///     }
public protocol ForwardingKernel: Kernel {
  /// The kernel that executes the calls.
  var base: any Kernel { get }
}

extension ForwardingKernel {
  /// Forwards to the base.
  public func currentNamespace() throws(NetworkError) -> NamespaceHandle { try base.currentNamespace() }

  /// Forwards to the base.
  public func makeNamespace() throws(NetworkError) -> NamespaceHandle { try base.makeNamespace() }

  /// Forwards to the base.
  public func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle {
    try base.openNamespace(at: path)
  }

  /// Forwards to the base.
  public func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    try base.pinNamespace(namespace, at: path)
  }

  /// Forwards to the base.
  public func unpinNamespace(at path: FilePath) throws(NetworkError) { try base.unpinNamespace(at: path) }

  /// Forwards to the base.
  public func pinnedNamespaces(in directory: FilePath) throws(NetworkError) -> [String] {
    try base.pinnedNamespaces(in: directory)
  }

  /// Forwards to the base.
  public func heldNamespace(_ identity: NamespaceIdentity) -> (handle: NamespaceHandle, path: FilePath)? {
    base.heldNamespace(identity)
  }

  /// The base's.
  public var viewpoint: String? { base.viewpoint }

  /// Forwards to the base.
  public func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    try base.openSocket(family, in: namespace)
  }

  /// Forwards to the base.
  public func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
    try base.readSysctl(name, in: namespace)
  }

  /// Forwards to the base.
  public func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    try base.writeSysctl(name, to: value, in: namespace)
  }

  /// Forwards to the base.
  public func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    try base.heldPorts(among: bindings, in: namespace)
  }

  /// Forwards to the base.
  public func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    try base.reservePorts(bindings, in: namespace)
  }

  /// Forwards to the base.
  public func bindSocket(
    to binding: TransportAddress, in namespace: NamespaceHandle
  ) throws(NetworkError) -> FileDescriptor {
    try base.bindSocket(to: binding, in: namespace)
  }

  /// Forwards to the base.
  public func connectSocket(
    to peer: TransportAddress, in namespace: NamespaceHandle
  ) throws(NetworkError) -> FileDescriptor {
    try base.connectSocket(to: peer, in: namespace)
  }

  /// Forwards to the base.
  public func openProbe(_ packet: ProbePacket, in namespace: NamespaceHandle) throws(NetworkError) -> any PacketProbe {
    try base.openProbe(packet, in: namespace)
  }

  /// Forwards to the base.
  public func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try base.spawn(command, in: namespace)
  }

  /// Forwards to the base.
  public func wait(for process: ChildProcess, timeout: Duration?) throws(NetworkError) -> ProcessExit {
    try base.wait(for: process, timeout: timeout)
  }

  /// Forwards to the base.
  public func end(of process: ChildProcess, within limit: Duration?) async throws(NetworkError) -> ProcessExit {
    try await base.end(of: process, within: limit)
  }

  /// Forwards to the base.
  public func signal(_ number: Int32, to process: ChildProcess) throws(NetworkError) {
    try base.signal(number, to: process)
  }
}

/// A netlink socket that forwards every call to another. `sendAside` calls `send(_:)` on the calling thread, so that an
/// own `send(_:)` sees every datagram.
public protocol ForwardingSocket: NetlinkSocket {
  /// The socket that executes the calls.
  var base: any NetlinkSocket { get }
}

extension ForwardingSocket {
  /// The base's.
  public var portID: UInt32 { base.portID }

  /// Forwards to the base.
  public func send(_ datagram: [UInt8]) throws(NetworkError) { try base.send(datagram) }

  /// Forwards to the base.
  public func receive() throws(NetworkError) -> [UInt8] { try base.receive() }

  /// Forwards to the base.
  public func join(group: Int32) throws(NetworkError) { try base.join(group: group) }

  /// Forwards to the base.
  public func nextEvent() throws(NetworkError) -> [UInt8]? { try base.nextEvent() }

  /// As the base does it.
  public func takeEvent() throws(NetworkError) -> [UInt8]? { try base.takeEvent() }

  /// As the base does it.
  public func drain() throws(NetworkError) { try base.drain() }

  /// Forwards to the base.
  public func interrupt() { base.interrupt() }
}
