import NetworkPrimitives

/// The layout of a graph's picture, in pixels. The same graph always has the same layout.
///
/// From top to bottom: the outside, the host's links, its routing, then each network as a panel with its containers in
/// rows. All lines form a tree with its trunk at the left, so that none crosses another or a box.
struct GraphLayout {
  struct Box: Hashable {
    var x: Int, y: Int, width: Int, height: Int
    var right: Int { x + width }
    var bottom: Int { y + height }
    var middle: Int { x + width / 2 }
  }

  struct Point: Hashable {
    var x: Int, y: Int
    init(_ x: Int, _ y: Int) { (self.x, self.y) = (x, y) }
  }

  /// One line of a box's text.
  struct Line {
    enum Style { case title, plain, faint, port, note }
    var text: String
    var style: Style
    var right = ""
  }

  struct Card {
    var place: NetworkGraph.Place
    var box: Box
    var lines: [Line]
    /// Whether the container's first card is in another panel.
    var isRepeated: Bool
    /// The bridge's port, written beside its line.
    var port: String?
    /// The height of the line to which the card connects; nil for an unconnected card.
    var bus: Int?
  }

  struct Panel {
    var place: NetworkGraph.Place?
    var box: Box
    var title: String
    var detail: String
    var subtitles: [String]
    var marks: [String]
    var isInternal: Bool
    /// The end of the line from the host; nil if packets do not use it.
    var joint: Point?
    /// The height of the line to which it connects.
    var bus: Int
    var cards: [Card]
    var headerHeight: Int
  }

  private(set) var width = 0
  private(set) var height = 0
  private(set) var outside = Box(x: 0, y: 0, width: 0, height: 0)
  private(set) var hostBox = Box(x: 0, y: 0, width: 0, height: 0)
  private(set) var uplinks: [(uplink: NetworkGraph.Uplink, box: Box, lines: [Line])] = []
  private(set) var router = Box(x: 0, y: 0, width: 0, height: 0)
  private(set) var panels: [Panel] = []
  /// The steps of a path, below the picture, each with its top.
  private(set) var legend: [(y: Int, lines: [String])] = []
  private(set) var legendTop = 0

  static let margin = 24, gap = 20, trunk = 22, lineHeight = 19, padding = 12
  static let widest = 1_480

  /// The maximum width of a text in pixels: viewers may use different fonts.
  static func width(of text: String, _ style: Line.Style) -> Int {
    let scaled = text.unicodeScalars.reduce(0) { sum, scalar in
      sum + (scalar.value < 0x1100 ? 1 : 2)
    }
    return style == .title ? scaled * 96 / 10 : scaled * 79 / 10
  }

  init(_ graph: NetworkGraph, _ path: NetworkGraph.Path?) {
    let cards = Self.cards(of: graph)
    let widest =
      cards.flatMap(\.cards).flatMap(\.lines).map {
        Self.width(of: $0.text, $0.style) + ($0.right.isEmpty ? 0 : Self.width(of: $0.right, .plain) + 16)
      }.max() ?? 0
    let cardWidth = min(max(widest + 2 * Self.padding, 170), 400)

    let left = Self.margin + Self.padding + Self.trunk
    let innerTop = placeHost(graph, left: left)
    placePanels(cards, cardWidth: cardWidth, left: left, top: innerTop)
    spread()
    placeLegend(path)
  }

  // MARK: - The host

  private mutating func placeHost(_ graph: NetworkGraph, left: Int) -> Int {
    outside = Box(x: left, y: Self.margin, width: 200, height: 40)
    let top = outside.bottom + 36
    var x = left
    var bottom = top + 34
    for uplink in graph.uplinks {
      var lines = [Line(text: uplink.name, style: .title)]
      lines += uplink.addresses.map { Line(text: "\($0)", style: .plain) }
      if let mac = uplink.macAddress { lines.append(Line(text: "\(mac)", style: .faint)) }
      lines += uplink.gateways.map { Line(text: "default via \($0)", style: .note) }
      let width = (lines.map { Self.width(of: $0.text, $0.style) }.max() ?? 0) + 2 * Self.padding
      let box = Box(
        x: x, y: top + 30, width: max(width, 150), height: lines.count * Self.lineHeight + Self.padding + 4)
      uplinks.append((uplink, box, lines))
      x = box.right + Self.gap
      bottom = max(bottom, box.bottom + Self.gap + 6)
    }
    router = Box(x: Self.margin + Self.padding, y: bottom, width: 0, height: 40)
    hostBox = Box(x: Self.margin, y: top, width: x, height: 0)
    return router.bottom
  }

  /// Sets the width of full-width boxes, and the size of the picture.
  private mutating func spread() {
    let right = max(panels.map(\.box.right).max() ?? 0, uplinks.map(\.box.right).max() ?? 0, router.x + 420)
    router.width = right - router.x
    hostBox.width = right + Self.padding + 6 - hostBox.x
    hostBox.height = max(panels.map(\.box.bottom).max() ?? 0, router.bottom) + Self.gap - hostBox.y
    outside.width = uplinks.isEmpty ? 200 : max(200, uplinks.map(\.box.right).max().map { $0 - outside.x } ?? 0)
    width = hostBox.right + Self.margin
    height = hostBox.bottom + Self.margin
  }

  // MARK: - Networks

