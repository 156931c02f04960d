import NetworkPrimitives

extension BridgeDriver {
  static let options: [DriverOption] = [
    DriverOption("com.docker.network.bridge.name", short: "name") { (options, text) throws(NetworkError) in
      options.bridge = try InterfaceName(text)
    },
    DriverOption("com.docker.network.bridge.enable_ip_masquerade", short: "masquerade") {
      (options, text) throws(NetworkError) in options.policy.masquerades = try DriverOption.flag(text)
    },
    DriverOption("com.docker.network.bridge.enable_icc", short: "icc") { (options, text) throws(NetworkError) in
      options.policy.allowsContainerTraffic = try DriverOption.flag(text)
    },
    DriverOption("com.docker.network.bridge.host_binding_ipv4", short: "host-binding") {
      (options, text) throws(NetworkError) in options.policy.hostBindingAddress = try bindingAddress(text)
    },
    DriverOption("com.docker.network.host_ipv4", short: "source-ipv4") { (options, text) throws(NetworkError) in
      options.policy.sourceAddressIPv4 = try sourceAddress(text, .ipv4)
    },
    DriverOption("com.docker.network.host_ipv6", short: "source-ipv6") { (options, text) throws(NetworkError) in
      options.policy.sourceAddressIPv6 = try sourceAddress(text, .ipv6)
    },
    DriverOption("com.docker.network.bridge.trusted_host_interfaces", short: "trusted-interfaces") {
      (options, text) throws(NetworkError) in options.policy.trustedInterfaces = try interfaces(text)
    },
    DriverOption("com.docker.network.bridge.gateway_mode_ipv4", short: "gateway-mode-ipv4") {
      (options, text) throws(NetworkError) in options.policy.gatewayModeIPv4 = try gatewayMode(text)
    },
    DriverOption("com.docker.network.bridge.gateway_mode_ipv6", short: "gateway-mode-ipv6") {
      (options, text) throws(NetworkError) in options.policy.gatewayModeIPv6 = try gatewayMode(text)
    },
    DriverOption("com.containernetworking.grows", short: "grows") { (options, text) throws(NetworkError) in
      options.growsOverBridges = try DriverOption.flag(text)
    },
  ]

  private static func bindingAddress(_ text: String) throws(NetworkError) -> IPAddress {
    let address = try IPAddress(text)
    guard address.family == .ipv4 else {
      throw .invalid("", "\(address) is no IPv4 address; name one of the host's, as in 127.0.0.1")
    }
    if let reason = address.publishFault { throw .invalid("", reason) }
    return address
  }

  private static func sourceAddress(_ text: String, _ family: AddressFamily) throws(NetworkError) -> IPAddress {
    let address = try IPAddress(text)
    guard address.family == family else {
      let example = family == .ipv4 ? "203.0.113.9" : "2001:db8::9"
      throw .invalid("", "\(address) is no \(family) address; name one of the host's, as in \(example)")
    }
    return address
  }

  /// Names separated by colons, as in Docker; a link's name contains none.
  private static func interfaces(_ text: String) throws(NetworkError) -> [InterfaceName] {
    var names: [InterfaceName] = []
    for part in text.split(separator: ":", omittingEmptySubsequences: false) {
      let name = try InterfaceName(String(part))
      if !names.contains(name) { names.append(name) }
    }
    return names
  }

  private static func gatewayMode(_ text: String) throws(NetworkError) -> NetworkPolicy.GatewayMode {
    try DriverOption.choice(text) { "\($0) is no gateway mode" }
  }
}
