import Netlink
import NetworkPrimitives

/// Changes of existing endpoints' ports: a change is recorded beside the endpoint, made, and then merged into it.
extension Engine {
  /// Publishes ports of an attached container.
  ///
  /// - Parameter name: One of its networks; nil for the one with its default route.
  func publish(
    _ mappings: [PortMapping], of container: String, on name: String?
  ) throws(NetworkError) -> [PublishedPort] {
    let operation = "publish ports of \"\(container)\""
    try Self.check(mappings)
    guard !mappings.isEmpty else { return [] }
    try finishPortChanges(of: container)
    let request = EndpointRequest(
      container: container, options: EndpointOptions(), ports: mappings,
      ephemeral: try ephemeralPorts(for: mappings), usedNames: [])
    let (planned, network, picked) = try transaction { (transaction) throws(NetworkError) in
      var (endpoint, network) = try changeable(container, name, operation, transaction.state)
      let places = places(of: network, transaction.state)
      try
        (checkPorts(request, network, places, operation)
        + namePortFaults(mappings, of: network, operation, transaction.state)).throwAny(operation)
      let ports = try transaction.state.ports.pick(
        mappings, for: container, bindingAddress: network.policy.hostBindingAddress, at: places,
        ephemeral: request.ephemeral)
      endpoint.portChange = PortChange(ports: ports, phase: .creating, owner: store.token)
      transaction.save(.endpoint(endpoint))
      return (endpoint, network, ports)
    }
    var ports = picked
    var isMade = false
    do throws(NetworkError) {
      ports = try settlePorts(picked, of: planned, on: network, request) { transaction, next in
        guard var endpoint = transaction.state.endpoints[planned.id] else { return }
        endpoint.portChange?.ports = next
        transaction.save(.endpoint(endpoint))
      }
      try publish(ports, of: planned, on: network)
      bridges.uplinks.want(for: network)
      isMade = true
      try keeper?.begin(ports, of: planned)
      let made = ports
      let settled = try transaction { (transaction) throws(NetworkError) in
        guard var endpoint = transaction.state.endpoints[planned.id], endpoint.phase == .ready,
          endpoint.portChange?.ports == made
        else {
          throw NetworkError(
            .notFound, operation: operation, reason: "\"\(container)\" was disconnected from the network meanwhile")
        }
        endpoint.ports += made
        endpoint.portChange = nil
        noteForwarding(of: &endpoint, transaction.state)
        transaction.save(.endpoint(endpoint))
        transaction.note(NetworkEvent(.publish, endpoint, made))
        return endpoint
      }
      handOverPorts(of: settled)
      return ports
    } catch {
      keeper?.end(ports, of: planned.id)
      var leftovers = error.leftovers
      if isMade { leftovers += unpublish(ports, of: planned, on: network) }
      leftovers += abandonPorts(of: planned.id, isWhole: leftovers.isEmpty)
      throw undone(operation, error, leftovers: leftovers)
    }
  }

  /// Releases published ports of an attached container.
  ///
  /// - Parameters:
  ///   - mappings: The ports to release: every port that one of them could have produced; nil for all.
  ///   - name: One of its networks; nil for the one with its default route.
  func unpublish(
    _ mappings: [PortMapping]?, of container: String, on name: String?
  ) throws(NetworkError) -> [PublishedPort] {
    let operation = "release ports of \"\(container)\""
    if let mappings { try Self.check(mappings) }
    try finishPortChanges(of: container)
    let (planned, network, ports) = try transaction { (transaction) throws(NetworkError) in
      var (endpoint, network) = try changeable(container, name, operation, transaction.state)
      var (ports, others) = (endpoint.ports, [PublishedPort]())
      if let mappings {
        var index = PortIndex(ports)
        try index.mean(mappings, operation)
        (ports, others) = index.split
      }
      guard !ports.isEmpty else { return (endpoint, network, ports) }
      endpoint.ports = others
      endpoint.forgetForwarding()
      endpoint.portChange = PortChange(ports: ports, phase: .removing, owner: store.token)
      transaction.save(.endpoint(endpoint))
      return (endpoint, network, ports)
    }
    guard !ports.isEmpty else { return [] }
    let failures = release(ports, of: planned, on: network)
    guard failures.isEmpty else { throw failures.leftovers(operation) }
    return ports
  }

  /// Releases ports that are recorded as being removed.
  private func release(
    _ ports: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord
  ) -> [NetworkError] {
    keeper?.end(ports, of: endpoint.id)
    var failures = unpublish(ports, of: endpoint, on: network)
    if failures.isEmpty {
      failures += attempt { () throws(NetworkError) in
        try transaction { transaction in
          guard var now = transaction.state.endpoints[endpoint.id], now.portChange?.ports == ports else { return }
          now.portChange = nil
          transaction.save(.endpoint(now))
          transaction.note(NetworkEvent(.unpublish, now, ports))
        }
      }
    }
    guard failures.isEmpty else { return failures + letGo(endpoints: [endpoint.id]) }
    return []
  }

  /// Removes the record of ports whose publication failed; those that could not be removed stay recorded for the next
  /// attempt.
  private func abandonPorts(of id: String, isWhole: Bool) -> [NetworkError] {
    let failures = attempt { () throws(NetworkError) in
      try transaction { transaction in
        guard var endpoint = transaction.state.endpoints[id], endpoint.portChange != nil else { return }
        if isWhole {
          endpoint.portChange = nil
        } else {
          endpoint.portChange?.phase = .removing
          endpoint.portChange?.owner = ""
        }
        transaction.save(.endpoint(endpoint))
      }
    }
    return failures + (failures.isEmpty ? [] : letGo(endpoints: [id]))
  }

