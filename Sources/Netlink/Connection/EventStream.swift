public import NetworkPrimitives
import SystemPackage

/// The kernel's notifications of changes in a namespace, as an asynchronous sequence over a socket of its own.
///
/// The subscription is active when the initializer returns: no later change is missed. A dedicated thread waits for the
/// kernel. Iterate it once. The stream and its thread end when the iterator is released, when the iterating task is
/// cancelled, by ``finish()``, or with the last reference.
public struct EventStream<Event: Sendable>: AsyncSequence, Sendable {
  /// An event.
  public typealias Element = Event
  /// The kernel's refusal to go on.
  public typealias Failure = NetworkError

  /// The number of pending events beyond which they are dropped for a notice of loss.
  public static var defaultCapacity: Int { 4096 }

  private let subscription: Subscription<Event>

  /// Joins groups of a socket and starts to read.
  ///
  /// - Parameters:
  ///   - socket: A socket with no other user.
  ///   - groups: Multicast groups (`RTNLGRP_*`, `NFNLGRP_*`).
  ///   - capacity: The maximum number of pending events.
  ///   - lost: The event that reports dropped events, whether the kernel or a slow reader caused it.
  ///   - read: Converts a message to events; empty for a message without interest.
  /// - Throws: The kernel's refusal of a group, or of a thread.
  public init(
    of socket: any NetlinkSocket, groups: [Int32], capacity: Int = Self.defaultCapacity, lost: Event,
    read: @escaping @Sendable (NetlinkMessage) throws(NetworkError) -> [Event]
  ) throws(NetworkError) {
    for group in groups { try socket.join(group: group) }
    let buffer = EventBuffer(capacity: Swift.max(1, capacity), lost: lost)
    subscription = Subscription(socket: socket, buffer: buffer)
    let hexadecimal = String(socket.portID, radix: 16)
    try Thread.start("cn-ev-\(hexadecimal)") { Self.pump(socket, into: buffer, read) }
  }

  /// Ends the stream: iteration stops at once, and the thread with it.
  public func finish() { subscription.finish() }

  /// Fetches events.
  public func makeAsyncIterator() -> Iterator { Iterator(ending: subscription) }

  /// Fetches the events of an ``EventStream``, which ends with it.
  public struct Iterator: AsyncIteratorProtocol {
    private let ending: Ending

    private final class Ending: Sendable {
      let subscription: Subscription<Event>
      init(_ subscription: Subscription<Event>) { self.subscription = subscription }
      deinit { subscription.finish() }
    }

    fileprivate init(ending subscription: Subscription<Event>) { ending = Ending(subscription) }

    /// The next event, or nil after the end.
    ///
    /// - Throws: The kernel's refusal that ended the stream, once.
    public mutating func next() async throws(NetworkError) -> Event? {
      try await next(isolation: nil)
    }

    /// The next event, or nil after the end.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(NetworkError) -> Event? {
      let subscription = ending.subscription
      let answer = await withTaskCancellationHandler {
        await subscription.buffer.next()
      } onCancel: {
        subscription.finish()
      }
      return try answer.get()
    }
  }

  /// The thread's body: reads until interrupted or refused by the kernel.
  private static func pump(
    _ socket: any NetlinkSocket, into buffer: EventBuffer<Event>,
    _ read: (NetlinkMessage) throws(NetworkError) -> [Event]
  ) {
    while true {
      do throws(NetworkError) {
        guard let datagram = try socket.nextEvent() else { return buffer.finish() }
        for message in try NetlinkMessage.parse(datagram[...]) {
          for event in try read(message) { buffer.append(event) }
        }
      } catch {
        switch (error.code, error.kernel?.errno) {
        case (_, .noBufferSpace?):
          // Datagrams still in the socket are older than the dropped ones; reported after them, they would be wrong.
          do throws(NetworkError) { try socket.drain() } catch { return buffer.finish(error) }
          buffer.overrun()
        case (.malformedMessage, _):
          // An unreadable message counts as a lost one.
          buffer.overrun()
        default: return buffer.finish(error)
        }
      }
    }
  }
}

/// The socket and the buffer of a stream; the last reference ends both.
private final class Subscription<Event: Sendable>: Sendable {
  let buffer: EventBuffer<Event>
  private let socket: any NetlinkSocket

  init(socket: any NetlinkSocket, buffer: EventBuffer<Event>) {
    self.socket = socket
    self.buffer = buffer
  }

  func finish() {
    buffer.finish()
    socket.interrupt()
  }

  deinit { finish() }
}
