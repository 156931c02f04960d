import NetworkPrimitives

/// Networks with further bridges. A bridge is created for its first endpoint, and removed with its last. Until then
/// that endpoint's record leads the recovery after a crash to the bridge.
extension Engine {
  var capacity: BridgeCapacity {
    BridgeCapacity(ports: settings.bridgePorts, trunks: settings.bridgeTrunks, limit: settings.bridgePortLimit)
  }

  /// Creates a recorded endpoint on a bridge of its network that has a free port.
  ///
  /// - Parameter endpoint: Moves to another bridge if foreign ports fill the chosen one.
  func connect(
    _ endpoint: inout Endpoint, to network: NetworkRecord, in namespace: NetworkNamespace, routes: [AddressFamily]
  ) throws(NetworkError) {
    var network = network
    var full: [InterfaceName?] = []
    while true {
      try makeBridge(of: endpoint, on: network)
      do throws(NetworkError) {
        return try driver(of: network).connect(endpoint, to: network, in: namespace, routes: routes)
      } catch {
        guard error.isBridgeFull, error.leftovers.isEmpty else { throw error }
        full.append(endpoint.bridge)
      }
      (endpoint, network) = try replace(endpoint, on: network, besides: full)
    }
  }

  /// Creates the further bridge of an endpoint, unless it exists.
  ///
  /// - Parameter network: The network when the endpoint was recorded: a bridge that existed then stays for it.
  func makeBridge(of endpoint: Endpoint, on network: NetworkRecord) throws(NetworkError) {
    guard let name = endpoint.bridge, network.furtherBridge(name)?.phase != .ready else { return }
    try store.exclusively { () throws(NetworkError) in
      guard let known = try look({ $0.networks[network.id] }), let further = known.furtherBridge(name),
        further.phase != .ready
      else { return }
      do throws(NetworkError) { try bridges.make(further, of: known) } catch {
        throw explained(error, further, known).with(leftovers: bridges.remove(further, of: known))
      }
      try transaction { $0.mark(further, ofNetwork: network.id, .ready) }
    }
  }

  /// Restores all current further bridges of a network: they may have changed since they were read.
  func remakeBridges(ofNetwork id: String) throws(NetworkError) {
    guard try look({ $0.networks[id]?.hasGrown == true }) else { return }
    try store.exclusively { () throws(NetworkError) in
      guard let network = try look({ $0.networks[id] }), network.phase == .ready else { return }
      // A failure does not stop the others.
      var failures: [NetworkError] = []
      for further in network.furtherBridges ?? [] where further.phase == .ready {
        failures += attempt { () throws(NetworkError) in try bridges.make(further, of: network) }
      }
      if let first = failures.first { throw first }
    }
  }

  private func explained(
    _ error: NetworkError, _ further: FurtherBridge, _ network: NetworkRecord
  ) -> NetworkError {
    guard error.isBridgeFull else { return error }
    return NetworkError(
      .exhausted, operation: "grow network \"\(network.name)\" over bridge \(further.name)",
      reason:
        "its bridge \(network.bridge.map { "\($0)" } ?? "") has no port left for a trunk to another: Linux gives it "
        + "1023, and links of others hold some; remove those, or detach a container", causes: [error])
  }

  /// Moves an endpoint that is not created yet to another bridge.
  private func replace(
    _ endpoint: Endpoint, on network: NetworkRecord, besides full: [InterfaceName?]
  ) throws(NetworkError) -> (Endpoint, NetworkRecord) {
    let capacity = self.capacity
    return try transaction { (transaction) throws(NetworkError) in
      var moved = endpoint
      moved.bridge = try transaction.place(
        on: network, capacity, besides: full, "attach \"\(endpoint.container)\" to \"\(network.name)\"")
      transaction.save(.endpoint(moved))
      return (moved, transaction.state.networks[network.id] ?? network)
    }
  }

  /// Removes the further bridges of a network that have no endpoint.
  ///
  /// - Parameter leaving: Endpoints that are recorded, but no longer there.
  /// - Returns: The failures; those bridges stay recorded as being removed.
  func dropEmptyBridges(of networkID: String, leaving: [Endpoint] = []) -> [NetworkError] {
    var failures: [NetworkError] = []
    failures += attempt { () throws(NetworkError) in
      guard try look({ !$0.emptyBridges(ofNetwork: networkID, without: leaving).isEmpty }) else { return }
      try store.exclusively { () throws(NetworkError) in
        let (network, empty) = try transaction { transaction in
          let empty = transaction.state.emptyBridges(ofNetwork: networkID, without: leaving)
          for further in empty { transaction.mark(further, ofNetwork: networkID, .removing) }
          return (transaction.state.networks[networkID], empty)
        }
        guard let network else { return }
        var gone: [FurtherBridge] = []
        for further in empty {
          let left = bridges.remove(further, of: network)
          failures += left
          if left.isEmpty { gone.append(further) }
        }
        let removed = gone
        try transaction { transaction in
          for further in removed { transaction.forget(further, ofNetwork: networkID) }
        }
      }
    }
    return failures
  }

  /// As above, for every network of the leaving endpoints.
  func dropEmptyBridges(leaving: [Endpoint]) -> [NetworkError] {
    let onFurther = Dictionary(grouping: leaving.filter { $0.bridge != nil }, by: \.networkID)
    return onFurther.sorted { $0.key < $1.key }.flatMap { dropEmptyBridges(of: $0.key, leaving: $0.value) }
  }

  /// As above, once endpoints are no longer recorded: of several that leave a bridge at once, each still sees the
  /// others recorded.
  func dropEmptyBridges(after left: [Endpoint]) -> [NetworkError] {
    Set(left.filter { $0.bridge != nil }.map(\.networkID)).sorted().flatMap { dropEmptyBridges(of: $0) }
  }

  /// Removes empty bridges that a crash has left.
  func dropEmptyBridges() throws(NetworkError) {
    guard try lookAtUnsettled({ $0.networks.values.contains { $0.furtherBridges != nil } }) else { return }
    let networks = try look { state in
      state.networks.values.filter { $0.phase == .ready && !state.emptyBridges(ofNetwork: $0.id).isEmpty }.map(\.id)
    }
    try networks.flatMap { dropEmptyBridges(of: $0) }.throwLeftovers("remove empty further bridges")
  }
}

extension Engine.Transaction {
  fileprivate mutating func mark(_ further: FurtherBridge, ofNetwork id: String, _ phase: Phase) {
    guard var network = state.networks[id],
      let index = network.furtherBridges?.firstIndex(where: { $0.name == further.name }),
      network.furtherBridges?[index].phase != phase
    else { return }
    network.furtherBridges?[index].phase = phase
    save(.network(network))
  }

  /// Removes the record of a deleted bridge, unless it is being created again.
  fileprivate mutating func forget(_ further: FurtherBridge, ofNetwork id: String) {
    guard var network = state.networks[id],
      network.furtherBridges?.contains(where: { $0.name == further.name && $0.phase == .removing }) == true
    else { return }
    network.furtherBridges?.removeAll { $0.name == further.name }
    if network.furtherBridges?.isEmpty == true { network.furtherBridges = nil }
    save(.network(network))
  }
}

extension EngineState {
  /// The further bridges of a network without endpoints, except leaving ones.
  func emptyBridges(ofNetwork id: String, without leaving: [Endpoint] = []) -> [FurtherBridge] {
    guard let further = networks[id]?.furtherBridges else { return [] }
    return further.filter { further in
      let gone = leaving.count { endpoints[$0.id]?.bridge == further.name }
      return loads.load(of: further.name, ofNetwork: id) <= gone
    }
  }
}
