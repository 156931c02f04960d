public import ContainerNetworking

/// Reachability as a table: a row from one place to another, a column for each protocol of each family.
public struct ReachTable: Sendable {
  /// One direction.
  public struct Row: Sendable {
    /// The place that the probes start at.
    public var from: String
    /// Their destination, in words.
    public var to: String
    /// The place that is to answer.
    public var target: String
    /// Where it is, one address of a family; a family without one is not asked.
    public var addresses: [IPAddress]
    /// The port that connections and datagrams are sent to.
    public var port: UInt16
    /// Whether echo requests are sent too: not for tests of a port.
    public var pings: Bool

    /// Makes a row.
    public init(
      _ from: String, _ to: String, at target: String, _ addresses: [IPAddress], port: UInt16, pings: Bool = false
    ) {
      self.from = from
      self.to = to
      self.target = target
      self.addresses = addresses
      self.port = port
      self.pings = pings
    }
  }

  /// The rows.
  public var rows: [Row]
  /// The names of addresses in cells.
  public var names: [IPAddress: String]

  /// Makes a table.
  public init(rows: [Row], names: [IPAddress: String]) {
    self.rows = rows
    self.names = names
  }

  /// The columns after the names of the row.
  public static let columns = AddressFamily.allCases.flatMap { family in
    Probe.Means.allCases.map { means in (family: family, means: means) }
  }

  private static let heading =
    ["from", "to"] + columns.map { "\($0.means.rawValue.uppercased()) by \($0.family)" }

  /// What is seen: a line of Markdown for each row, under two of heading.
  ///
  /// - Parameters:
  ///   - world: Where the probes are sent, all at once.
  ///   - controls: See ``World/send(_:controls:)``.
  public func seen(in world: World, controls: [Probe]) async throws -> SeenTable {
    var probes: [Probe] = []
    var cells: [(row: Int, column: Int)] = []
    for (index, row) in rows.enumerated() {
      for (column, (family, means)) in Self.columns.enumerated() where means != .icmp || row.pings {
        guard let address = row.addresses.first(where: { $0.family == family }) else { continue }
        probes.append(Probe(from: row.from, to: address, port: row.port, by: means))
        cells.append((index, column))
      }
    }
    let outcomes = try await world.send(probes, controls: controls)
    var seen = rows.map { row in [row.from, row.to] + Self.columns.map { _ in "" } }
    var totals = SeenTable.Totals()
    for (cell, outcome) in zip(cells, outcomes) {
      seen[cell.row][cell.column + 2] = text(outcome, of: rows[cell.row])
      totals.count(outcome)
    }
    return SeenTable(cells: [Self.heading] + seen, totals: totals)
  }

  private func name(_ address: IPAddress?) -> String { address.map { names[$0] ?? "\($0)" } ?? "somebody" }

  private func isOwn(_ address: String, _ row: Row) -> Bool { (try? IPAddress(address)).map(name) == row.from }

  /// A cell.
  private func text(_ outcome: Outcome, of row: Row) -> String {
    switch outcome {
    case .answered(let by, let seeing):
      by == row.target ? "as \(name(seeing))" : "as \(name(seeing)), by \(by ?? "a stranger")"
    case .reset: "reset"
    case .unreachable(3, 3, _), .unreachable(1, 4, _): "port unreachable"
    case .unreachable(3, 0, _), .unreachable(1, 0, _): "net unreachable"
    // The place's own kernel, after three seconds of neighbour resolution.
    case .unreachable(3, 1, let from) where isOwn(from, row), .unreachable(1, 3, let from) where isOwn(from, row): "—"
    case .unreachable(let type, let code, let from): "ICMP \(type)/\(code) from \(from)"
    case .dropped: "—"
    case .unanswered: "arrives, unanswered"
    case .unsent(101): "no route"
    case .unsent(let number): "errno \(number)"
    }
  }
}

/// A table with the observed results.
public struct SeenTable: Sendable {
  /// The number of each result.
  public struct Totals: Sendable {
    /// Answered.
    public var answered = 0
    /// A reset, an ICMP error, or no route to send it by.
    public var refused = 0
    /// No answer.
    public var dropped = 0

    /// Makes totals of nothing.
    public init() {}

    mutating func count(_ outcome: Outcome) {
      switch outcome {
      case .answered: answered += 1
      case .reset, .unreachable, .unsent: refused += 1
      case .dropped, .unanswered: dropped += 1
      }
    }

    /// The sum.
    public static func + (left: Totals, right: Totals) -> Totals {
      var sum = left
      sum.answered += right.answered
      sum.refused += right.refused
      sum.dropped += right.dropped
      return sum
    }

    /// As in `12 answered, 3 refused, 4 dropped`.
    public var text: String { "\(answered) answered, \(refused) refused, \(dropped) dropped" }
  }

  /// The heading, and a line for each row.
  public var cells: [[String]]
  /// The number of each result.
  public var totals: Totals

  /// As Markdown, columns aligned.
  public var markdown: String {
    let widths = cells[0].indices.map { column in max(3, cells.map { $0[column].count }.max() ?? 0) }
    let line = { (row: [String]) in
      "| " + zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: " | ") + " |"
    }
    let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
    return ([line(cells[0]), rule] + cells.dropFirst().map(line)).joined(separator: "\n")
  }
}
