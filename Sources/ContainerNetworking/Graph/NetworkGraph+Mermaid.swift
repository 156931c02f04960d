import NetworkPrimitives

extension NetworkGraph {
  /// The graph as a flowchart of Mermaid, which many viewers of Markdown draw.
  ///
  /// - Parameter path: A path to mark in it.
  public func mermaid(marking path: Path? = nil) -> String {
    var chart = MermaidChart(marked: path?.stops.map(\.place) ?? [])
    chart.draw(self)
    return chart.text
  }
}

private struct MermaidChart {
  private var lines = ["flowchart TB"]
  private let marked: [NetworkGraph.Place]
  private var ids: [NetworkGraph.Place: String] = [:]
  private var edges: [(String, String, String)] = []
  private var links = 0

  init(marked: [NetworkGraph.Place]) { self.marked = marked }
  var text: String { lines.joined(separator: "\n") + "\n" }

  mutating func draw(_ graph: NetworkGraph) {
    node(.outside, "outside", "outside", ("([", "])"), indent: 1)
    lines.append("  subgraph host")
    for (number, uplink) in graph.uplinks.enumerated() {
      let texts = [uplink.name] + uplink.addresses.map(\.description) + uplink.gateways.map { "default via \($0)" }
      node(.uplink(uplink.name), "uplink\(number)", texts, ("[", "]"))
    }
    node(.host, "routing", "routing, firewall, address translation", ("[[", "]]"))
    for (number, network) in graph.networks.enumerated() {
      let place = network.bridgeText.map { "bridge \($0)" } ?? network.parent.map { "on \($0)" }
      let subnets = network.subnets.map { "\($0.subnet)" + ($0.gateway.map { " · gateway \($0)" } ?? "") }
      node(
        .network(network.name), "net\(number)", [network.name] + [place].compactMap(\.self) + subnets + network.marks)
    }
    lines.append("  end")
    for (number, container) in graph.containers.enumerated() {
      let sharers = container.sharers.map { "+ \($0)" }
      let mode = container.interfaces.isEmpty ? ["\(container.mode)"] : []
      let addresses = container.interfaces.flatMap { interface in
        ["\(interface.name) \(interface.macAddress)"] + interface.addresses.map(\.description)
          + interface.ports.map { "\($0.hostPort) → \($0.containerPort)/\($0.transport)" }
      }
      node(
        .container(container.name), "container\(number)", [container.name] + mode + addresses + sharers, ("(", ")"),
        indent: 1)
    }
    drawEdges(graph)
    let steps = Set(marked).compactMap { ids[$0] }.sorted()
    if !steps.isEmpty {
      lines.append("  classDef step stroke:#ea580c,stroke-width:4px")
      lines.append("  class \(steps.joined(separator: ",")) step")
    }
  }

  private mutating func drawEdges(_ graph: NetworkGraph) {
    for uplink in graph.uplinks {
      edge(.outside, .uplink(uplink.name))
      edge(.uplink(uplink.name), .host)
    }
    for network in graph.networks {
      if network.bridge != nil {
        edge(.host, .network(network.name), isDashed: network.isInternal)
      } else if let parent = network.parent, graph.uplinks.contains(where: { $0.name == "\(parent)" }) {
        edge(.uplink("\(parent)"), .network(network.name))
      }
    }
    for container in graph.containers {
      for interface in container.interfaces {
        edge(.network(interface.network), .container(container.name), interface.hostInterface.map { "\($0)" })
      }
      if container.mode == .host { edge(.host, .container(container.name)) }
    }
  }

  private mutating func node(
    _ place: NetworkGraph.Place, _ id: String, _ texts: [String], _ shape: (String, String) = ("[", "]"),
    indent: Int = 2
  ) {
    ids[place] = id
    let label = texts.map(Self.escaped).joined(separator: "<br/>")
    lines.append(String(repeating: "  ", count: indent) + "\(id)\(shape.0)\"\(label)\"\(shape.1)")
  }

  private mutating func node(
    _ place: NetworkGraph.Place, _ id: String, _ text: String, _ shape: (String, String), indent: Int = 2
  ) { node(place, id, [text], shape, indent: indent) }

  private mutating func edge(
    _ first: NetworkGraph.Place, _ second: NetworkGraph.Place, _ label: String? = nil, isDashed: Bool = false
  ) {
    guard let from = ids[first], let to = ids[second] else { return }
    let text = label.map { "|\"\(Self.escaped($0))\"|" } ?? ""
    lines.append("  \(from) \(isDashed ? "-.-" : "---")\(text) \(to)")
    let isMarked = zip(marked, marked.dropFirst()).contains {
      ($0 == first && $1 == second) || ($0 == second && $1 == first)
    }
    if isMarked { lines.append("  linkStyle \(links) stroke:#ea580c,stroke-width:4px") }
    links += 1
  }

  /// Escapes text with Mermaid's entities: `#`, a name or number, `;`.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "#", "\"", "<", ">", "&", ";", "`": result += "#\(scalar.value);"
      case _ where scalar.value < 0x20: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
