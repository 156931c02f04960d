public import NetworkPrimitives

/// What a custom network is to be like.
public struct NetworkOptions: Hashable, Sendable {
  /// Addresses of the network; nil to have them chosen from the controller's pools.
  public var subnet: Subnet?
  /// Where dynamic addresses come from; inside the subnet.
  public var ipRange: Subnet?
  /// The bridge's address; nil for the first free one of the range.
  public var gateway: IPAddress?
  /// Addresses that no container is given, by what they are for.
  public var auxiliaryAddresses: [String: IPAddress]
  /// Whether nothing passes in or out.
  public var isInternal: Bool
  /// Maximum transmission unit, bytes, 576 to 65,535; 1,500 by default.
  public var mtu: UInt32
  /// Name of the bridge; nil for one made of the network's id.
  public var bridge: InterfaceName?
  /// Labels.
  public var labels: [String: String]

  /// Makes options; each has a default.
  public init(
    subnet: Subnet? = nil, ipRange: Subnet? = nil, gateway: IPAddress? = nil,
    auxiliaryAddresses: [String: IPAddress] = [:], isInternal: Bool = false, mtu: UInt32 = 1500,
    bridge: InterfaceName? = nil, labels: [String: String] = [:]
  ) {
    self.subnet = subnet
    self.ipRange = ipRange
    self.gateway = gateway
    self.auxiliaryAddresses = auxiliaryAddresses
    self.isInternal = isInternal
    self.mtu = mtu
    self.bridge = bridge
    self.labels = labels
  }
}

/// What a container asks for when it is attached.
public struct AttachOptions: Hashable, Sendable {
  /// Ports to publish on the host.
  public var ports: [PortMapping]
  /// The container's address; custom networks only. Nil for the next free one.
  public var address: IPAddress?
  /// The container's hardware address; nil for one made of its IPv4 address.
  public var macAddress: MACAddress?

  /// Makes options; each has a default.
  public init(ports: [PortMapping] = [], address: IPAddress? = nil, macAddress: MACAddress? = nil) {
    self.ports = ports
    self.address = address
    self.macAddress = macAddress
  }
}

/// Something that was asked for and quietly would not have been done.
public enum AttachWarning: Hashable, Sendable, CustomStringConvertible {
  /// Host and none mode publish nothing: there the container's ports are the host's, or there is no interface.
  case portDiscarded(PortMapping, NetworkMode)

  /// The warning as a sentence.
  public var description: String {
    switch self {
    case .portDiscarded(let port, .host):
      "port \(port.containerPorts)/\(port.transport) is not published: in host mode the container's ports are the host's"
    case .portDiscarded(let port, let mode):
      "port \(port.containerPorts)/\(port.transport) is not published: in mode \(mode) there is no interface"
    }
  }
}

extension NetworkMode {
  /// Which options cannot be had in this mode, all of them, each saying both halves.
  func conflicts(with options: AttachOptions, container: String) -> [NetworkError] {
    var errors: [NetworkError] = []
    let refuse = { (what: String, remedy: String) in
      errors.append(
        NetworkError(
          .conflictingOptions, operation: "attach \"\(container)\" in mode \(self)",
          reason: "\(what) cannot be combined with mode \"\(self)\"; \(remedy)"))
    }
    switch self {
    case .network: break
    case .bridge:
      if let address = options.address {
        refuse("the static address \(address)", "create a network with a subnet of your own and attach to that")
      }
    case .host, .none, .container:
      if let address = options.address { refuse("the static address \(address)", "leave it out") }
      if let address = options.macAddress { refuse("the MAC address \(address)", "leave it out") }
    }
    switch self {
    case .container(let donor):
      if donor == container { refuse("the container itself as donor", "name another container") }
      if !options.ports.isEmpty { refuse("publishing ports", "publish them on \"\(donor)\", whose namespace it is") }
    case .none, .host, .bridge, .network: break
    }
    return errors
  }
}
