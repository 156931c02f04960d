public import Netlink
public import NetworkPrimitives

/// Options for `createNetwork`.
public struct NetworkOptions: Hashable, Sendable {
  /// The driver of its endpoints.
  public var driver: NetworkDriver
  /// The subnets, one for each family; an enabled family without one gets it from the controller's pools.
  public var subnets: [Subnet]
  /// The ranges of dynamic addresses; each inside the subnet of its family.
  public var ipRanges: [Subnet]
  /// The bridge's addresses, or the external routers' for a driver without a bridge. For a family without one here: the
  /// first free address of its range if the bridge has an address, else none.
  public var gateways: [IPAddress]
  /// Addresses that no container gets, by their use. Addresses of the host, its routers and its resolvers inside the
  /// subnets are added automatically.
  public var auxiliaryAddresses: [String: IPAddress]
  /// Whether a subnet given here may overlap addresses, routes, routers and resolvers of the host, which then loses its
  /// own route to them. A macvlan's subnet may always overlap those on its parent's link.
  public var allowsHostOverlap: Bool
  /// Whether endpoints have IPv4 addresses.
  public var isIPv4Enabled: Bool
  /// Whether endpoints have IPv6 addresses; nil for yes if there is an IPv6 subnet.
  public var isIPv6Enabled: Bool?
  /// Whether nothing passes in or out.
  public var isInternal: Bool
  /// Maximum transmission unit, bytes, 576 (1,280 with IPv6) to 65,535; 1,500 by default, or a parent's if that is less.
  public var mtu: UInt32
  /// Name of the bridge; nil for one derived from the network's id. An existing bridge is adopted, and never deleted.
  public var bridge: InterfaceName?
  /// Whether the network adds a further bridge, joined to the first by a veth pair, when the first is full with 448
  /// endpoints. Otherwise an attach fails with `.exhausted` when all 1,023 ports of a Linux bridge are taken. An
  /// adopted bridge stays the only one.
  public var growsOverBridges: Bool
  /// The host's link that a macvlan network's endpoints are made on. One network has it; its settings are never
  /// changed.
  public var parent: InterfaceName?
  /// The reachability among endpoints of a macvlan network.
  public var macvlanMode: MacvlanMode
  /// The permitted traffic.
  public var policy: NetworkPolicy
  /// The prefix of interface names in containers, before the number; 1 to 12 letters.
  public var interfacePrefix: String
  /// Labels.
  public var labels: [String: String]
  /// The name server of its containers; nil for the bridge if that has an address, else inside the containers.
  public var nameServing: NameServing?
  /// The upstream name servers for other names; empty for the host's.
  public var dnsServers: [IPAddress]
  /// The driver's options in their original form, for `inspect`.
  public var driverOptions: [String: String]

  /// Makes options; each has a default. A single subnet, range or gateway precedes those of the lists.
  public init(
    driver: NetworkDriver = .bridge, subnet: Subnet? = nil, subnets: [Subnet] = [], ipRange: Subnet? = nil,
    ipRanges: [Subnet] = [], gateway: IPAddress? = nil, gateways: [IPAddress] = [],
    auxiliaryAddresses: [String: IPAddress] = [:], allowsHostOverlap: Bool = false, isIPv4Enabled: Bool = true,
    isIPv6Enabled: Bool? = nil,
    isInternal: Bool = false, mtu: UInt32 = 1500, bridge: InterfaceName? = nil, growsOverBridges: Bool = true,
    parent: InterfaceName? = nil, macvlanMode: MacvlanMode = .bridge, policy: NetworkPolicy = NetworkPolicy(),
    interfacePrefix: String = "eth", labels: [String: String] = [:], nameServing: NameServing? = nil,
    dnsServers: [IPAddress] = []
  ) {
    self.driver = driver
    self.subnets = (subnet.map { [$0] } ?? []) + subnets
    self.ipRanges = (ipRange.map { [$0] } ?? []) + ipRanges
    self.gateways = (gateway.map { [$0] } ?? []) + gateways
    self.auxiliaryAddresses = auxiliaryAddresses
    self.allowsHostOverlap = allowsHostOverlap
    self.isIPv4Enabled = isIPv4Enabled
    self.isIPv6Enabled = isIPv6Enabled
    self.isInternal = isInternal
    self.mtu = mtu
    self.bridge = bridge
    self.growsOverBridges = growsOverBridges
    self.parent = parent
    self.macvlanMode = macvlanMode
    self.policy = policy
    self.interfacePrefix = interfacePrefix
    self.labels = labels
    self.nameServing = nameServing
    self.dnsServers = dnsServers
    driverOptions = [:]
  }
}

