import Dispatch
import Synchronization
import SystemPackage

/// What has arrived for a socket and was not read yet.
final class Mailbox: Sendable {
  private let contents = Mutex(Contents())
  private let arrivals = DispatchSemaphore(value: 0)

  private struct Contents {
    var items: [Received] = []
    var isClosed = false
  }

  /// What a socket receives: a datagram, or word that some were dropped.
  enum Received {
    case datagram([UInt8])
    case overrun
    case failure(Errno)
  }

  func put(_ item: Received) {
    contents.withLock { $0.items.append(item) }
    arrivals.signal()
  }

  /// As much as the kernel keeps for a socket that nobody reads.
  private static let eventLimit = 8192

  func put(event: [UInt8]) {
    let isFull = contents.withLock { $0.items.count >= Self.eventLimit }
    isFull ? overrun() : put(.datagram(event))
  }

  /// Notes that an event was dropped: as of the kernel, the error comes before what waits already, and once.
  func overrun() {
    contents.withLock { contents in
      if case .overrun? = contents.items.first { return }
      contents.items.insert(.overrun, at: 0)
    }
    arrivals.signal()
  }

  func drain() { contents.withLock { $0.items = [] } }

  /// The first item, or nil where there is none.
  func takeNow() -> Received? {
    _ = arrivals.wait(timeout: .now())
    return pop()
  }

  /// Waits for an item; nil once the mailbox is closed.
  func take() -> Received? {
    while true {
      // There may be more signals than items: drained ones have left theirs.
      arrivals.wait()
      if contents.withLock({ $0.isClosed }) {
        // For the next caller, who must not wait either.
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
