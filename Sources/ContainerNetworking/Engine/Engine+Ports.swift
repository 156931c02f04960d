import Netlink
import NetworkPrimitives
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The host's ports: checks that published ones are free, and reserves them for this process.
extension Engine {
  /// The time for another process of the same record to release a port that is no longer recorded.
  static let patienceMilliseconds: UInt32 = 2 * PortFollower.intervalMilliseconds + 1_500

  /// The addresses that serve a network's ports: all of them, with a forwarder here or in another process of the
  /// record.
  func places(of network: NetworkRecord, _ state: EngineState) -> PortPlaces {
    let isForwarded = { (state.host?.forwarders ?? []).contains { self.isHolderAlive($0) } }
    return PortPlaces(network, forwards: settings.forwarder != nil || isForwarded())
  }

  /// The host's ephemeral ports; nil if no mapping needs one.
  func ephemeralPorts(for mappings: [PortMapping]) throws(NetworkError) -> EphemeralPorts? {
    mappings.contains { $0.hostPorts == nil } ? try ephemeralPorts() : nil
  }

  /// Sees to it that no process of the host but the containers' engine holds a port that was picked, and picks another in
  /// the place of one that is held. The record, where the ports are taken by now, is free for others while the kernel is
  /// asked. Where this process holds ports, it has them from then on.
  ///
  /// - Parameters:
  ///   - picked: The ports of the new endpoint.
  ///   - save: Records the replacements.
  /// - Returns: The recorded ports.
  /// - Throws: `.inUse` for a requested port, or a whole range; `.exhausted`; `.notFound` for a host address that the
  ///   host does not have; `.unsupported` for a protocol that the kernel lacks.
  func settlePorts(
    _ picked: [PublishedPort], of endpoint: Endpoint, on network: NetworkRecord, _ request: EndpointRequest,
    save: (inout Transaction, [PublishedPort]) -> Void
  ) throws(NetworkError) -> [PublishedPort] {
    guard !picked.isEmpty else { return [] }
    var ports = picked
    // Other records' ports need no socket: our tables contain them.
    let others = try firewall.othersPorts()
    var held: Set<PortBinding> = []
    var free: Set<PortBinding> = []
    var sockets: [PortBinding: PortReservation] = [:]
    var waited: UInt32 = 0
    // Each round finds further held ports, and picking fails when none is left.
    while true {
      let asked = ports.flatMap(\.bindings).filter { !free.contains($0) }
      var found = Set(asked)
      let taken = asked.filter { others.holder(of: $0) != nil }
      if !taken.isEmpty {
        found = Set(taken)
      } else if keeper == nil {
        found = Set(try host.kernel.heldPorts(among: asked, in: host.handle))
        // By the engine, unless one of the host's choice is wanted.
        if settings.engineHoldsPorts, request.ephemeral == nil { found = [] }
      } else {
        for socket in try host.kernel.reservePorts(asked, in: host.handle) {
          sockets[socket.binding] = socket
          found.remove(socket.binding)
        }
      }
      if taken.isEmpty { free.formUnion(Set(asked).subtracting(found)) }
      if found.isEmpty {
        keeper?.hold(ports.flatMap(\.bindings).compactMap { sockets[$0] }, for: endpoint.id)
        return ports
      }
      if taken.isEmpty, waited < Self.patienceMilliseconds, try isHeldByOthers() {
        waited += 20
        usleep(20_000)
        continue
      }
      held.formUnion(found)
      let last = ports
      do throws(NetworkError) {
        ports = try transaction { (transaction) throws(NetworkError) in
          let next = try transaction.state.ports.pick(
            request.ports, for: endpoint.container, bindingAddress: network.policy.hostBindingAddress,
            at: places(of: network, transaction.state), ephemeral: request.ephemeral, avoiding: held,
            inPlaceOf: last)
          save(&transaction, next)
          return next
        }
      } catch {
        guard error.code == .inUse else { throw error }
        throw others.refusal(of: taken, error.operation) ?? nameRefusal(of: found, error.operation) ?? error
      }
    }
  }

