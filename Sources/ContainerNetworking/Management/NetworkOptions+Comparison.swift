import NetworkPrimitives

extension NetworkOptions {
  /// A field that ``NetworkController/ensureNetwork(_:options:comparing:)`` compares with the record. New ones may come.
  public struct Field: RawRepresentable, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// The name in `FieldDifference.field`.
    public let rawValue: String

    /// A field by its name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// ``NetworkOptions/driver``.
    public static let driver = Field(rawValue: "driver")
    /// ``NetworkOptions/isIPv4Enabled`` and ``NetworkOptions/isIPv6Enabled``.
    public static let families = Field(rawValue: "families")
    /// ``NetworkOptions/subnets``; a family without one matches any.
    public static let subnets = Field(rawValue: "subnet")
    /// ``NetworkOptions/ipRanges``.
    public static let ipRanges = Field(rawValue: "ipRange")
    /// ``NetworkOptions/gateways``; a family without one matches any.
    public static let gateways = Field(rawValue: "gateway")
    /// ``NetworkOptions/auxiliaryAddresses``; the record may have more.
    public static let auxiliaryAddresses = Field(rawValue: "auxiliaryAddress")
    /// ``NetworkOptions/allowsHostOverlap``.
    public static let hostOverlap = Field(rawValue: "allowsHostOverlap")
    /// ``NetworkOptions/isInternal``.
    public static let isInternal = Field(rawValue: "isInternal")
    /// ``NetworkOptions/mtu``; with a parent, the default matches what is less.
    public static let mtu = Field(rawValue: "mtu")
    /// ``NetworkOptions/bridge``; nil matches any.
    public static let bridge = Field(rawValue: "bridge")
    /// ``NetworkOptions/growsOverBridges``.
    public static let growsOverBridges = Field(rawValue: "growsOverBridges")
    /// ``NetworkOptions/parent``.
    public static let parent = Field(rawValue: "parent")
    /// ``NetworkOptions/macvlanMode``, of a macvlan network.
    public static let macvlanMode = Field(rawValue: "macvlanMode")
    /// ``NetworkPolicy/masquerades``.
    public static let masquerades = Field(rawValue: "masquerades")
    /// The rest of ``NetworkOptions/policy``.
    public static let policy = Field(rawValue: "policy")
    /// ``NetworkOptions/interfacePrefix``.
    public static let interfacePrefix = Field(rawValue: "interfacePrefix")
    /// ``NetworkOptions/nameServing``; nil matches any but `off`.
    public static let nameServing = Field(rawValue: "nameServing")
    /// ``NetworkOptions/dnsServers``.
    public static let dnsServers = Field(rawValue: "dnsServers")
    /// ``NetworkOptions/labels``; the record may have more.
    public static let labels = Field(rawValue: "label")

    /// Every field.
    public static let allCases: [Field] = [
      .driver, .families, .subnets, .ipRanges, .gateways, .auxiliaryAddresses, .hostOverlap, .isInternal, .mtu, .bridge,
      .growsOverBridges, .parent, .macvlanMode, .masquerades, .policy, .interfacePrefix, .nameServing, .dnsServers,
      .labels,
    ]

