import NetworkPrimitives

extension NetworkGraph {
  /// The graph as a picture, SVG 1.1: fixed text sizes, light background, no external resources.
  ///
  /// - Parameter path: A path to mark in it, step by step; the steps are listed below the picture.
  public func svg(marking path: Path? = nil) -> String { GraphPicture(self, path).text }
}

/// Draws a ``GraphLayout``.
private struct GraphPicture {
  private typealias Layout = GraphLayout
  private let layout: Layout
  private let graph: NetworkGraph
  private var lines: [String] = []
  var text: String { lines.joined(separator: "\n") + "\n" }

  init(_ graph: NetworkGraph, _ path: NetworkGraph.Path?) {
    self.graph = graph
    layout = Layout(graph, path)
    add(
      """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(layout.width)" height="\(layout.height)" \
      viewBox="0 0 \(layout.width) \(layout.height)" role="img">
      """)
    add("<title>\(Self.escaped(path?.title ?? "The host's container networks"))</title>")
    add(Self.style)
    add("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>")
    drawHost()
    drawLines()
    if let path { mark(path) }
    drawUplinks()
    for panel in layout.panels { drawCards(of: panel) }
    if let path { number(path) }
    add("</svg>")
  }

  private static let style = """
    <style>
    text { font-family: 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; fill: #0f172a }
    .title { font-size: 15px; font-weight: bold }
    .plain, .faint, .port { font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace; font-size: 13px }
    .faint { fill: #64748b } .port { fill: #15803d; font-weight: bold } .note { font-size: 13px; fill: #6d28d9 }
    .small { font-size: 11px; fill: #64748b; font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace }
    .line { fill: none; stroke: #94a3b8; stroke-width: 2 }
    .path { fill: none; stroke: #ea580c; stroke-width: 5; stroke-linejoin: round; stroke-linecap: round; opacity: 0.85 }
    .step { fill: #ea580c; stroke: #ffffff; stroke-width: 2 } .number { font-size: 13px; font-weight: bold; fill: #ffffff }
    </style>
    """

  // MARK: - Parts

  private mutating func drawHost() {
    box(layout.outside, fill: "#e0f2fe", stroke: "#0284c7", radius: 20)
    write("outside", "title", layout.outside.x + 18, layout.outside.y + 26)
    box(layout.hostBox, fill: "#f8fafc", stroke: "#64748b", radius: 12)
    write("host", "title", layout.hostBox.x + 14, layout.hostBox.y + 23)
    box(layout.router, fill: "#e2e8f0", stroke: "#475569", radius: 6)
    write("routing, firewall, address translation", "title", layout.router.x + 30, layout.router.y + 25)
    if graph.networks.isEmpty {
      write("no networks", "note", layout.router.x + 30, layout.router.bottom + 16)
    }
  }

  private mutating func drawLines() {
    for (_, box, _) in layout.uplinks {
      line([.init(box.middle, box.bottom), .init(box.middle, layout.router.y)])
      line([.init(box.middle, layout.outside.bottom), .init(box.middle, box.y)])
    }
    for panel in layout.panels {
      if let place = panel.place, panel.joint != nil {
        line(layout.line(up: place), isDashed: panel.isInternal)
      }
      drawPanel(panel)
      for card in panel.cards {
        guard case .network(let network)? = panel.place else { continue }
        line(layout.line(up: card.place, beside: network))
      }
    }
  }

  private mutating func drawPanel(_ panel: Layout.Panel) {
    let isNetwork = panel.place != nil
    let (fill, stroke) =
      !isNetwork ? ("#f1f5f9", "#94a3b8") : panel.isInternal ? ("#fef3c7", "#b45309") : ("#dbeafe", "#2563eb")
    box(panel.box, fill: "#ffffff", stroke: stroke, radius: 8, isDashed: panel.isInternal)
    let header = Layout.Box(x: panel.box.x, y: panel.box.y, width: panel.box.width, height: panel.headerHeight)
    box(header, fill: fill, stroke: stroke, radius: 8, isDashed: panel.isInternal)
    let (x, y) = (panel.box.x + Layout.padding + 2, panel.box.y + 22)
    write(panel.title, "title", x, y)
    var next = x + Layout.width(of: panel.title, .title) + 12
    if !panel.detail.isEmpty {
      write(panel.detail, "faint", next, y)
      next += Layout.width(of: panel.detail, .plain) + 12
    }
    for mark in panel.marks {
      let width = Layout.width(of: mark, .plain) + 12
      box(.init(x: next, y: y - 15, width: width, height: 20), fill: "#ffffff", stroke: stroke, radius: 10)
      write(mark, "faint", next + 6, y)
      next += width + 10
    }
    for (row, text) in panel.subtitles.enumerated() { write(text, "plain", x, y + (row + 1) * Layout.lineHeight + 2) }
  }

  private mutating func drawUplinks() {
    for (_, box, lines) in layout.uplinks {
      self.box(box, fill: "#ffffff", stroke: "#0284c7", radius: 6)
      write(lines, in: box)
    }
  }

  private mutating func drawCards(of panel: Layout.Panel) {
    for card in panel.cards {
      box(
        card.box, fill: card.isRepeated ? "#f8fafc" : "#ffffff", stroke: "#475569", radius: 6, isDashed: card.isRepeated
      )
      write(card.lines, in: card.box)
      if let port = card.port { write(port, "small", card.box.middle + 6, card.box.y - 7) }
    }
  }

  private mutating func write(_ lines: [Layout.Line], in box: Layout.Box) {
    for (row, line) in lines.enumerated() {
      let y = box.y + 20 + row * Layout.lineHeight
      let side = line.right.isEmpty ? 0 : Layout.width(of: line.right, .plain) + 10
      let shown = Self.fitted(line.text, line.style, box.width - 2 * Layout.padding - side)
      write(shown, "\(line.style)", box.x + Layout.padding, y, whole: shown == line.text ? nil : line.text)
      if !line.right.isEmpty { write(line.right, "faint", box.right - Layout.padding, y, anchor: "end") }
    }
  }

  private static func fitted(_ text: String, _ style: Layout.Line.Style, _ room: Int) -> String {
    guard Layout.width(of: text, style) > room else { return text }
    var shown = text
    while !shown.isEmpty, Layout.width(of: shown + "…", style) > room { shown.removeLast() }
    return shown + "…"
  }

  // MARK: - The path

  private mutating func mark(_ path: NetworkGraph.Path) {
    for (first, second) in zip(path.stops, path.stops.dropFirst()) where first.place != second.place {
      let points = layout.line(from: first.place, to: second.place)
      guard points.count > 1 else { continue }
      add("<polyline class=\"path\" points=\"\(Self.text(points))\"/>")
      arrow(at: points[points.count - 1], from: points[points.count - 2])
    }
  }

  /// An arrowhead at the end of a horizontal or vertical line.
  private mutating func arrow(at end: Layout.Point, from: Layout.Point) {
    let (dx, dy) = ((end.x - from.x).signum(), (end.y - from.y).signum())
    let back = Layout.Point(end.x - 14 * dx, end.y - 14 * dy)
    let corners = [
      end, Layout.Point(back.x + 8 * dy, back.y + 8 * dx), Layout.Point(back.x - 8 * dy, back.y - 8 * dx),
    ]
    add("<polygon points=\"\(Self.text(corners))\" fill=\"#ea580c\"/>")
  }

  private mutating func number(_ path: NetworkGraph.Path) {
    var taken: [Layout.Box: Int] = [:]
    for (index, stop) in path.stops.enumerated() {
      let neighbors = [index - 1, index + 1].filter(path.stops.indices.contains).map { path.stops[$0].place }
      let network = neighbors.lazy.compactMap { if case .network(let name) = $0 { name } else { nil } }.first
      if let box = layout.box(of: stop.place, beside: network) {
        let count = path.stops.filter { layout.box(of: $0.place, beside: network) == box }.count
        let nth = taken[box, default: 0]
        taken[box] = nth + 1
        // A card has its line in the middle of its edge and its interface at the right; other boxes have their line at
        // the left.
        let isCard = if case .container = stop.place { true } else { false }
        badge(index + 1, isCard ? box.x + nth * 26 : box.right - 20 - (count - 1 - nth) * 26, box.y)
      }
      badge(index + 1, Layout.margin + 12, layout.legend[index].y)
      for (row, line) in layout.legend[index].lines.enumerated() {
        write(line, "plain", Layout.margin + 36, layout.legend[index].y + 5 + row * Layout.lineHeight)
      }
    }
    write(path.title, "title", Layout.margin, layout.legendTop + 8)
  }

  private mutating func badge(_ number: Int, _ x: Int, _ y: Int) {
    add("<circle class=\"step\" cx=\"\(x)\" cy=\"\(y)\" r=\"12\"/>")
    write("\(number)", "number", x, y + 5, anchor: "middle")
  }

  // MARK: - Elements

  private mutating func add(_ line: String) { lines.append(line) }

  private mutating func box(
    _ box: Layout.Box, fill: String, stroke: String, radius: Int, isDashed: Bool = false
  ) {
    add(
      "<rect x=\"\(box.x)\" y=\"\(box.y)\" width=\"\(box.width)\" height=\"\(box.height)\" rx=\"\(radius)\" "
        + "fill=\"\(fill)\" stroke=\"\(stroke)\" stroke-width=\"1.5\"\(isDashed ? " stroke-dasharray=\"6 4\"" : "")/>")
  }

  private mutating func line(_ points: [Layout.Point], isDashed: Bool = false) {
    guard points.count > 1 else { return }
    add("<polyline class=\"line\" points=\"\(Self.text(points))\"\(isDashed ? " stroke-dasharray=\"5 5\"" : "")/>")
  }

  private static func text(_ points: [Layout.Point]) -> String {
    points.map { "\($0.x),\($0.y)" }.joined(separator: " ")
  }

  private mutating func write(
    _ text: String, _ style: String, _ x: Int, _ y: Int, anchor: String? = nil, whole: String? = nil
  ) {
    let side = anchor.map { " text-anchor=\"\($0)\"" } ?? ""
    let title = whole.map { "<title>\(Self.escaped($0))</title>" } ?? ""
    add("<text class=\"\(style)\" x=\"\(x)\" y=\"\(y)\"\(side)>\(title)\(Self.escaped(text))</text>")
  }

  /// Escapes text for XML 1.0 (2.2, 2.4): markup is escaped, invalid characters are removed.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += " "
      case _ where scalar.value < 0x20 || scalar.value == 0xfffe || scalar.value == 0xffff: result += "\u{fffd}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
