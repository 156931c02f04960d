/// The tables of the document, made of one run. Each is a part of Documentation/Performance.md, by its name there.
public struct Tables: Sendable {
  let results: Results

  /// Those of a run.
  public init(_ results: Results) { self.results = results }

  /// Every part, in the order of the document.
  public var parts: [(name: String, text: String)] {
    [
      ("machine", machine), ("targets", targets), ("floor", floor), ("peers", peers), ("networks", networks),
      ("holdings", holdings), ("connections", connections), ("elements", elements), ("state", state),
    ]
  }

  private var machine: String {
    let rounds = results[.attach, .library, at: 0].map { ", \($0.count) attaches of the library at each count" } ?? ""
    return (["A run on \(results.machine.description.dropLast())\(rounds)."] + results.remarks).joined(
      separator: "\n\n")
  }

  // MARK: - The library and the floor in turns

  private static let turns: [(String, Quantity)] = [
    ("attach, ready", .ready), ("the same, on the controller's threads", .readyOnThreads), ("attach, cold", .cold),
    ("hand-over", .handOver), ("detach", .removal),
  ]

  private var floor: String {
    var table = Table([
      "records", "beside", "", "median, library / floor (µs)", "99th percentile (µs)", "processor time (µs)",
    ])
    for records in Records.allCases {
      for size in results.sizes(of: .ready) {
        for (name, what) in Self.turns {
          guard let ours = results[what, .library, at: size, records: records],
            let theirs = results[what.ofFloor, .floor, at: size, records: records], let processor = what.processor
          else { continue }
          table.add([
            "\(records.rawValue)", Cell.grouped(size), name, Cell.comparison(ours.median, theirs.median),
            Cell.comparison(ours.p99, theirs.p99),
            Cell.comparison(
              results[processor, .library, at: size, records: records]?.median,
              results[processor.ofFloor, .floor, at: size, records: records]?.median),
          ])
        }
      }
    }
    var many = Table(["records", "50 cold attaches at once, each µs", "one by one, each µs"])
    for records in Records.allCases {
      guard let together = results[.manyAtOnce, .library, at: 50, records: records],
        let alone = results[.manyOneByOne, .library, at: 50, records: records]
      else { continue }
      many.add([records.rawValue, Cell.whole(together.median), Cell.whole(alone.median)])
    }
    return table.text + "\n\n" + many.text
  }

  // MARK: - Everybody

  /// Who was measured so, the fastest first.
  private func ranking(_ what: Quantity, at size: Int) -> [Measurement] {
    results.measurements.filter { $0.what == what && $0.size == size }.sorted { $0.median < $1.median }
  }

  private var peers: String {
    var table = Table([
      "beside", "who", "attach, median µs", "× ours", "99th pct.", "detach, median µs", "× ours", "99th pct.",
      "processor µs per attach", "rounds",
    ])
    for size in results.sizes(of: .attach) {
      for attach in ranking(.attach, at: size) {
        let who = attach.who
        let detach = results[.detach, who, at: size]
        let times = { (what: Quantity) in
          who == .library ? "" : Cell.ratio(results.ratio(what, who, to: .library, at: size))
        }
        table.add([
          Cell.grouped(size), who.rawValue, Cell.whole(attach.median), times(.attach), Cell.whole(attach.p99),
          Cell.whole(detach?.median), times(.detach), Cell.whole(detach?.p99),
          Cell.whole(results[.attachProcessor, who, at: size]?.median), "\(attach.count)",
        ])
      }
    }
    return table.text
  }

  private var networks: String {
    var table = Table([
      "who", "create a network, µs", "remove it, µs", "8 attaches, one after the other, each µs",
      "8 at the same time, each µs",
    ])
    for who in Contestant.allCases {
      let cells = [Quantity.createNetwork, .removeNetwork, .eightOneByOne, .eightAtOnce].map { what in
        Cell.whole(results.measurements.first { $0.what == what && $0.who == who }?.median)
      }
      if cells.contains(where: { $0 != Cell.none }) { table.add([who.rawValue] + cells) }
    }
    return table.text
  }

  private var holdings: String {
    var table = Table(["who", "containers", "kB held for each", "descriptors held for each", "peak, MB"])
    for who in Contestant.allCases {
      guard let peak = results.measurements.last(where: { $0.what == .peakMemory && $0.who == who }) else { continue }
      table.add([
        who.rawValue, Cell.grouped(peak.size),
        Cell.number(results[.bytesHeld, who, at: peak.size].map { $0.median / 1_000 }),
        Cell.number(results[.descriptorsHeld, who, at: peak.size]?.median), Cell.number(peak.median / 1_000_000),
      ])
    }
    return table.text
  }

  // MARK: - Published ports

  private var connections: String {
    var table = Table([
      "ports", "by way of", "connections per second", "connect(2), median µs", "99th pct.", "one connection, MB/s",
    ])
    for size in results.sizes(of: .connect) {
      for connect in ranking(.connect, at: size) {
        table.add([
          Cell.grouped(size), connect.who.rawValue, Cell.whole(results[.connectRate, connect.who, at: size]?.median),
          Cell.number(connect.median), Cell.number(connect.p99),
          Cell.whole(results[.throughput, connect.who, at: size]?.median),
        ])
      }
    }
    return table.text
  }

  private var elements: String {
    var table = Table(["ports", "element added and removed, library, µs", "bytes by C, µs"])
    for size in results.sizes(of: .element) {
      table.add([
        Cell.grouped(size), Cell.number(results[.element, .library, at: size]?.median),
        Cell.number(results[.element, .floor, at: size]?.median),
      ])
    }
    return table.text
  }

  // MARK: - What was written down

  private static let states: [(String, Quantity)] = [
    ("rules put back after a flush, by a look at rules alone; the bytes of the one transaction", .restore),
    ("by a look at all that the kernel has, and another after it", .restoreAll), ("such a look alone", .look),
    ("state opened by a controller", .open), ("and asked for one container", .openAndFind),
    ("every record read; every row by SQLite's C API", .readAll),
    ("`cnet --help`, from its start to its end", .toolHelp), ("`cnet network ls`", .toolNetworks),
    ("`cnet ps -q`", .toolContainers), ("a look whether anything was changed", .readNothing),
    ("one endpoint changed, to survive the process", .update), ("to survive a power cut", .updateDurably),
  ]

  private var state: String {
    var table = Table(["", "endpoints", "library, median µs", "99th pct.", "C, median µs"])
    for (name, what) in Self.states {
      for size in results.sizes(of: what) {
        let ours = results[what, .library, at: size]
        table.add([
          name, Cell.grouped(size), Cell.number(ours?.median), Cell.number(ours?.p99),
          Cell.number(results[what, .floor, at: size]?.median),
        ])
      }
    }
    return table.text
  }
}
