import Netlink
import NetworkPrimitives

/// Endpoints whose links are handed out: the namespace is an engine's. Between a leave and the next join an endpoint is
/// kept as a stopped container's is.
extension Engine {
  func createEndpoint(
    _ name: String, on networkName: String, options: EndpointOptions, ports: [PortMapping]
  ) throws(NetworkError) -> Endpoint {
    let operation = "create endpoint \"\(name)\" on \"\(networkName)\""
    try Name.check(name, what: "endpoint", operation: operation)
    try Self.check(ports)
    if let interface = options.interface {
      throw NetworkError(
        .conflictingOptions, operation: operation,
        reason: "the interface \(interface) is named by the engine that moves it; leave it out")
    }
    try reclaim(name)
    let request = EndpointRequest(
      container: name, options: options, ports: ports, ephemeral: try ephemeralPorts(for: ports))
    let plan = { [self] () throws(NetworkError) in
      try transaction { (transaction) throws(NetworkError) in
        try planEndpoint(request, on: networkName, operation, &transaction)
      }
    }
    do throws(NetworkError) { return try plan() } catch {
      guard error.code == .exhausted, giveWay(on: .network(networkName)) else { throw error }
      return try plan()
    }
  }

  private func planEndpoint(
    _ request: EndpointRequest, on networkName: String, _ operation: String, _ transaction: inout Transaction
  ) throws(NetworkError) -> Endpoint {
    let name = request.container
    if let other = transaction.state.sandboxes[name] {
      try checkIdle(other.phase, other.owner, "\"\(name)\"", operation)
      let what = other.handsOutLink == true ? "an endpoint" : "a container"
      throw NetworkError(
        .alreadyExists, operation: operation,
        reason: "\"\(name)\" is the name of \(what) already; choose another, or remove that")
    }
    let network = try readyNetwork(networkName, operation, transaction.state)
    guard network.bridge != nil, !network.isPredefined else {
      throw NetworkError(
        .unsupported, operation: operation,
        reason: "links of network \"\(network.name)\" cannot be handed out; create a network with the driver bridge")
    }
    if network.isInternal, !request.ports.isEmpty {
      throw NetworkError(
        .conflictingOptions, operation: operation,
        reason: "network \"\(network.name)\" is internal, nothing is published on it; name another")
    }
    let places = places(of: network, transaction.state)
    try check(request, on: network, places, operation)
    try namePortFaults(request.ports, of: network, operation, transaction.state).throwAny(operation)
    let ports = try transaction.state.ports.pick(
      request.ports, for: name, bindingAddress: network.policy.hostBindingAddress, at: places,
      ephemeral: request.ephemeral)
    let options = request.options
    let addresses = try lease(options.addresses, for: name, on: network, &transaction)
    let id = makeID()
    let traits = try driver(of: network, operation).endpointTraits(on: network)
    let mac = try hardwareAddress(of: request, having: addresses, on: network, traits, operation, transaction.state)
    let endpoint = Endpoint(
      id: id, networkID: network.id, networkName: network.name, container: name, sandboxID: makeID(),
      interface: try Endpoint.handedOutName(id), hostInterface: try InterfaceName("veth\(id.prefix(8))"),
      macAddress: mac, addresses: addresses, staticAddresses: addresses.map(\.address), gateways: [],
      gatewayPriority: options.gatewayPriority, aliases: options.aliases,
      labels: options.labels.isEmpty ? nil : options.labels, ports: ports, phase: .stopped, owner: "")
    transaction.save(.endpoint(endpoint))
    transaction.save(
      .sandbox(
        SandboxRecord(
          container: name, mode: .network(network.name), sandboxID: endpoint.sandboxID, ownsNamespace: false,
          warnings: [], handsOutLink: true, phase: .stopped, owner: "")))
    return endpoint
  }

  // MARK: - Joining

  func joinEndpoint(_ name: String) throws(NetworkError) -> Endpoint {
    let operation = "join endpoint \"\(name)\""
    try reclaim(name)
    // The pair is made in a namespace of this call, with which it goes if this process dies, and then moved.
    let birthplace: NetworkNamespace
    do throws(NetworkError) { birthplace = try NetworkNamespace.create(on: host.kernel) } catch {
      throw undone(operation, error, leftovers: [])
    }
    var planned = try transaction { (transaction) throws(NetworkError) in
      try planJoin(name, operation, &transaction)
    }
    do throws(NetworkError) {
      if let endpoint = planned.endpoint, let network = planned.network {
        var mappings: [PortMapping] = []
        for port in endpoint.ports { mappings.append(try PortMapping(port)) }
        let request = EndpointRequest(container: name, options: EndpointOptions(), ports: mappings)
        try settlePorts(of: &planned, endpoint, on: network, request)
      }
      return try handOut(&planned, from: birthplace)
    } catch {
      throw undone(operation, error, leftovers: abandon(planned, error.leftovers))
    }
  }

