import Netlink
import NetworkPrimitives

// Keys are the properties' names and are stable. Addresses, subnets, names and ports are texts, as their initializers
// read them. A missing key has its default, so that a person writes only the differences, and texts of earlier versions
// stay valid. An unknown key is refused: a restriction of a later version must not be silently ignored by this one.

extension NetworkOptions: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case driver, subnets, ipRanges, gateways, auxiliaryAddresses, allowsHostOverlap, isIPv4Enabled, isIPv6Enabled
    case isInternal, mtu, bridge
    case growsOverBridges, parent, macvlanMode, policy, interfacePrefix, labels, nameServing, dnsServers, driverOptions
  }

  /// Decodes options; a missing key has its default.
  ///
  /// - Throws: `DecodingError` for an unknown key or an invalid value.
  public init(from decoder: any Decoder) throws {
    try decoder.refuseKeys(otherThan: CodingKeys.self)
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init()
    try fields.read(&driver, .driver)
    try fields.read(&subnets, .subnets)
    try fields.read(&ipRanges, .ipRanges)
    try fields.read(&gateways, .gateways)
    try fields.read(&auxiliaryAddresses, .auxiliaryAddresses)
    try fields.read(&allowsHostOverlap, .allowsHostOverlap)
    try fields.read(&isIPv4Enabled, .isIPv4Enabled)
    try fields.read(&isIPv6Enabled, .isIPv6Enabled)
    try fields.read(&isInternal, .isInternal)
    try fields.read(&mtu, .mtu)
    try fields.read(&bridge, .bridge)
    try fields.read(&growsOverBridges, .growsOverBridges)
    try fields.read(&parent, .parent)
    if let text = try fields.decodeIfPresent(String.self, forKey: .macvlanMode) {
      macvlanMode = try decoder.checked { () throws(NetworkError) in try MacvlanDriver.mode(text) }
    }
    try fields.read(&policy, .policy)
    try fields.read(&interfacePrefix, .interfacePrefix)
    try fields.read(&labels, .labels)
    try fields.read(&nameServing, .nameServing)
    try fields.read(&dnsServers, .dnsServers)
    try fields.read(&driverOptions, .driverOptions)
  }

  /// Encodes every option except nil ones.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(driver, forKey: .driver)
    try fields.encode(subnets, forKey: .subnets)
    try fields.encode(ipRanges, forKey: .ipRanges)
    try fields.encode(gateways, forKey: .gateways)
    try fields.encode(auxiliaryAddresses, forKey: .auxiliaryAddresses)
    try fields.encode(allowsHostOverlap, forKey: .allowsHostOverlap)
    try fields.encode(isIPv4Enabled, forKey: .isIPv4Enabled)
    try fields.encodeIfPresent(isIPv6Enabled, forKey: .isIPv6Enabled)
    try fields.encode(isInternal, forKey: .isInternal)
    try fields.encode(mtu, forKey: .mtu)
    try fields.encodeIfPresent(bridge, forKey: .bridge)
    try fields.encode(growsOverBridges, forKey: .growsOverBridges)
    try fields.encodeIfPresent(parent, forKey: .parent)
    try fields.encode("\(macvlanMode)", forKey: .macvlanMode)
    try fields.encode(policy, forKey: .policy)
    try fields.encode(interfacePrefix, forKey: .interfacePrefix)
    try fields.encode(labels, forKey: .labels)
    try fields.encodeIfPresent(nameServing, forKey: .nameServing)
    try fields.encode(dnsServers, forKey: .dnsServers)
    try fields.encode(driverOptions, forKey: .driverOptions)
  }
}

extension EndpointOptions: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case addresses, macAddress, aliases, interface, gatewayPriority, takesDefaultRoute, labels
  }

  /// Decodes options; a missing key has its default.
  ///
  /// - Throws: `DecodingError` for an unknown key or an invalid value.
  public init(from decoder: any Decoder) throws {
    try decoder.refuseKeys(otherThan: CodingKeys.self)
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init()
    try fields.read(&addresses, .addresses)
    try fields.read(&macAddress, .macAddress)
    try fields.read(&aliases, .aliases)
    try fields.read(&interface, .interface)
    try fields.read(&gatewayPriority, .gatewayPriority)
    try fields.read(&takesDefaultRoute, .takesDefaultRoute)
    try fields.read(&labels, .labels)
  }

  /// Encodes every option except nil ones.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(addresses, forKey: .addresses)
    try fields.encodeIfPresent(macAddress, forKey: .macAddress)
    try fields.encode(aliases, forKey: .aliases)
    try fields.encodeIfPresent(interface, forKey: .interface)
    try fields.encode(gatewayPriority, forKey: .gatewayPriority)
    try fields.encode(takesDefaultRoute, forKey: .takesDefaultRoute)
    try fields.encode(labels, forKey: .labels)
  }
}

