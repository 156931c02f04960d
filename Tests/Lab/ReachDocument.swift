import Foundation
import Synchronization

/// A page of Markdown with tables of who reaches whom, each under a heading of its own: its contents are the
/// expectations. With `UPDATE_DOCUMENTS` in the environment, the observed results replace them.
public struct ReachDocument: Sendable {
  private let path: URL
  /// Tests run side by side, and each writes its own table.
  private static let writing = Mutex<Void>(())

  /// A page of the documentation, by its file's name.
  public init(_ name: String, beside file: String = #filePath) {
    path = URL(filePath: file).deletingLastPathComponent().appending(path: "../../Documentation/\(name)")
  }

  /// The headings that have a table under them.
  public func headings() throws -> [String] {
    var heading = ""
    var found: [String] = []
    for line in try lines() {
      if line.hasPrefix("#") { heading = Self.title(line) }
      if line.hasPrefix("| from "), found.last != heading { found.append(heading) }
    }
    return found
  }

  /// The combined expectations of all tables' cells.
  public func totals() throws -> SeenTable.Totals {
    var totals = SeenTable.Totals()
    for line in try lines() where line.hasPrefix("| ") {
      let cells = Self.cells(line)
      guard cells.count == ReachTable.columns.count + 2, cells[0] != "from" else { continue }
      for cell in cells.dropFirst(2) where !cell.isEmpty {
        if cell.hasPrefix("as ") {
          totals.answered += 1
        } else if cell == "—" || cell.hasPrefix("arrives") {
          totals.dropped += 1
        } else {
          totals.refused += 1
        }
      }
    }
    return totals
  }

  /// Whether a line of the page is this text; with `UPDATE_DOCUMENTS` it replaces the line with the same beginning.
  public func has(_ text: String, beginning: String) throws -> Bool {
    if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil {
      try Self.writing.withLock { _ in
        let lines = try lines().map { $0.hasPrefix(beginning) ? text : $0 }
        try Data(lines.joined(separator: "\n").utf8).write(to: path)
      }
    }
    return try lines().contains(text)
  }

  /// The differences of the table under a heading from the observed one, a line for each cell.
  public func differences(from seen: SeenTable, under heading: String) throws -> [String] {
    if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil { try write(seen, under: heading) }
    let lines = try lines()
    guard let range = Self.table(under: heading, in: lines) else { return ["there is no table under \"\(heading)\""] }
    let written = lines[range].filter { !$0.hasPrefix("|--") }.map(Self.cells)
    guard written.map({ Array($0.prefix(2)) }) == seen.cells.map({ Array($0.prefix(2)) }) else {
      return ["\"\(heading)\" has other rows than the test; seen is\n\(seen.markdown)"]
    }
    var differences: [String] = []
    for (expected, seen) in zip(written.dropFirst(), seen.cells.dropFirst()) {
      for (column, cell) in seen.enumerated() {
        let text = column < expected.count ? expected[column] : ""
        guard text != cell else { continue }
        differences.append(
          "\(heading): \(seen[0]) → \(seen[1]), \(written[0][column]): expected \"\(text)\", seen \"\(cell)\"")
      }
    }
    return differences
  }

  private func write(_ seen: SeenTable, under heading: String) throws {
    try Self.writing.withLock { _ in
      var lines = try lines()
      if let range = Self.table(under: heading, in: lines) {
        lines.replaceSubrange(range, with: seen.markdown.split(separator: "\n").map(String.init))
      } else {
        lines += ["## \(heading)", "", seen.markdown, ""]
      }
      try Data(lines.joined(separator: "\n").utf8).write(to: path)
    }
  }

  private func lines() throws -> [String] {
    try String(contentsOf: path, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
      .map(String.init)
  }

  private static func title(_ line: String) -> String { String(line.drop { $0 == "#" || $0 == " " }) }

  private static func table(under heading: String, in lines: [String]) -> Range<Int>? {
    guard let start = lines.firstIndex(where: { $0.hasPrefix("#") && title($0) == heading }) else { return nil }
    let rest = lines[(start + 1)...]
    let end = rest.firstIndex { $0.hasPrefix("#") } ?? lines.endIndex
    guard let first = lines[start..<end].firstIndex(where: { $0.hasPrefix("| from ") }) else { return nil }
    let last = lines[first..<end].firstIndex { !$0.hasPrefix("|") } ?? end
    return first..<last
  }

  private static func cells(_ line: String) -> [String] {
    line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
