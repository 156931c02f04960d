public import NetworkPrimitives

/// Driver options in the form of Docker's `--opt`, `NAME=VALUE`.
extension NetworkOptions {
  /// Docker's names of the known options, each with its short name.
  public static let driverOptionNames: [(name: String, short: String)] = DriverOption.allCases.map {
    ($0.rawValue, $0.short)
  }

  /// Sets an option by Docker's name or the short one, and records it under Docker's name for `inspect`
  /// (``NetworkOptions/driverOptions``).
  ///
  /// - Throws: `.invalidValue` for an unknown name, listing the known ones, and for an invalid value. Then nothing is
  ///   set.
  public mutating func setDriverOption(_ name: String, _ value: String) throws(NetworkError) {
    guard let option = DriverOption.allCases.first(where: { $0.rawValue == name || $0.short == name }) else {
      let known = DriverOption.allCases.map { "\($0.short) (\($0.rawValue))" }.joined(separator: ", ")
      throw .invalid("set driver option \(quoted(name))", "there is no such option; there are: \(known)")
    }
    let operation = "set driver option \(quoted(name)) to \(quoted(value))"
    do throws(NetworkError) {
      switch option {
      case .bridge: bridge = try InterfaceName(value)
      case .grows: growsOverBridges = try Self.flag(value)
      case .masquerade: policy.masquerades = try Self.flag(value)
      case .containerTraffic: policy.allowsContainerTraffic = try Self.flag(value)
      case .hostBinding: policy.hostBindingAddress = try Self.bindingAddress(value)
      case .sourceIPv4: policy.sourceAddressIPv4 = try Self.sourceAddress(value, .ipv4)
      case .sourceIPv6: policy.sourceAddressIPv6 = try Self.sourceAddress(value, .ipv6)
      case .trustedInterfaces: policy.trustedInterfaces = try Self.interfaces(value)
      case .gatewayModeIPv4: policy.gatewayModeIPv4 = try Self.gatewayMode(value)
      case .gatewayModeIPv6: policy.gatewayModeIPv6 = try Self.gatewayMode(value)
      case .parent: parent = try InterfaceName(value)
      case .macvlanMode: macvlanMode = try Self.macvlanMode(value)
      case .mtu: mtu = try Self.mtu(value)
      case .interfacePrefix: interfacePrefix = value
      case .hostOverlap: allowsHostOverlap = try Self.flag(value)
      case .names: nameServing = try Self.nameServing(value)
      }
    } catch {
      throw NetworkError(error.code, operation: operation, reason: error.reason)
    }
    driverOptions[option.rawValue] = value
  }

  /// Go's `strconv.ParseBool`, as in Docker.
  private static func flag(_ text: String) throws(NetworkError) -> Bool {
    switch text {
    case "1", "t", "T", "true", "TRUE", "True": return true
    case "0", "f", "F", "false", "FALSE", "False": return false
    default: throw .invalid("", "\(quoted(text)) is neither true nor false; write one of them")
    }
  }

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
    guard let mode = NetworkPolicy.GatewayMode(rawValue: text) else {
      let known = NetworkPolicy.GatewayMode.allCases.map(\.rawValue).joined(separator: ", ")
      throw .invalid("", "\(quoted(text)) is no gateway mode; there are: \(known)")
    }
    return mode
  }

  static func macvlanMode(_ text: String) throws(NetworkError) -> MacvlanMode {
    guard let mode = MacvlanMode.allCases.first(where: { "\($0)" == text }) else {
      let known = MacvlanMode.allCases.map { "\($0)" }.joined(separator: ", ")
      throw .invalid("", "\(quoted(text)) is no mode of a macvlan; there are: \(known)")
    }
    return mode
  }

  private static func nameServing(_ text: String) throws(NetworkError) -> NameServing {
    guard let serving = NameServing(rawValue: text) else {
      let known = NameServing.allCases.map(\.rawValue).joined(separator: ", ")
      throw .invalid("", "names cannot be served at \(quoted(text)); there are: \(known)")
    }
    return serving
  }

  private static func mtu(_ text: String) throws(NetworkError) -> UInt32 {
    guard let mtu = decimal(text.utf8, atMost: 65_535) else {
      throw .invalid("", "\(quoted(text)) is not a number of bytes up to 65535, as in 1500")
    }
    return mtu
  }

  /// Docker's names; the last three are ours.
  private enum DriverOption: String, CaseIterable {
    case bridge = "com.docker.network.bridge.name"
    case masquerade = "com.docker.network.bridge.enable_ip_masquerade"
    case containerTraffic = "com.docker.network.bridge.enable_icc"
    case hostBinding = "com.docker.network.bridge.host_binding_ipv4"
    case sourceIPv4 = "com.docker.network.host_ipv4"
    case sourceIPv6 = "com.docker.network.host_ipv6"
    case trustedInterfaces = "com.docker.network.bridge.trusted_host_interfaces"
    case gatewayModeIPv4 = "com.docker.network.bridge.gateway_mode_ipv4"
    case gatewayModeIPv6 = "com.docker.network.bridge.gateway_mode_ipv6"
    case parent = "parent"
    case macvlanMode = "macvlan_mode"
    case mtu = "com.docker.network.driver.mtu"
    case interfacePrefix = "com.docker.network.container_iface_prefix"
    case names = "com.containernetworking.names"
    case grows = "com.containernetworking.grows"
    case hostOverlap = "com.containernetworking.host_overlap"

    var short: String {
      switch self {
      case .bridge: "name"
      case .masquerade: "masquerade"
      case .containerTraffic: "icc"
      case .hostBinding: "host-binding"
      case .sourceIPv4: "source-ipv4"
      case .sourceIPv6: "source-ipv6"
      case .trustedInterfaces: "trusted-interfaces"
      case .gatewayModeIPv4: "gateway-mode-ipv4"
      case .gatewayModeIPv6: "gateway-mode-ipv6"
      case .parent: "parent"
      case .macvlanMode: "macvlan-mode"
      case .mtu: "mtu"
      case .interfacePrefix: "interface-prefix"
      case .names: "names"
      case .grows: "grows"
      case .hostOverlap: "host-overlap"
      }
    }
  }
}
