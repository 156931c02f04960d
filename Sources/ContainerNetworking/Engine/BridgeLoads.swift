import NetworkPrimitives

/// The number of endpoints on each bridge of each network, so that finding a free bridge costs the same however many
/// there are. The key of a network's first bridge is nil.
struct BridgeLoads {
  private var loads: [String: [InterfaceName?: Int]] = [:]

  mutating func take(_ endpoint: Endpoint) { change(endpoint, by: 1) }
  mutating func leave(_ endpoint: Endpoint) { change(endpoint, by: -1) }
  mutating func forget(_ networkID: String) { loads[networkID] = nil }

  func load(of bridge: InterfaceName?, ofNetwork id: String) -> Int { loads[id]?[bridge] ?? 0 }

  private mutating func change(_ endpoint: Endpoint, by number: Int) {
    // A stopped endpoint has no port.
    guard endpoint.hostInterface != nil, endpoint.phase != .stopped else { return }
    loads[endpoint.networkID, default: [:]][endpoint.bridge, default: 0] += number
  }
}