  private mutating func placePanels(_ groups: [Group], cardWidth: Int, left: Int, top: Int) {
    var x = left
    var shelf = top
    var bottom = shelf
    for group in groups {
      let columns = Self.columns(for: group.cards.count, cardWidth)
      let headline =
        Self.width(of: group.title, .title) + Self.width(of: group.detail, .plain) + 40
        + group.marks.map { Self.width(of: $0, .plain) + 22 }.reduce(0, +)
      let titles = ([headline] + group.subtitles.map { Self.width(of: $0, .plain) + 24 }).max() ?? 0
      let inner = columns * cardWidth + (columns - 1) * Self.gap
      let width = max(inner + Self.trunk + 2 * Self.padding, titles)
      if x > left, x + width > left + Self.widest {
        (x, shelf) = (left, bottom)
      }
      let panel = Self.panel(group, x: x, shelf: shelf, width: width, columns: columns, cardWidth: cardWidth)
      panels.append(panel)
      x = panel.box.right + Self.gap
      bottom = max(bottom, panel.box.bottom)
    }
  }

  /// The number of columns: up to four, with many cards six, and no wider than a page.
  private static func columns(for count: Int, _ cardWidth: Int) -> Int {
    let fitting = (widest - trunk - 2 * padding + gap) / (cardWidth + gap)
    return max(1, min(count, count <= 8 ? 4 : 6, fitting))
  }

  private static func panel(
    _ group: Group, x: Int, shelf: Int, width: Int, columns: Int, cardWidth: Int
  ) -> Panel {
    let bus = shelf + 20
    let top = bus + 20
    let header = 32 + group.subtitles.count * lineHeight + (group.subtitles.isEmpty ? 0 : 6)
    var panel = Panel(
      place: group.place, box: Box(x: x, y: top, width: width, height: 0), title: group.title, detail: group.detail,
      subtitles: group.subtitles, marks: group.marks, isInternal: group.isInternal,
      joint: group.isJoined ? Point(x + trunk, top) : nil, bus: bus, cards: [], headerHeight: header)
    var y = top + header
    var column = 0
    var rowHeight = 0
    for var card in group.cards {
      if column == columns { (column, y, rowHeight) = (0, y + rowHeight + 36, 0) }
      let hangs = group.place != nil
      card.box = Box(
        x: x + padding + trunk + column * (cardWidth + gap), y: y + (hangs ? 36 : 16), width: cardWidth,
        height: card.lines.count * lineHeight + padding + 4)
      card.bus = hangs ? y + 14 : nil
      rowHeight = max(rowHeight, card.box.height)
      panel.cards.append(card)
      column += 1
    }
    panel.box.height = (panel.cards.map(\.box.bottom).max() ?? y) + padding + 2 - top
    return panel
  }

  // MARK: - Lines

  /// The position of the vertical line from the host to the networks.
  var trunkLine: Int { router.x + 10 }

  /// The line from a place to its parent; empty for a place without one.
  func line(up place: NetworkGraph.Place, beside network: String? = nil) -> [Point] {
    switch place {
    case .outside: return []
    case .uplink(let name):
      guard let box = uplinks.first(where: { $0.uplink.name == name })?.box else { return [] }
      return [Point(box.middle, box.y), Point(box.middle, outside.bottom)]
    case .host: return []
    case .network:
      guard let panel = panels.first(where: { $0.place == place }), let joint = panel.joint else { return [] }
      return [joint, Point(joint.x, panel.bus), Point(trunkLine, panel.bus), Point(trunkLine, router.bottom)]
    case .container:
      guard let (panel, card) = card(of: place, beside: network), let bus = card.bus else { return [] }
      let spine = panel.box.x + Self.trunk
      return [
        Point(card.box.middle, card.box.y), Point(card.box.middle, bus), Point(spine, bus),
        Point(spine, panel.box.y + panel.headerHeight),
      ]
    }
  }

  /// From the host up to one of its links.
  func lineToUplink(_ name: String) -> [Point] {
    guard let box = uplinks.first(where: { $0.uplink.name == name })?.box else { return [] }
    return [Point(box.middle, router.y), Point(box.middle, box.bottom)]
  }

  /// A container's card: the one on the given network, else its first.
  func card(of place: NetworkGraph.Place, beside network: String?) -> (Panel, Card)? {
    var found: (Panel, Card)?
    for panel in panels {
      for card in panel.cards where card.place == place {
        if let network, panel.place == .network(network) { return (panel, card) }
        if found == nil || found?.1.isRepeated == true { found = (panel, card) }
      }
    }
    return found
  }

  /// The line between two adjacent places of a path, in its direction.
  func line(from first: NetworkGraph.Place, to second: NetworkGraph.Place) -> [Point] {
    switch (first, second) {
    case (.container, .network(let name)): line(up: first, beside: name)
    case (.network(let name), .container): line(up: second, beside: name).reversed()
    case (.network, .host): line(up: first)
    case (.host, .network): line(up: second).reversed()
    case (.host, .uplink(let name)): lineToUplink(name)
    case (.uplink(let name), .host): lineToUplink(name).reversed()
    case (.uplink, .outside): line(up: first)
    case (.outside, .uplink): line(up: second).reversed()
    default: []
    }
  }

  /// The box of a place.
  func box(of place: NetworkGraph.Place, beside network: String?) -> Box? {
    switch place {
    case .outside: outside
    case .uplink(let name): uplinks.first { $0.uplink.name == name }?.box
    case .host: router
    case .network: panels.first { $0.place == place }?.box
    case .container: card(of: place, beside: network)?.1.box
    }
  }

  // MARK: - The path

  private mutating func placeLegend(_ path: NetworkGraph.Path?) {
    guard let path else { return }
    legendTop = height
    var y = height + 34
    let room = max(40, (width - 2 * Self.margin - 50) * 10 / 79)
    for stop in path.stops {
      let lines = Self.wrapped(stop.text, at: room)
      legend.append((y, lines))
      y += lines.count * Self.lineHeight + 8
    }
    height = y + 4
  }

  static func wrapped(_ text: String, at room: Int) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + word.count + 1 > room {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    return lines + (line.isEmpty && !lines.isEmpty ? [] : [line])
  }
}
