/// Microseconds of each turn, by who and what.
@MainActor final class Samples {
  private let clock = ContinuousClock()
  private var floor: [String: [Double]] = [:]
  private var library: [String: [Double]] = [:]

  func measure(floor name: String, _ body: () throws -> Void) throws {
    let start = clock.now
    try body()
    floor[name, default: []].append((clock.now - start) / .microseconds(1))
  }

  func measure(library name: String, _ body: @MainActor () async throws -> Void) async throws {
    let start = clock.now
    try await body()
    library[name, default: []].append((clock.now - start) / .microseconds(1))
  }

  /// Forgets what was measured so far.
  func clear() {
    floor = [:]
    library = [:]
  }

  func line(_ name: String) -> String {
    let (floor, library) = (floor[name, default: []].sorted(), library[name, default: []].sorted())
    let numbers = [0.5, 0.99].map { share in
      let (low, high) = (percentile(floor, share), percentile(library, share))
      return
        "\(pad("\(Int(high.rounded()))", 8)) / \(pad("\(Int(low.rounded()))", 8)) = \((high / low * 100).rounded() / 100)"
    }
    return name + String(repeating: " ", count: 16 - name.count) + numbers.joined(separator: "    ")
  }

  private func percentile(_ sorted: [Double], _ share: Double) -> Double {
    sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  private func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