  /// Releases the ports that dead users of the store were publishing or releasing.
  ///
  /// - Parameter container: The container; nil for all.
  func finishPortChanges(of container: String? = nil) throws(NetworkError) {
    let isLeft = { (endpoint: Endpoint) in
      guard let change = endpoint.portChange, endpoint.phase == .ready else { return false }
      return (container == nil || endpoint.container == container) && !self.isAlive(change.owner)
    }
    guard try lookAtUnsettled({ state in state.endpoints.values.contains(where: isLeft) }) else { return }
    let token = store.token
    let (endpoints, networks) = try transaction { transaction in
      var endpoints: [Endpoint] = []
      for var endpoint in transaction.state.endpoints.values where isLeft(endpoint) {
        endpoint.portChange?.phase = .removing
        endpoint.portChange?.owner = token
        transaction.save(.endpoint(endpoint))
        endpoints.append(endpoint)
      }
      return (endpoints, transaction.state.networks)
    }
    var failures: [NetworkError] = []
    for endpoint in endpoints {
      guard let network = networks[endpoint.networkID], let change = endpoint.portChange else { continue }
      failures += release(change.ports, of: endpoint, on: network)
    }
    try failures.throwLeftovers("finish interrupted port changes")
  }

  // MARK: - Checks

  /// Checks again, since the parts of a mapping may have changed after its initializer.
  static func check(_ mappings: [PortMapping]) throws(NetworkError) {
    for port in mappings {
      _ = try PortMapping(
        hostAddress: port.hostAddress, hostPorts: port.hostPorts, containerPorts: port.containerPorts,
        transport: port.transport)
    }
  }

  /// The faults of unserved host addresses, and of two mappings that conflict.
  func checkPorts(
    _ request: EndpointRequest, _ network: NetworkRecord, _ places: PortPlaces, _ operation: String
  ) -> [NetworkError] {
    let bindingAddress = network.policy.hostBindingAddress
    var asked = request.ports.compactMap { $0.hostAddress ?? bindingAddress }
    let fault = { (address: IPAddress) in
      places.fault(at: address, on: network).map {
        NetworkError(.conflictingOptions, operation: operation, reason: $0)
      }
    }
    guard asked.contains(where: { fault($0) != nil }) else { return [] }
    do throws(NetworkError) {
      // A mapping that a wider one covers needs no address of its own.
      if request.ports.count > 1 {
        let wishes = try PortWishes(request.ports, bindingAddress: bindingAddress, at: places, operation).wishes
        asked = wishes.compactMap(\.address)
      }
    } catch { return [error] }
    var told: Set<IPAddress> = []
    return asked.filter { told.insert($0).inserted }.compactMap(fault)
  }

  /// The endpoint whose ports are being changed.
  private func changeable(
    _ container: String, _ name: String?, _ operation: String, _ state: EngineState
  ) throws(NetworkError) -> (Endpoint, NetworkRecord) {
    let record = try state.sandbox(container)
    try checkConnectable(record, operation, "changing published ports")
    try checkIdle(record.phase, record.owner, "\"\(container)\"", operation)
    let all = state.endpoints(ofSandbox: record.sandboxID).filter { $0.phase != .stopped }
    let found: Endpoint?
    if let name {
      let network = try state.network(name)
      found = all.first { $0.networkID == network.id }
    } else {
      found = Self.foremost(all, state.networks, .ipv4) ?? Self.foremost(all, state.networks, .ipv6)
    }
    guard let endpoint = found, let network = state.networks[endpoint.networkID] else {
      let names = all.map(\.networkName).joined(separator: ", ")
      throw NetworkError(
        .notFound, operation: operation,
        reason: name.map {
          "\"\(container)\" is not on network \"\($0)\"; \(names.isEmpty ? "it is on no network" : "it is on: \(names)")"
        }
          ?? "\"\(container)\" has no network with a default route; \(names.isEmpty ? "connect it to one" : "name one of: \(names)")"
      )
    }
    _ = try driver(of: network, operation)
    guard publishesPorts(network) else {
      throw NetworkError(
        .conflictingOptions, operation: operation,
        reason: network.isInternal
          ? "network \"\(network.name)\" is internal, nothing is published on it; name another"
          : "network \"\(network.name)\" publishes no ports: its containers are reached at their own addresses; "
            + "name another")
    }
    try checkIdle(endpoint, "the endpoint of \"\(container)\" on \"\(network.name)\"", operation)
    guard endpoint.phase == .ready, endpoint.portChange == nil else {
      throw NetworkError(
        .inUse, operation: operation,
        reason:
          "the endpoint of \"\(container)\" on \"\(network.name)\" was left half changed; reconcile the controller")
    }
    return (endpoint, network)
  }

  /// - Throws: `.inUse` while an endpoint or its ports are being changed.
  func checkIdle(_ endpoint: Endpoint, _ what: String, _ operation: String) throws(NetworkError) {
    try checkIdle(endpoint.phase, endpoint.owner, what, operation)
    guard let change = endpoint.portChange, isAlive(change.owner) else { return }
    throw NetworkError(
      .inUse, operation: operation,
      reason: "ports of \(what) are being \(change.phase == .creating ? "published" : "released"); try again")
  }
}

extension NetworkEvent {
  fileprivate init(_ action: Action, _ endpoint: Endpoint, _ ports: [PublishedPort]) {
    self.init(action, networkID: endpoint.networkID, network: endpoint.networkName, container: endpoint.container)
    self.ports = ports
  }
}
