import Netlink
import NetworkPrimitives

/// The request for a new endpoint.
struct EndpointRequest {
  var container: String
  var options: EndpointOptions
  var ports: [PortMapping]
  var names = NameOptions()
  /// The host's ephemeral ports; nil if the request needs none.
  var ephemeral: EphemeralPorts?
  /// Known link names of the namespace.
  var usedNames: Set<String> = []
  /// Containers whose former namespace had the same number as this one; see ``Engine/departed(from:)``.
  var departed: Set<String> = []
}

extension Engine {
  /// A network that accepts new endpoints.
  ///
  /// - Throws: `.notFound`; `.unsupported` if its driver is not there; `.inUse` while it is created or removed.
  func readyNetwork(_ name: String, _ operation: String, _ state: EngineState) throws(NetworkError) -> NetworkRecord {
    let network = try state.network(name)
    _ = try driver(of: network, operation)
    if network.phase != .ready {
      try checkIdle(network.phase, network.owner, "network \"\(network.name)\"", operation)
      throw NetworkError(
        .inUse, operation: operation,
        reason: "network \"\(network.name)\" was left half made; reconcile the controller, or remove it")
    }
    return network
  }

  /// Chooses addresses, ports and names, and records the endpoint.
  ///
  /// - Returns: The endpoint, and its container's kept endpoints on the network, which it replaces.
  func planEndpoint(
    _ request: EndpointRequest, _ sandboxID: String, _ network: NetworkRecord, _ transaction: inout Transaction
  ) throws(NetworkError) -> (endpoint: Endpoint, kept: [Endpoint]) {
    let operation = "attach \"\(request.container)\" to \"\(network.name)\""
    let options = request.options
    let places = places(of: network, transaction.state)
    try check(request, on: network, places, operation)
    try namePortFaults(request.ports, of: network, operation, transaction.state).throwAny(operation)
    let others = transaction.state.endpoints(ofSandbox: sandboxID).filter { $0.phase != .stopped }
    let interface = try chooseInterface(options.interface, network.interfacePrefix, operation) { name in
      request.usedNames.contains(name) || others.contains { $0.interface.description == name }
    }
    let kept = try transaction.takeOver(request.container, on: network)
    let ports = try transaction.state.ports.pick(
      request.ports, for: request.container, bindingAddress: network.policy.hostBindingAddress, at: places,
      ephemeral: request.ephemeral)
    let wanted = options.addresses.isEmpty ? kept.flatMap(\.staticAddresses) : options.addresses
    let addresses = try lease(wanted, for: request.container, on: network, &transaction)
    let id = makeID()
    let traits = try driver(of: network, operation).endpointTraits(on: network)
    let mac = try hardwareAddress(of: request, having: addresses, on: network, traits, operation, transaction.state)
    let otherPorts = network.bridge == nil ? [] : others.compactMap(\.hostInterface)
    let otherBridges =
      network.bridge == nil ? [] : others.compactMap { transaction.state.networks[$0.networkID]?.bridge }
    let bridge = try transaction.place(on: network, capacity, operation)
    var endpoint = Endpoint(
      id: id, networkID: network.id, networkName: network.name, container: request.container, sandboxID: sandboxID,
      interface: interface, hostInterface: network.bridge == nil ? nil : try InterfaceName("veth\(id.prefix(8))"),
      bridge: bridge, macAddress: mac,
      addresses: addresses, staticAddresses: wanted,
      otherAddresses: others.isEmpty ? nil : others.flatMap { $0.addresses.map(\.address) },
      otherPorts: otherPorts.isEmpty ? nil : otherPorts,
      otherBridges: otherBridges.isEmpty ? nil : otherBridges,
      gateways: network.isInternal || !options.takesDefaultRoute ? [] : traits.gateways,
      gatewayPriority: options.gatewayPriority, aliases: options.aliases,
      labels: options.labels.isEmpty ? nil : options.labels, ports: ports, phase: .creating,
      owner: store.token)
    if (transaction.state.networks[network.id] ?? network).mayBeKnownOtherwise(endpoint) {
      endpoint.announcesToAll = true
    }
    transaction.save(.endpoint(endpoint))
    return (endpoint, kept)
  }

  /// Checks a container's request, as far as that needs no other records.
  func check(
    _ request: EndpointRequest, on network: NetworkRecord, _ places: PortPlaces, _ operation: String
  ) throws(NetworkError) {
    if let mac = request.options.macAddress, let fault = mac.stationFault { throw .invalid(operation, fault) }
    for alias in request.options.aliases { try Name.checkAlias(alias, operation: operation) }
    try checkFamilies(request, network, places, operation)
  }

