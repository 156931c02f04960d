import NetworkPrimitives

// One line each for people; all fields for a debugger.

extension NetworkOptions: CustomStringConvertible, CustomDebugStringConvertible {
  /// `bridge, 192.168.50.0/24, internal`.
  public var description: String {
    sentence(
      ["\(driver)"] + subnets.map(\.description)
        + [
          isIPv4Enabled ? nil : "no IPv4", isIPv6Enabled == true ? "IPv6" : nil, isInternal ? "internal" : nil,
          bridge.map { "bridge \($0)" }, parent.map { "parent \($0)" },
        ])
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension EndpointOptions: CustomStringConvertible, CustomDebugStringConvertible {
  /// `192.168.50.101, alias db`; `no wishes` for the defaults.
  public var description: String {
    let wishes = sentence(
      addresses.map(\.description) + [macAddress?.description] + aliases.map { "alias \($0)" }
        + [interface?.description, gatewayPriority == 0 ? nil : "priority \(gatewayPriority)"]
        + [takesDefaultRoute ? nil : "no default route"]
        + labels.sorted { $0.key < $1.key }.map { "label \($0.key)=\($0.value)" })
    return wishes.isEmpty ? "no wishes" : wishes
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension AttachOptions: CustomStringConvertible, CustomDebugStringConvertible {
  /// `8080:80/tcp, 192.168.50.101`; `no wishes` for the defaults.
  public var description: String {
    let isPlain = endpoint == EndpointOptions()
    return ports.isEmpty || !isPlain
      ? sentence(ports.map(\.description) + [endpoint.description]) : sentence(ports.map(\.description))
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension PortMapping: CustomDebugStringConvertible {
  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}
