public import Netlink
public import NetworkPrimitives

/// How far something recorded has come. What is not ``ready`` is finished or undone by whoever opens the store after its
/// ``Endpoint/owner`` has died.
public enum Phase: String, Hashable, Sendable, Codable {
  /// Written down, and being made.
  case creating
  /// Made.
  case ready
  /// Being taken away.
  case removing
  /// Only its static addresses are kept; a sandbox that was stopped or that an earlier boot had.
  case stopped
}

/// What is known of a network: what its creator asked for and what it was given.
public struct NetworkRecord: Hashable, Sendable, Codable {
  /// 64 hexadecimal digits.
  public var id: String
  /// Its unique name.
  public var name: String
  /// When it was made.
  public var created: Timestamp
  /// What its endpoints are made of.
  public var driver: NetworkDriver
  /// The bridge on the host; nil for a driver that has none.
  public var bridge: InterfaceName?
  /// The bridges that it has grown over; nil for none.
  public var furtherBridges: [FurtherBridge]?
  /// Whether it takes further bridges when the first has no room; nil for yes.
  public var growsOverBridges: Bool?
  /// How the bridge was that was there before, and is not deleted with the network; nil for one of the network's own.
  public var adopted: AdoptedBridge?
  /// The link of the host that its endpoints are made on, and that is never changed; nil for a driver that has none.
  public var parent: InterfaceName?
  /// Whom its endpoints reach on the parent; nil unless they are macvlans.
  public var macvlanMode: MacvlanMode?
  /// One subnet of a family at the most, IPv4 first, with its gateway.
  public var subnets: [SubnetRecord]
  /// Whether its subnets may overlap what the host reaches otherwise, as its creator said; nil for no.
  public var allowsHostOverlap: Bool?
  /// Nothing passes in or out; the containers reach each other and the gateway.
  public var isInternal: Bool
  /// Maximum transmission unit of the bridge and its endpoints, bytes.
  public var mtu: UInt32
  /// What passes.
  public var policy: NetworkPolicy
  /// What interfaces in containers are called, before their number.
  public var interfacePrefix: String
  /// The creator's options, as they were written.
  public var options: [String: String]
  /// The creator's labels.
  public var labels: [String: String]
  /// Where its containers ask for names, if its creator said; see ``servesNamesAt``.
  public var nameServing: NameServing?
  /// Where on its gateways they are answered; nil for port 53 itself, and for a network that nobody has served yet.
  public var nameServer: NameServerPlace?
  /// The name servers that are asked for what is no name of the network; nil for the host's.
  public var dnsServers: [IPAddress]?
  /// Addresses that containers have had with a hardware address that does not come with them, by which neighbours may go on to
  /// know them: whoever has one next announces itself to all, see ``Endpoint/announcesToAll``. Nil for none.
  public var movedAddresses: [IPAddress]?
  /// Whether those were too many to be listed, and everybody announces itself to all; nil for no.
  public var hasUnlistedMovedAddresses: Bool?
  /// How far it has come.
  public var phase: Phase
  /// Who is making or removing it.
  public var owner: String

  /// Addresses of the containers, of the first family.
  public var subnet: Subnet { subnets[0].subnet }
  /// Where dynamic addresses of the first family come from; nil for all of ``subnet``.
  public var ipRange: Subnet? { subnets[0].ipRange }
  /// The next hop of the containers' default route, of the first family: the bridge's address, or an outside router's;
  /// the subnet's first address where there is none.
  public var gateway: IPAddress { subnets[0].gateway ?? subnet.first }
  /// The families that its endpoints have addresses of.
  public var families: [AddressFamily] { subnets.map(\.subnet.family) }
  /// Whether the bridge was there before; it is not deleted with the network then.
  public var adoptsBridge: Bool { adopted != nil }
  /// Whether the user made it; the default network is not.
  public var isPredefined: Bool { Name.predefined.contains(name) }

  /// The hardware address that its bridge is made with: of the gateway's address, or of the network's id where no IPv4
  /// gateway is.
  var bridgeMACAddress: MACAddress {
    if let gateway = subnets.lazy.compactMap({ $0.gateway?.v4 }).first { return MACAddress(ipv4: gateway) }
    let digits = UInt64(id.prefix(10), radix: 16) ?? 0
    return MACAddress(rawValue: 0x0a << 40 | digits) ?? .broadcast
  }

  /// The subnet of a family.
  public func subnet(_ family: AddressFamily) -> SubnetRecord? { subnets.first { $0.subnet.family == family } }
}

/// How a bridge was before a network adopted it, and is to be after.
public struct AdoptedBridge: Hashable, Sendable, Codable {
  /// The addresses that it had.
  public var addresses: [InterfaceAddress]
  /// The settings that the network changes, by their sysctls.
  public var sysctls: [String: String]
  /// Whether it was up.
  public var isUp: Bool
}

/// One subnet of a network.
public struct SubnetRecord: Hashable, Sendable, Codable {
  /// Addresses of the containers.
  public var subnet: Subnet
  /// Where dynamic addresses come from; nil for all of the subnet.
  public var ipRange: Subnet?
  /// The next hop of the default route, which the bridge has unless the driver has no bridge; nil for none.
  public var gateway: IPAddress?
  /// Addresses that no container is given, by what has them.
  public var auxiliaryAddresses: [String: IPAddress]
}

/// Where the next-fit search of a subnet stands; beside the endpoints, which are its leases.
public struct PoolRecord: Hashable, Sendable, Codable {
  /// Id of the network.
  public var networkID: String
  /// The subnet's family.
  public var family: AddressFamily
  /// The address last given out.
  public var cursor: IPAddress?
  /// Released addresses that are the last to be given out again, the oldest first.
  public var resting: [IPAddress]
}

