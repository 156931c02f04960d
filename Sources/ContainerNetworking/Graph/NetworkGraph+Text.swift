import NetworkPrimitives

extension NetworkGraph: CustomStringConvertible {
  /// The graph as lines for a terminal; indentation shows the connections.
  public var description: String {
    var lines: [String] = []
    for uplink in uplinks {
      let gateways = uplink.gateways.map { "default via \($0)" }
      lines.append(([uplink.name] + uplink.addresses.map(\.description) + gateways).joined(separator: "  "))
    }
    for network in networks {
      let place = network.bridgeText.map { "bridge \($0)" } ?? network.parent.map { "on \($0)" } ?? ""
      let subnets = network.subnets.map { "\($0.subnet)" + ($0.gateway.map { " gateway \($0)" } ?? "") }
      let marks = network.marks.isEmpty ? [] : ["(" + network.marks.joined(separator: ", ") + ")"]
      lines.append(
        (["network \(network.name)", place] + subnets + marks).filter { !$0.isEmpty }.joined(separator: "  "))
      for container in containers {
        for interface in container.interfaces where interface.network == network.name {
          lines += Self.lines(container, interface)
        }
      }
    }
    for container in containers where container.interfaces.isEmpty {
      lines.append("container \(container.name)  \(container.mode) mode")
      lines += container.sharers.map { "    + \($0) shares its namespace" }
    }
    return lines.joined(separator: "\n")
  }

  private static func lines(_ container: Container, _ interface: Interface) -> [String] {
    let ends = ["\(interface.name)"] + (interface.hostInterface.map { ["\($0)"] } ?? [])
    let addresses = interface.addresses.map(\.description) + ["\(interface.macAddress)"]
    var lines = ["  \(container.name)  \(ends.joined(separator: " ↔ "))  \(addresses.joined(separator: "  "))"]
    lines += interface.ports.map { "    \($0)" }
    if interface == container.interfaces.first {
      lines += container.sharers.map { "    + \($0) shares its namespace" }
    }
    return lines
  }
}
