import AddressPools
import Netlink
import NetworkPrimitives

extension Engine {
  func createNetwork(_ name: String, options: NetworkOptions) throws(NetworkError) -> NetworkRecord {
    let operation = "create network \"\(name)\""
    try Name.check(name, what: "network", operation: operation)
    guard !Name.predefined.contains(name) else {
      throw NetworkError(
        .refused, operation: operation,
        reason: "\"\(name)\" is predefined; choose a name other than bridge, host and none")
    }
    return try addNetwork(name, options)
  }

  /// Records the network, creates it, and records that; undoes everything after a failure.
  func addNetworkOnce(_ name: String, _ options: NetworkOptions) throws(NetworkError) -> NetworkRecord {
    let operation = "create network \"\(name)\""
    var draft = NetworkPlan(name, options, operation)
    var faults = check(options, operation)
    let surroundings: Surroundings
    do throws(NetworkError) {
      faults += try validate(&draft)
      surroundings = try self.surroundings(of: look { state in Array(state.networks.values) })
    } catch { throw undone(operation, error, leftovers: []) }
    let (wanted, found) = (draft, faults)
    let planned = try transaction { (transaction) throws(NetworkError) in
      let kept = keptSubnet(surroundings, transaction.state)
      let record = try plan(wanted, found, surroundings, kept, transaction.state)
      transaction.keep(record.name == "bridge" ? record.subnet(.ipv4)?.subnet : kept)
      transaction.save(.network(record))
      return record
    }
    do throws(NetworkError) {
      try prepareHost(for: planned)
      // Tables that the first network creates were not lost.
      if try !hasRules({ $0.phase == .ready }) { _ = firewall.losses.take() }
      try driver(of: planned).setUp(planned, on: .creation)
      try checkAgainstOthers(planned)
    } catch {
      // The driver has undone its own part.
      throw undone(operation, error, leftovers: abandon(planned, error.leftovers))
    }
    do throws(NetworkError) {
      var record = planned
      record.phase = .ready
      record.owner = ""
      let ready = record
      try transaction(.power) { transaction in
        transaction.save(.network(ready))
        transaction.note(NetworkEvent(.create, networkID: ready.id, network: name))
      }
      return ready
    } catch {
      throw undone(operation, error, leftovers: abandon(planned, tearDown(planned)))
    }
  }

  func removeNetwork(_ name: String) throws(NetworkError) {
    let record = try network(name)
    guard !record.isPredefined else {
      throw NetworkError(
        .refused, operation: "remove network \"\(name)\"", reason: "\"\(record.name)\" is predefined and stays")
    }
    try removeNetwork(id: record.id)
  }

  func removeNetwork(id: String) throws(NetworkError) {
    let token = store.token
    // Ready sandboxes do not count as users.
    if try look({ state in state.endpoints(ofNetwork: id).allSatisfy(\.isKeptReady) }) {
      try keepNoneReady(on: id).throwLeftovers("remove network \(id)")
    }
    let record = try transaction { (transaction) throws(NetworkError) in
      var record = try transaction.state.network(id)
      let operation = "remove network \"\(record.name)\""
      _ = try driver(of: record, operation)
      try checkIdle(record.phase, record.owner, "network \"\(record.name)\"", operation)
      let endpoints = transaction.state.endpoints(ofNetwork: record.id)
      guard endpoints.isEmpty else {
        let inUse = endpoints.filter { !$0.isKeptReady }
        let containers = (inUse.isEmpty ? endpoints : inUse).map {
          $0.phase == .stopped ? "\($0.container) (stopped)" : $0.container
        }
        throw NetworkError(
          .inUse, operation: operation,
          reason: "it has active endpoints: \(containers.joined(separator: ", ")); detach them first")
      }
      if record.phase != .creating { record.phase = .removing }
      record.owner = token
      transaction.save(.network(record))
      return record
    }
    try discard(record).throwLeftovers("remove network \"\(record.name)\"")
  }