  private func planJoin(
    _ name: String, _ operation: String, _ transaction: inout Transaction
  ) throws(NetworkError) -> PlannedSandbox {
    let stopped = try transaction.state.handedOut(name, operation)
    try checkIdle(stopped.phase, stopped.owner, "endpoint \"\(name)\"", operation)
    guard stopped.phase == .stopped, let kept = transaction.state.endpoints(ofContainer: name).first else {
      throw NetworkError(
        .alreadyExists, operation: operation, reason: "endpoint \"\(name)\" is joined already; leave it first")
    }
    let network = try readyNetwork(kept.networkID, operation, transaction.state)
    if let other = transaction.state.endpoint(having: kept.macAddress, onNetwork: network.id) {
      throw NetworkError(
        .inUse, operation: operation,
        reason: "the MAC address \(kept.macAddress) is that of \"\(other.container)\"; detach that first")
    }
    var record = stopped
    record.phase = .creating
    record.owner = store.token
    // If this process dies, the next user of the store makes it as it was.
    record.keepsAddresses = true
    var endpoint = kept
    endpoint.bridge = try transaction.place(on: network, capacity, operation)
    endpoint.gateways = network.isInternal ? [] : network.subnets.compactMap(\.gateway)
    endpoint.phase = .creating
    endpoint.owner = store.token
    let current = transaction.state.networks[network.id] ?? network
    if current.mayBeKnownOtherwise(endpoint) { endpoint.announcesToAll = true }
    transaction.save(.sandbox(record))
    transaction.save(.endpoint(endpoint))
    return PlannedSandbox(record: record, endpoint: endpoint, network: current, stopped: stopped, kept: [kept])
  }

  /// Creates the link, moves it to the host's namespace, and records that.
  private func handOut(
    _ planned: inout PlannedSandbox, from birthplace: NetworkNamespace
  ) throws(NetworkError) -> Endpoint {
    guard var endpoint = planned.endpoint, let network = planned.network else {
      throw NetworkError(.notFound, operation: "hand out a link", reason: "the container has no endpoint")
    }
    defer { planned.endpoint = endpoint }
    try connect(&endpoint, to: network, in: birthplace, routes: [])
    do throws(NetworkError) {
      try keeper?.begin(endpoint.ports, of: endpoint)
      try birthplace.links.move(birthplace.links.get("\(endpoint.interface)").index, to: host)
      var record = planned.record
      (record.phase, record.owner, record.keepsAddresses) = (.ready, "", nil)
      let (made, sandbox) = (endpoint, record)
      let ready = try transaction { transaction in
        var endpoint = made
        (endpoint.phase, endpoint.owner) = (.ready, "")
        noteForwarding(of: &endpoint, transaction.state)
        transaction.save(.sandbox(sandbox))
        transaction.save(.endpoint(endpoint))
        transaction.noteAnnouncement(of: endpoint)
        transaction.note(
          NetworkEvent(
            .connect, networkID: network.id, network: network.name, container: endpoint.container))
        return endpoint
      }
      handOverPorts(of: ready)
      return ready
    } catch {
      // The host's end takes the other one with it, wherever that is.
      let leftovers = error.leftovers + disconnect(endpoint, from: network, in: birthplace)
      throw error.withoutLeftovers.with(leftovers: leftovers)
    }
  }

  // MARK: - Leaving

  /// - Returns: Whether it was joined.
  func leaveEndpoint(_ name: String) throws(NetworkError) -> Bool {
    let operation = "leave endpoint \"\(name)\""
    let record = try look { (state) throws(NetworkError) in try state.handedOut(name, operation) }
    guard record.phase != .stopped else { return false }
    do throws(NetworkError) { try detach(name, keepsAddresses: true) } catch {
      // Another call was faster.
      try error.rethrow(unless: .notFound)
      return false
    }
    return true
  }

  /// - Returns: Whether there was one.
  func deleteEndpoint(_ name: String) throws(NetworkError) -> Bool {
    let record = try look { state in state.sandboxes[name] }
    guard let record else { return false }
    guard record.handsOutLink == true else {
      throw NetworkError(
        .refused, operation: "delete endpoint \"\(name)\"",
        reason: "\"\(name)\" is a container that was attached; detach it")
    }
    return try ensureDetached(name, from: nil, interface: nil)
  }

  // MARK: - Differences

  /// The links of a joined endpoint that are gone.
  func handedOutDifferences(_ sandbox: SandboxRecord, _ own: [Endpoint], _ survey: Survey) -> [Difference] {
    own.filter { endpoint in endpoint.hostInterface.map { survey.links[$0.description] == nil } ?? true }.map {
      Difference(
        .endpointGone, network: $0.networkName, container: sandbox.container,
        "the link of endpoint \"\(sandbox.container)\" on \"\($0.networkName)\" is gone, with the namespace that it was "
          + "moved to")
    }
  }
}

extension Endpoint {
  /// The name of a link that is handed out.
  fileprivate static func handedOutName(_ id: String) throws(NetworkError) -> InterfaceName {
    try InterfaceName("ct\(id.prefix(8))")
  }

  /// The link, if it is, or was, handed out on the host.
  var handedOutLink: InterfaceName? {
    let name = interface.description
    return name.utf8.count == 10 && name.hasPrefix("ct") && id.hasPrefix(name.dropFirst(2)) ? interface : nil
  }
}

extension EngineState {
  /// The record of an endpoint whose link is handed out.
  ///
  /// - Throws: `.notFound`.
  fileprivate func handedOut(_ name: String, _ operation: String) throws(NetworkError) -> SandboxRecord {
    if let record = sandboxes[name], record.handsOutLink == true { return record }
    throw NetworkError(
      .notFound, operation: operation, reason: "there is no endpoint \"\(name)\"; create it first")
  }
}
