package import ContainerNetworking

/// A network as an engine's configuration has it.
package struct NetworkWish: Sendable {
  /// The network's options.
  package var options = NetworkOptions()
  /// Routes of containers besides the default one.
  package var routes: [(destination: Subnet, gateway: IPAddress?)] = []
  /// What of the options the configuration says, and is compared with a network that is there.
  package var said: Set<Field> = []

  package enum Field: Sendable { case range, gateway, bridge, mtu, parent, mode, names }

  package init() {}

  /// In which fields a network that is there is another than the configuration's; none if it is the same.
  package func differences(from network: NetworkRecord) -> [String] {
    var differences: [String] = []
    func compare(_ field: String, _ has: String, _ wants: String) {
      if has != wants { differences.append("\(field) is \(has) there and \(wants) here") }
    }
    compare("driver", network.driver.rawValue, options.driver.rawValue)
    for subnet in options.subnets {
      let own = network.subnet(subnet.family)
      compare("subnet", own.map { "\($0.subnet)" } ?? "none", "\(subnet)")
      guard own?.subnet == subnet else { continue }
      if said.contains(.gateway), let gateway = options.gateways.first(where: { $0.family == subnet.family }) {
        compare("gateway", own?.gateway.map { "\($0)" } ?? "none", "\(gateway)")
      }
      if said.contains(.range) {
        let range = options.ipRanges.first { $0.family == subnet.family }
        compare("range", "\(own?.ipRange ?? subnet)", "\(range ?? subnet)")
      }
    }
    if said.contains(.mtu) { compare("mtu", "\(network.mtu)", "\(options.mtu)") }
    if said.contains(.bridge) {
      compare("bridge", network.bridge.map { "\($0)" } ?? "none", options.bridge.map { "\($0)" } ?? "none")
    }
    if said.contains(.parent) {
      compare("master", network.parent.map { "\($0)" } ?? "none", options.parent.map { "\($0)" } ?? "none")
    }
    if said.contains(.mode) {
      compare("mode", network.macvlanMode.map { "\($0)" } ?? "none", "\(options.macvlanMode)")
    }
    if said.contains(.names) {
      compare("names", network.servesNamesAt == .off ? "off" : "on", options.nameServing == .off ? "off" : "on")
    }
    compare("internal", "\(network.isInternal)", "\(options.isInternal)")
    compare("ipMasq", "\(network.policy.masquerades)", "\(options.policy.masquerades)")
    return differences
  }
}
