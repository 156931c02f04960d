import NetworkPrimitives

/// The name server's port on a network's gateways: one of the service's own, to which the network's rules redirect port
/// 53. Other programs of the host can therefore hold port 53.
extension Engine {
  /// Makes the service answer, at another port of its own if the network's is taken.
  func serve(
    _ network: NetworkRecord, in sandboxes: [SandboxRecord], by names: any NameService
  ) throws(NetworkError) {
    guard network.servesNamesAt == .gateway, let ports = names.gatewayPorts else {
      return try names.serve(network, in: sandboxes)
    }
    var network = network
    var taken: NetworkError?
    for _ in ports {
      if network.nameServer?.phase != .ready || taken != nil {
        network = try lead(network, past: taken == nil ? nil : network.nameServer?.port, ports)
      }
      do throws(NetworkError) { return try names.serve(network, in: sandboxes) } catch {
        guard error.code == .inUse else { throw error }
        taken = error
      }
    }
    if let taken { throw taken }
  }

  /// Redirects the network's rules to its name server. The record has the port first, and its completion last: if this
  /// process dies in between, the next connect to the network continues.
  ///
  /// - Parameter taken: A port that another socket holds.
  /// - Returns: The updated network.
  private func lead(
    _ network: NetworkRecord, past taken: UInt16?, _ ports: ClosedRange<UInt16>
  ) throws(NetworkError) -> NetworkRecord {
    // One call at a time, so that the rules match the last record.
    try store.exclusively { () throws(NetworkError) in
      let planned = try transaction { (transaction) throws(NetworkError) in
        var network = try transaction.state.network(network.id)
        if let place = network.nameServer, place.phase == .ready, place.port != taken { return network }
        try checkAskedPort(of: network, transaction.state)
        var port = network.nameServer?.port ?? ports.lowerBound
        if port == taken { port = port < ports.upperBound ? port + 1 : ports.lowerBound }
        network.nameServer = NameServerPlace(port: port, phase: .creating)
        transaction.save(.network(network))
        return network
      }
      guard planned.nameServer?.phase == .creating else { return planned }
      try firewall.replace(FirewallElements(namesOf: planned))
      return try transaction { (transaction) throws(NetworkError) in
        var network = try transaction.state.network(network.id)
        network.nameServer?.phase = .ready
        transaction.save(.network(network))
        return network
      }
    }
  }

  /// The name server's place of a new network; nil without a server, or for port 53 itself.
  func placeOfNames(on network: NetworkRecord, _ state: EngineState) -> NameServerPlace? {
    guard let ports = settings.names?.gatewayPorts, network.servesNamesAt == .gateway,
      (try? checkAskedPort(of: network, state)) != nil
    else { return nil }
    return NameServerPlace(port: ports.lowerBound, phase: .ready)
  }

  /// - Throws: `.inUse` when a container publishes port 53 of one of the network's gateways.
  private func checkAskedPort(of network: NetworkRecord, _ state: EngineState) throws(NetworkError) {
    let gateways = network.bridgeGateways
    for endpoint in state.endpoints.values {
      for port in endpoint.allPorts where port.hostPort == NetworkRecord.askedNamePort && port.transport != .sctp {
        // A wildcard publication leaves this address to the name server.
        guard let gateway = port.translatedAddresses.first(where: gateways.contains) else { continue }
        throw NetworkError(
          .inUse, operation: "serve names of network \"\(network.name)\"",
          reason: "its containers query port 53 of \(gateway), which is published for \"\(endpoint.container)\"; "
            + "publish port 53 of another address, or serve the names inside the containers")
      }
    }
  }

  /// The faults of mappings that publish port 53 of a gateway, which containers ask for names.
  func namePortFaults(
    _ mappings: [PortMapping], of network: NetworkRecord, _ operation: String, _ state: EngineState
  ) -> [NetworkError] {
    mappings.compactMap { mapping in
      guard let address = mapping.hostAddress ?? network.policy.hostBindingAddress, !address.isUnspecified,
        mapping.transport != .sctp,
        mapping.hostPorts?.contains(NetworkRecord.askedNamePort) == true,
        let other = state.networks.values.first(where: { other in
          other.nameServer != nil && other.bridgeGateways.contains(address)
        })
      else { return nil }
      return NetworkError(
        .inUse, operation: operation,
        reason: "the containers of network \"\(other.name)\" query port 53 of \(address) for names; "
          + "publish 53/\(mapping.transport) on another address of the host, or on all, which excludes that one")
    }
  }
}
