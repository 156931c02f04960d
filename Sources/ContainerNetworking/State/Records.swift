public import Netlink
public import NetworkPrimitives

/// The progress of a recorded object. After its ``Endpoint/owner`` has died, the next user of the store completes or
/// undoes an object that is not ``ready``.
public enum Phase: String, Hashable, Sendable, Codable {
  /// Recorded, and being created.
  case creating
  /// Made.
  case ready
  /// Being removed.
  case removing
  /// Only its static addresses are kept: a sandbox that was stopped, or one of an earlier boot.
  case stopped
}

/// The record of a network: its creator's options and its allocations.
public struct NetworkRecord: Hashable, Sendable, Codable {
  /// 64 hexadecimal digits.
  public var id: String
  /// Its unique name.
  public var name: String
  /// When it was made.
  public var created: Timestamp
  /// The driver of its endpoints.
  public var driver: NetworkDriver
  /// The bridge on the host; nil for a driver without one.
  public var bridge: InterfaceName?
  /// Its further bridges; nil for none.
  public var furtherBridges: [FurtherBridge]?
  /// Whether it gets further bridges when the first is full; nil for yes.
  public var growsOverBridges: Bool?
  /// The former state of an adopted bridge, which is not deleted with the network; nil for the network's own bridge.
  public var adopted: AdoptedBridge?
  /// The host's link on which its endpoints are made, whose settings are never changed; nil for a driver without one.
  public var parent: InterfaceName?
  /// The reachability among its endpoints on the parent; nil unless they are macvlans.
  public var macvlanMode: MacvlanMode?
  /// What its driver recorded of it, by names that are the driver's own; nil for nothing.
  public var driverState: [String: String]?
  /// At most one subnet of each family, IPv4 first, with its gateway.
  public var subnets: [SubnetRecord]
  /// Whether its subnets may overlap the host's addresses and routes, as its creator chose; nil for no.
  public var allowsHostOverlap: Bool?
  /// Nothing passes in or out; the containers reach each other and the gateway.
  public var isInternal: Bool
  /// Maximum transmission unit of the bridge and its endpoints, bytes.
  public var mtu: UInt32
  /// The permitted traffic.
  public var policy: NetworkPolicy
  /// The prefix of interface names in containers, before the number.
  public var interfacePrefix: String
  /// The creator's options in their original form.
  public var options: [String: String]
  /// The creator's labels.
  public var labels: [String: String]
  /// The creator's choice of its name server's place; see ``servesNamesAt``.
  public var nameServing: NameServing?
  /// The port of its gateways for its name server; nil for port 53 itself, and for a network that has not been served
  /// yet.
  public var nameServer: NameServerPlace?
  /// The upstream name servers for other names; nil for the host's.
  public var dnsServers: [IPAddress]?
  /// Addresses last used with a MAC that is not derived from them. Neighbours may have the old MAC cached, so the next
  /// holder announces itself to everyone, see ``Endpoint/announcesToAll``. Nil for none.
  public var movedAddresses: [IPAddress]?
  /// Whether those exceeded the limit, so that every endpoint announces itself to all; nil for no.
  public var hasUnlistedMovedAddresses: Bool?
  /// Its phase.
  public var phase: Phase
  /// The process that creates or removes it.
  public var owner: String

  /// The subnet of the first family.
  public var subnet: Subnet { subnets[0].subnet }
  /// The range of dynamic addresses of the first family; nil for all of ``subnet``.
  public var ipRange: Subnet? { subnets[0].ipRange }
  /// The next hop of the containers' default route, of the first family: the bridge's address, or an external router's.
  /// Without a gateway, the subnet's first address.
  public var gateway: IPAddress { subnets[0].gateway ?? subnet.first }
  /// The families of its endpoints' addresses.
  public var families: [AddressFamily] { subnets.map(\.subnet.family) }
  /// Whether its bridge was adopted; it is not deleted with the network then.
  public var adoptsBridge: Bool { adopted != nil }
  /// Whether it is predefined, as the default network is; others are made by the user.
  public var isPredefined: Bool { Name.predefined.contains(name) }

  /// The hardware address of its bridge: derived from the gateway's IPv4 address or, without one, from the network's
  /// id.
  var bridgeMACAddress: MACAddress {
    if let gateway = subnets.lazy.compactMap({ $0.gateway?.v4 }).first { return MACAddress(ipv4: gateway) }
    let digits = UInt64(id.prefix(10), radix: 16) ?? 0
    return MACAddress(rawValue: 0x0a << 40 | digits) ?? .broadcast
  }

