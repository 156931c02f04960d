public import Netlink
public import NetworkPrimitives

/// What a custom network is to be like.
public struct NetworkOptions: Hashable, Sendable {
  /// What its endpoints are made of.
  public var driver: NetworkDriver
  /// The subnets, one of a family; a family that is switched on and has none here gets one from the controller's pools.
  public var subnets: [Subnet]
  /// Where dynamic addresses come from; each inside the subnet of its family.
  public var ipRanges: [Subnet]
  /// The bridge's addresses, or the outside routers' for a driver without a bridge. Of a family without one here, the first
  /// free address of its range where the bridge has an address; else none.
  public var gateways: [IPAddress]
  /// Addresses that no container is given, by what they are for. Those that the host, its routers and its resolvers have in
  /// the subnets come to them by themselves.
  public var auxiliaryAddresses: [String: IPAddress]
  /// Whether a subnet named here may overlap addresses, routes, routers and resolvers of the host, which then does not reach
  /// what is behind them by its own way. A macvlan's may overlap what is on its parent's wire in any case.
  public var allowsHostOverlap: Bool
  /// Whether endpoints have IPv4 addresses.
  public var isIPv4Enabled: Bool
  /// Whether endpoints have IPv6 addresses; nil for: if there is an IPv6 subnet.
  public var isIPv6Enabled: Bool?
  /// Whether nothing passes in or out.
  public var isInternal: Bool
  /// Maximum transmission unit, bytes, 576 (1,280 with IPv6) to 65,535; 1,500 by default, or a parent's if that is less.
  public var mtu: UInt32
  /// Name of the bridge; nil for one made of the network's id. One that exists is adopted, and never deleted.
  public var bridge: InterfaceName?
  /// Whether the network takes a further bridge, joined to the first by a veth pair, when the first is full, with
  /// 448 endpoints. Otherwise an attach is refused as `.exhausted` when all 1,023 ports that Linux gives a bridge are taken. A
  /// bridge that is adopted stays the only one.
  public var growsOverBridges: Bool
  /// The link of the host that a macvlan network's endpoints are made on: the wire that its containers are on. One network
  /// has it; it is never changed.
  public var parent: InterfaceName?
  /// Whom a macvlan network's endpoints reach of each other.
  public var macvlanMode: MacvlanMode
  /// What passes.
  public var policy: NetworkPolicy
  /// What interfaces in containers are called, before their number; 1 to 12 letters.
  public var interfacePrefix: String
  /// Labels.
  public var labels: [String: String]
  /// Where its containers ask for names; nil for the bridge if that has an address, else inside the containers.
  public var nameServing: NameServing?
  /// The name servers that are asked for what is no name of the network; none for the host's.
  public var dnsServers: [IPAddress]
  /// The driver's options as they were written, for `inspect`.
  public var driverOptions: [String: String]

  /// Makes options; each has a default. A subnet, a range or a gateway of its own comes before those of the lists.
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

/// What a network's endpoints are made of.
public enum NetworkDriver: String, Hashable, Sendable, Codable, CaseIterable {
  /// A bridge of the host and a veth pair for each endpoint.
  case bridge
  /// A link of the host's, shared by hardware address: a macvlan on it for each endpoint.
  case macvlan
  /// A link of the host's, shared by IP address; refused as unsupported.
  case ipvlan
  /// A bridge that spans hosts, by VXLAN; refused as unsupported.
  case overlay
}

/// What passes between a network's containers and others.
public struct NetworkPolicy: Hashable, Sendable, Codable {
  /// How containers are reached from outside by their own addresses.
  public enum GatewayMode: String, Hashable, Sendable, Codable, CaseIterable {
    /// Not at all: by published ports, which translate addresses.
    case nat
    /// Freely; what goes out is translated all the same.
    case natUnprotected = "nat-unprotected"
    /// By published container ports, and ping; addresses are not translated.
    case routed
    /// The bridge has no address at all; internal networks only.
    case isolated
  }

  /// Whether containers of the network reach each other by their own addresses (Docker's `icc`).
  public var allowsContainerTraffic: Bool
  /// Whether what goes out gets the host's address (Docker's `enable_ip_masquerade`).
  public var masquerades: Bool
  /// Reach by IPv4.
  public var gatewayModeIPv4: GatewayMode
  /// Reach by IPv6.
  public var gatewayModeIPv6: GatewayMode
  /// Where ports without a host address are published; nil for every address.
  public var hostBindingAddress: IPAddress?
  /// The address that what goes out by IPv4 gets, one that the host is reached by (Docker's `host_ipv4`); nil for that of
  /// the link that it goes out by.
  public var sourceAddressIPv4: IPAddress?
  /// The same by IPv6 (Docker's `host_ipv6`).
  public var sourceAddressIPv6: IPAddress?
  /// Links of the host by which published container ports are reached from outside by the containers' own addresses
  /// (Docker's `trusted_host_interfaces`); nil for none. They need not be there.
  public var trustedInterfaces: [InterfaceName]?

