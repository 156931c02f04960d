import ContainerNetworking
import Dispatch
import Synchronization
import SystemPackage

/// The real kernel behind a gate: the first request of a kind waits there until the gate is opened.
final class GatedKernel: Kernel {
  private let real = LinuxKernel()
  private let isAwaited = Mutex<(@Sendable (NetlinkMessage) -> Bool)?>(nil)
  private let arrival = DispatchSemaphore(value: 0)
  private let opening = DispatchSemaphore(value: 0)

  /// `RTM_DELLINK`.
  static let deleteLink: UInt16 = 17

  /// Has the next deletion of a link of that name wait.
  func closeGate(forDeletionOf name: String) {
    isAwaited.withLock { predicate in
      predicate = { message in
        guard message.type == Self.deleteLink else { return false }
        let payload = Array(message.payload)
        return payload.indices.contains { payload[$0...].starts(with: Array(name.utf8)) }
      }
    }
  }

  /// Has the next new veth pair wait.
  func closeGateForPair() {
    isAwaited.withLock { predicate in
      predicate = { message in
        // RTM_NEWLINK, NLM_F_CREATE
        guard message.type == 16, message.flags.rawValue & 0x400 != 0 else { return false }
        let payload = Array(message.payload)
        return payload.indices.contains { payload[$0...].starts(with: Array("veth\0".utf8)) }
      }
    }
  }

  /// Waits until the request has come to the gate.
  func requestAtGate() async {
    await withCheckedContinuation { continuation in
      DispatchQueue(label: "gate").async {
        self.arrival.wait()
        continuation.resume()
      }
    }
  }

  /// Lets it go on.
  func openGate() { opening.signal() }

  fileprivate func pass(_ datagram: [UInt8]) throws(NetworkError) {
    let messages = try NetlinkMessage.parse(datagram[...])
    let isHeld = isAwaited.withLock { predicate in
      guard let isAwaited = predicate, messages.contains(where: isAwaited) else { return false }
      predicate = nil
      return true
    }
    guard isHeld else { return }
    arrival.signal()
    opening.wait()
  }

  func currentNamespace() throws(NetworkError) -> NamespaceHandle { try real.currentNamespace() }
  func makeNamespace() throws(NetworkError) -> NamespaceHandle { try real.makeNamespace() }
  func openNamespace(at path: FilePath) throws(NetworkError) -> NamespaceHandle { try real.openNamespace(at: path) }
  func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    try real.pinNamespace(namespace, at: path)
  }
  func unpinNamespace(at path: FilePath) throws(NetworkError) { try real.unpinNamespace(at: path) }
  func readSysctl(_ name: String, in namespace: NamespaceHandle) throws(NetworkError) -> String {
    try real.readSysctl(name, in: namespace)
  }
  func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    try real.writeSysctl(name, to: value, in: namespace)
  }
  func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    try real.heldPorts(among: bindings, in: namespace)
  }
  func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    try real.reservePorts(bindings, in: namespace)
  }
  func spawn(_ command: Command, in namespace: NamespaceHandle) throws(NetworkError) -> ChildProcess {
    try real.spawn(command, in: namespace)
  }
  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    GatedSocket(try real.openSocket(family, in: namespace), behind: self)
  }
}

private final class GatedSocket: NetlinkSocket {
  private let real: any NetlinkSocket
  private let kernel: GatedKernel

  init(_ real: any NetlinkSocket, behind kernel: GatedKernel) {
    self.real = real
    self.kernel = kernel
  }

  var portID: UInt32 { real.portID }
  func send(_ datagram: [UInt8]) throws(NetworkError) {
    try kernel.pass(datagram)
    try real.send(datagram)
  }
  func receive() throws(NetworkError) -> [UInt8] { try real.receive() }
  func join(group: Int32) throws(NetworkError) { try real.join(group: group) }
  func nextEvent() throws(NetworkError) -> [UInt8]? { try real.nextEvent() }
  func interrupt() { real.interrupt() }
}