/// The permitted traffic between a network's containers and others.
public struct NetworkPolicy: Hashable, Sendable, Codable {
  /// The reachability of containers from outside by their own addresses.
  public enum GatewayMode: String, Hashable, Sendable, Codable, CaseIterable {
    /// Unreachable: published ports only, which translate addresses.
    case nat
    /// Unrestricted; outgoing traffic is translated all the same.
    case natUnprotected = "nat-unprotected"
    /// By published container ports, and ping; addresses are not translated.
    case routed
    /// The bridge has no address at all; internal networks only.
    case isolated
  }

  /// Whether containers of the network reach each other by their own addresses (Docker's `icc`).
  public var allowsContainerTraffic: Bool
  /// Whether outgoing traffic gets the host's address (Docker's `enable_ip_masquerade`).
  public var masquerades: Bool
  /// Reach by IPv4.
  public var gatewayModeIPv4: GatewayMode
  /// Reach by IPv6.
  public var gatewayModeIPv6: GatewayMode
  /// The host address of ports published without one; nil for every address.
  public var hostBindingAddress: IPAddress?
  /// The source address of outgoing IPv4 traffic, one of the host's (Docker's `host_ipv4`); nil for the outgoing link's
  /// address.
  public var sourceAddressIPv4: IPAddress?
  /// The same by IPv6 (Docker's `host_ipv6`).
  public var sourceAddressIPv6: IPAddress?
  /// Links of the host through which the outside reaches published container ports by the containers' own addresses
  /// (Docker's `trusted_host_interfaces`); nil for none. They need not exist yet.
  public var trustedInterfaces: [InterfaceName]?

  /// Defaults to Docker's policy.
  public init(
    allowsContainerTraffic: Bool = true, masquerades: Bool = true, gatewayModeIPv4: GatewayMode = .nat,
    gatewayModeIPv6: GatewayMode = .nat, hostBindingAddress: IPAddress? = nil, sourceAddressIPv4: IPAddress? = nil,
    sourceAddressIPv6: IPAddress? = nil, trustedInterfaces: [InterfaceName]? = nil
  ) {
    self.allowsContainerTraffic = allowsContainerTraffic
    self.masquerades = masquerades
    self.gatewayModeIPv4 = gatewayModeIPv4
    self.gatewayModeIPv6 = gatewayModeIPv6
    self.hostBindingAddress = hostBindingAddress
    self.sourceAddressIPv4 = sourceAddressIPv4
    self.sourceAddressIPv6 = sourceAddressIPv6
    self.trustedInterfaces = trustedInterfaces
  }

  /// The mode of a family.
  public func gatewayMode(_ family: AddressFamily) -> GatewayMode {
    family == .ipv4 ? gatewayModeIPv4 : gatewayModeIPv6
  }

  /// The source address of a family's outgoing traffic; nil for the outgoing link's address.
  public func sourceAddress(_ family: AddressFamily) -> IPAddress? {
    family == .ipv4 ? sourceAddressIPv4 : sourceAddressIPv6
  }
}

