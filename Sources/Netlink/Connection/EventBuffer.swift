import NetworkPrimitives
import Synchronization

/// Passes events from the reading thread to a task, up to a fixed capacity. On overflow, one notice of loss replaces
/// all of them: a reader that must resynchronize has no use for older events.
final class EventBuffer<Event: Sendable>: Sendable {
  typealias Answer = Result<Event?, NetworkError>

  private struct State {
    var events: [Event] = []
    var head = 0
    var end: Answer?
    var waiting: CheckedContinuation<Answer, Never>?
  }

  private let state = Mutex(State())
  private let capacity: Int
  private let lost: Event

  init(capacity: Int, lost: Event) {
    self.capacity = capacity
    self.lost = lost
  }

  /// The number of pending events.
  var count: Int { state.withLock { $0.events.count - $0.head } }

  /// Adds an event, or hands it to the waiting task.
  func append(_ event: Event) {
    let waiting: CheckedContinuation<Answer, Never>? = state.withLock { state in
      guard state.end == nil else { return nil }
      if let waiting = state.waiting {
        state.waiting = nil
        return waiting
      }
      if state.events.count - state.head >= capacity {
        state.events = [lost]
        state.head = 0
      }
      state.events.append(event)
      return nil
    }
    waiting?.resume(returning: .success(event))
  }

  /// Replaces the pending events with the notice that events were lost.
  func overrun() {
    state.withLock { state in
      state.events = []
      state.head = 0
    }
    append(lost)
  }

  /// Ends the buffer: with an error after the pending events, or without one at once.
  func finish(_ error: NetworkError? = nil) {
    let waiting: CheckedContinuation<Answer, Never>? = state.withLock { state in
      guard state.end == nil else { return nil }
      state.end = error.map { .failure($0) } ?? .success(nil)
      if error == nil {
        state.events = []
        state.head = 0
      }
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume(returning: error.map { .failure($0) } ?? .success(nil))
  }

  /// The next event; nil after the end. For one task at a time: a second gets nil.
  func next() async -> Answer {
    await withCheckedContinuation { continuation in
      let answer: Answer? = state.withLock { state in
        if state.head < state.events.count {
          let event = state.events[state.head]
          state.head += 1
          // Shifts only when half is consumed, so that a fetch costs the same with many events pending.
          if state.head * 2 >= state.events.count {
            state.events.removeFirst(state.head)
            state.head = 0
          }
          return .success(event)
        }
        if let end = state.end {
          state.end = .success(nil)
          return end
        }
        if state.waiting != nil { return .success(nil) }
        state.waiting = continuation
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }
  }
}
