import Glibc

/// Bars of the medians on a logarithmic scale: one group for each count of containers, one bar for each contender.
struct Chart {
  private let groups: [(count: Int, bars: [Measurement])]
  private let names: [String]
  private static let colors = ["#0b7285", "#e8590c", "#5f3dc4", "#868e96", "#2b8a3e"]
  private let left = 70.0
  private let barHeight = 20.0
  private let gap = 26.0
  private let plot = 660.0
  private let width = 860.0

  init(_ measurements: [Measurement]) {
    var names: [String] = []
    for one in measurements where !names.contains(one.contender) { names.append(one.contender) }
    self.names = names
    groups = Set(measurements.map(\.count)).sorted().map { count in
      (count, measurements.filter { $0.count == count }.sorted { $0.medianAttach < $1.medianAttach })
    }
  }

  private var decades: ClosedRange<Double> {
    let values = groups.flatMap { $0.bars.map(\.medianAttach) }
    return floor(log10(values.min() ?? 100))...ceil(log10(values.max() ?? 1_000_000))
  }

  private func x(_ microseconds: Double) -> Double {
    let decades = decades
    return left + plot * (log10(microseconds) - decades.lowerBound) / max(1, decades.upperBound - decades.lowerBound)
  }

  var svg: String {
    let top = 92.0
    var y = top
    var bars = ""
    for (count, list) in groups {
      bars += text("\(count)", left - 12, y + Double(list.count) * barHeight / 2 + 5, anchor: "end", weight: "600")
      for one in list {
        let color = Self.colors[(names.firstIndex(of: one.contender) ?? 0) % Self.colors.count]
        let end = x(one.medianAttach)
        bars +=
          "<rect x=\"\(left)\" y=\"\(y)\" width=\"\(tenths(end - left))\" height=\"\(barHeight - 3)\" "
          + "rx=\"2\" fill=\"\(color)\"/>\n"
        bars += text(Self.spoken(one.medianAttach), end + 6, y + 13, size: 12)
        y += barHeight
      }
      y += gap
    }
    var grid = ""
    let decades = decades
    for decade in Int(decades.lowerBound)...Int(decades.upperBound) {
      let line = x(pow(10, Double(decade)))
      grid +=
        "<line x1=\"\(tenths(line))\" y1=\"\(top - 8)\" x2=\"\(tenths(line))\" y2=\"\(y - gap + 4)\" stroke=\"#dee2e6\"/>\n"
      grid += text(
        Self.spoken(pow(10, Double(decade))), line, y - gap + 20, anchor: "middle", size: 11, color: "#495057")
    }
    var legend = ""
    var position = left
    for (number, name) in names.enumerated() {
      legend +=
        "<rect x=\"\(position)\" y=\"50\" width=\"12\" height=\"12\" rx=\"2\" "
        + "fill=\"\(Self.colors[number % Self.colors.count])\"/>\n"
      legend += text(name, position + 18, 61, size: 13)
      position += 40 + Double(name.count) * 7.4
    }
    let height = y + 16
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
      font-family="DejaVu Sans, Helvetica, Arial, sans-serif">
      <rect width="100%" height="100%" fill="#ffffff"/>
      \(text("Attach with one published port: median, by containers already there (logarithmic)", left, 30, size: 16, weight: "600"))\
      \(legend)\(grid)\(bars)</svg>

      """
  }

  private func text(
    _ text: String, _ x: Double, _ y: Double, anchor: String = "start", size: Int = 14, weight: String = "400",
    color: String = "#212529"
  ) -> String {
    "<text x=\"\(tenths(x))\" y=\"\(tenths(y))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\" font-weight=\"\(weight)\" "
      + "fill=\"\(color)\">\(text)</text>\n"
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