/// A container's options on one network.
public struct EndpointOptions: Hashable, Sendable {
  /// Static addresses, one for each family; custom networks only. A family without one gets the next free address.
  public var addresses: [IPAddress]
  /// The container's hardware address; nil for one derived from its IPv4 address.
  public var macAddress: MACAddress?
  /// Further names for the network's other containers; custom networks only. `*.foo` is every name below foo.
  public var aliases: [String]
  /// The interface in the container; nil for the network's prefix and the lowest free number.
  public var interface: InterfaceName?
  /// The network with the highest priority has the container's default route. Among equals, one that is not internal
  /// wins; then one with more families; then the first by name.
  public var gatewayPriority: Int
  /// Whether the container may have its default route by this network; it reaches the network itself in any case. A
  /// container that is connected again, or started again, says it again.
  public var takesDefaultRoute: Bool
  /// Labels of the endpoint, such as its maker's; see ``EndpointFilter``.
  public var labels: [String: String]

  /// Makes options; each has a default.
  public init(
    addresses: [IPAddress] = [], macAddress: MACAddress? = nil, aliases: [String] = [],
    interface: InterfaceName? = nil, gatewayPriority: Int = 0, takesDefaultRoute: Bool = true,
    labels: [String: String] = [:]
  ) {
    self.addresses = addresses
    self.macAddress = macAddress
    self.aliases = aliases
    self.interface = interface
    self.gatewayPriority = gatewayPriority
    self.takesDefaultRoute = takesDefaultRoute
    self.labels = labels
  }
}

/// A container's options for `attach`.
public struct AttachOptions: Hashable, Sendable {
  /// Ports to publish on the host.
  public var ports: [PortMapping]
  /// The options on the network.
  public var endpoint: EndpointOptions
  /// The container's host name and name servers.
  public var names: NameOptions

  /// Makes options; each has a default.
  public init(
    ports: [PortMapping] = [], address: IPAddress? = nil, macAddress: MACAddress? = nil,
    endpoint: EndpointOptions = EndpointOptions(), names: NameOptions = NameOptions()
  ) {
    self.ports = ports
    self.endpoint = endpoint
    self.names = names
    if let address { self.endpoint.addresses.append(address) }
    if let macAddress { self.endpoint.macAddress = macAddress }
  }
}

/// An option that was not applied, although the call succeeded.
public enum AttachWarning: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Ports are not published in host and none mode, on an internal network, and on one whose driver publishes none. There the
  /// container's ports are the host's, nothing reaches it, or every host does by its own address.
  case portDiscarded(PortMapping, String)
  /// The container has no name server: the host's are on the host's own loopback, or of another family.
  case noNameServer
  /// The container resolves only the names of its networks: the host's resolv.conf(5) is missing or has no server, and
  /// no other server was given.
  case noOtherNames
  /// Resolvers ask no more than three name servers (resolv.conf(5)); these are not asked.
  case nameServersIgnored([IPAddress])
  /// Some resolvers take no more than six search domains, or 256 characters of them.
  case searchTooLong(domains: Int, characters: Int)
  /// Resolvers cap the value of an option.
  case resolverOptionCapped(String, UInt64)

  /// The warning as a sentence.
  public var description: String {
    switch self {
    case .portDiscarded(let port, "host"):
      "port \(port.containerPorts)/\(port.transport) is not published: in host mode the container's ports are the host's"
    case .portDiscarded(let port, "none"):
      "port \(port.containerPorts)/\(port.transport) is not published: in mode none there is no interface"
    case .portDiscarded(let port, let network):
      "port \(port.containerPorts)/\(port.transport) is not published: the network \"\(network)\" is internal, or on a wire, "
        + "whose containers are reached by their own addresses"
    case .noNameServer:
      "the container has no name server: it cannot reach those of the host, and no fallback is set; "
        + "name one (dns)"
    case .noOtherNames:
      "the container resolves only the names of its networks: the host's resolv.conf is missing or names no server; "
        + "name one (dns)"
    case .nameServersIgnored(let servers):
      "resolvers use the first three name servers; ignored: \(servers.map(\.description).joined(separator: ", "))"
    case .searchTooLong(let domains, let characters):
      "\(domains) search domains of \(characters) characters exceed the limits of some resolvers: six domains "
        + "(glibc before 2.26), 256 characters (musl)"
    case .resolverOptionCapped(let option, let limit):
      "the resolver option \"\(option)\" counts as \(limit), its maximum"
    }
  }
}
