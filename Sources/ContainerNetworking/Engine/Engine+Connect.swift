import Netlink
import NetworkPrimitives

extension Engine {
  /// Connects an attached container to one more network, with its kept settings there.
  func connect(
    _ container: String, to name: String, options: EndpointOptions
  ) throws(NetworkError) -> Endpoint {
    // The default network is made on first use, and removed if the call fails.
    let made = name == "bridge" ? try ensureDefaultNetwork() : nil
    let (endpoint, kept): (Endpoint, [PublishedPort])
    do throws(NetworkError) { (endpoint, kept) = try connectAlone(container, to: name, options: options) } catch {
      guard let made else { throw error }
      do throws(NetworkError) { try removeNetwork(id: made.id) } catch let leftover {
        if leftover.code != .inUse {
          throw undone("connect \"\(container)\" to \"\(name)\"", error, leftovers: [leftover])
        }
      }
      throw error
    }
    guard !kept.isEmpty else { return endpoint }
    do throws(NetworkError) {
      var mappings: [PortMapping] = []
      for port in kept { mappings.append(try PortMapping(port)) }
      var published = endpoint
      published.ports = try publish(mappings, of: container, on: endpoint.networkID)
      return published
    } catch {
      let leftovers = attempt { () throws(NetworkError) in
        try disconnect(container, from: endpoint.networkID, isForced: false, keepsSettings: true, ports: kept)
      }
      throw undone("connect \"\(container)\" to \"\(name)\"", error, leftovers: leftovers)
    }
  }

  /// - Returns: The endpoint, and the container's kept ports on the network.
  private func connectAlone(
    _ container: String, to name: String, options: EndpointOptions
  ) throws(NetworkError) -> (Endpoint, [PublishedPort]) {
    let operation = "connect \"\(container)\" to \"\(name)\""
    let record = try look { (state) throws(NetworkError) in try state.sandbox(container) }
    try checkConnectable(record, operation)
    let namespace = try namespace(of: record)
    try checkIsNotTheHosts(namespace, operation)
    let request = EndpointRequest(
      container: container, options: options, ports: [], usedNames: try interfaceNames(in: namespace))
    let (planned, network, others) = try transaction { (transaction) throws(NetworkError) in
      let record = try transaction.state.sandbox(container)
      try checkIdle(record.phase, record.owner, "\"\(container)\"", operation)
      guard record.phase == .ready else {
        throw NetworkError(
          .inUse, operation: operation,
          reason: "\"\(container)\" was left half \(record.phase == .creating ? "made" : "removed"); detach it first")
      }
      let network = try readyNetwork(name, operation, transaction.state)
      if network.isPredefined {
        try NetworkMode.bridge.conflicts(
          with: AttachOptions(endpoint: options), container: container, hasNamespace: false
        ).throwAny(operation)
      }
      let others = transaction.state.endpoints(ofSandbox: record.sandboxID)
      guard !others.contains(where: { $0.networkID == network.id && $0.phase != .stopped }) else {
        throw NetworkError(
          .alreadyExists, operation: operation,
          reason: "\"\(container)\" is on network \"\(network.name)\" already; disconnect it first")
      }
      var request = request
      for kept in others where kept.networkID == network.id {
        request.options.complete(by: kept, usedNames: request.usedNames)
      }
      let planned = try planEndpoint(request, record.sandboxID, network, &transaction)
      return (
        planned, transaction.state.networks[network.id] ?? network,
        Set(others.filter { $0.phase == .ready }.map(\.id) + [planned.endpoint.id])
      )
    }
    var placed = planned.endpoint
    do throws(NetworkError) { try connect(&placed, to: network, in: namespace, routes: []) } catch {
      throw undone(operation, error, leftovers: abandon(planned, error.leftovers))
    }
    let endpoint = placed
    do throws(NetworkError) {
      var ready = endpoint
      ready.phase = .ready
      ready.owner = ""
      let made = ready
      try serveNames(of: network, for: record, in: namespace)
      try refreshFiles(ofSandbox: record.sandboxID)
      try settleRoutes(of: record.sandboxID, in: namespace, with: made)
      let isAlone = try transaction { transaction in
        transaction.save(.endpoint(made))
        transaction.noteAnnouncement(of: made)
        transaction.note(
          NetworkEvent(.connect, networkID: network.id, network: network.name, container: container))
        return transaction.state.endpoints(ofSandbox: record.sandboxID).allSatisfy { others.contains($0.id) }
      }
      // A concurrent connect or disconnect has not seen this endpoint, nor this call its endpoint.
      if !isAlone { _ = attempt { () throws(NetworkError) in try settleRoutes(of: record.sandboxID, in: namespace) } }
      return (made, planned.kept.flatMap(\.ports))
    } catch {
      withdrawNames(of: record, leaving: [endpoint])
      let leftovers = abandon(planned, disconnect(endpoint, from: network, in: namespace))
      try? settleRoutes(of: record.sandboxID, in: namespace)
      try? refreshFiles(ofSandbox: record.sandboxID)
      throw undone(operation, error, leftovers: leftovers)
    }
  }

