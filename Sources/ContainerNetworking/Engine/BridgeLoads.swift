import NetworkPrimitives

/// How many endpoints are on each bridge of each network, so that to find one with room costs the same however many there
/// are. The first bridge of a network goes by nil.
struct BridgeLoads {
  private var loads: [String: [InterfaceName?: Int]] = [:]

  mutating func take(_ endpoint: Endpoint) { change(endpoint, by: 1) }
  mutating func leave(_ endpoint: Endpoint) { change(endpoint, by: -1) }
  mutating func forget(_ networkID: String) { loads[networkID] = nil }

  func load(of bridge: InterfaceName?, ofNetwork id: String) -> Int { loads[id]?[bridge] ?? 0 }

  private mutating func change(_ endpoint: Endpoint, by number: Int) {
    // One that is stopped has no port.
    guard endpoint.hostInterface != nil, endpoint.phase != .stopped else { return }
    loads[endpoint.networkID, default: [:]][endpoint.bridge, default: 0] += number
  }
}
