public import NetworkPrimitives

/// The events of networks as they happen, whatever their origin: an asynchronous sequence that ends when the reading
/// task is cancelled.
///
/// Other processes' events on a shared store arrive within ``interval``. None is missed if it is read before a thousand
/// more have come.
public struct NetworkEvents: AsyncSequence, Sendable {
  /// An event and its number.
  public struct Element: Hashable, Sendable {
    /// The position in the store's history; the next event has the next number.
    public var number: UInt64
    /// The event.
    public var event: NetworkEvent
  }

  /// The store's refusal to be read.
  public typealias Failure = NetworkError

  /// The interval of polling the store when there is no new event.
  public static let interval = Duration.milliseconds(50)

  let last: UInt64
  let read: @Sendable (UInt64) async throws(NetworkError) -> [Element]

  /// Reads events from the first one after the last known.
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
  /// The events of networks after a known event, and all later ones.
  ///
  /// - Parameter number: The last known event; 0 for all that the store has.
  public func eventStream(after number: UInt64) -> NetworkEvents {
    NetworkEvents(last: number) { [self] (number) async throws(NetworkError) in
      try await events(after: number).map { NetworkEvents.Element(number: $0.number, event: $0.event) }
    }
  }

  /// The events of networks from this call on; none of them is missed.
  public func eventStream() async throws(NetworkError) -> NetworkEvents {
    eventStream(after: try await events().last?.number ?? 0)
  }
}
