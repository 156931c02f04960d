import Glibc

/// Bars of the medians of attaches on a logarithmic scale: a group for each count of containers, a bar for each contender.
/// Readable on light and on dark ground: it follows `prefers-color-scheme`.
public struct Chart: Sendable {
  private let groups: [(size: Int, bars: [Measurement])]
  private let names: [Contestant]
  private let decades: ClosedRange<Double>

  private static let left = 78.0
  private static let barHeight = 20.0
  private static let gap = 22.0
  private static let plot = 640.0
  private static let width = 860.0

  /// Of the attaches of a run.
  public init(_ results: Results) {
    let attaches = results.measurements.filter { $0.what == .attach && $0.median > 0 }
    names = Contestant.allCases.filter { who in attaches.contains { $0.who == who } }
    groups = Set(attaches.map(\.size)).sorted().map { size in
      (size, attaches.filter { $0.size == size }.sorted { $0.median < $1.median })
    }
    let values = attaches.map(\.median)
    let low = floor(log10(values.min() ?? 100))
    decades = low...max(low + 1, ceil(log10(values.max() ?? 1_000_000)))
  }

  private func x(_ microseconds: Double) -> Double {
    Self.left + Self.plot * (log10(microseconds) - decades.lowerBound) / (decades.upperBound - decades.lowerBound)
  }

  /// The whole picture.
  public var svg: String {
    let legend = legend
    let top = 76.0 + Double(legend.rows) * 20
    var y = top
    var bars = ""
    for (size, list) in groups {
      bars += text(
        Cell.grouped(size), Self.left - 12, y + Double(list.count) * Self.barHeight / 2 + 3, "strong", anchor: "end")
      for one in list {
        let end = max(x(one.median), Self.left + 2)
        bars +=
          "<rect class=\"\(Self.style(one.who))\" x=\"\(Self.left)\" y=\"\(y)\" "
          + "width=\"\(tenths(end - Self.left))\" height=\"\(Self.barHeight - 3)\" rx=\"2\"/>\n"
        bars += text(Self.spoken(one.median), end + 6, y + 13, "small")
        y += Self.barHeight
      }
      y += Self.gap
    }
    let bottom = y - Self.gap + 4
    var grid = ""
    for decade in Int(decades.lowerBound)...Int(decades.upperBound) {
      let place = tenths(x(pow(10, Double(decade))))
      grid += "<line x1=\"\(place)\" y1=\"\(top - 8)\" x2=\"\(place)\" y2=\"\(bottom)\"/>\n"
      grid += text(Self.spoken(pow(10, Double(decade))), place, bottom + 16, "small faint", anchor: "middle")
    }
    let height = bottom + 30
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.width) \(height)" width="\(Self.width)" \
      height="\(height)" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="13">
      <style>
      \(Self.styles)
      </style>
      <rect class="ground" width="100%" height="100%"/>
      \(text("Attach: median, by containers already there (logarithmic)", Self.left, 30, "strong title"))\
      \(legend.text)\(grid)\(bars)</svg>

      """
  }

  /// Names and colors, in as many rows as they need.
  private var legend: (text: String, rows: Int) {
    var (result, position, row) = ("", Self.left, 0)
    for name in names {
      let width = 40 + Double(name.rawValue.count) * 7.4
      if position + width > Self.width, position > Self.left { (position, row) = (Self.left, row + 1) }
      let y = 48 + Double(row) * 20
      result +=
        "<rect class=\"\(Self.style(name))\" x=\"\(tenths(position))\" y=\"\(y)\" width=\"12\" height=\"12\" rx=\"2\"/>\n"
      result += text(name.rawValue, position + 18, y + 11, "")
      position += width
    }
    return (result, row + 1)
  }

  private static func style(_ who: Contestant) -> String { "bar\(Contestant.allCases.firstIndex(of: who) ?? 0)" }

  /// Colors on light ground and on dark ground, of each contestant in order.
  private static let colors = [
    ("#0b7285", "#3bc9db"), ("#3bc9db", "#0b7285"), ("#868e96", "#adb5bd"), ("#e8590c", "#ff922b"),
    ("#5f3dc4", "#9775fa"),
    ("#2b8a3e", "#51cf66"),
  ]

  private static var styles: String {
    func sheet(_ ground: String, _ ink: String, _ faint: String, _ line: String, _ bars: [String]) -> String {
      ".ground{fill:\(ground)} text{fill:\(ink)} .faint{fill:\(faint)} line{stroke:\(line)}"
        + bars.enumerated().map { " .bar\($0.offset){fill:\($0.element)}" }.joined()
    }
    return """
      .strong{font-weight:600} .title{font-size:16px} .small{font-size:12px}
      \(sheet("#ffffff", "#212529", "#495057", "#dee2e6", colors.map(\.0)))
      @media (prefers-color-scheme: dark) { \(sheet("#0d1117", "#e6edf3", "#9198a1", "#3d444d", colors.map(\.1))) }
      """
  }

  private func text(
    _ text: String, _ x: Double, _ y: Double, _ style: String, anchor: String = "start"
  ) -> String {
    let style = style.isEmpty ? "" : " class=\"\(style)\""
    return "<text\(style) x=\"\(tenths(x))\" y=\"\(tenths(y))\" text-anchor=\"\(anchor)\">\(text)</text>\n"
  }

  private func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }

  /// Microseconds as people say them.
  private static func spoken(_ microseconds: Double) -> String {
    switch microseconds {
    case ..<1_000: "\(Int(microseconds.rounded())) µs"
    case ..<10_000: "\((microseconds / 100).rounded() / 10) ms"
    case ..<1_000_000: "\(Int((microseconds / 1_000).rounded())) ms"
    default: "\((microseconds / 100_000).rounded() / 10) s"
    }
  }
}
