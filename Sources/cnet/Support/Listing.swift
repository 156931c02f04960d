import AdapterSupport
import ContainerNetworking

/// The format of a list: `table`, `json` (one object a line), `table TEMPLATE`, or a template for each row.
enum Format {
  case table
  case json
  case template(Template, hasHeader: Bool)

  init(_ text: String) throws(NetworkError) {
    switch text {
    case "table": self = .table
    case "json": self = .json
    case _ where text.hasPrefix("table "):
      self = .template(try Template(String(text.dropFirst("table ".count))), hasHeader: true)
    default: self = .template(try Template(text), hasHeader: false)
    }
  }
}

/// Rows with named fields.
struct Listing {
  /// The fields of the plain table, with their titles; the titles of other fields are their names in capitals.
  let columns: [(title: String, field: String)]
  /// The number of them in the plain table; nil for all.
  var shown: Int?
  let rows: [JSON]

  func print(as format: Format, _ terminal: Terminal) throws {
    switch format {
    case .json: for row in rows { Swift.print(try JSON.line(row)) }
    case .template(let template, false): for row in rows { Swift.print(try template.render(row)) }
    case .template(let template, true):
      let lines = try rows.map { row in try template.render(row) }
      try table(
        template.header(title), lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false) }, terminal)
    case .table:
      let template = try Template(
        columns.prefix(shown ?? columns.count).map { "{{.\($0.field)}}" }.joined(separator: "\t"))
      let lines = try rows.map { row in try template.render(row) }
      try table(
        template.header(title), lines.map { $0.split(separator: "\t", omittingEmptySubsequences: false) }, terminal)
    }
  }

  private func title(_ field: String) -> String {
    columns.first { $0.field == field }?.title ?? field.uppercased()
  }

  private func table(_ header: String, _ lines: [[Substring]], _ terminal: Terminal) throws {
    let all = [header.split(separator: "\t", omittingEmptySubsequences: false)] + lines
    let count = all.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    for (index, line) in all.enumerated() {
      let cells = line.enumerated().map { column, cell in
        column == line.count - 1 ? String(cell) : cell + String(repeating: " ", count: widths[column] - cell.count)
      }
      let text = cells.joined(separator: "   ")
      Swift.print(index == 0 ? terminal.bold(text) : text)
    }
  }
}