  /// The subnet of a family.
  public func subnet(_ family: AddressFamily) -> SubnetRecord? { subnets.first { $0.subnet.family == family } }
}

/// The state of a bridge before its adoption, to be restored afterwards.
public struct AdoptedBridge: Hashable, Sendable, Codable {
  /// The addresses that it had.
  public var addresses: [InterfaceAddress]
  /// The settings that the network changes, by sysctl name.
  public var sysctls: [String: String]
  /// Whether it was up.
  public var isUp: Bool
}

/// One subnet of a network.
public struct SubnetRecord: Hashable, Sendable, Codable {
  /// Addresses of the containers.
  public var subnet: Subnet
  /// The range of dynamic addresses; nil for all of the subnet.
  public var ipRange: Subnet?
  /// The next hop of the default route, an address of the bridge unless the driver has none; nil for none.
  public var gateway: IPAddress?
  /// Addresses that no container gets, by their user.
  public var auxiliaryAddresses: [String: IPAddress]
}

/// The state of a subnet's next-fit search; its leases are the endpoints.
public struct PoolRecord: Hashable, Sendable, Codable {
  /// Id of the network.
  public var networkID: String
  /// The subnet's family.
  public var family: AddressFamily
  /// The last allocated address.
  public var cursor: IPAddress?
  /// Released addresses that are reused last, the oldest first.
  public var resting: [IPAddress]
}

/// The record of one container's attachment to a network.
public struct Endpoint: Hashable, Sendable, Codable {
  /// 64 hexadecimal digits.
  public var id: String
  /// Id of the network.
  public var networkID: String
  /// Name of the network.
  public var networkName: String
  /// The container that it was made for.
  public var container: String
  /// Id of the sandbox's namespace, which several containers may share.
  public var sandboxID: String
  /// The interface in the container: `eth0`.
  public var interface: InterfaceName
  /// The bridge's port on the host; nil for a driver without a bridge.
  public var hostInterface: InterfaceName?
  /// Its bridge among the network's ``NetworkRecord/furtherBridges``; nil for the first bridge, and for none.
  public var bridge: InterfaceName?
  /// Hardware address in the container.
  public var macAddress: MACAddress
  /// Addresses and prefixes in the container, IPv4 first; at least one.
  public var addresses: [InterfaceAddress]
  /// The addresses that the container requested: they stay reserved while it is stopped.
  public var staticAddresses: [IPAddress]
  /// The container's addresses on networks that it joined earlier and is still on. Its answers from them leave by this
  /// endpoint when that has the default route. Nil for none.
  public var otherAddresses: [IPAddress]?
  /// The host ports of those endpoints, by one of which answers from this endpoint's addresses leave when that has the
  /// default route. Nil for none.
  public var otherPorts: [InterfaceName]?
  /// The bridges of those ports: the container would answer directly to a packet that came by one of them for a port
  /// published here. Nil for none.
  public var otherBridges: [InterfaceName]?
  /// The next hops of a default route through this endpoint, one for each family; empty on an internal network. The unspecified
  /// address stands for the link itself, as in route(8): the route has no next hop.
  public var gateways: [IPAddress]
  /// The container's endpoint with the highest priority has the default route.
  public var gatewayPriority: Int
  /// Further names of the container for the network's other containers.
  public var aliases: [String]
  /// Labels, such as its maker's; nil for none.
  public var labels: [String: String]?
  /// Whether its announcement must reach every container of its network, on all bridges, and not only the host, because
  /// a neighbour may know its addresses by a stale MAC address; nil for no.
  public var announcesToAll: Bool?
  /// The forwarders of its ports: entries of ``HostRecord/forwarders`` with the listening address, as in
  /// `TOKEN ID [::]:8080/tcp`. Nil for none.
  public var forwarding: [String]?
  /// Ports published on the host.
  public var ports: [PublishedPort]
  /// Ports being published or released; nil for none.
  public var portChange: PortChange?
  /// Its phase.
  public var phase: Phase
  /// The process that creates or removes it.
  public var owner: String

  /// The first address.
  public var address: InterfaceAddress { addresses[0] }
  /// The first gateway; nil on an internal network.
  public var gateway: IPAddress? { gateways.first }
  /// The address of a family.
  public func address(_ family: AddressFamily) -> InterfaceAddress? { addresses.first { $0.family == family } }

