import Netlink
import NetworkPrimitives
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The forwarders among the users of a record, and the published ports that they serve.
extension Engine {
  /// The live forwarders except this controller.
  func otherForwarders(_ state: EngineState) -> Set<String> {
    Set((state.host?.forwarders ?? []).filter { $0 != holderID && isHolderAlive($0) })
  }

  /// The bindings at which live forwarders listen for an endpoint.
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

  /// An endpoint as it is served: its ports without the addresses that lack a forwarder.
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

  /// Completes a change of an endpoint's ports: hands forwarded ones over to the forwarding process, and waits until it
  /// serves them.
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

  /// Records the bindings at which this controller listens.
  ///
  /// - Returns: Whether all bindings are served, here or by others.
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

  /// Adds this controller's listening bindings to an endpoint's record.
  func noteForwarding(of endpoint: inout Endpoint, _ state: EngineState) {
    guard settings.forwarder != nil, let own = keeper?.listeners(of: endpoint.id), !own.isEmpty else { return }
    endpoint.forwarding = entries(of: endpoint, own, otherForwarders(state))
  }

  /// The forwarding entries of an endpoint: those of other live forwarders, and this controller's.
  private func entries(of endpoint: Endpoint, _ own: Set<PortBinding>, _ others: Set<String>) -> [String] {
    let kept = (endpoint.forwarding ?? []).filter { entry in others.contains { entry.hasPrefix($0 + " ") } }
    return kept + own.map { Self.entry(holderID, $0) }.sorted()
  }

  /// Removes this controller from the forwarders: another one continues, or the publishing process reserves the ports
  /// again.
  func closePorts() {
    guard settings.forwarder != nil else { return }
    // Ports first: another process takes them as soon as the record says that this forwarder is gone.
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

  /// Published ports without their forwarder.
  func unservedPorts(_ survey: Survey) -> [Difference] {
    var alive = Set((survey.host?.forwarders ?? []).filter { isHolderAlive($0) })
    if settings.forwarder != nil { alive.insert(holderID) }
    return survey.endpoints.filter { $0.phase == .ready }.flatMap { endpoint in
      let missing = endpoint.listeners.subtracting(listeners(of: endpoint, alive)).map(\.description).sorted()
      return missing.map { listener in
        Difference(
          .portUnserved, network: endpoint.networkName, container: endpoint.container,
          "\(listener) is not forwarded to \"\(endpoint.container)\": "
            + (alive.isEmpty ? "no forwarder runs" : "the running forwarder could not bind it"))
      }
    }
  }
}