  func lease(
    _ wanted: [IPAddress], for container: String, on network: NetworkRecord, _ transaction: inout Transaction
  ) throws(NetworkError) -> [InterfaceAddress] {
    var addresses: [InterfaceAddress] = []
    for subnet in network.subnets {
      let address = try transaction.withPool(of: network, subnet) { (pool) throws(NetworkError) in
        guard let own = wanted.first(where: { $0.family == subnet.subnet.family }) else {
          return try pool.allocate(for: container)
        }
        try pool.allocate(own, for: container)
        return own
      }
      addresses.append(try InterfaceAddress(address: address, in: subnet.subnet))
    }
    return addresses
  }

  private func checkFamilies(
    _ request: EndpointRequest, _ network: NetworkRecord, _ places: PortPlaces, _ operation: String
  ) throws(NetworkError) {
    var faults: [NetworkError] = []
    let wanted = request.options.addresses
    for address in wanted where !network.families.contains(address.family) {
      let subnets = network.subnets.map(\.subnet.description).joined(separator: ", ")
      faults.append(
        NetworkError(
          .invalidValue, operation: operation,
          reason: "\(address) is in none of the network's subnets; they are \(subnets)"))
    }
    if wanted.count > 1, Set(wanted.map(\.family)).count < wanted.count {
      faults.append(
        NetworkError(
          .conflictingOptions, operation: operation, reason: "the request has two addresses of one family; keep one"))
    }
    faults += checkPorts(request, network, places, operation)
    try faults.throwAny(operation)
  }

  private func chooseInterface(
    _ wanted: InterfaceName?, _ prefix: String, _ operation: String, isTaken: (String) -> Bool
  ) throws(NetworkError) -> InterfaceName {
    if let wanted {
      guard !isTaken(wanted.description) else {
        throw NetworkError(
          .inUse, operation: operation, reason: "the container has an interface \"\(wanted)\" already; choose another")
      }
      return wanted
    }
    var index = 0
    while isTaken("\(prefix)\(index)") { index += 1 }
    return try InterfaceName("\(prefix)\(index)")
  }

  /// The host's ephemeral ports.
  func ephemeralPorts() throws(NetworkError) -> EphemeralPorts {
    let bounds = try host.sysctl("net/ipv4/ip_local_port_range").split { $0 == " " || $0 == "\t" }
      .compactMap { UInt16($0) }
    let range = bounds.count == 2 && bounds[0] <= bounds[1] ? bounds[0]...bounds[1] : 32768...60999
    // As in 8080,9000-9100.
    let reserved = try host.sysctl("net/ipv4/ip_local_reserved_ports").split(separator: ",").compactMap { part in
      let ends = part.split(separator: "-").compactMap { UInt16($0) }
      return ends.first.flatMap { first in ends.last.map { first...max(first, $0) } }
    }
    return EphemeralPorts(range: range, reserved: reserved)
  }
}

extension Engine.Transaction {
  /// Notes that a ready endpoint has announced itself to every neighbour.
  mutating func noteAnnouncement(of endpoint: Endpoint) {
    guard endpoint.announcesToAll == true, var network = state.networks[endpoint.networkID] else { return }
    if network.strikeMovedAddresses(of: endpoint) { save(.network(network)) }
  }

  /// Removes a stopped container's kept endpoints on a network, for a new endpoint to replace.
  mutating func takeOver(_ container: String, on network: NetworkRecord) throws(NetworkError) -> [Endpoint] {
    let kept = state.endpoints(ofContainer: container).filter { $0.networkID == network.id && $0.phase == .stopped }
    for endpoint in kept { try release(endpoint) }
    return kept
  }

  /// Removes an endpoint whose creation failed, and restores the kept endpoints that it had replaced.
  mutating func release(_ endpoint: Endpoint, keeping kept: [Endpoint]) throws(NetworkError) {
    try release(endpoint)
    for old in kept {
      guard let network = state.networks[old.networkID] else { continue }
      for address in old.addresses {
        guard let subnet = network.subnet(address.family) else { continue }
        try withPool(of: network, subnet) { (pool) throws(NetworkError) in
          try pool.allocate(address.address, for: old.container)
        }
      }
      save(.endpoint(old))
    }
  }
}