  /// Removes a network from the kernel, then from the record; if objects remain, it stays recorded.
  func discard(_ network: NetworkRecord) -> [NetworkError] {
    withdrawNames(of: network)
    return abandon(network, tearDown(network))
  }

  /// Removes a network's record, unless objects of it remain in the kernel: then it is recorded as being removed, for
  /// the next attempt.
  func abandon(_ network: NetworkRecord, _ leftovers: [NetworkError]) -> [NetworkError] {
    var failures = leftovers
    if leftovers.isEmpty {
      failures += attempt { () throws(NetworkError) in
        guard passesHost(network) else { return try forget(network) }
        try releaseHost(without: network.id) { () throws(NetworkError) in try forget(network) }
      }
    }
    guard !failures.isEmpty else { return [] }
    let unwritten = attempt { () throws(NetworkError) in
      try transaction(.power) { transaction in
        var record = network
        record.phase = .removing
        record.owner = ""
        transaction.save(.network(record))
      }
    }
    return failures + unwritten + (unwritten.isEmpty ? [] : letGo(networks: [network.id]))
  }

  private func forget(_ network: NetworkRecord) throws(NetworkError) {
    try transaction(.power) { transaction in
      transaction.remove(.network, network.id)
      for family in network.families { transaction.remove(.pool, StoreRecord.Key.pool(network.id, family).id) }
      if network.phase != .creating {
        transaction.note(NetworkEvent(.destroy, networkID: network.id, network: network.name))
      }
    }
  }

  /// The error of an operation that was undone.
  func undone(_ operation: String, _ error: NetworkError, leftovers: [NetworkError]) -> NetworkError {
    NetworkError(
      error.code, operation: operation,
      reason: leftovers.isEmpty ? "nothing was changed" : "\(counted(leftovers.count, "step")) could not be undone",
      causes: [error.withoutLeftovers] + leftovers)
  }

  /// - Throws: `.inUse` while it is created or removed.
  func checkIdle(_ phase: Phase, _ owner: String, _ what: String, _ operation: String) throws(NetworkError) {
    guard isAtWork(phase, owner) else { return }
    throw NetworkError(
      .inUse, operation: operation,
      reason: "\(what) is being \(phase == .creating ? "made" : "removed") by another call; try again when that is done"
    )
  }

  // MARK: - Planning

  /// The block reserved for a missing default network: the one chosen with the first network of the record, as long as
  /// the pools contain it and it does not overlap the host.
  private func keptSubnet(_ surroundings: Surroundings, _ state: EngineState) -> Subnet? {
    if let made = state.networks.values.first(where: { $0.name == "bridge" }) { return made.subnet(.ipv4)?.subnet }
    let taken = surroundings.blocks + state.networks.values.flatMap { $0.subnets.map(\.subnet) }
    if let kept = state.host?.defaultSubnet, settings.pools.pools.contains(where: { $0.block.contains(kept) }),
      !taken.contains(where: { $0.prefixLength > 1 && $0.overlaps(kept) })
    {
      return kept
    }
    return try? settings.pools.choose(family: .ipv4, avoiding: taken)
  }

