import BenchmarkKit

/// Microseconds of each turn, of the clock and of the processor, by who and what.
@MainActor final class Samples {
  private struct Key: Hashable {
    let who: Contestant
    let what: Quantity
  }

  private let clock = ContinuousClock()
  private var values: [Key: [Double]] = [:]

  func measure(_ who: Contestant, _ what: Quantity, _ body: @MainActor () async throws -> Void) async throws {
    let (processor, start) = (ProcessorTime.own, clock.now)
    try await body()
    let elapsed = clock.now - start
    let used = ProcessorTime.own - processor
    values[Key(who: who, what: what), default: []].append(elapsed / .microseconds(1))
    if let what = what.processor { values[Key(who: who, what: what), default: []].append(used) }
  }

  /// Forgets what was measured so far.
  func clear() { values = [:] }

  func note(_ notebook: Notebook, beside size: Int, _ records: Records) throws {
    for (key, values) in values.sorted(by: {
      ($0.key.what.rawValue, $0.key.who.rawValue) < ($1.key.what.rawValue, $1.key.who.rawValue)
    }) {
      try notebook.note(key.what, of: key.who, at: size, records: records, values)
    }
  }
}
