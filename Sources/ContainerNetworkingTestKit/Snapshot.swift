import Netlink
import NetworkPrimitives
import Synchronization

extension SimulatedKernel {
  /// The whole state as text, equal for an equal history: namespaces in the order of their creation, their links,
  /// addresses, routes and nftables objects. Compare it before and after, or with a text in a test.
  public func snapshot() -> String {
    state.withLock { state in
      let lines = state.namespaces.sorted { $0.key < $1.key }.enumerated().flatMap { number, entry in
        ["namespace \(number)"] + entry.value.description.map { "  \($0)" }
      }
      return lines.joined(separator: "\n")
    }
  }
}

extension SimulatedNamespace {
  fileprivate var description: [String] {
    var lines: [String] = []
    for link in links.values.sorted(by: { $0.index < $1.index }) {
      var line = "link \(link.index) \(link.name) \(link.kind ?? "-") \(link.isUp ? "up" : "down") mtu \(link.mtu)"
      if let master = link.master { line += " master \(links[master]?.name ?? "\(master)")" }
      lines.append(line)
      lines += link.addresses.map { "  address \(text($0.bytes))/\($0.prefixLength)" }
    }
    lines += routes.map { route in
      var line = "route \(text(route.destination))/\(route.prefixLength) table \(route.table) kind \(route.kind)"
      if let gateway = route.gateway { line += " via \(text(gateway))" }
      if let link = route.link { line += " link \(links[link]?.name ?? "\(link)")" }
      if let metric = route.metric { line += " metric \(metric)" }
      return line
    }
    // Omits a bridge's learned entries, which age.
    lines += neighbors.filter { $0.isOfBridge && $0.isLasting }.map { entry in
      let address = entry.macAddress.map { hexadecimal($0[...]) } ?? "-"
      let way = entry.destination.map { " to \(text($0))" } ?? ""
      return "\(entry.isForLink ? "link" : "bridge") entry \(address) \(links[entry.link]?.name ?? "-")\(way)"
    }
    lines += neighbors.filter { !$0.isOfBridge }.map { neighbor in
      "neighbor \(neighbor.destination.map { text($0) } ?? "-") link \(links[neighbor.link]?.name ?? "-")"
    }
    lines += sysctls.sorted { $0.key < $1.key }.map { "sysctl \($0.key) = \($0.value)" }
    for table in tables {
      lines.append("table \(table.family) \(table.name)")
      for chain in table.chains { lines.append("  chain \(chain.name), \(chain.rules.count) rules") }
      for set in table.sets {
        lines.append("  \(set.isMap ? "map" : "set") \(set.name)")
        lines += set.elements.map { "    \(hexadecimal($0.key.dropLast()))" }.sorted()
      }
    }
    return lines
  }

  private func text(_ bytes: [UInt8]) -> String { IPAddress(bytes: bytes[...])?.description ?? hexadecimal(bytes[...]) }

  private func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
