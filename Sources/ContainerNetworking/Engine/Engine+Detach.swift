import NetworkPrimitives
import Synchronization

/// Taking containers off their networks.
extension Engine {
  /// Detaches a container from the network.
  ///
  /// - Parameter keepsAddresses: Whether its static addresses stay reserved.
  func detach(_ container: String, keepsAddresses: Bool = false) throws(NetworkError) {
    let operation = "detach \"\(container)\""
    let token = store.token
    let (record, endpoints, networks) = try transaction { (transaction) throws(NetworkError) in
      guard var record = transaction.state.sandboxes[container], !(keepsAddresses && record.phase == .stopped) else {
        throw NetworkError(.notFound, operation: operation, reason: "\"\(container)\" is not attached")
      }
      try checkIdle(record.phase, record.owner, "\"\(container)\"", operation)
      // Of several containers that leave the namespace, the last to begin removes it.
      let isLast = transaction.state.members(of: record.sandboxID).allSatisfy {
        $0.container == container || $0.phase == .removing
      }
      let isStopped = record.phase == .stopped
      var endpoints: [Endpoint] = []
      if isLast || isStopped {
        endpoints = transaction.state.endpoints(ofSandbox: record.sandboxID)
        for endpoint in endpoints {
          if endpoint.phase != .stopped, let network = transaction.state.networks[endpoint.networkID] {
            _ = try driver(of: network, operation)
          }
          try checkIdle(
            endpoint, "the endpoint of \"\(container)\" on \"\(endpoint.networkName)\"", operation)
        }
        for index in endpoints.indices where endpoints[index].phase != .stopped {
          endpoints[index].beginRemoval(by: token)
          transaction.save(.endpoint(endpoints[index]))
        }
      }
      if !isLast { record.ownsNamespace = false }
      if transaction.state.sharesFiles(record) { record.filesDirectory = nil }
      record.phase = .removing
      record.owner = token
      record.keepsAddresses = keepsAddresses ? true : nil
      transaction.save(.sandbox(record))
      return (record, endpoints, transaction.state.networks)
    }
    withdrawNames(of: record, leaving: endpoints)
    var failures: [NetworkError] = []
    for endpoint in endpoints.reversed() where endpoint.phase != .stopped {
      guard let network = networks[endpoint.networkID] else { continue }
      failures += disconnect(endpoint, from: network, of: record, isGone: true)
    }
    failures += leave(record)
    // Runs while the endpoints are still recorded, so that a failure can be retried.
    if failures.isEmpty { failures += dropEmptyBridges(leaving: endpoints.filter { $0.phase != .stopped }) }
    if failures.isEmpty {
      failures += attempt { () throws(NetworkError) in
        try forget(record, endpoints)
      }
    }
    guard failures.isEmpty else {
      failures += letGo(containers: [container], endpoints: endpoints.map(\.id))
      throw failures.leftovers(operation)
    }
    try dropEmptyBridges(after: endpoints).throwLeftovers(operation)
  }

  /// Removes the records of a container and its endpoints, except kept static addresses.
  func forget(_ record: SandboxRecord, _ endpoints: [Endpoint]) throws(NetworkError) {
    let isGone = try transaction { (transaction) throws(NetworkError) in
      var isKept = false
      for endpoint in endpoints {
        if endpoint.phase != .stopped, !endpoint.isKeptReady {
          transaction.note(
            NetworkEvent(
              .disconnect, networkID: endpoint.networkID, network: endpoint.networkName,
              container: endpoint.container))
        }
        if record.keepsAddresses == true, record.handsOutLink == true {
          transaction.keep(endpoint, ports: endpoint.ports)
          isKept = true
        } else if record.keepsAddresses == true, !endpoint.staticAddresses.isEmpty {
          try transaction.keepStaticAddresses(of: endpoint)
          isKept = true
        } else {
          try transaction.release(endpoint)
        }
      }
      // Kept endpoints on other networks stay.
      let others =
        record.keepsAddresses == true
        ? transaction.state.endpoints(ofContainer: record.container).filter { $0.phase == .stopped } : []
      if isKept || !others.isEmpty {
        var stopped = record
        if let other = others.first, other.sandboxID != record.sandboxID {
          // It was being attached to another container's namespace.
          stopped.sandboxID = other.sandboxID
          stopped.mode = .network(other.networkName)
        }
        stopped.stop()
        transaction.save(.sandbox(stopped))
      } else {
        transaction.remove(.sandbox, record.container)
      }
      return transaction.state.members(of: record.sandboxID).isEmpty
    }
    if isGone { namespaces.withLock { _ = $0.removeValue(forKey: record.sandboxID) } }
  }
}

extension SandboxRecord {
  /// Reduces the record to the facts that hold without a namespace: its name, and its networks.
  mutating func stop() {
    phase = .stopped
    owner = ""
    namespacePath = nil
    namespaceInode = nil
    namespaceCookie = nil
    viewpoint = nil
    ownsNamespace = false
    keepsAddresses = nil
    names = nil
    filesDirectory = nil
  }
}

extension Engine.Transaction {
  /// Reduces an endpoint to the addresses that its container requested.
  mutating func keepStaticAddresses(of endpoint: Endpoint) throws(NetworkError) {
    var stopped = endpoint
    stopped.addresses = endpoint.addresses.filter { endpoint.staticAddresses.contains($0.address) }
    stopped.bridge = nil
    stopped.ports = []
    // Only a disconnect that keeps settings restores these.
    stopped.aliases = []
    stopped.forwarding = nil
    stopped.gateways = []
    stopped.phase = .stopped
    stopped.owner = ""
    var dynamic = endpoint
    dynamic.addresses.removeAll { endpoint.staticAddresses.contains($0.address) }
    try release(dynamic)
    save(.endpoint(stopped))
  }
}
