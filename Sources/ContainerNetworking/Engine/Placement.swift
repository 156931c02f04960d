import NetworkPrimitives

/// The capacity of bridges for endpoints.
struct BridgeCapacity: Sendable {
  /// The number of ports of a bridge that can have further bridges.
  var ports: Int
  /// The number of ports of a network's first bridge that are reserved for further bridges.
  var trunks: Int
  /// The ports of a bridge that stays the only one.
  var limit: Int

  /// The capacity of a network's bridge for endpoints.
  func room(on bridge: InterfaceName?, of network: NetworkRecord) -> Int {
    bridge == nil ? (network.grows ? ports - trunks : limit) : ports - 1
  }
}

extension Engine.Transaction {
  /// Chooses the bridge of a new endpoint: the first with a free port, or a new one.
  ///
  /// - Parameter full: Bridges that foreign ports are known to fill.
  /// - Returns: A further bridge; nil for the first one, and without one.
  /// - Throws: `.exhausted` when all are full, and no further one is permitted.
  mutating func place(
    on network: NetworkRecord, _ capacity: BridgeCapacity, besides full: [InterfaceName?] = [], _ operation: String
  ) throws(NetworkError) -> InterfaceName? {
    guard let first = network.bridge, var record = state.networks[network.id] else { return nil }
    let hasRoom = { (bridge: InterfaceName?, state: EngineState) in
      !full.contains(bridge)
        && state.loads.load(of: bridge, ofNetwork: network.id) < capacity.room(on: bridge, of: network)
    }
    if hasRoom(nil, state) { return nil }
    let further = record.furtherBridges ?? []
    if let index = further.firstIndex(where: { hasRoom($0.name, state) }) {
      // A bridge that is being removed is created again afterwards.
      if further[index].phase == .removing {
        record.furtherBridges?[index].phase = .creating
        save(.network(record))
      }
      return further[index].name
    }
    // A further bridge needs a port of the first.
    guard record.grows, further.count < capacity.trunks, !full.contains(nil) else {
      throw exhausted(record, first, capacity, full, operation)
    }
    let numbers = Set(further.map(\.number))
    let number = (1...).first { !numbers.contains($0) } ?? 1
    let new = try FurtherBridge(number, ofNetwork: network.id)
    record.furtherBridges = further + [new]
    save(.network(record))
    return new.name
  }

  private func exhausted(
    _ network: NetworkRecord, _ first: InterfaceName, _ capacity: BridgeCapacity, _ full: [InterfaceName?],
    _ operation: String
  ) -> NetworkError {
    let own = state.loads.load(of: nil, ofNetwork: network.id)
    let rest: String
    if full.contains(nil) {
      rest =
        "links of others hold the rest of the 1023 ports that Linux gives a bridge, so that none is left for a trunk; "
        + "remove some of those"
    } else if network.grows {
      let all = (network.furtherBridges ?? []).count
      rest =
        "its \(all) further bridges are full, too, and it can have no more; detach containers, or put new ones on "
        + "another network"
    } else if network.adoptsBridge {
      rest =
        "a network does not grow beyond an adopted bridge; detach containers, or make a network with a "
        + "bridge of its own"
    } else {
      rest =
        "its option says that it does not grow; detach containers, put new ones on another network, or make one that "
        + "grows"
    }
    return NetworkError(
      .exhausted, operation: operation,
      reason: "network \"\(network.name)\" has no port left for another container: \(own) are on its bridge \(first), "
        + "which has \(capacity.room(on: nil, of: network)) for them; \(rest)")
  }
}