extension AttachOptions: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable { case ports, endpoint, names }

  /// Decodes options; a missing key has its default.
  ///
  /// - Throws: `DecodingError` for an unknown key or an invalid value.
  public init(from decoder: any Decoder) throws {
    try decoder.refuseKeys(otherThan: CodingKeys.self)
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init()
    try fields.read(&ports, .ports)
    try fields.read(&endpoint, .endpoint)
    try fields.read(&names, .names)
  }

  /// Encodes every option.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(ports, forKey: .ports)
    try fields.encode(endpoint, forKey: .endpoint)
    try fields.encode(names, forKey: .names)
  }
}

extension PortMapping {
  // Not private: the synthesized encoding is in the structure's file.
  enum CodingKeys: String, CodingKey { case hostAddress, hostPorts, containerPorts, transport }

  /// Decodes the text that ``init(_:)`` reads, or its parts.
  ///
  /// - Throws: `DecodingError` for values that the initializers refuse.
  public init(from decoder: any Decoder) throws {
    if let text = try? decoder.singleValueContainer().decode(String.self) {
      self = try decoder.checked { () throws(NetworkError) in try PortMapping(text) }
      return
    }
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    let address = try fields.decodeIfPresent(IPAddress.self, forKey: .hostAddress)
    let hostPorts = try fields.decodeIfPresent(PortRange.self, forKey: .hostPorts)
    let containerPorts = try fields.decode(PortRange.self, forKey: .containerPorts)
    let transport = try fields.decodeIfPresent(TransportProtocol.self, forKey: .transport) ?? .tcp
    self = try decoder.checked { () throws(NetworkError) in
      try PortMapping(
        hostAddress: address, hostPorts: hostPorts, containerPorts: containerPorts, transport: transport)
    }
  }
}

extension NameOptions {
  // Not private: the synthesized encoding is in the structure's file.
  enum CodingKeys: String, CodingKey { case hostname, domainname, dns, dnsSearch, dnsOptions, extraHosts }

  /// Decodes options; a missing key has its default.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init()
    try fields.read(&hostname, .hostname)
    try fields.read(&domainname, .domainname)
    try fields.read(&dns, .dns)
    try fields.read(&dnsSearch, .dnsSearch)
    try fields.read(&dnsOptions, .dnsOptions)
    try fields.read(&extraHosts, .extraHosts)
  }
}

extension NetworkPolicy {
  // Not private: the synthesized encoding is in the structure's file.
  enum CodingKeys: String, CodingKey {
    case allowsContainerTraffic, masquerades, gatewayModeIPv4, gatewayModeIPv6, hostBindingAddress, sourceAddressIPv4
    case sourceAddressIPv6, trustedInterfaces
  }

  /// Decodes a policy; a missing key has its default.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    self.init()
    try fields.read(&allowsContainerTraffic, .allowsContainerTraffic)
    try fields.read(&masquerades, .masquerades)
    try fields.read(&gatewayModeIPv4, .gatewayModeIPv4)
    try fields.read(&gatewayModeIPv6, .gatewayModeIPv6)
    try fields.read(&hostBindingAddress, .hostBindingAddress)
    try fields.read(&sourceAddressIPv4, .sourceAddressIPv4)
    try fields.read(&sourceAddressIPv6, .sourceAddressIPv6)
    try fields.read(&trustedInterfaces, .trustedInterfaces)
  }
}

extension KeyedDecodingContainer {
  /// Reads an optional value.
  fileprivate func read<Value: Decodable>(_ value: inout Value, _ key: Key) throws {
    if let new = try decodeIfPresent(Value.self, forKey: key) { value = new }
  }
}

extension Decoder {
  /// - Throws: `DecodingError` that lists the known keys.
  fileprivate func refuseKeys<Keys: CodingKey & CaseIterable>(otherThan keys: Keys.Type) throws {
    let known = keys.allCases.map(\.stringValue)
    for key in try container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: codingPath + [key],
          debugDescription: "there is no option \(quoted(key.stringValue)); there are: "
            + known.joined(separator: ", ")))
    }
  }
}

private struct AnyKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { return nil }
}
