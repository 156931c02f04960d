extension Tables {
  /// What was aimed at, and what came of it in this run.
  var targets: String {
    var table = Table(["", "aimed at", "measured", ""])
    for target in goals {
      let isMet = target.value.map { target.isAtLeast ? $0 >= target.limit : $0 <= target.limit }
      table.add([
        target.name, "\(target.isAtLeast ? "≥" : "≤") \(Self.short(target.limit))\(target.unit)",
        target.value.map { Cell.ratio($0) + target.unit } ?? "not measured",
        isMet.map { $0 ? "met" : "not met" } ?? "",
      ])
    }
    return table.text
  }

  private static func short(_ value: Double) -> String {
    value == value.rounded() ? Cell.grouped(Int(value)) : "\(value)"
  }

  private struct Goal {
    let name: String
    let limit: Double
    var isAtLeast = false
    var unit = " ×"
    let value: Double?
  }

  private var goals: [Goal] {
    var goals: [Goal] = []
    let turn = { (what: Quantity, size: Int, records: Records) in
      results.ratio(what, .library, to: .floor, at: size, records: records)
    }
    for size in results.sizes(of: .ready) {
      for records in Records.allCases where results[.ready, .library, at: size, records: records] != nil {
        let place = "records in \(records.rawValue), beside \(Cell.grouped(size))"
        goals.append(Goal(name: "attach to the floor's, \(place)", limit: 1.3, value: turn(.ready, size, records)))
        goals.append(
          Goal(
            name: "attach to the floor's in processor time, \(place)", limit: 1.15,
            value: turn(.readyProcessor, size, records)))
        goals.append(
          Goal(
            name: "the same, on the controller's threads, \(place)", limit: 1.3,
            value: turn(.readyOnThreads, size, records)))
        goals.append(
          Goal(name: "hand-over to the floor's, \(place)", limit: 2, value: turn(.handOver, size, records)))
        goals.append(
          Goal(
            name: "a cold attach to a hand-over, \(place)", limit: 10, isAtLeast: true,
            value: quotient(
              results[.cold, .library, at: size, records: records],
              results[.handOver, .library, at: size, records: records])))
      }
    }
    goals.append(
      Goal(
        name: "growth of an attach from none beside it to 1,000, to the growth of the floor's", limit: 1.1,
        value: quotient(growth(.library, .attach, 0, 1_000), growth(.floor, .attach, 0, 1_000))))
    for (who, size, limit) in [
      (Contestant.netavark, 1, 50.0), (.cni, 1, 120), (.docker, 1, 25), (.netavark, 500, 130), (.cni, 500, 230),
    ] {
      for (ours, name) in [(Contestant.library, "ours"), (.handOver, "our hand-over"), (.floor, "the floor's own")] {
        goals.append(
          Goal(
            name: "\(who.rawValue)'s attach to \(name), beside \(size)", limit: limit, isAtLeast: true,
            value: results.ratio(.attach, who, to: ours, at: size)))
      }
    }
    goals.append(
      Goal(
        name: "rules of 1,000 back, above the same bytes by C", limit: 50, unit: " ms",
        value: results[.restore, .library, at: 1_000].flatMap { ours in
          results[.restore, .floor, at: 1_000].map { (ours.median - $0.median) / 1_000 }
        }))
    goals.append(
      Goal(
        name: "connect(2) with 10,000 ports to that with one", limit: 1.1, value: growth(.library, .connect, 1, 10_000))
    )
    goals.append(
      Goal(
        name: "the same without translation, which is the machine's share", limit: 1.1,
        value: growth(.ownAddress, .connect, 1, 10_000)))
    goals.append(
      Goal(
        name: "state of 10,000 endpoints opened", limit: 10, unit: " ms",
        value: results[.open, .library, at: 10_000].map { $0.median / 1_000 }))
    return goals
  }

  private func growth(_ who: Contestant, _ what: Quantity, _ few: Int, _ many: Int) -> Double? {
    quotient(results[what, who, at: many], results[what, who, at: few])
  }

  private func quotient(_ one: Measurement?, _ other: Measurement?) -> Double? {
    quotient(one?.median, other?.median)
  }

  private func quotient(_ one: Double?, _ other: Double?) -> Double? {
    guard let one, let other, other > 0 else { return nil }
    return one / other
  }
}