  /// Plans the network, without any change yet.
  private func plan(
    _ plan: NetworkPlan, _ faults: [NetworkError], _ surroundings: Surroundings, _ kept: Subnet?, _ state: EngineState
  ) throws(NetworkError) -> NetworkRecord {
    let (name, options, operation) = (plan.name, plan.options, plan.operation)
    if let other = state.networks.values.first(where: { $0.name == name }) {
      try checkIdle(other.phase, other.owner, "a network \"\(name)\"", operation)
      throw NetworkError(
        .alreadyExists, operation: operation, reason: "there is a network \"\(name)\" already; choose another name")
    }
    if let bridge = options.bridge, let other = state.networks.values.first(where: { $0.isBridge("\(bridge)") }) {
      throw NetworkError(
        .inUse, operation: operation,
        reason: "the bridge \"\(bridge)\" belongs to network \"\(other.name)\"; name another one")
    }
    if let parent = options.parent, let other = state.networks.values.first(where: { $0.parent == parent }) {
      throw NetworkError(
        .inUse, operation: operation,
        reason:
          "the parent \"\(parent)\" is that of network \"\(other.name)\"; name another one, or attach to that network")
    }
    let families = families(of: options)
    var configuration = options.poolConfiguration(drivers.traits(of: options.driver))
    var claims = state.networks.values.flatMap { network in
      network.subnets.map { ClaimedSubnet($0.subnet, holder: "network \"\(network.name)\"") }
    }
    if let kept, !state.networks.values.contains(where: { $0.name == "bridge" }) {
      if name == "bridge" {
        if options.subnets.isEmpty { configuration.subnets = [SubnetConfiguration(subnet: kept)] }
      } else {
        claims.append(ClaimedSubnet(kept, holder: "the default network \"bridge\", which keeps it"))
      }
    }
    var hidden: [NetworkError] = []
    if !options.allowsHostOverlap {
      let others = claims.map(\.subnet)
      hidden = options.subnets.filter { !$0.network.isUnspecified }.compactMap { subnet in
        overlapFault(
          of: subnet, on: plan.adopted == nil ? options.parent : options.bridge, surroundings, others: others, operation
        )
      }
    }
    try (faults + configuration.faults(claimed: claims) + hidden).throwAny(operation)
    configuration = try configuration.resolved(
      families: Set(families), from: settings.pools, avoiding: surroundings.blocks, claimed: claims)
    for index in configuration.subnets.indices {
      keepClear(&configuration.subnets[index], options, surroundings)
    }

    var record = NetworkRecord(
      id: plan.id, name: name, created: .now(), driver: options.driver, bridge: plan.bridge,
      growsOverBridges: options.growsOverBridges ? nil : false, adopted: plan.adopted,
      parent: options.parent, macvlanMode: plan.macvlanMode, driverState: plan.state.isEmpty ? nil : plan.state,
      subnets: configuration.subnets.sorted { $0.subnet.family < $1.subnet.family }.map { subnet in
        SubnetRecord(
          subnet: subnet.subnet, ipRange: subnet.ipRange, gateway: subnet.gatewayAddress,
          auxiliaryAddresses: subnet.auxiliaryAddresses)
      },
      allowsHostOverlap: options.allowsHostOverlap ? true : nil, isInternal: options.isInternal, mtu: options.mtu,
      policy: options.policy, interfacePrefix: options.interfacePrefix, options: options.driverOptions,
      labels: options.labels,
      nameServing: options.nameServing, dnsServers: options.dnsServers.isEmpty ? nil : options.dnsServers,
      phase: .creating, owner: store.token)
    record.nameServer = placeOfNames(on: record, state)
    return record
  }

  /// Reserves the addresses of the host, its routers and resolvers in the subnet, and omits the gateway where the host
  /// has no address.
  private func keepClear(
    _ subnet: inout SubnetConfiguration, _ options: NetworkOptions, _ surroundings: Surroundings
  ) {
    subnet.gateway = options.gatewayChoice(subnet.subnet.family, drivers.traits(of: options.driver))
    var taken = Set(subnet.auxiliaryAddresses.values)
    if case .address(let gateway) = subnet.gateway { taken.insert(gateway) }
    for (name, address) in surroundings.points(in: subnet.subnet) where !taken.contains(address) {
      subnet.auxiliaryAddresses[name] = address
    }
  }
}

extension Engine.Transaction {
  /// Records the block reserved for the default network.
  fileprivate mutating func keep(_ subnet: Subnet?) {
    guard var host = state.host, let subnet, host.defaultSubnet != subnet else { return }
    host.defaultSubnet = subnet
    save(.host(host))
  }
}
