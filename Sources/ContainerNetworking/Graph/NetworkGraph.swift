public import NetworkPrimitives

/// The networks of a host, their containers, and their connections to the outside: a value to draw or to read.
///
///     let graph = try await controller.graph()
///     try graph.svg().write(toFile: "networks.svg", atomically: true, encoding: .utf8)
public struct NetworkGraph: Hashable, Sendable, Codable {
  /// The links of the host that lead outside, those with a default route first.
  public var uplinks: [Uplink]
  /// The networks, the default one first, then in the natural order of their names.
  public var networks: [Network]
  /// The containers with a namespace of their own or the host's, in the natural order of their names. Each lists the
  /// containers that share its namespace.
  public var containers: [Container]

  /// Makes a graph.
  public init(uplinks: [Uplink] = [], networks: [Network] = [], containers: [Container] = []) {
    self.uplinks = uplinks
    self.networks = networks
    self.containers = containers
  }

  /// A link of the host that is none of ours.
  public struct Uplink: Hashable, Sendable, Codable {
    /// Its name.
    public var name: String
    /// Its hardware address.
    public var macAddress: MACAddress?
    /// Its addresses, without link-local ones.
    public var addresses: [InterfaceAddress]
    /// The next hops of default routes by it.
    public var gateways: [IPAddress]

    /// Makes one.
    public init(name: String, macAddress: MACAddress? = nil, addresses: [InterfaceAddress], gateways: [IPAddress] = [])
    {
      self.name = name
      self.macAddress = macAddress
      self.addresses = addresses
      self.gateways = gateways
    }
  }

  /// A subnet of a network.
  public struct Subnetwork: Hashable, Sendable, Codable {
    /// The addresses of the containers.
    public var subnet: Subnet
    /// The next hop of their default route; nil for none.
    public var gateway: IPAddress?

    /// Makes one.
    public init(_ subnet: Subnet, gateway: IPAddress? = nil) {
      self.subnet = subnet
      self.gateway = gateway
    }
  }

  /// A network.
  public struct Network: Hashable, Sendable, Codable {
    /// Its name.
    public var name: String
    /// The driver of its endpoints.
    public var driver: NetworkDriver
    /// The bridge on the host.
    public var bridge: InterfaceName?
    /// The bridges that it has grown over.
    public var furtherBridges: [InterfaceName]
    /// The host's link on which its endpoints are made.
    public var parent: InterfaceName?
    /// Its subnets and their gateways, IPv4 first.
    public var subnets: [Subnetwork]
    /// Whether nothing passes in or out.
    public var isInternal: Bool
    /// The permitted traffic.
    public var policy: NetworkPolicy

    /// Makes one.
    public init(
      name: String, driver: NetworkDriver = .bridge, bridge: InterfaceName? = nil,
      furtherBridges: [InterfaceName] = [], parent: InterfaceName? = nil, subnets: [Subnetwork],
      isInternal: Bool = false, policy: NetworkPolicy = NetworkPolicy()
    ) {
      self.name = name
      self.driver = driver
      self.bridge = bridge
      self.furtherBridges = furtherBridges
      self.parent = parent
      self.subnets = subnets
      self.isInternal = isInternal
      self.policy = policy
    }

    /// The bridge, and the number of further ones.
    var bridgeText: String? {
      bridge.map { furtherBridges.isEmpty ? "\($0)" : "\($0) and \(furtherBridges.count) more" }
    }

    /// Its special properties, each in a word or two: `internal`, `icc off`, `routed`.
    public var marks: [String] {
      var marks: [String] = []
      if isInternal { marks.append("internal") }
      if !policy.allowsContainerTraffic { marks.append("icc off") }
      let modes = Set(subnets.map { policy.gatewayMode($0.subnet.family) })
      marks += NetworkPolicy.GatewayMode.allCases.filter { $0 != .nat && modes.contains($0) }.map(\.rawValue)
      if driver == .bridge, !isInternal, !policy.masquerades { marks.append("no masquerade") }
      if driver != .bridge { marks.append(driver.rawValue) }
      return marks
    }
  }

  /// A container, or several that share a namespace.
  public struct Container: Hashable, Sendable, Codable {
    /// Its name.
    public var name: String
    /// The network mode.
    public var mode: NetworkMode
    /// Its interfaces, by name; none in host and none mode.
    public var interfaces: [Interface]
    /// The containers that share its namespace.
    public var sharers: [String]

    /// Makes one.
    public init(name: String, mode: NetworkMode, interfaces: [Interface] = [], sharers: [String] = []) {
      self.name = name
      self.mode = mode
      self.interfaces = interfaces
      self.sharers = sharers
    }
  }

  /// An interface of a container.
  public struct Interface: Hashable, Sendable, Codable {
    /// Its name in the container.
    public var name: InterfaceName
    /// The network's name.
    public var network: String
    /// The bridge's port on the host; nil for a driver without a bridge.
    public var hostInterface: InterfaceName?
    /// Its hardware address.
    public var macAddress: MACAddress
    /// Its addresses, IPv4 first.
    public var addresses: [InterfaceAddress]
    /// The families whose default route uses it.
    public var defaultRoutes: [AddressFamily]
    /// The ports of the host that lead to it.
    public var ports: [PublishedPort]

    /// Makes one.
    public init(
      name: InterfaceName, network: String, hostInterface: InterfaceName? = nil, macAddress: MACAddress,
      addresses: [InterfaceAddress], defaultRoutes: [AddressFamily] = [], ports: [PublishedPort] = []
    ) {
      self.name = name
      self.network = network
      self.hostInterface = hostInterface
      self.macAddress = macAddress
      self.addresses = addresses
      self.defaultRoutes = defaultRoutes
      self.ports = ports
    }
  }

  /// A place in the graph that a packet can pass.
  public enum Place: Hashable, Sendable, Codable {
    /// Everything beyond the uplinks.
    case outside
    /// A link of the host that leads outside.
    case uplink(String)
    /// The host's routing, firewall and own programs.
    case host
    /// A network's bridge, by the network's name.
    case network(String)
    /// A container, by its name.
    case container(String)
  }

  /// A path through the graph, to be marked in a picture: a trace's, for example.
  public struct Path: Hashable, Sendable, Codable {
    /// The subject of the path.
    public var title: String
    /// The places, in order, and the event at each.
    public var stops: [Stop]

    /// Makes one.
    public init(_ title: String, _ stops: [Stop]) {
      self.title = title
      self.stops = stops
    }

    /// A place and the event there.
    public struct Stop: Hashable, Sendable, Codable {
      /// The place.
      public var place: Place
      /// The event, in one line.
      public var text: String

      /// Makes one.
      public init(_ place: Place, _ text: String) {
        self.place = place
        self.text = text
      }
    }
  }
}

extension NetworkGraph.Network {
  /// Decodes a graph, also of a version without further bridges.
  ///
  /// - Parameter decoder: The source.
  /// - Throws: A `DecodingError`.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      name: try values.decode(String.self, forKey: .name),
      driver: try values.decode(NetworkDriver.self, forKey: .driver),
      bridge: try values.decodeIfPresent(InterfaceName.self, forKey: .bridge),
      furtherBridges: try values.decodeIfPresent([InterfaceName].self, forKey: .furtherBridges) ?? [],
      parent: try values.decodeIfPresent(InterfaceName.self, forKey: .parent),
      subnets: try values.decode([NetworkGraph.Subnetwork].self, forKey: .subnets),
      isInternal: try values.decode(Bool.self, forKey: .isInternal),
      policy: try values.decode(NetworkPolicy.self, forKey: .policy))
  }
}
