/// A table in Markdown.
public struct Table: Sendable {
  private var lines: [String]

  /// A table without rows.
  public init(_ columns: [String]) {
    lines = [Self.line(columns), "|" + String(repeating: "---|", count: columns.count)]
  }

  /// Adds a row.
  public mutating func add(_ cells: [String]) { lines.append(Self.line(cells)) }

  /// The whole of it, without an end of line.
  public var text: String { lines.joined(separator: "\n") }

  private static func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
}

/// Numbers as the tables have them.
enum Cell {
  static let none = "–"

  /// 12,345; with a tenth below 100.
  static func number(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    return abs(value) < 100 ? tenths(value) : grouped(Int(value.rounded()))
  }

  /// 12,345
  static func whole(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    return grouped(Int(value.rounded()))
  }

  /// 1.07; 25 from ten on.
  static func ratio(_ value: Double?) -> String {
    guard let value, value.isFinite else { return none }
    return value < 10 ? hundredths(value) : grouped(Int(value.rounded()))
  }

  /// Two, and what they are to each other: 1.66 (1,272 / 766).
  static func comparison(_ one: Double?, _ other: Double?) -> String {
    guard let one, let other, other > 0 else { return none }
    return "\(ratio(one / other)) (\(whole(one)) / \(whole(other)))"
  }

  static func grouped(_ value: Int) -> String {
    var text = ""
    for (place, digit) in "\(value.magnitude)".reversed().enumerated() {
      if place > 0, place.isMultiple(of: 3) { text = "," + text }
      text = "\(digit)" + text
    }
    return (value < 0 ? "-" : "") + text
  }

  private static func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  private static func hundredths(_ value: Double) -> String {
    let text = "\((value * 100).rounded() / 100)"
    return text.split(separator: ".").last?.count == 1 ? text + "0" : text
  }
}