  /// Disconnects a container from one network.
  ///
  /// - Parameters:
  ///   - isForced: Whether a stopped container, or one whose namespace is gone, is disconnected too.
  ///   - keepsSettings: Whether its settings there stay reserved for the next connect.
  ///   - ports: The reserved ports; nil for its current ones.
  /// - Returns: The endpoint that it had.
  @discardableResult
  func disconnect(
    _ container: String, from name: String, isForced: Bool, keepsSettings: Bool = false, ports: [PublishedPort]? = nil
  ) throws(NetworkError) -> Endpoint {
    let operation = "disconnect \"\(container)\" from \"\(name)\""
    let token = store.token
    if !isForced { try checkIsSeen(container, on: name) }
    let (record, endpoint, network) = try transaction { (transaction) throws(NetworkError) in
      guard let record = transaction.state.sandboxes[container], isForced || record.phase != .stopped else {
        throw NetworkError(.notFound, operation: operation, reason: "\"\(container)\" is not attached")
      }
      try checkConnectable(record, operation)
      try checkIdle(record.phase, record.owner, "\"\(container)\"", operation)
      let network = try transaction.state.network(name)
      _ = try driver(of: network, operation)
      let all = transaction.state.endpoints(ofSandbox: record.sandboxID)
      guard var endpoint = all.first(where: { $0.networkID == network.id }) else {
        let names = all.map(\.networkName).joined(separator: ", ")
        throw NetworkError(
          .notFound, operation: operation,
          reason:
            "\"\(container)\" is not on network \"\(network.name)\"; \(names.isEmpty ? "it is on no network" : "it is on: \(names)")"
        )
      }
      try checkIdle(endpoint, "its endpoint", operation)
      if endpoint.phase != .stopped {
        endpoint.beginRemoval(by: token)
        transaction.save(.endpoint(endpoint))
      }
      return (record, endpoint, network)
    }
    withdrawNames(of: record, leaving: [endpoint])
    var failures =
      endpoint.phase == .stopped ? [] : disconnect(endpoint, from: network, of: record, isGone: isForced)
    if failures.isEmpty { failures += dropEmptyBridges(leaving: [endpoint]) }
    // Runs while the endpoint is still recorded, so that a failure can be retried.
    if failures.isEmpty, record.phase == .ready {
      do throws(NetworkError) {
        try settleRoutes(of: record.sandboxID, in: try namespace(of: record))
      } catch {
        // Without a namespace there are no routes to update.
        if !isForced || error.code != .closed { failures.append(error) }
      }
      failures += attempt { () throws(NetworkError) in try refreshFiles(ofSandbox: record.sandboxID) }
    }
    if failures.isEmpty {
      failures += attempt { () throws(NetworkError) in
        try transaction { (transaction) throws(NetworkError) in
          if keepsSettings {
            transaction.keep(endpoint, ports: ports ?? endpoint.ports)
          } else {
            try transaction.release(endpoint)
          }
          transaction.note(
            NetworkEvent(.disconnect, networkID: network.id, network: network.name, container: container))
        }
      }
    }
    guard failures.isEmpty else {
      failures += letGo(endpoints: [endpoint.id])
      throw failures.leftovers(operation)
    }
    try dropEmptyBridges(after: [endpoint]).throwLeftovers(operation)
    return endpoint
  }

  /// Refuses to remove an endpoint whose link is in a namespace that cannot be opened from here.
  ///
  /// - Throws: `.closed`.
  private func checkIsSeen(_ container: String, on name: String) throws(NetworkError) {
    let record = try look { state in
      let id = (try? state.network(name))?.id
      return state.sandboxes[container].flatMap { record in
        let isInside = state.endpoints(ofSandbox: record.sandboxID).contains { endpoint in
          endpoint.networkID == id && endpoint.hostInterface == nil
        }
        return isInside && record.phase == .ready ? record : nil
      }
    }
    guard let record else { return }
    switch try find(record) {
    case .seen, .gone: return
    case .elsewhere, .unseen: _ = try namespace(of: record)
    }
  }

