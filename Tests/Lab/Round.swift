import ContainerNetworking
import Dispatch
import Foundation
import Synchronization
import TestSupport

extension World {
  /// Sends many probes at the same time and waits until it is known what became of each.
  ///
  /// "Dropped" is certain: the controls were answered before, and again beside the probes; by the end every place was
  /// running and had taken in all that had arrived, twice, after a grace in which everything was sent anew twice; and no place
  /// heard the probe.
  ///
  /// - Parameters:
  ///   - probes: What to send; at most 800.
  ///   - controls: Probes that must be answered before anything else is sent, and again: one for each link that has just
  ///     come up.
  /// - Throws: `.replyLost` when a control is not answered within 20 s, or an agent ended.
  public func send(_ probes: [Probe], controls: [Probe] = []) async throws -> [Outcome] {
    try await withCheckedThrowingContinuation { continuation in
      // Pipes block: not on a thread of Swift's own.
      DispatchQueue(label: "lab").async {
        continuation.resume(
          with: Result {
            _ = try self.run([], controls)
            return try self.run(probes, controls)
          })
      }
    }
  }

  private func run(_ probes: [Probe], _ controls: [Probe]) throws -> [Outcome] {
    var round = Round(places: places)
    // Before any probe is sent, so that no reception is cleared.
    for place in places { try place.agent.tell("clear") }
    try round.sync()
    let numbers = try (probes + controls).map { probe throws in
      let number = token.withLock {
        $0 = $0 % 900 + 1
        return $0
      }
      guard let place = find(probe.from) else {
        throw NetworkError(.notFound, operation: "send a probe", reason: "no place is called \"\(probe.from)\"")
      }
      try place.agent.tell("probe \(number) \(probe.means.rawValue) \(probe.address) \(probe.port)")
      return number
    }
    let clock = ContinuousClock()
    let start = clock.now
    var lastSent = start
    var sendings = 1
    while true {
      try round.sync()
      let open = numbers.filter { round.results[$0] == nil }
      if open.isEmpty { break }
      let isControlled = !numbers.suffix(controls.count).contains { !round.isAnswered($0) }
      // The grace is for neighbours to be found, which the kernel asks for once a second; the machine's load does not count,
      // since every place is waited for.
      if clock.now - lastSent > .milliseconds(200 * min(sendings, 3)) {
        if sendings > 2, isControlled { break }
        guard clock.now - start < Patience.limit else {
          let failed = zip(controls, numbers.suffix(controls.count)).filter { !round.isAnswered($0.1) }.map(\.0)
          throw NetworkError(.replyLost, operation: "send probes", reason: "no answer to the controls \(failed)")
        }
        for place in places { try place.agent.tell("again") }
        sendings += 1
        lastSent = clock.now
      }
      Thread.sleep(forTimeInterval: 0.01)
    }
    // Once more for servers, and once for their clients.
    try round.sync()
    try round.sync()
    return numbers.prefix(probes.count).map { round.outcome($0) }
  }
}

/// The agents' reports on the probes in flight, by number.
private struct Round {
  let places: [Place]
  var results: [Int: [String]] = [:]
  var heard: [Int: (by: String, seeing: IPAddress?)] = [:]

  init(places: [Place]) { self.places = places }

  mutating func sync() throws {
    for place in places { try place.agent.tell("sync") }
    for place in places {
      let lines = try place.agent.lines(through: "synced")
      try place.agent.expect("synced", of: lines)
      for line in lines.dropLast() {
        let words = line.split(separator: " ").map(String.init)
        guard words.count > 2, let number = Int(words[1]) else { continue }
        switch words[0] {
        case "heard": heard[number] = (place.name, try? IPAddress(words[2]))
        case "result": results[number] = Array(words.dropFirst(2))
        default: break
        }
      }
    }
  }

  func isAnswered(_ number: Int) -> Bool { results[number]?.first == "answered" }

  func outcome(_ number: Int) -> Outcome {
    let heard = heard[number]
    guard let words = results[number] else {
      return heard.map { .unanswered(heardBy: $0.by, seeing: $0.seeing) } ?? .dropped
    }
    switch words.first {
    case "answered" where words.count == 3 && words[1] != "-":
      return .answered(by: words[1], seeing: try? IPAddress(words[2]))
    case "answered": return .answered(by: heard?.by, seeing: heard?.seeing)
    case "reset": return .reset
    case "icmp" where words.count == 4:
      return .unreachable(type: Int(words[1]) ?? -1, code: Int(words[2]) ?? -1, from: words[3])
    default: return .unsent(words.last.flatMap { Int($0) } ?? -1)
    }
  }
}
