import Netlink
import NetworkPrimitives
import Synchronization

/// Whether the host's links may forward in another way than when they were looked at last. The kernel tells of every link that
/// comes, gets an address or is switched; what it has told waits here, and is read without a request.
final class UplinkWatch: Sendable {
  private struct State {
    var socket: (any NetlinkSocket)?
    /// The ports of ours that the kernel has told of, or is about to.
    var ports: Set<Int32> = []
    var isDue = true
  }

  private let state = Mutex(State())
  private let isWanted = Atomic(false)

  /// Requests a check at the end of the verb, if a network whose packets pass the host is not internal: the network of the new
  /// container or port.
  func want(for network: NetworkRecord) {
    if !network.isInternal { isWanted.store(true, ordering: .relaxed) }
  }

  /// - Returns: Whether somebody has wanted it since the last call.
  func takeWanted() -> Bool { isWanted.load(ordering: .relaxed) && isWanted.exchange(false, ordering: .relaxed) }

  /// Notes a port that was made here: that it has come is no news.
  func note(port: Int32) { state.withLock { state in if state.socket != nil { state.ports.insert(port) } } }

  /// Makes the next call of ``isDue(in:)`` return true.
  func markDue() { state.withLock { $0.isDue = true } }

  /// Whether to look, which is so for the first time; then when the kernel has told of anything since the last call, or when it
  /// cannot tell.
  func isDue(in host: NetworkNamespace) -> Bool {
    state.withLock { state in
      do throws(NetworkError) {
        let socket: any NetlinkSocket
        if let known = state.socket { socket = known } else { socket = try Self.open(in: host) }
        state.socket = socket
        while !state.isDue, let datagram = try socket.takeEvent() {
          for message in try NetlinkMessage.parse(datagram[...]) {
            if let link = try Self.link(in: message), !state.ports.contains(link) { state.isDue = true }
          }
        }
        if state.isDue { try socket.drain() }
        // The kernel's events of these ports came before they were noted, and are read by now.
        state.ports.removeAll(keepingCapacity: true)
      } catch {
        state.socket = nil
        state.isDue = true
      }
      defer { state.isDue = false }
      return state.isDue
    }
  }

  private static func open(in host: NetworkNamespace) throws(NetworkError) -> any NetlinkSocket {
    let socket = try host.kernel.openSocket(.route, in: host.handle)
    for group in ForwardingChange.groups + NetworkChange.Kinds.addresses.groups { try socket.join(group: group) }
    return socket
  }

  /// The link that a message is about; nil for one that takes away.
  private static func link(in message: NetlinkMessage) throws(NetworkError) -> Int32? {
    if let change = try ForwardingChange(message) { return change.link }
    if case .addressAdded(let address) = try NetworkChange(message) { return address.link }
    return nil
  }
}