  /// Removes the record of an endpoint whose creation failed; objects that could not be removed stay recorded.
  private func abandon(
    _ planned: (endpoint: Endpoint, kept: [Endpoint]), _ leftovers: [NetworkError]
  ) -> [NetworkError] {
    var leftovers = leftovers
    if leftovers.isEmpty {
      leftovers += dropEmptyBridges(of: planned.endpoint.networkID, leaving: [planned.endpoint])
    }
    let isWhole = leftovers.isEmpty
    var endpoint = planned.endpoint
    let failures = attempt { () throws(NetworkError) in
      endpoint = try transaction { (transaction) throws(NetworkError) in
        // The endpoint may have moved to another bridge since it was planned.
        var record = transaction.state.endpoints[planned.endpoint.id] ?? planned.endpoint
        guard isWhole else {
          record.phase = .removing
          record.owner = ""
          transaction.save(.endpoint(record))
          return record
        }
        try transaction.release(record, keeping: planned.kept)
        return record
      }
    }
    if !failures.isEmpty { return leftovers + failures + letGo(endpoints: [endpoint.id]) }
    return leftovers + (isWhole ? dropEmptyBridges(after: [endpoint]) : [])
  }

  func checkConnectable(
    _ record: SandboxRecord, _ operation: String, _ what: String = "connecting and disconnecting"
  ) throws(NetworkError) {
    let why: String
    switch record.mode {
    case .bridge, .network: return
    case .host: why = "it has the host's interfaces; attach it in another mode first"
    case .none: why = "it has no network; attach it to one first"
    case .container(let donor): why = "its interfaces are those of \"\(donor)\"; do it there"
    }
    throw NetworkError(
      .conflictingOptions, operation: operation,
      reason: "\(what) cannot be combined with mode \"\(record.mode)\": \(why)")
  }

  // MARK: - Default routes

  /// Points the container's default routes at its foremost endpoints.
  ///
  /// - Parameter extra: A created endpoint that is not yet recorded as ready.
  func settleRoutes(
    of sandboxID: String, in namespace: NetworkNamespace, with extra: Endpoint? = nil
  ) throws(NetworkError) {
    for attempt in 1...20 {
      do throws(NetworkError) {
        let settled = try settleRoutesOnce(of: sandboxID, in: namespace, with: extra)
        // A concurrent change may have settled the routes earlier, without this call's endpoint.
        let now = try look { state in Self.settledIDs(state.endpoints(ofSandbox: sandboxID)) }
        if now == settled { return }
      } catch {
        // A concurrent call for the same container has changed the routes: start again.
        guard error.code == .alreadyExists || error.code == .notFound, attempt < 20 else { throw error }
      }
    }
  }

  private static func settledIDs(_ endpoints: [Endpoint]) -> Set<String> {
    Set(endpoints.filter { $0.phase == .ready }.map(\.id))
  }

  /// - Returns: The ids of the endpoints that it considered.
  private func settleRoutesOnce(
    of sandboxID: String, in namespace: NetworkNamespace, with extra: Endpoint?
  ) throws(NetworkError) -> Set<String> {
    let (known, networks) = try look { state in (state.endpoints(ofSandbox: sandboxID), state.networks) }
    let all = known.filter { $0.phase == .ready && $0.id != extra?.id } + (extra.map { [$0] } ?? [])
    let links = try namespace.links.list()
    let isOurs = { (index: Int32?) in
      links.contains { link in link.index == index && known.contains { $0.interface.description == link.name } }
    }
    let present = try namespace.routes.list().filter { route in
      route.table == 254 && route.destination.prefixLength == 0 && route.kind == .unicast && isOurs(route.link)
    }
    var requests: [NetlinkRequest] = []
    for family in AddressFamily.allCases {
      let chosen = Self.foremost(all, networks, family)
      let index = chosen.flatMap { chosen in links.first { $0.name == chosen.interface.description }?.index }
      let gateway = chosen?.gateways.first { $0.family == family }
      let ofFamily = present.filter { $0.destination.family == family }
      let wanted = gateway.flatMap { gateway in index.map { Route.standard(by: gateway, link: $0) } }
      if let wanted, ofFamily.count == 1, ofFamily[0].link == index, ofFamily[0].gateway == wanted.gateway { continue }
      requests += ofFamily.map { RouteRequests.delete($0) }
      if let wanted { requests.append(RouteRequests.add(wanted)) }
    }
    try namespace.perform(requests)
    return Self.settledIDs(known)
  }

  /// The endpoint with a family's default route: the highest priority; among equals, one that is not internal, then one
  /// with more families, then the first by network name.
  static func foremost(
    _ endpoints: [Endpoint], _ networks: [String: NetworkRecord], _ family: AddressFamily
  ) -> Endpoint? {
    let rank = { (endpoint: Endpoint) in
      (
        -endpoint.gatewayPriority, networks[endpoint.networkID]?.isInternal == true ? 1 : 0, -endpoint.addresses.count,
        endpoint.networkName
      )
    }
    return endpoints.filter { $0.gateways.contains { $0.family == family } }.min { rank($0) < rank($1) }
  }
}