  /// Whether its MAC address is derived from its IPv4 address, so that the next holder of that address has the same
  /// one.
  var hasDerivedMACAddress: Bool { address(.ipv4)?.address.v4.map { MACAddress(ipv4: $0) } == macAddress }

  /// Removes the data of a removed endpoint of the same container.
  ///
  /// - Parameters:
  ///   - other: The endpoint.
  ///   - bridge: Its bridge.
  /// - Returns: Whether anything was removed.
  mutating func forget(_ other: Endpoint, on bridge: InterfaceName?) -> Bool {
    let before = self
    otherAddresses?.removeAll { address in other.addresses.contains { $0.address == address } }
    otherPorts?.removeAll { $0 == other.hostInterface }
    if otherAddresses?.isEmpty == true { otherAddresses = nil }
    otherBridges?.removeAll { $0 == bridge }
    if otherPorts?.isEmpty == true { otherPorts = nil }
    if otherBridges?.isEmpty == true { otherBridges = nil }
    return before != self
  }
}

/// The record of an attached container.
public struct SandboxRecord: Hashable, Sendable, Codable {
  /// The name given to `attach`.
  public var container: String
  /// The network mode.
  public var mode: NetworkMode
  /// Id of its namespace, the same for all containers in it: 64 hexadecimal digits, or `host`.
  public var sandboxID: String
  /// A path that opens the namespace in any process; nil for a namespace that only this process holds.
  public var namespacePath: String?
  /// The inode of the namespace; nil until it is made.
  public var namespaceInode: UInt64?
  /// The kernel's number of the namespace, which no other has while the machine runs (`SO_NETNS_COOKIE`, Linux 5.14); the
  /// inode of a deleted one is used again. Nil if it is not known.
  public var namespaceCookie: UInt64?
  /// The mount and PID namespaces of the process that attached it, as in `mnt:[4026531841] pid:[4026531836]`, where its path
  /// and its processes are seen; nil if they are seen from everywhere.
  public var viewpoint: String?
  /// Whether ``namespacePath`` is a pin of ours, which is removed with the last container.
  public var ownsNamespace: Bool
  /// The options that were not applied.
  public var warnings: [AttachWarning]
  /// Its host name and name servers; nil for the defaults.
  public var names: NameOptions?
  /// The directory of its resolv.conf, hosts and hostname, in container mode the donor's; nil for none.
  public var filesDirectory: String?
  /// Whether its static addresses stay reserved when it is removed: it is being stopped, or was stopped and is being
  /// attached again.
  public var keepsAddresses: Bool?
  /// Whether it is an endpoint without a sandbox (``NetworkController/createEndpoint(_:on:options:ports:)``), whose link
  /// an engine moves to a namespace of its own; nil for no.
  public var handsOutLink: Bool?
  /// Its phase.
  public var phase: Phase
  /// The process that creates or removes it; of a ready one, the process that holds its namespace open while it uses
  /// the store.
  public var owner: String
}

/// Changes of the host for all networks together.
public struct HostRecord: Hashable, Sendable, Codable {
  /// The boot and the namespace for which the other records are true; see `Engine.stamp`.
  public var stamp: String
  /// Sysctls that were enabled, and their former values.
  public var sysctls: [String: String]
  /// The id of the record on its host: eight hexadecimal digits, in the comments of its elements in our firewall
  /// tables. Nil in records of versions that did not store it.
  public var id: String?
  /// Links that forward only for our networks.
  public var uplinks: [Uplink]
  /// The process that restores the networks after a start of the machine; nil when that is done.
  public var owner: String?
  /// The live processes that reserve published ports by sockets: a ``Store/token`` and a suffix that distinguishes
  /// users of one token.
  public var portHolders: [String]?
  /// Those of them that forward; ports that only a forwarder can serve are published while one exists.
  public var forwarders: [String]?
  /// The version of our firewall tables when last made; nil in records of versions that did not store it.
  public var rulesVersion: Int?
  /// The IPv4 subnet that is reserved for the default network, existing or not; nil until the first network is made.
  public var defaultSubnet: Subnet?
  /// The process that prunes networks, identified as in ``portHolders``; nil for none.
  public var pruner: String?
}

/// A link of the host that forwards a family's packets for our networks alone.
public struct Uplink: Hashable, Sendable, Codable {
  /// The name of the link when last read.
  public var name: InterfaceName
  /// The family.
  public var family: AddressFamily
  /// The index, which identifies the link whatever its name; nil in records of versions that identified links by name.
  public var index: Int32?
}
