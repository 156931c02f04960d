public import NetworkPrimitives
import SystemPackage

/// What the kernel tells of a namespace as it happens: an asynchronous sequence over a socket of its own.
///
/// It is subscribed when the call that made it returns: what happens after that is not missed. A thread of its own waits
/// for the kernel. Iterate it once: it ends, and the thread with it, when the iterator goes, when the iterating task is
/// cancelled, by ``finish()``, or when nothing refers to it any more.
public struct EventStream<Event: Sendable>: AsyncSequence, Sendable {
  /// An event.
  public typealias Element = Event
  /// The kernel's refusal to go on.
  public typealias Failure = NetworkError

  /// How many events wait for the reader before they are dropped for word that some were lost.
  public static var defaultCapacity: Int { 4096 }

  private let subscription: Subscription<Event>

  /// Joins groups of a socket and starts to read.
  ///
  /// - Parameters:
  ///   - socket: A socket that nobody else uses.
  ///   - groups: Multicast groups (`RTNLGRP_*`, `NFNLGRP_*`).
  ///   - capacity: How many events may wait for the reader.
  ///   - lost: What is said where the kernel or a slow reader dropped events.
  ///   - read: The events of a message; none for one that is not of interest.
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

  /// Ends it: iteration ends at once, and the thread with it.
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
    /// - Throws: What the kernel refused to go on with, once.
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

  /// What the thread does: it reads until it is interrupted or the kernel refuses.
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
          // What still waits in the socket is older than what was dropped: told after it, it would be a lie.
          do throws(NetworkError) { try socket.drain() } catch { return buffer.finish(error) }
          buffer.overrun()
        case (.malformedMessage, _):
          // A message that cannot be read is one that was lost.
          buffer.overrun()
        default: return buffer.finish(error)
        }
      }
    }
  }
}

/// The socket and the buffer of a stream; the last reference to it ends both.
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
