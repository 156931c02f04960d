import NIOCore
import Netlink
import NetworkPrimitives
import SystemPackage

/// Keeps one sender from filling the queue of a shared socket. While the queue is long, the kernel drops datagrams of
/// senders above their share for a moment, before they are queued.
struct FloodGuard {
  private let socket: SocketDescriptor
  private var reads = 0
  private var datagrams = 0
  private var counts: [IPAddress: Int] = [:]
  private var shutOut: [IPAddress: NIODeadline] = [:]

  /// The duration of a sender's block.
  static let pause = TimeAmount.milliseconds(250)
  /// The number of reads between two checks of the queue.
  private static let readsBetweenLooks = 16
  /// The fill level of a long queue, percent.
  private static let longQueue = 50
  /// A sender of more than one in this many datagrams is flooding.
  private static let share = 4

  init(_ socket: SocketDescriptor) { self.socket = socket }

  /// Counts a datagram.
  mutating func count(_ sender: IPAddress) {
    datagrams += 1
    counts[sender, default: 0] += 1
  }

  /// Notes the end of a read, and checks the queue now and then.
  ///
  /// - Returns: Whether a sender was blocked, to be unblocked after a ``pause``.
  mutating func shutsOut(at now: @autoclosure () -> NIODeadline = .now()) -> Bool {
    reads += 1
    guard reads >= Self.readsBetweenLooks else { return false }
    defer {
      counts.removeAll(keepingCapacity: true)
      (reads, datagrams) = (0, 0)
    }
    guard DatagramSocket.queuePercent(of: socket) > Self.longQueue else { return false }
    let before = shutOut.count
    // Senders already blocked may still have datagrams queued; do not extend their block.
    for (sender, count) in counts
    where shutOut[sender] == nil && count * Self.share > datagrams && shutOut.count < DatagramSocket.shutOutLimit {
      shutOut[sender] = now() + Self.pause
    }
    guard shutOut.count > before else { return false }
    apply()
    return true
  }

  /// Lets those in whose pause is over.
  mutating func letIn(at now: NIODeadline = .now()) {
    let before = shutOut.count
    shutOut = shutOut.filter { $0.value > now }
    if shutOut.count < before { apply() }
  }

  /// If the kernel refuses the filter, the queue may fill up, as of any socket.
  private func apply() { try? DatagramSocket.shutOut(Array(shutOut.keys), from: socket) }
}
