/// Rows of figures, one of each contender; the library is the first.
struct Report {
  let contenders: [String]
  var remarks: [String] = []
  private var rows: [(what: String, values: [Double?], lessIsBetter: Bool)] = []

  init(contenders: [String]) { self.contenders = contenders }

  mutating func add(_ what: String, _ values: [Double?], lessIsBetter: Bool) {
    rows.append((what, values, lessIsBetter))
    print("\(what): \(values.map(Self.text).joined(separator: ", "))")
  }

  /// In Markdown, with how many times better the first is than each other one.
  var table: String {
    var lines = ["| | \(contenders.joined(separator: " | ")) |", "|---|" + contenders.map { _ in "---|" }.joined()]
    for row in rows {
      let cells = row.values.enumerated().map { index, value in
        guard index > 0, let value, let ours = row.values[0], ours > 0, value > 0 else { return Self.text(value) }
        let ratio = row.lessIsBetter ? value / ours : ours / value
        return "\(Self.text(value)) (×\((ratio * 10).rounded() / 10))"
      }
      lines.append("| \(row.what) | \(cells.joined(separator: " | ")) |")
    }
    return (lines + remarks.map { "\n\($0)" }).joined(separator: "\n")
  }

  var json: String {
    let rows = rows.map { row in
      let values = row.values.map { $0.map { "\($0)" } ?? "null" }
      return
        "{\"what\":\"\(row.what)\",\"values\":[\(values.joined(separator: ","))],\"lessIsBetter\":\(row.lessIsBetter)}"
    }
    return """
      {"contenders":[\(contenders.map { "\"\($0)\"" }.joined(separator: ","))],"rows":[
      \(rows.joined(separator: ",\n"))
      ]}

      """
  }

  private static func text(_ value: Double?) -> String {
    guard let value else { return "–" }
    return value < 100 ? "\((value * 10).rounded() / 10)" : "\(Int(value.rounded()))"
  }
}