  /// Docker's defaults, unless said.
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

  /// The address that what goes out by a family gets; nil for that of the link that it goes out by.
  public func sourceAddress(_ family: AddressFamily) -> IPAddress? {
    family == .ipv4 ? sourceAddressIPv4 : sourceAddressIPv6
  }
}

/// What a container asks for on one network.
public struct EndpointOptions: Hashable, Sendable {
  /// Addresses of its own choice, one of a family; custom networks only. Of a family without one here, the next free one.
  public var addresses: [IPAddress]
  /// The container's hardware address; nil for one made of its IPv4 address.
  public var macAddress: MACAddress?
  /// Names that the network's other containers know it by, besides its own; custom networks only. `*.foo` is every name
  /// below foo.
  public var aliases: [String]
  /// The interface in the container; nil for the network's prefix and the lowest free number.
  public var interface: InterfaceName?
  /// The highest of a container's networks has the default route. Of equals, one that is not internal; then one with
  /// more families; then the first by name.
  public var gatewayPriority: Int
  /// Whether the container may have its default route by this network; what is on the network it reaches in any case. A
  /// container that is connected again, or started again, says it again.
  public var takesDefaultRoute: Bool

  /// Makes options; each has a default.
  public init(
    addresses: [IPAddress] = [], macAddress: MACAddress? = nil, aliases: [String] = [],
    interface: InterfaceName? = nil, gatewayPriority: Int = 0, takesDefaultRoute: Bool = true
  ) {
    self.addresses = addresses
    self.macAddress = macAddress
    self.aliases = aliases
    self.interface = interface
    self.gatewayPriority = gatewayPriority
    self.takesDefaultRoute = takesDefaultRoute
  }
}

/// What a container asks for when it is attached.
public struct AttachOptions: Hashable, Sendable {
  /// Ports to publish on the host.
  public var ports: [PortMapping]
  /// What it asks for on the network.
  public var endpoint: EndpointOptions
  /// What it is called, and whom it asks for names.
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

/// Something that was asked for and quietly would not have been done.
public enum AttachWarning: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Nothing is published in host and none mode and on a network that is internal or a macvlan: there the container's
  /// ports are the host's, nothing reaches it, or everything does by its own address.
  case portDiscarded(PortMapping, String)
  /// The container has no name server: the host's are on the host's own loopback, or of another family.
  case noNameServer
  /// The names of its networks are all that the container resolves: the host's resolv.conf(5) is missing or names no server,
  /// and no other was named.
  case noOtherNames
  /// Resolvers ask no more than three name servers, resolv.conf(5); these are not asked.
  case nameServersIgnored([IPAddress])
  /// Some resolvers take no more than six search domains, or 256 characters of them.
  case searchTooLong(domains: Int, characters: Int)
  /// Resolvers take a lower value for an option.
  case resolverOptionCapped(String, UInt64)

  /// The warning as a sentence.
  public var description: String {
    switch self {
    case .portDiscarded(let port, "host"):
      "port \(port.containerPorts)/\(port.transport) is not published: in host mode the container's ports are the host's"
    case .portDiscarded(let port, "none"):
      "port \(port.containerPorts)/\(port.transport) is not published: in mode none there is no interface"
    case .portDiscarded(let port, let network):
      "port \(port.containerPorts)/\(port.transport) is not published: the network \"\(network)\" is internal, or a macvlan, "
        + "whose containers are reached by their own addresses"
    case .noNameServer:
      "the container has no name server: the host asks only servers that the container cannot reach, and no others are "
        + "asked in their place; name one (dns)"
    case .noOtherNames:
      "the names of its networks are all that the container resolves: the host's resolv.conf is missing or names no server; "
        + "name one (dns)"
    case .nameServersIgnored(let servers):
      "resolvers ask three name servers; not asked: \(servers.map(\.description).joined(separator: ", "))"
    case .searchTooLong(let domains, let characters):
      "\(domains) search domains of \(characters) characters are more than some resolvers take: six (glibc before 2.26), "
        + "256 characters (musl)"
    case .resolverOptionCapped(let option, let limit):
      "the resolver option \"\(option)\" is taken for \(limit), the highest that there is"
    }
  }
}
