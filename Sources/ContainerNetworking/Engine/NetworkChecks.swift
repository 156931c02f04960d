import AddressPools
import NetworkPrimitives

/// Checks of a network's options that need no further data.
extension Engine {
  func families(of options: NetworkOptions) -> [AddressFamily] {
    let hasIPv6 = options.isIPv6Enabled ?? options.subnets.contains { $0.family == .ipv6 }
    return (options.isIPv4Enabled ? [.ipv4] : []) + (hasIPv6 ? [.ipv6] : [])
  }

  /// Every fault of the options.
  func check(_ options: NetworkOptions, _ operation: String) -> [NetworkError] {
    let traits = drivers.traits(of: options.driver)
    var faults: [NetworkError] = []
    let refuse = { (code: NetworkError.Code, reason: String) in
      faults.append(NetworkError(code, operation: operation, reason: reason))
    }
    let families = families(of: options)
    if families.isEmpty { refuse(.conflictingOptions, "IPv4 and IPv6 are both off; switch one on") }
    let minimum: UInt32 = families.contains(.ipv6) ? 1280 : 576
    if !(minimum...65535).contains(options.mtu) {
      refuse(.invalidValue, "the mtu \(options.mtu) is not in \(minimum)–65535")
    }
    let parts: [(String, [AddressFamily])] = [
      ("the ip-range", options.ipRanges.map(\.family)), ("the gateway", options.gateways.map(\.family)),
      ("the auxiliary address", options.auxiliaryAddresses.values.map(\.family)),
    ]
    for (what, ofFamilies) in parts {
      for family in Set(ofFamilies).sorted() where !options.subnets.contains(where: { $0.family == family }) {
        refuse(.conflictingOptions, "\(what) needs an \(family) subnet; name the one that it is in")
      }
      if what != "the auxiliary address", Set(ofFamilies).count < ofFamilies.count {
        refuse(.conflictingOptions, "\(what) is given twice for one family; keep one")
      }
    }
    for family in Set(options.subnets.map(\.family)).sorted() where !families.contains(family) {
      refuse(.conflictingOptions, "there is an \(family) subnet, but \(family) is off; switch it on")
    }
    let modes = [options.policy.gatewayModeIPv4, options.policy.gatewayModeIPv6]
    if modes.contains(.isolated), !options.isInternal {
      refuse(.conflictingOptions, "the gateway mode \"isolated\" is for internal networks; make the network internal")
    }
    if options.nameServing == .gateway, !families.contains(where: { options.hasHostAddress($0, traits) }) {
      refuse(
        .conflictingOptions,
        "names cannot be served at the gateway, where the host has no address; serve them in the container")
    }
    for reason in options.dnsServers.compactMap({ NameOptions.fault(ofServer: $0) }) { refuse(.invalidValue, reason) }
    faults += policyFaults(options, families, operation)
    if !(1...12).contains(options.interfacePrefix.utf8.count)
      || (try? InterfaceName(options.interfacePrefix + "0")) == nil
    {
      refuse(
        .invalidValue, "the interface prefix \"\(options.interfacePrefix)\" is not 1 to 12 letters, as in \"eth\"")
    }
    return faults
  }
}

extension NetworkOptions {
  /// Whether the host has an address on the network: the gateway's, which the pool then contains.
  func hasHostAddress(_ family: AddressFamily, _ traits: DriverTraits) -> Bool {
    traits.hasGateway && policy.gatewayMode(family) != .isolated
  }

  /// The gateway of a family.
  func gatewayChoice(_ family: AddressFamily, _ traits: DriverTraits) -> GatewayChoice {
    if let given = gateways.first(where: { $0.family == family }) { return .address(given) }
    return hasHostAddress(family, traits) ? .automatic : .omitted
  }

  /// The subnets with their ranges, gateways and auxiliary addresses, by family.
  func poolConfiguration(_ traits: DriverTraits) -> PoolConfiguration {
    PoolConfiguration(
      subnets: subnets.map { subnet in
        SubnetConfiguration(
          subnet: subnet, ipRange: ipRanges.first { $0.family == subnet.family },
          gateway: gatewayChoice(subnet.family, traits),
          auxiliaryAddresses: auxiliaryAddresses.filter { $0.value.family == subnet.family })
      })
  }
}

extension Engine {
  /// The parts of a policy that conflict with the other options.
  private func policyFaults(
    _ options: NetworkOptions, _ families: [AddressFamily], _ operation: String
  ) -> [NetworkError] {
    var faults: [NetworkError] = []
    let refuse = { (code: NetworkError.Code, reason: String) in
      faults.append(NetworkError(code, operation: operation, reason: reason))
    }
    let policy = options.policy
    for family in AddressFamily.allCases {
      guard let source = policy.sourceAddress(family) else { continue }
      let what = "the source address \(source)"
      if source.family != family {
        refuse(.invalidValue, "\(what) is given for \(family), but is \(source.family); give it for that family")
      } else if source.isUnspecified || source.isLoopback || source.isMulticast || source.isLinkLocal {
        refuse(.invalidValue, "\(what) cannot be answered from outside; name an address at which the host is reached")
      } else if !families.contains(family) {
        refuse(.conflictingOptions, "\(what) needs \(family), which is off; switch it on")
      } else if options.isInternal {
        refuse(
          .conflictingOptions, "\(what) is for outgoing packets, which an internal network does not have; leave it out")
      } else if !policy.masquerades || policy.gatewayMode(family) == .routed {
        let why = policy.masquerades ? "in the gateway mode \"routed\"" : "without masquerading"
        refuse(
          .conflictingOptions, "\(what) is not possible \(why), where outgoing packets keep their own; leave one out")
      }
    }
    if let trusted = policy.trustedInterfaces, !trusted.isEmpty {
      if options.isInternal {
        refuse(
          .conflictingOptions,
          "a trusted interface is not possible with an internal network, which nothing enters; leave one out")
      }
      if let bridge = options.bridge, trusted.contains(bridge) {
        refuse(
          .conflictingOptions, "the bridge \"\(bridge)\" cannot be a trusted interface of its own network; leave it out"
        )
      }
    }
    return faults
  }
}