/// What is known of one container's attachment to a network.
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
  /// Which of the network's ``NetworkRecord/furtherBridges`` it is on; nil for the first bridge, and for none.
  public var bridge: InterfaceName?
  /// Hardware address in the container.
  public var macAddress: MACAddress
  /// Addresses and prefixes in the container, IPv4 first; there is one.
  public var addresses: [InterfaceAddress]
  /// Which of them the container asked for: they stay its own while it is stopped.
  public var staticAddresses: [IPAddress]
  /// What the container had on other networks when it was put on this one, and still has: its answers from those addresses
  /// leave by this endpoint when that has the default route. Nil for nothing.
  public var otherAddresses: [IPAddress]?
  /// The host's ends of those, by one of which its answers from this endpoint's addresses leave when that has the default
  /// route. Nil for none.
  public var otherPorts: [InterfaceName]?
  /// The bridges that those are ports of: what came in by one of them, for a port published here, it would answer directly.
  /// Nil for none.
  public var otherBridges: [InterfaceName]?
  /// The next hops of a default route by this endpoint, one of a family; none on an internal network.
  public var gateways: [IPAddress]
  /// The highest of a container's endpoints has the default route.
  public var gatewayPriority: Int
  /// Names that the network's other containers know it by, besides the container's.
  public var aliases: [String]
  /// Whether its announcement is to reach every container of its network, on all bridges of that, and not only the host, since
  /// one may know its addresses by another hardware address; nil for no.
  public var announcesToAll: Bool?
  /// Who forwards what of its ports: one of ``HostRecord/forwarders`` and the place that it listens at, as in
  /// `TOKEN ID [::]:8080/tcp`. Nil for nobody.
  public var forwarding: [String]?
  /// Ports published on the host.
  public var ports: [PublishedPort]
  /// Ports that are being published or released; nil for none.
  public var portChange: PortChange?
  /// How far it has come.
  public var phase: Phase
  /// Who is making or removing it.
  public var owner: String

  /// The first address.
  public var address: InterfaceAddress { addresses[0] }
  /// The first gateway; nil on an internal network.
  public var gateway: IPAddress? { gateways.first }
  /// The address of a family.
  public func address(_ family: AddressFamily) -> InterfaceAddress? { addresses.first { $0.family == family } }

  /// Whether its hardware address is the one that goes with its IPv4 address, so that whoever has that one next has it too.
  var hasDerivedMACAddress: Bool { address(.ipv4)?.address.v4.map { MACAddress(ipv4: $0) } == macAddress }

  /// Strikes out what is known of another endpoint of the container that is gone.
  ///
  /// - Parameters:
  ///   - other: The endpoint.
  ///   - bridge: The bridge that it was on.
  /// - Returns: Whether there was anything.
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

/// What is known of an attached container.
public struct SandboxRecord: Hashable, Sendable, Codable {
  /// The name that `attach` was given.
  public var container: String
  /// How it is on the network.
  public var mode: NetworkMode
  /// Id of its namespace, the same for all that share it: 64 hexadecimal digits, or `host`.
  public var sandboxID: String
  /// A path that opens the namespace in any process; nil for one that only this process holds.
  public var namespacePath: String?
  /// What the namespace is known by; nil until it is made.
  public var namespaceInode: UInt64?
  /// Whether ``namespacePath`` is a pin of ours, which is removed with the last container.
  public var ownsNamespace: Bool
  /// What was asked for and not done.
  public var warnings: [AttachWarning]
  /// What it is called, and whom it asks for names; nil for nothing in particular.
  public var names: NameOptions?
  /// The directory of its resolv.conf, hosts and hostname, in container mode the donor's; nil for none.
  public var filesDirectory: String?
  /// Whether the static addresses stay its own if it is removed: one that is being stopped, or that was and is on its way
  /// back.
  public var keepsAddresses: Bool?
  /// How far it has come.
  public var phase: Phase
  /// Who is making or removing it; of one that is ready, who holds its namespace open while it uses the store.
  public var owner: String
}

/// What was changed on the host for all networks together.
public struct HostRecord: Hashable, Sendable, Codable {
  /// Boot and namespace that the other records are true for; see `Stamp`.
  public var stamp: String
  /// Sysctls that were switched on, and what they were before.
  public var sysctls: [String: String]
  /// What the record is known by on its host, beside others: eight hexadecimal digits, in the comments of its elements in our
  /// firewall tables. Nil in records of versions that did not write it down.
  public var id: String?
  /// Links that forward only because a network needs it.
  public var uplinks: [Uplink]
  /// Who is making the networks again after a start of the machine; nil when that is done.
  public var owner: String?
  /// Who holds published ports by sockets, while they live: a ``Store/token`` and what tells apart those that share it.
  public var portHolders: [String]?
  /// Those of them that forward, so that ports are published where only a forwarder serves them.
  public var forwarders: [String]?
  /// The version of our firewall tables as they were made last; nil in records of versions that did not write it down.
  public var rulesVersion: Int?
  /// The IPv4 subnet that is kept for the default network, whether that is made or not; nil until the first network is made.
  public var defaultSubnet: Subnet?
  /// Who removes unused networks, told apart as ``portHolders``; nil when nobody does.
  public var pruner: String?
}

/// A link of the host that forwards packets of a family for our networks alone.
public struct Uplink: Hashable, Sendable, Codable {
  /// What the link was called when it was last looked at.
  public var name: InterfaceName
  /// The family.
  public var family: AddressFamily
  /// What it is known by, whatever it is called; nil in records of versions that knew links by their names.
  public var index: Int32?
}
