public import NetworkPrimitives

/// What happens to networks, as it happens, whoever does it: an asynchronous sequence that ends when the task that reads
/// it is cancelled.
///
/// What other processes do to a shared store is told within ``interval``; nothing is missed, as long as it is read before a
/// thousand more have come.
public struct NetworkEvents: AsyncSequence, Sendable {
  /// An event and its number.
  public struct Element: Hashable, Sendable {
    /// Its place in the store's history; the next has the next number.
    public var number: UInt64
    /// What happened.
    public var event: NetworkEvent
  }

  /// The store's refusal to be read.
  public typealias Failure = NetworkError

  /// How often a store is asked when nothing is new.
  public static let interval = Duration.milliseconds(50)

  let last: UInt64
  let read: @Sendable (UInt64) async throws(NetworkError) -> [Element]

  /// Reads events from the first one after the one that is known.
  public func makeAsyncIterator() -> Iterator { Iterator(last: last, read: read) }

  /// Reads events.
  public struct Iterator: AsyncIteratorProtocol {
    var last: UInt64
    let read: @Sendable (UInt64) async throws(NetworkError) -> [Element]
    private var waiting: ArraySlice<Element> = []

    init(last: UInt64, read: @escaping @Sendable (UInt64) async throws(NetworkError) -> [Element]) {
      self.last = last
      self.read = read
    }

    /// The next event; nil once the task is cancelled.
    public mutating func next() async throws(NetworkError) -> Element? { try await next(isolation: nil) }

    /// The next event; nil once the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(NetworkError) -> Element? {
      while !Task.isCancelled {
        if let next = waiting.popFirst() {
          last = next.number
          return next
        }
        waiting = try await read(last)[...]
        if waiting.isEmpty { try? await Task.sleep(for: NetworkEvents.interval) }
      }
      return nil
    }
  }
}

extension NetworkController {
  /// What happens to networks after an event that is known, and from then on.
  ///
  /// - Parameter number: The last one that is known; 0 for all that the store has.
  public func eventStream(after number: UInt64) -> NetworkEvents {
    NetworkEvents(last: number) { [self] (number) async throws(NetworkError) in
      try await events(after: number).map { NetworkEvents.Element(number: $0.number, event: $0.event) }
    }
  }

  /// What happens to networks from now on; what happens after this call is not missed.
  public func eventStream() async throws(NetworkError) -> NetworkEvents {
    eventStream(after: try await events().last?.number ?? 0)
  }
}
