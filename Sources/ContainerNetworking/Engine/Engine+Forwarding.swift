import Netlink
import NetworkPrimitives
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Who forwards, of all that share a record, and what of the published ports is served by that.
extension Engine {
  /// Those who forward now, but for this controller.
  func otherForwarders(_ state: EngineState) -> Set<String> {
    Set((state.host?.forwarders ?? []).filter { $0 != holderID && isHolderAlive($0) })
  }

  /// What is listened at for an endpoint, by whoever forwards now.
  private func listeners(of endpoint: Endpoint, _ forwarders: Set<String>) -> Set<PortBinding> {
    let own = forwarders.contains(holderID) ? keeper?.listeners(of: endpoint.id) ?? [] : []
    guard let forwarding = endpoint.forwarding else { return own }
    let known = Set(forwarding)
    return endpoint.listeners.filter { listener in
      own.contains(listener) || forwarders.contains { known.contains(Self.entry($0, listener)) }
    }
  }

  private static func entry(_ forwarder: String, _ listener: PortBinding) -> String { "\(forwarder) \(listener)" }

  private func forwarders(_ state: EngineState) -> Set<String> {
    let others = otherForwarders(state)
    return settings.forwarder == nil ? others : others.union([holderID])
  }

  /// An endpoint as it is served: its ports without the addresses that nobody forwards from.
  func served(_ endpoint: Endpoint, _ state: EngineState) -> Endpoint {
    guard endpoint.ports.contains(where: { $0.forwarded != nil }) else { return endpoint }
    let listeners = listeners(of: endpoint, forwarders(state))
    var served = endpoint
    for index in served.ports.indices {
      let port = served.ports[index]
      let addresses = (port.forwarded ?? []).filter { address in
        listeners.contains {
          $0.port == port.hostPort && $0.transport == port.transport && $0.address.includes(address)
        }
      }
      served.ports[index].forwarded = addresses.isEmpty ? nil : addresses
    }
    return served
  }

  /// A change of an endpoint's ports is made: hands over what another process forwards, and returns when that does.
  func handOverPorts(of endpoint: Endpoint) {
    let isForwardedElsewhere = settings.forwarder == nil && endpoint.ports.contains { $0.forwarded != nil }
    keeper?.settle(endpoint, yields: isForwardedElsewhere)
    guard isForwardedElsewhere else { return }
    var waited: UInt32 = 0
    while waited < Self.patienceMilliseconds {
      let isServed = try? look { state in
        let others = otherForwarders(state)
        guard let now = state.endpoints[endpoint.id], !others.isEmpty else { return true }
        return now.listeners.isSubset(of: listeners(of: now, others))
      }
      if isServed == true { return }
      waited += 10
      usleep(10_000)
    }
  }

  /// Writes down what this controller listens at.
  ///
  /// - Returns: Whether that is all that is to be listened at and that nobody else does.
  func noteForwarding(_ keeper: PortKeeper) throws(NetworkError) -> Bool {
    let (endpoints, others) = try look { state in
      (state.endpoints.values.filter { $0.phase == .ready && !$0.listeners.isEmpty }, otherForwarders(state))
    }
    var isWhole = true
    var changed: [String: [String]] = [:]
    for endpoint in endpoints {
      let own = keeper.listeners(of: endpoint.id)
      let theirs = listeners(of: endpoint, others)
      if !endpoint.listeners.isSubset(of: own.union(theirs)) { isWhole = false }
      let entries = entries(of: endpoint, own, others)
      if Set(entries) != Set(endpoint.forwarding ?? []) { changed[endpoint.id] = entries }
    }
    guard !changed.isEmpty else { return isWhole }
    let all = changed
    try transaction { transaction in
      for (id, entries) in all {
        guard var endpoint = transaction.state.endpoints[id], endpoint.phase == .ready else { continue }
        endpoint.forwarding = entries.isEmpty ? nil : entries
        transaction.save(.endpoint(endpoint))
      }
    }
    return isWhole
  }

  /// Writes down beside an endpoint's ports what this controller listens at for them.
  func noteForwarding(of endpoint: inout Endpoint, _ state: EngineState) {
    guard settings.forwarder != nil, let own = keeper?.listeners(of: endpoint.id), !own.isEmpty else { return }
    endpoint.forwarding = entries(of: endpoint, own, otherForwarders(state))
  }

  /// What is written down of an endpoint: those of others who live, and this controller's.
  private func entries(of endpoint: Endpoint, _ own: Set<PortBinding>, _ others: Set<String>) -> [String] {
    let kept = (endpoint.forwarding ?? []).filter { entry in others.contains { entry.hasPrefix($0 + " ") } }
    return kept + own.map { Self.entry(holderID, $0) }.sorted()
  }

  /// Takes this controller off those who forward: another goes on, or whoever published a port holds it again.
  func closePorts() {
    guard settings.forwarder != nil else { return }
    // First the ports: whoever reads that this one is gone takes them at once.
    keeper?.endAll()
    _ = attempt { () throws(NetworkError) in
      try transaction { transaction in
        guard var host = transaction.state.host, host.forwarders?.contains(holderID) == true else { return }
        host.forwarders = host.forwarders?.filter { $0 != holderID }
        host.portHolders = host.portHolders?.filter { $0 != holderID }
        transaction.save(.host(host))
      }
    }
  }

  /// Published ports that nobody forwards where they are to be.
  func unservedPorts(_ survey: Survey) -> [Difference] {
    var alive = Set((survey.host?.forwarders ?? []).filter { isHolderAlive($0) })
    if settings.forwarder != nil { alive.insert(holderID) }
    return survey.endpoints.filter { $0.phase == .ready }.flatMap { endpoint in
      let missing = endpoint.listeners.subtracting(listeners(of: endpoint, alive)).map(\.description).sorted()
      return missing.map { listener in
        Difference(
          .portUnserved, network: endpoint.networkName, container: endpoint.container,
          "nobody forwards \(listener) to \"\(endpoint.container)\": "
            + (alive.isEmpty ? "no forwarder runs" : "the forwarder that runs cannot have it"))
      }
    }
  }
}
