import Netlink
import NetworkPrimitives

/// The sets and maps of our tables: networks, endpoints and ports are elements of them. Names are unique across both
/// tables.
enum FirewallSets {
  /// The table for packets.
  static let table = NftTable(family: .inet, name: "containernetworking")
  /// The table for frames of our bridges' ports.
  static let bridgeTable = NftTable(family: .bridge, name: "containernetworking")
  static let tables = [table, bridgeTable]

  /// Our bridges.
  static let bridges = set("bridges", [.interfaceName])
  /// Further bridges of networks: their traffic passes one of ``bridges`` too, or stays among their ports.
  static let furtherBridges = set("further_bridges", [.interfaceName])
  /// Bridges of internal networks: no traffic in or out.
  static let internalBridges = set("internal_bridges", [.interfaceName])
  /// The addresses by which an internal network's containers reach the host, each with its bridge.
  static let internalGateways = familySets("internal_gateways") { [address($0), .interfaceName] }
  /// Bridges whose containers are reachable from outside by their own addresses.
  static let openBridges = familySets("open_bridges") { _ in [.interfaceName] }
  /// Bridges whose containers answer pings from outside.
  static let pingBridges = familySets("ping_bridges") { _ in [.interfaceName] }
  /// Links of the host through which a bridge's published container ports are reachable by the containers' own
  /// addresses.
  static let trustedLinks = set("trusted_links", [.interfaceName, .interfaceName])
  /// Bridges whose packets leave with the host's address.
  static let natBridges = familySets("nat_bridges") { _ in [.interfaceName] }
  /// Bridges whose packets leave with a source address of the user's choice, and that address.
  static let sourceAddresses = ByFamily(
    ipv4: set("source_addresses4", [.interfaceName], data: .values([.ipv4Address])),
    ipv6: set("source_addresses6", [.interfaceName], data: .values([.ipv6Address])))
  /// Each bridge paired with itself: traffic that leaves by its incoming bridge.
  static let sameBridge = set("same_bridge", [.interfaceName, .interfaceName])
  /// Links that forward only for our bridges, by index: traffic passes only from and to our bridges. Whichever record
  /// enabled one, the last that needs it disables it.
  static let uplinks = familySets("uplinks") { _ in [.interfaceIndex] }
  /// The records that need the host's links to forward a family. No rule reads this set.
  static let forwarding = familySets("forwarding") { _ in [.mark] }
  /// The records in our tables. No rule reads this set.
  static let records = set("records", [.mark])
  /// Address and bridge of each endpoint.
  static let endpoints = familySets("endpoints") { [address($0), .interfaceName] }
  /// A container's address paired with another bridge of the container: it answers that network directly.
  static let besides = familySets("besides") { [address($0), .interfaceName] }
  /// Address, protocol and port of containers that are reachable without translation.
  static let routedPorts = familySets("routed_ports") { [address($0), .transportProtocol, .port] }
  /// As ``routedPorts``, for ports that are reachable only from trusted links.
  static let directPorts = familySets("direct_ports") { [address($0), .transportProtocol, .port] }
  /// Ports published on a family's wildcard: protocol and port, to address and port.
  static let published = familyMaps("published") { _ in [.transportProtocol, .port] }
  /// Published on one address.
  static let publishedAt = familyMaps("published_at") { [address($0), .transportProtocol, .port] }

  /// The host's ends of our endpoints.
  static let ports = set("ports", [.interfaceName], in: bridgeTable)
  /// Ports that exchange no frames with each other.
  static let apartPorts = set("apart_ports", [.interfaceName], in: bridgeTable)
  /// Ports of further bridges.
  static let furtherPorts = set("further_ports", [.interfaceName], in: bridgeTable)
  /// Each trunk of a first bridge, paired with itself.
  static let trunks = set("trunks", [.interfaceName, .interfaceName], in: bridgeTable)
  /// A port and the hardware address behind it.
  static let portMACs = set("port_macs", [.interfaceName, .macAddress], in: bridgeTable)
  /// A port and an IP address behind it.
  static let portAddresses = familySets("port_addresses", in: bridgeTable) { [.interfaceName, address($0)] }

