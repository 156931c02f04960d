import NIOCore
import Netlink
import NetworkPrimitives
import SystemPackage

/// Keeps one sender from filling the queue of a socket that others use too. While the queue is long, the kernel drops, for a
/// moment, what those send who send more than their share, before it gets into the queue.
struct FloodGuard {
  private let socket: SocketDescriptor
  private var reads = 0
  private var datagrams = 0
  private var counts: [IPAddress: Int] = [:]
  private var shutOut: [IPAddress: NIODeadline] = [:]

  /// For how long a sender is shut out.
  static let pause = TimeAmount.milliseconds(250)
  /// How many reads there are between two looks at the queue.
  private static let readsBetweenLooks = 16
  /// How full a queue is that is long, percent.
  private static let longQueue = 50
  /// Who sends more than this part of all floods.
  private static let share = 4

  init(_ socket: SocketDescriptor) { self.socket = socket }

  /// Takes note of a datagram.
  mutating func count(_ sender: IPAddress) {
    datagrams += 1
    counts[sender, default: 0] += 1
  }

  /// Takes note that a read is over, and looks at the queue now and then.
  ///
  /// - Returns: Whether somebody was shut out, who is to be let in after a ``pause``.
  mutating func shutsOut(at now: @autoclosure () -> NIODeadline = .now()) -> Bool {
    reads += 1
    guard reads >= Self.readsBetweenLooks else { return false }
    defer {
      counts.removeAll(keepingCapacity: true)
      (reads, datagrams) = (0, 0)
    }
    guard DatagramSocket.queuePercent(of: socket) > Self.longQueue else { return false }
    let before = shutOut.count
    // Of who is shut out already there may be more in the queue: that is no reason to shut it out for longer.
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

  /// A filter that the kernel does not take leaves the queue as it is for any socket: full now and then.
  private func apply() { try? DatagramSocket.shutOut(Array(shutOut.keys), from: socket) }
}
