import ContainerNetworking
import ContainerNetworkingStore
import ContainerNetworkingTestKit
import Glibc
import Synchronization
import SystemPackage

/// Counts the steps of a verb, and ends the process, as `kill -9` does, at one of them.
final class Countdown: Sendable {
  private let steps: Mutex<Int> = Mutex(0)
  private let last: Int

  init(killingAt step: Int) { last = step }

  var count: Int { steps.withLock { $0 } }

  /// A place where the process may end.
  func step() {
    let isLast = steps.withLock { steps in
      steps += 1
      return steps == last
    }
    if isLast { kill(getpid(), SIGKILL) }
  }
}

/// A store whose process may end before and after each of its changes.
final class KillingStore: Store {
  private let real: SQLiteStore
  private let countdown: Countdown

  init(_ real: SQLiteStore, _ countdown: Countdown) {
    self.real = real
    self.countdown = countdown
  }

  var token: String { real.token }
  func isAlive(_ token: String) -> Bool { real.isAlive(token) }
  func read(since revision: UInt64) throws(NetworkError) -> StoreDelta { try real.read(since: revision) }
  func readUnsettled(since revision: UInt64) throws(NetworkError) -> StoreDelta {
    try real.readUnsettled(since: revision)
  }
  func update<Value: Sendable>(
    since revision: UInt64, _ durability: StoreDurability,
    _ body: (StoreDelta) throws(NetworkError) -> (Value, [StoreChange])
  ) throws(NetworkError) -> (Value, UInt64) {
    let result = try real.update(since: revision, durability) { (delta) throws(NetworkError) in
      let result = try body(delta)
      if !result.1.isEmpty { countdown.step() }
      return result
    }
    countdown.step()
    return result
  }
  func exclusively<Value: Sendable>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    try real.exclusively(body)
  }
  func events(after number: UInt64) throws(NetworkError) -> [(number: UInt64, event: NetworkEvent)] {
    try real.events(after: number)
  }
}

/// A service without servers whose process may end before and after each of its calls.
final class KillingNames: NameService {
  private let countdown: Countdown

  init(_ countdown: Countdown) { self.countdown = countdown }

  /// Another program holds the first.
  var gatewayPorts: ClosedRange<UInt16>? { 61_053...61_054 }

  func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    countdown.step()
    if network.nameServerPort == 61_053 { throw NetworkError(.inUse, operation: "listen") }
  }
  func withdraw(_ network: NetworkRecord) { countdown.step() }
  func withdraw(_ sandbox: SandboxRecord) { countdown.step() }
}

/// The real kernel; the process may end before each of its requests.
final class KillingKernel: ForwardingKernel {
  let base: any Kernel = LinuxKernel()
  private let countdown: Countdown

  init(_ countdown: Countdown) { self.countdown = countdown }

  func makeNamespace() throws(NetworkError) -> NamespaceHandle {
    countdown.step()
    return try base.makeNamespace()
  }
  func pinNamespace(_ namespace: NamespaceHandle, at path: FilePath) throws(NetworkError) {
    countdown.step()
    try base.pinNamespace(namespace, at: path)
    countdown.step()
  }
  func unpinNamespace(at path: FilePath) throws(NetworkError) {
    countdown.step()
    try base.unpinNamespace(at: path)
    countdown.step()
  }
  func writeSysctl(_ name: String, to value: String, in namespace: NamespaceHandle) throws(NetworkError) {
    countdown.step()
    try base.writeSysctl(name, to: value, in: namespace)
    countdown.step()
  }
  func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    countdown.step()
    let reservations = try base.reservePorts(bindings, in: namespace)
    countdown.step()
    return reservations
  }
  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    KillingSocket(try base.openSocket(family, in: namespace), family, countdown)
  }
}

/// A socket whose process may end between any two messages of its datagrams: the earlier ones are complete by then. An
/// nftables transaction is one step, because the kernel makes all of it or nothing.
final class KillingSocket: ForwardingSocket {
  let base: any NetlinkSocket
  private let family: NetlinkFamily
  private let countdown: Countdown

  init(_ base: any NetlinkSocket, _ family: NetlinkFamily, _ countdown: Countdown) {
    self.base = base
    self.family = family
    self.countdown = countdown
  }

  func send(_ datagram: [UInt8]) throws(NetworkError) {
    let messages = try NetlinkMessage.parse(datagram[...])
    // RTM_GET*: a read.
    let isLook = family == .route && messages.allSatisfy { $0.type & 3 == 2 }
    guard !isLook else { return try base.send(datagram) }
    guard family == .route else {
      countdown.step()
      try base.send(datagram)
      countdown.step()
      return
    }
    for message in messages {
      countdown.step()
      var one = PayloadWriter()
      message.encode(into: &one)
      try base.send(one.bytes)
    }
    countdown.step()
  }

  func sendAside(_ datagram: [UInt8], whenDone: @escaping @Sendable (NetworkError?) -> Void) {
    countdown.step()
    base.sendAside(datagram, whenDone: whenDone)
  }
}
