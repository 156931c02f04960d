import NetworkPrimitives

/// The texts in the boxes of a graph's picture.
extension GraphLayout {
  /// A panel before it has a place.
  struct Group {
    var place: NetworkGraph.Place?
    var title: String
    var detail = ""
    var subtitles: [String] = []
    var marks: [String] = []
    var isInternal = false
    var isJoined = true
    var cards: [Card] = []
  }

  /// A panel for each network, and for the containers without one.
  static func cards(of graph: NetworkGraph) -> [Group] {
    var groups = graph.networks.map { network in
      let subtitles = network.subnets.map { subnet in
        "\(subnet.subnet)" + (subnet.gateway.map { " · gateway \($0)" } ?? "")
      }
      return Group(
        place: .network(network.name), title: network.name,
        detail: network.bridgeText ?? network.parent.map { "on \($0)" } ?? "", subtitles: subtitles,
        marks: network.marks, isInternal: network.isInternal, isJoined: network.bridge != nil)
    }
    for container in graph.containers {
      for (number, interface) in container.interfaces.enumerated() {
        guard let index = graph.networks.firstIndex(where: { $0.name == interface.network }) else { continue }
        groups[index].cards.append(card(container, interface, isRepeated: number > 0))
      }
    }
    for (mode, title, about) in [
      (NetworkMode.host, "host mode", "the host's own namespace"), (.none, "none mode", "no network but lo"),
    ] {
      let containers = graph.containers.filter { $0.mode == mode && $0.interfaces.isEmpty }
      guard !containers.isEmpty else { continue }
      groups.append(
        Group(
          title: title, subtitles: [about], isJoined: false,
          cards: containers.map { container in
            Card(
              place: .container(container.name), box: Box(x: 0, y: 0, width: 0, height: 0),
              lines: [Line(text: container.name, style: .title)] + sharers(of: container), isRepeated: false)
          }))
    }
    return groups
  }

  private static func card(
    _ container: NetworkGraph.Container, _ interface: NetworkGraph.Interface, isRepeated: Bool
  ) -> Card {
    var lines = [Line(text: container.name, style: .title, right: "\(interface.name)")]
    lines += interface.addresses.map { Line(text: "\($0)", style: .plain) }
    lines.append(Line(text: "\(interface.macAddress)", style: .faint))
    // A port of both families is one line.
    lines += interface.ports.map { port in
      let address = port.hostAddress.map { $0.family == .ipv6 ? "[\($0)]:" : "\($0):" } ?? ""
      return Line(text: "\(address)\(port.hostPort) → \(port.containerPort)/\(port.transport)", style: .port)
    }
    if isRepeated, let first = container.interfaces.first {
      lines.append(Line(text: "is on \(first.network), too", style: .note))
    } else {
      lines += sharers(of: container)
    }
    if container.interfaces.count > 1, !interface.defaultRoutes.isEmpty {
      lines.append(Line(text: "default route", style: .note))
    }
    return Card(
      place: .container(container.name), box: Box(x: 0, y: 0, width: 0, height: 0), lines: lines,
      isRepeated: isRepeated,
      port: interface.hostInterface.map { "\($0)" })
  }

  private static func sharers(of container: NetworkGraph.Container) -> [Line] {
    container.sharers.map { Line(text: "+ \($0)", style: .note, right: "shares it") }
  }
}