  static let all =
    [
      records, bridges, furtherBridges, internalBridges, sameBridge, trustedLinks, ports, apartPorts, furtherPorts,
      trunks,
      portMACs,
    ]
    + [
      internalGateways, uplinks, forwarding, openBridges, pingBridges, natBridges, sourceAddresses, endpoints, besides,
      routedPorts,
      directPorts, published, publishedAt, portAddresses,
    ].flatMap { sets in
      AddressFamily.allCases.map { sets.of($0) }
    }

  /// Whether another record may claim the same key: a host-wide resource, such as a port, that no record has to create
  /// first.
  static func isContested(_ set: NftSet) -> Bool {
    AddressFamily.allCases.contains { family in
      set.name == published.of(family).name || set.name == publishedAt.of(family).name
    }
  }

  /// Whether the elements of a set are records.
  static func isOfRecords(_ set: NftSet) -> Bool {
    [records.name, forwarding.ipv4.name, forwarding.ipv6.name].contains(set.name)
  }

  /// Whether the elements of a set belong to all records together.
  static func isShared(_ set: NftSet) -> Bool { set.name == uplinks.ipv4.name || set.name == uplinks.ipv6.name }

  /// One set for IPv4, one for IPv6.
  struct ByFamily: Sendable {
    let ipv4: NftSet
    let ipv6: NftSet
    func of(_ family: AddressFamily) -> NftSet { family == .ipv4 ? ipv4 : ipv6 }
  }

  private static func address(_ family: AddressFamily) -> NftDataType {
    family == .ipv4 ? .ipv4Address : .ipv6Address
  }

  private static func set(
    _ name: String, _ key: [NftDataType], data: NftSet.Data = .none, in table: NftTable = table
  ) -> NftSet {
    NftSet(table: table, name: name, key: key, data: data)
  }

  private static func familySets(
    _ name: String, in table: NftTable = table, _ key: (AddressFamily) -> [NftDataType]
  ) -> ByFamily {
    ByFamily(ipv4: set("\(name)4", key(.ipv4), in: table), ipv6: set("\(name)6", key(.ipv6), in: table))
  }

  private static func familyMaps(_ name: String, _ key: (AddressFamily) -> [NftDataType]) -> ByFamily {
    ByFamily(
      ipv4: set("\(name)4", key(.ipv4), data: .values([.ipv4Address, .port])),
      ipv6: set("\(name)6", key(.ipv6), data: .values([.ipv6Address, .port])))
  }
}

/// The elements of a network or an endpoint in our sets.
struct FirewallElements {
  /// The key of an element.
  struct Key: Hashable {
    var set: String
    var key: [UInt8]
  }

  private(set) var list: [(set: NftSet, elements: [NftElement])] = []

  private mutating func add(_ element: NftElement, to set: NftSet) {
    if let index = list.firstIndex(where: { $0.set.name == set.name }) {
      list[index].elements.append(element)
    } else {
      list.append((set, [element]))
    }
  }

  func contains(_ element: NftElement, in set: NftSet) -> Bool {
    list.contains { $0.set.name == set.name && $0.elements.contains(element) }
  }

  mutating func add(_ other: FirewallElements) {
    for (set, elements) in other.list {
      if let index = list.firstIndex(where: { $0.set.name == set.name }) {
        list[index].elements += elements
      } else {
        list.append((set, elements))
      }
    }
  }

  /// A network's elements; none without a bridge.
  init(_ network: NetworkRecord) {
    guard let bridge = network.bridge.map({ NftValue.interface($0) }) else { return }
    self = FirewallElements(namesOf: network)
    let policy = network.policy
    add(NftElement(bridge), to: FirewallSets.bridges)
    if policy.allowsContainerTraffic {
      add(NftElement(.concatenation(bridge, bridge)), to: FirewallSets.sameBridge)
    }
    guard !network.isInternal else {
      add(NftElement(bridge), to: FirewallSets.internalBridges)
      for gateway in network.subnets.compactMap(\.gateway) where policy.gatewayMode(gateway.family) != .isolated {
        add(
          NftElement(.concatenation(.address(gateway), bridge)), to: FirewallSets.internalGateways.of(gateway.family))
      }
      return
    }
    for link in policy.trustedInterfaces ?? [] {
      add(NftElement(.concatenation(.interface(link), bridge)), to: FirewallSets.trustedLinks)
    }
    for family in network.families {
      switch policy.gatewayMode(family) {
      case .nat, .isolated: break
      case .natUnprotected: add(NftElement(bridge), to: FirewallSets.openBridges.of(family))
      case .routed: add(NftElement(bridge), to: FirewallSets.pingBridges.of(family))
      }
      guard policy.masquerades, policy.gatewayMode(family) != .routed else { continue }
      if let source = policy.sourceAddress(family) {
        add(NftElement(bridge, data: .value(.address(source))), to: FirewallSets.sourceAddresses.of(family))
      } else {
        add(NftElement(bridge), to: FirewallSets.natBridges.of(family))
      }
    }
  }

