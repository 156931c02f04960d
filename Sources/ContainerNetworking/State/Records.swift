public import NetworkPrimitives

/// What is known of a network: what its creator asked for and what it was given.
public struct NetworkRecord: Hashable, Sendable {
  /// 64 hexadecimal digits.
  public var id: String
  /// Its unique name.
  public var name: String
  /// The bridge on the host.
  public var bridge: InterfaceName
  /// Addresses of the containers.
  public var subnet: Subnet
  /// Where dynamic addresses come from, inside ``subnet``; nil for all of it.
  public var ipRange: Subnet?
  /// The bridge's address.
  public var gateway: IPAddress
  /// Nothing passes in or out; the containers reach each other and the gateway.
  public var isInternal: Bool
  /// Maximum transmission unit of the bridge and its endpoints, bytes.
  public var mtu: UInt32
  /// The creator's labels.
  public var labels: [String: String]
}

/// What is known of one container's attachment to a network.
public struct Endpoint: Hashable, Sendable {
  /// 64 hexadecimal digits.
  public var id: String
  /// Id of the network.
  public var networkID: String
  /// Name of the network.
  public var networkName: String
  /// The interface in the container: `eth0`.
  public var interface: InterfaceName
  /// The bridge's port on the host.
  public var hostInterface: InterfaceName
  /// Hardware address in the container.
  public var macAddress: MACAddress
  /// Address and prefix in the container.
  public var address: InterfaceAddress
  /// The default route's next hop; nil on an internal network.
  public var gateway: IPAddress?
  /// Ports published on the host.
  public var ports: [PublishedPort]
}

/// What is known of an attached container.
public struct SandboxRecord: Hashable, Sendable {
  /// The name that `attach` was given.
  public var container: String
  /// How it is on the network.
  public var mode: NetworkMode
  /// Its endpoints; none in host, none and container mode.
  public var endpoints: [Endpoint]
}