  /// The error for ports on which our name server listens; nil for none.
  private func nameRefusal(of bindings: Set<PortBinding>, _ operation: String) -> NetworkError? {
    let networks = (try? look { state in Array(state.networks.values) }) ?? []
    for binding in bindings where binding.transport != .sctp {
      let network = networks.first { network in
        network.nameServer?.port == binding.port && network.bridgeGateways.contains { binding.address.includes($0) }
      }
      guard let network else { continue }
      return NetworkError(
        .inUse, operation: operation,
        reason:
          "our name server for network \"\(network.name)\" answers at port \(binding), at its gateways; choose another "
          + "port, or publish on an address of the host that is not a gateway")
    }
    return nil
  }

  // MARK: - Processes that hold ports

  func isHolderAlive(_ holder: String) -> Bool { isAlive(String(holder.prefix { $0 != " " })) }

  /// Whether another process of the same record reserves ports, possibly some that were released just now.
  private func isHeldByOthers() throws(NetworkError) -> Bool {
    try look { state in
      (state.host?.portHolders ?? []).contains { $0 != holderID && isHolderAlive($0) }
    }
  }

  /// Records that this process reserves ports, and reserves the recorded ones; with a forwarder, at all addresses that
  /// are free.
  func openPorts() throws(NetworkError) {
    guard keeper != nil else { return }
    try transaction { transaction in
      guard var host = transaction.state.host else { return }
      host.portHolders = (host.portHolders ?? []).filter { isHolderAlive($0) } + [holderID]
      if settings.forwarder != nil {
        host.forwarders = (host.forwarders ?? []).filter { isHolderAlive($0) } + [holderID]
      }
      transaction.save(.host(host))
      if settings.forwarder != nil { widenPorts(&transaction) }
    }
    arePortsStale.store(true, ordering: .relaxed)
    try followPorts()
    guard settings.forwarder != nil else { return }
    // The current holders release forwarded ports, now that a forwarder exists.
    var waited: UInt32 = 0
    while waited < Self.patienceMilliseconds, arePortsStale.load(ordering: .relaxed), try isHeldByOthers() {
      waited += 20
      usleep(20_000)
      try followPorts()
    }
  }

  /// Extends ports that were published without a forwarder to the addresses that a forwarder can serve now.
  private func widenPorts(_ transaction: inout Transaction) {
    for var endpoint in transaction.state.endpoints.values where endpoint.phase == .ready && !endpoint.ports.isEmpty {
      guard let network = transaction.state.networks[endpoint.networkID], publishesPorts(network)
      else { continue }
      let places = PortPlaces(network, forwards: true)
      let old = endpoint.ports
      for index in old.indices where old[index].forwarded == nil && old[index].translated != nil {
        var port = old[index]
        let wanted = places.serve(port.hostAddress).forwarded.filter { address in
          port.addresses.contains { $0.includes(address) }
            || transaction.state.ports.holder(port.hostPort, port.transport, at: [address]) == nil
        }
        guard !wanted.isEmpty else { continue }
        port.forwarded = wanted
        endpoint.ports[index] = port
      }
      if endpoint.ports != old { transaction.save(.endpoint(endpoint)) }
    }
  }

  /// Releases ports that others have released since, reserves those that others have published, and hands forwarded
  /// ones over to a forwarder.
  func followPorts() throws(NetworkError) {
    guard let keeper else { return }
    let others = try look { state in otherForwarders(state) }
    let areTheSame = otherForwardersSeen.withLock { seen in
      defer { seen = others }
      return seen == others
    }
    if !areTheSame { arePortsStale.store(true, ordering: .relaxed) }
    guard arePortsStale.exchange(false, ordering: .relaxed) else { return }
    do throws(NetworkError) {
      try keeper.follow(yields: settings.forwarder == nil && !others.isEmpty) { () throws(NetworkError) in
        try look { state in
          state.endpoints.values.filter { $0.phase != .stopped && !$0.allPorts.isEmpty }.sorted { $0.id < $1.id }
        }
      }
      if settings.forwarder != nil, try !noteForwarding(keeper) { arePortsStale.store(true, ordering: .relaxed) }
    } catch {
      arePortsStale.store(true, ordering: .relaxed)
      throw error
    }
  }
}
