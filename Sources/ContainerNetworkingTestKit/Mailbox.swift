import Dispatch
import Synchronization
import SystemPackage

/// The unread datagrams of a socket.
final class Mailbox: Sendable {
  private let contents = Mutex(Contents())
  private let arrivals = DispatchSemaphore(value: 0)

  private struct Contents {
    var items: [Received] = []
    var isClosed = false
  }

  /// An item that a socket receives: a datagram, or a notice that some were dropped.
  enum Received {
    case datagram([UInt8])
    case overrun
    case failure(Errno)
  }

  func put(_ item: Received) {
    contents.withLock { $0.items.append(item) }
    arrivals.signal()
  }

  /// The kernel's limit for a socket that is not read.
  private static let eventLimit = 8192

  func put(event: [UInt8]) {
    let isFull = contents.withLock { $0.items.count >= Self.eventLimit }
    isFull ? overrun() : put(.datagram(event))
  }

  /// Records a dropped event: as in the kernel, the error precedes pending events, and comes once.
  func overrun() {
    contents.withLock { contents in
      if case .overrun? = contents.items.first { return }
      contents.items.insert(.overrun, at: 0)
    }
    arrivals.signal()
  }

  func drain() { contents.withLock { $0.items = [] } }

  /// The first item; nil if empty.
  func takeNow() -> Received? {
    _ = arrivals.wait(timeout: .now())
    return pop()
  }

  /// Waits for an item; nil once the mailbox is closed.
  func take() -> Received? {
    while true {
      // Signals may outnumber items: drained items leave theirs.
      arrivals.wait()
      if contents.withLock({ $0.isClosed }) {
        // For the next caller, which must not wait either.
        arrivals.signal()
        return nil
      }
      if let item = pop() { return item }
    }
  }

  /// Ends the wait of ``take()``, for good.
  func close() {
    contents.withLock { $0.isClosed = true }
    arrivals.signal()
  }

  private func pop() -> Received? {
    contents.withLock { $0.items.isEmpty ? nil : $0.items.removeFirst() }
  }
}
