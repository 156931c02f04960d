import CBenchmarkFloor

/// Microseconds of each turn, of the clock and of the processor, by who and what.
@MainActor final class Samples {
  private struct Turns {
    var elapsed: [Double] = []
    var processor: [Double] = []
  }

  private let clock = ContinuousClock()
  private var floor: [String: Turns] = [:]
  private var library: [String: Turns] = [:]

  func measure(floor name: String, _ body: () throws -> Void) throws {
    let (processor, start) = (floor_processor_time(), clock.now)
    try body()
    let elapsed = clock.now - start
    add(elapsed, floor_processor_time() - processor, to: &floor[name, default: Turns()])
  }

  func measure(library name: String, _ body: @MainActor () async throws -> Void) async throws {
    let (processor, start) = (floor_processor_time(), clock.now)
    try await body()
    let elapsed = clock.now - start
    add(elapsed, floor_processor_time() - processor, to: &library[name, default: Turns()])
  }

  private func add(_ elapsed: Duration, _ processor: Int64, to turns: inout Turns) {
    turns.elapsed.append(elapsed / .microseconds(1))
    turns.processor.append(Double(processor) / 1_000)
  }

  /// Forgets what was measured so far.
  func clear() {
    floor = [:]
    library = [:]
  }

  func line(_ name: String) -> String {
    let (floor, library) = (floor[name, default: Turns()], library[name, default: Turns()])
    let numbers = [
      compare(library.elapsed, floor.elapsed, 0.5), compare(library.elapsed, floor.elapsed, 0.99),
      compare(library.processor, floor.processor, 0.5),
    ]
    return name + String(repeating: " ", count: 16 - name.count) + numbers.joined(separator: "  ")
  }

  private func compare(_ library: [Double], _ floor: [Double], _ share: Double) -> String {
    let (high, low) = (percentile(library.sorted(), share), percentile(floor.sorted(), share))
    let ratio = "\((high / low * 100).rounded() / 100)"
    return pad("\(Int(high.rounded()))", 6) + " / " + pad("\(Int(low.rounded()))", 6) + " = "
      + ratio + String(repeating: " ", count: max(0, 5 - ratio.count))
  }

  private func percentile(_ sorted: [Double], _ share: Double) -> Double {
    sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  private func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
