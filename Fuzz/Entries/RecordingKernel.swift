import ContainerNetworking
import Synchronization
import SystemPackage

/// A kernel that notes every datagram to and from another one.
final class RecordingKernel: Kernel {
  private let kernel: any Kernel
  let record = Mutex(Record())

  struct Record {
    var sent: [NetlinkFamily: [[UInt8]]] = [:]
    var received: [[UInt8]] = []
  }

  init(_ kernel: any Kernel) { self.kernel = kernel }

  func currentNamespace() throws(NetworkError) -> NamespaceHandle { try kernel.currentNamespace() }

  func makeNamespace() throws(NetworkError) -> NamespaceHandle { try kernel.makeNamespace() }

  func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle {
    try kernel.openNamespace(at: path)
  }

  func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    try kernel.pinNamespace(namespace, at: path)
  }

  func unpinNamespace(at path: FilePath) throws(NetworkError) { try kernel.unpinNamespace(at: path) }

  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    RecordingSocket(try kernel.openSocket(family, in: namespace), family, self)
  }

  func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
    try kernel.readSysctl(name, in: namespace)
  }

  func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    try kernel.writeSysctl(name, to: value, in: namespace)
  }

  func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    try kernel.heldPorts(among: bindings, in: namespace)
  }

  func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try kernel.spawn(command, in: namespace)
  }
}

private final class RecordingSocket: NetlinkSocket {
  private let socket: any NetlinkSocket
  private let family: NetlinkFamily
  private let kernel: RecordingKernel

  init(_ socket: any NetlinkSocket, _ family: NetlinkFamily, _ kernel: RecordingKernel) {
    self.socket = socket
    self.family = family
    self.kernel = kernel
  }

  var portID: UInt32 { socket.portID }

  func send(_ datagram: [UInt8]) throws(NetworkError) {
    kernel.record.withLock { $0.sent[family, default: []].append(datagram) }
    try socket.send(datagram)
  }

  func receive() throws(NetworkError) -> [UInt8] {
    let datagram = try socket.receive()
    kernel.record.withLock { $0.received.append(datagram) }
    return datagram
  }

  func join(group: Int32) throws(NetworkError) { try socket.join(group: group) }

  func drain() throws(NetworkError) { try socket.drain() }

  func nextEvent() throws(NetworkError) -> [UInt8]? { try socket.nextEvent() }

  func interrupt() { socket.interrupt() }
}
