import BenchmarkKit

/// Microseconds of each turn, of the clock and of the processor, by who and what.
@MainActor final class Samples {
  private struct Key: Hashable {
    let who: Contestant
    let what: Quantity
  }

  /// Microseconds of one turn.
  struct Sample {
    var elapsed: Double
    var processor: Double

    /// Where it is called, so that no turn of threads comes between.
    nonisolated(nonsending) static func take<Value>(
      _ body: nonisolated(nonsending) () async throws -> Value
    ) async throws -> Sample {
      let (processor, start) = (ProcessorTime.own, ContinuousClock.now)
      _ = try await body()
      let elapsed = ContinuousClock.now - start
      return Sample(elapsed: elapsed / .microseconds(1), processor: ProcessorTime.own - processor)
    }
  }

  private var values: [Key: [Double]] = [:]

  func measure(_ who: Contestant, _ what: Quantity, _ body: @MainActor () async throws -> Void) async throws {
    let (processor, start) = (ProcessorTime.own, ContinuousClock.now)
    try await body()
    let elapsed = ContinuousClock.now - start
    note(Sample(elapsed: elapsed / .microseconds(1), processor: ProcessorTime.own - processor), who, what)
  }

  func note(_ sample: Sample, _ who: Contestant, _ what: Quantity) {
    values[Key(who: who, what: what), default: []].append(sample.elapsed)
    if let what = what.processor { values[Key(who: who, what: what), default: []].append(sample.processor) }
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
