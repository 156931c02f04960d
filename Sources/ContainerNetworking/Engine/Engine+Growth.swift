import NetworkPrimitives

/// Networks that grow over further bridges. A bridge is made for the first endpoint that is put on it, and goes with the
/// last: until then the record of that endpoint tells whoever comes after a crash to look for it.
extension Engine {
  var capacity: BridgeCapacity {
    BridgeCapacity(ports: settings.bridgePorts, trunks: settings.bridgeTrunks, limit: settings.bridgePortLimit)
  }

  /// Makes an endpoint that is written down, on whichever bridge of its network takes it.
  ///
  /// - Parameter endpoint: Its bridge is another afterwards where the one that was chosen is full of others' ports.
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

  /// Has the further bridge that an endpoint is to be on be there.
  ///
  /// - Parameter network: As it was when the endpoint was written down: a bridge that was there then stays for it.
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

  /// Has the further bridges of a network be whole that it has by now: others may have taken away what it had at a look.
  func remakeBridges(ofNetwork id: String) throws(NetworkError) {
    guard try look({ $0.networks[id]?.hasGrown == true }) else { return }
    try store.exclusively { () throws(NetworkError) in
      guard let network = try look({ $0.networks[id] }), network.phase == .ready else { return }
      // One that cannot be made keeps none of the others from it.
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
      reason: "its bridge \(network.bridge.map { "\($0)" } ?? "") has no port left to reach another by: Linux gives it "
        + "1023, of which others have taken some; take those off, or detach a container", causes: [error])
  }

  /// Has an endpoint that is not made be on another bridge.
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

  /// Takes away the further bridges of a network that nothing is on.
  ///
  /// - Parameter leaving: Endpoints that are on record, and there no more.
  /// - Returns: What could not be taken away; it stays on record as being removed.
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

  /// The same of every network on which endpoints are leaving, or of all.
  func dropEmptyBridges(leaving: [Endpoint]) -> [NetworkError] {
    let onFurther = Dictionary(grouping: leaving.filter { $0.bridge != nil }, by: \.networkID)
    return onFurther.sorted { $0.key < $1.key }.flatMap { dropEmptyBridges(of: $0.key, leaving: $0.value) }
  }

  /// The same once endpoints are off the record: those who leave a bridge at the same time are all on record at the look of
  /// each of them.
  func dropEmptyBridges(after left: [Endpoint]) -> [NetworkError] {
    Set(left.filter { $0.bridge != nil }.map(\.networkID)).sorted().flatMap { dropEmptyBridges(of: $0) }
  }

  /// Takes away what a crash has left of bridges that nothing is on.
  func dropEmptyBridges() throws(NetworkError) {
    guard try lookAtUnsettled({ $0.networks.values.contains { $0.furtherBridges != nil } }) else { return }
    let networks = try look { state in
      state.networks.values.filter { $0.phase == .ready && !state.emptyBridges(ofNetwork: $0.id).isEmpty }.map(\.id)
    }
    try networks.flatMap { dropEmptyBridges(of: $0) }.throwLeftovers("take away bridges that nothing is on")
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

  /// Strikes one out that is gone, unless it is to be made again by now.
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
  /// The further bridges of a network that no endpoint is on but those that are leaving.
  func emptyBridges(ofNetwork id: String, without leaving: [Endpoint] = []) -> [FurtherBridge] {
    guard let further = networks[id]?.furtherBridges else { return [] }
    return further.filter { further in
      let gone = leaving.count { endpoints[$0.id]?.bridge == further.name }
      return loads.load(of: further.name, ofNetwork: id) <= gone
    }
  }
}