    /// Its name.
    public var description: String { rawValue }
  }

  /// The fields in which a network on record is not as these options would make it.
  func differences(from network: NetworkRecord, in fields: Set<Field>) -> [FieldDifference] {
    var comparison = Comparison(fields: fields)
    comparison.compare(.driver, "\(network.driver)", "\(driver)")
    compareAddresses(with: network, &comparison)
    comparison.compare(.hostOverlap, "\(network.allowsHostOverlap ?? false)", "\(allowsHostOverlap)")
    comparison.compare(.isInternal, "\(network.isInternal)", "\(isInternal)")
    let isLowered = network.parent != nil && mtu == NetworkOptions().mtu && network.mtu < mtu
    if !isLowered { comparison.compare(.mtu, "\(network.mtu)", "\(mtu)") }
    if let bridge { comparison.compare(.bridge, text(network.bridge), "\(bridge)") }
    comparison.compare(.growsOverBridges, "\(network.growsOverBridges ?? true)", "\(growsOverBridges)")
    comparison.compare(.parent, text(network.parent), text(parent))
    if let mode = network.macvlanMode { comparison.compare(.macvlanMode, "\(mode)", "\(macvlanMode)") }
    comparePolicy(with: network.policy, &comparison)
    comparison.compare(.interfacePrefix, network.interfacePrefix, interfacePrefix)
    let serving = network.servesNamesAt.rawValue
    if let nameServing {
      comparison.compare(.nameServing, serving, nameServing.rawValue)
    } else if network.servesNamesAt == .off {
      comparison.compare(.nameServing, serving, "on")
    }
    comparison.compare(.dnsServers, list(network.dnsServers ?? []), list(dnsServers))
    for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
      comparison.compare(.labels, network.labels[name].map { "\(name)=\($0)" } ?? "none", "\(name)=\(value)")
    }
    return comparison.differences
  }

  private struct Comparison {
    var fields: Set<Field>
    var differences: [FieldDifference] = []

    mutating func compare(_ field: Field, _ recorded: String, _ asked: String) {
      guard recorded != asked, fields.contains(field) else { return }
      differences.append(FieldDifference(field.rawValue, recorded: recorded, asked: asked))
    }
  }

  private func compareAddresses(with network: NetworkRecord, _ comparison: inout Comparison) {
    let asked = AddressFamily.allCases.filter { family in
      family == .ipv4 ? isIPv4Enabled : isIPv6Enabled ?? subnets.contains { $0.family == .ipv6 }
    }
    // An adopted bridge brings the families of its addresses.
    if !network.adoptsBridge { comparison.compare(.families, list(network.families), list(asked)) }
    for subnet in subnets {
      let own = network.subnet(subnet.family)
      // 0.0.0.0/24 asks for any /24.
      let matches = subnet.network.isUnspecified && own?.subnet.prefixLength == subnet.prefixLength
      if !matches { comparison.compare(.subnets, text(own?.subnet), "\(subnet)") }
      guard own?.subnet == subnet else { continue }
      let range = ipRanges.first { $0.family == subnet.family }
      comparison.compare(.ipRanges, "\(own?.ipRange ?? subnet)", "\(range ?? subnet)")
      guard let gateway = gateways.first(where: { $0.family == subnet.family }) else { continue }
      comparison.compare(.gateways, text(own?.gateway), "\(gateway)")
    }
    for (use, address) in auxiliaryAddresses.sorted(by: { $0.key < $1.key }) {
      let own = network.subnet(address.family)?.auxiliaryAddresses[use]
      comparison.compare(.auxiliaryAddresses, own.map { "\(use)=\($0)" } ?? "none", "\(use)=\(address)")
    }
  }

  private func comparePolicy(with recorded: NetworkPolicy, _ comparison: inout Comparison) {
    comparison.compare(.masquerades, "\(recorded.masquerades)", "\(policy.masquerades)")
    let parts: [(name: String, value: (NetworkPolicy) -> String)] = [
      ("allowsContainerTraffic", { "\($0.allowsContainerTraffic)" }),
      ("gatewayModeIPv4", { $0.gatewayModeIPv4.rawValue }), ("gatewayModeIPv6", { $0.gatewayModeIPv6.rawValue }),
      ("hostBindingAddress", { text($0.hostBindingAddress) }),
      ("sourceAddressIPv4", { text($0.sourceAddressIPv4) }), ("sourceAddressIPv6", { text($0.sourceAddressIPv6) }),
      ("trustedInterfaces", { list($0.trustedInterfaces ?? []) }),
    ]
    for part in parts where comparison.fields.contains(.policy) && part.value(recorded) != part.value(policy) {
      comparison.differences.append(
        FieldDifference("policy.\(part.name)", recorded: part.value(recorded), asked: part.value(policy)))
    }
  }
}

private func text(_ value: (some CustomStringConvertible)?) -> String { value.map { "\($0)" } ?? "none" }

private func list(_ values: [some CustomStringConvertible]) -> String {
  values.isEmpty ? "none" : values.map { "\($0)" }.joined(separator: " ")
}