  /// Elements that redirect port 53 of a network's gateways to its name server.
  init(namesOf network: NetworkRecord) {
    guard let place = network.nameServer, network.servesNamesAt == .gateway else { return }
    for gateway in network.bridgeGateways {
      for transport in [TransportProtocol.tcp, .udp] {
        let asked = NftValue.concatenation(.number(transport.number), .port(NetworkRecord.askedNamePort))
        add(
          NftElement(
            .concatenation(.address(gateway), asked),
            data: .value(.concatenation(.address(gateway), .port(place.port)))),
          to: FirewallSets.publishedAt.of(gateway.family))
      }
    }
  }

  /// A further bridge's elements.
  init(_ further: FurtherBridge, of network: NetworkRecord) throws(NetworkError) {
    let trunk = NftValue.interface(try further.trunk)
    add(NftElement(.interface(further.name)), to: FirewallSets.furtherBridges)
    add(NftElement(.interface(try further.uplink)), to: FirewallSets.furtherPorts)
    add(NftElement(.concatenation(trunk, trunk)), to: FirewallSets.trunks)
    // Ports of different bridges are isolated like those of one bridge; the gateway is not a port.
    if !network.policy.allowsContainerTraffic { add(NftElement(trunk), to: FirewallSets.apartPorts) }
  }

  /// An endpoint's elements, its published ports included.
  init(_ endpoint: Endpoint, on network: NetworkRecord) {
    guard let bridge = network.bridge else { return }
    addPort(of: endpoint, on: network)
    for other in endpoint.otherAddresses ?? [] { add(other, besides: bridge) }
    for other in endpoint.otherBridges ?? [] {
      for own in endpoint.addresses { add(own.address, besides: other) }
    }
    for own in endpoint.addresses {
      let family = own.family
      let address = NftValue.address(own.address)
      add(NftElement(.concatenation(address, .interface(bridge))), to: FirewallSets.endpoints.of(family))
      addPorts(endpoint.ports, to: own.address, network)
    }
  }

  /// The elements of some published ports of an endpoint, without those that its other ports share.
  init(_ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord) {
    var (present, all) = (FirewallElements(), FirewallElements())
    for own in endpoint.addresses {
      present.addPorts(endpoint.ports, to: own.address, network)
      all.addPorts(ports, to: own.address, network)
    }
    self = all.filtered { set, element in !present.contains(element, in: set) }
  }

  /// Maps published ports to an endpoint's address of the same family.
  private mutating func addPorts(_ ports: [PublishedPort], to own: IPAddress, _ network: NetworkRecord) {
    let family = own.family
    let address = NftValue.address(own)
    let isRouted = network.policy.gatewayMode(family) == .routed
    let isTrusting = !(network.policy.trustedInterfaces ?? []).isEmpty
    for port in ports {
      let transport = NftValue.number(port.transport.number)
      let isOfFamily = port.hostAddress == nil || port.hostAddress?.family == family
      if isOfFamily, isRouted || isTrusting {
        let key = NftValue.concatenation(address, .concatenation(transport, .port(port.containerPort)))
        // One element covers a container port that several host ports map to.
        let set = (isRouted ? FirewallSets.routedPorts : FirewallSets.directPorts).of(family)
        if !contains(NftElement(key), in: set) { add(NftElement(key), to: set) }
      }
      if isRouted { continue }
      let key = NftValue.concatenation(transport, .port(port.hostPort))
      let target = NftElement.Data.value(.concatenation(address, .port(port.containerPort)))
      for host in port.translatedAddresses where host.family == family {
        if host.isUnspecified {
          add(NftElement(key, data: target), to: FirewallSets.published.of(family))
        } else {
          let whole = NftValue.concatenation(.address(host), key)
          add(NftElement(whole, data: target), to: FirewallSets.publishedAt.of(family))
        }
      }
    }
  }

