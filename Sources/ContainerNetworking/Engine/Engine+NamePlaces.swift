import NetworkPrimitives

/// Where on a network's gateways its names are answered: at a port of the service's own, to which the network's rules lead
/// from port 53. So it does not matter who else of the host holds that, and nobody else is kept from it.
extension Engine {
  /// Has the service answer, at another port of its own where somebody else holds the network's.
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

  /// Has the network's rules lead to where its names are to be answered. The record says where first, and that it is so last:
  /// whoever dies in between leaves it to the next that is put on the network.
  ///
  /// - Parameter taken: A port that somebody else holds.
  /// - Returns: The network as it is then.
  private func lead(
    _ network: NetworkRecord, past taken: UInt16?, _ ports: ClosedRange<UInt16>
  ) throws(NetworkError) -> NetworkRecord {
    // One at a time, so that the rules are those of the last record.
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

  /// Where the names of a network that is to be made are answered; nil where nobody answers, or at port 53 itself.
  func placeOfNames(on network: NetworkRecord, _ state: EngineState) -> NameServerPlace? {
    guard let ports = settings.names?.gatewayPorts, network.servesNamesAt == .gateway,
      (try? checkAskedPort(of: network, state)) != nil
    else { return nil }
    return NameServerPlace(port: ports.lowerBound, phase: .ready)
  }

  /// - Throws: `.inUse` when a container has port 53 of a gateway of the network.
  private func checkAskedPort(of network: NetworkRecord, _ state: EngineState) throws(NetworkError) {
    let gateways = network.bridgeGateways
    for endpoint in state.endpoints.values {
      for port in endpoint.allPorts where port.hostPort == NetworkRecord.askedNamePort && port.transport != .sctp {
        // Published on all addresses it is the name server's at this one all the same.
        guard let gateway = port.translatedAddresses.first(where: gateways.contains) else { continue }
        throw NetworkError(
          .inUse, operation: "serve names of network \"\(network.name)\"",
          reason: "its containers ask at port 53 of \(gateway), which is published for \"\(endpoint.container)\"; "
            + "publish another address's, or have the names served inside the containers")
      }
    }
  }

  /// Mappings that ask for what containers ask names by: port 53 of a gateway.
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
        reason: "at port 53 of \(address) the containers of network \"\(other.name)\" ask for names; "
          + "publish 53/\(mapping.transport) on another address of the host, or on all, which leaves that one out")
    }
  }
}