  /// The bridge's port, and its permitted source addresses.
  private mutating func addPort(of endpoint: Endpoint, on network: NetworkRecord) {
    guard let name = endpoint.hostInterface else { return }
    let port = NftValue.interface(name)
    add(NftElement(port), to: FirewallSets.ports)
    if endpoint.bridge != nil { add(NftElement(port), to: FirewallSets.furtherPorts) }
    if !network.policy.allowsContainerTraffic { add(NftElement(port), to: FirewallSets.apartPorts) }
    add(NftElement(.concatenation(port, .mac(endpoint.macAddress))), to: FirewallSets.portMACs)
    var addresses = endpoint.addresses.map(\.address) + (endpoint.otherAddresses ?? [])
    if endpoint.address(.ipv6) != nil { addresses.append(.v6(endpoint.macAddress.linkLocalAddress)) }
    for address in addresses { add(address, behind: name) }
    // The container's default route may belong to an older endpoint: answers from this endpoint's address leave by that
    // port.
    for other in endpoint.otherPorts ?? [] {
      for own in endpoint.addresses { add(own.address, behind: other) }
    }
  }

  private mutating func add(_ address: IPAddress, behind port: InterfaceName) {
    add(
      NftElement(.concatenation(.interface(port), .address(address))),
      to: FirewallSets.portAddresses.of(address.family))
  }

  private mutating func add(_ address: IPAddress, besides bridge: InterfaceName) {
    add(
      NftElement(.concatenation(.address(address), .interface(bridge))), to: FirewallSets.besides.of(address.family))
  }

  /// The elements that newer endpoints of the same container, and their bridges, have because of this one.
  init(
    of endpoint: Endpoint, on ownBridge: InterfaceName?, beside others: [(endpoint: Endpoint, bridge: InterfaceName?)]
  ) {
    for (other, bridge) in others {
      for address in endpoint.addresses.map(\.address) where other.otherAddresses?.contains(address) == true {
        if let port = other.hostInterface { add(address, behind: port) }
        if let bridge { add(address, besides: bridge) }
      }
      if let port = endpoint.hostInterface, other.otherPorts?.contains(port) == true {
        for address in other.addresses { add(address.address, behind: port) }
      }
      if let ownBridge, other.otherBridges?.contains(ownBridge) == true {
        for address in other.addresses { add(address.address, besides: ownBridge) }
      }
    }
  }

  /// Links that forward for us alone.
  init(_ uplinks: [Uplink]) {
    for uplink in uplinks {
      guard let index = uplink.index else { continue }
      add(NftElement(.interface(index: index)), to: FirewallSets.uplinks.of(uplink.family))
    }
  }

  /// The mark that a record is in our tables.
  init(_ record: RecordID) { add(NftElement(.host(record.number)), to: FirewallSets.records) }

  /// The mark that a record needs the host's links to forward.
  init(_ record: RecordID, forwards families: some Sequence<AddressFamily>) {
    for family in families { add(NftElement(.host(record.number)), to: FirewallSets.forwarding.of(family)) }
  }

  init() {}

  /// The same elements, each with its record's comment.
  func tagged(_ record: RecordID) -> FirewallElements {
    var result = self
    for index in result.list.indices {
      let comment = FirewallSets.isShared(result.list[index].set) ? RecordID.shared : record.comment
      for element in result.list[index].elements.indices { result.list[index].elements[element].comment = comment }
    }
    return result
  }

  /// The elements that match.
  func filtered(_ isMeant: (NftSet, NftElement) -> Bool) -> FirewallElements {
    var result = FirewallElements()
    for (set, elements) in list {
      for element in elements where isMeant(set, element) { result.add(element, to: set) }
    }
    return result
  }

  /// The elements (``NftElement/identity``) by the names of their sets.
  var bySet: [String: Set<[UInt8]>] {
    Dictionary(uniqueKeysWithValues: list.map { ($0.set.name, Set($0.elements.map(\.identity))) })
  }
}
