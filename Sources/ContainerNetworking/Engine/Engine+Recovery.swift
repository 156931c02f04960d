import NetworkPrimitives
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// Recovery of unfinished work after a crash, and after a restart of the machine.
extension Engine {
  /// The boot and the namespace for which records of containers are true.
  var stamp: String {
    let boot = settings.bootID ?? HostFiles.text("/proc/sys/kernel/random/boot_id") ?? ""
    return "\(boot.filter { !$0.isWhitespace }) \(host.identity)"
  }

  /// Opens the store. Reads only unsettled records and changes nothing in the kernel, unless unfinished work or a new
  /// start of the machine requires it.
  ///
  /// - Returns: Whether networks could not be restored after a new start, and are to be repaired.
  func open() throws(NetworkError) -> Bool {
    _ = try InterfaceName(settings.defaultBridge)
    try drivers.check()
    let stamp = self.stamp
    try identify(stamp)
    let failures = try startAnew(stamp)
    if !failures.isEmpty { tell(ReconcileReport(failures: failures)) }
    do throws(NetworkError) { try recover() } catch {
      // An object that cannot be removed now stays a difference, and does not prevent the start.
      guard !error.causes.isEmpty else { throw error }
      tell(ReconcileReport(failures: error.causes))
    }
    renewRules()
    try openPorts()
    return !failures.isEmpty
  }

  /// Another namespace in the same boot is another host, and the records are not its own.
  private func checkStamp(_ stamp: String, _ state: EngineState) throws(NetworkError) {
    let old = state.host?.stamp ?? stamp
    let isEmpty = state.networks.isEmpty && state.sandboxes.isEmpty
    let (oldBoot, newBoot) = (old.prefix { $0 != " " }, stamp.prefix { $0 != " " })
    guard oldBoot != newBoot || isEmpty || old == stamp else {
      throw NetworkError(
        .refused, operation: "open controller",
        reason:
          "the store belongs to host namespace \(old.dropFirst(oldBoot.count + 1)), and this is \(host.identity); "
          + "give each host namespace a store of its own")
    }
  }

  /// Recovers after a start of the machine, when the kernel has lost everything. Releases leases except static ones,
  /// which stay reserved, and restores the networks. Waits while another process does so, and continues where one has
  /// died.
  ///
  /// - Returns: The failures to restore networks, which stay differences.
  private func startAnew(_ stamp: String) throws(NetworkError) -> [NetworkError] {
    for _ in 0..<3_000 {
      guard let record = try lookAtUnsettled({ $0.host }), record.stamp != stamp || record.owner != nil else {
        return []
      }
      if record.stamp == stamp, let owner = record.owner, owner != store.token, isAlive(owner) {
        usleep(10_000)
        continue
      }
      try look { (state) throws(NetworkError) in try checkStamp(stamp, state) }
      // The pins' files may survive on a disk, without their namespaces. They are removed first, while the record still
      // lists them.
      if record.stamp != stamp { for sandbox in try look({ Array($0.sandboxes.values) }) { _ = leave(sandbox) } }
      guard let networks = try forgetOldStart(stamp) else { continue }
      // One network's failure must not keep the others, nor the controller, from their work.
      var failures: [NetworkError] = []
      let surroundings = try? self.surroundings(of: networks)
      for network in networks where knows(network) {
        if let surroundings, try leaveOut(network, surroundings) { continue }
        do throws(NetworkError) { try bringBack(network) } catch {
          let operation = "make network \"\(network.name)\" again after a start of the machine"
          failures.append(NetworkError(error.code, operation: operation, causes: [error]))
        }
      }
      try transaction(.power) { transaction in
        guard var host = transaction.state.host else { return }
        host.owner = nil
        transaction.save(.host(host))
      }
      return failures
    }
    throw NetworkError(
      .inUse, operation: "open controller",
      reason: "another process has been restoring the networks for half a minute; see whether that process hangs")
  }

  /// - Returns: The networks to restore here; nil if another process was faster.
  private func forgetOldStart(_ stamp: String) throws(NetworkError) -> [NetworkRecord]? {
    let token = store.token
    return try transaction(.power) { (transaction) throws(NetworkError) in
      try checkStamp(stamp, transaction.state)
      if var host = transaction.state.host, host.stamp == stamp {
        guard let owner = host.owner, owner == token || !isAlive(owner) else { return nil }
        host.owner = token
        transaction.save(.host(host))
        return Array(transaction.state.networks.values)
      }
      for endpoint in transaction.state.endpoints.values {
        let holder = transaction.state.sandboxes[endpoint.container]
        if endpoint.staticAddresses.isEmpty || holder?.sandboxID != endpoint.sandboxID {
          // Includes endpoints of a removed container whose namespace others still share.
          try transaction.release(endpoint)
        } else if holder?.handsOutLink == true {
          transaction.keep(endpoint, ports: endpoint.ports)
        } else if endpoint.phase != .stopped {
          try transaction.keepStaticAddresses(of: endpoint)
        }
      }
      for var sandbox in transaction.state.sandboxes.values {
        guard !transaction.state.endpoints(ofSandbox: sandbox.sandboxID).isEmpty else {
          transaction.remove(.sandbox, sandbox.container)
          continue
        }
        if case .container = sandbox.mode {
          transaction.remove(.sandbox, sandbox.container)
          continue
        }
        sandbox.stop()
        transaction.save(.sandbox(sandbox))
      }
      for network in transaction.state.networks.values where network.phase != .ready {
        transaction.remove(.network, network.id)
      }
      // Further bridges ended with their last endpoints, and are created on demand.
      for network in transaction.state.networks.values {
        var fresh = network
        fresh.furtherBridges = nil
        fresh.forgetMovedAddresses()
        if fresh != network { transaction.save(.network(fresh)) }
      }
      let (id, kept) = (transaction.state.host?.id, transaction.state.host?.defaultSubnet)
      transaction.save(
        .host(
          HostRecord(stamp: stamp, sysctls: [:], id: id, uplinks: [], owner: token, defaultSubnet: kept)))
      return Array(transaction.state.networks.values)
    }
  }

  /// Restores the missing parts of a recorded network in the kernel.
  private func bringBack(_ network: NetworkRecord) throws(NetworkError) {
    try prepareHost(for: network)
    try driver(of: network).setUp(network, on: .start)
  }

  /// Skips a missing network whose subnet now overlaps the host, and reports it. A skipped default network is
  /// forgotten: the next container gets a new one, with a free block.
  ///
  /// - Returns: Whether it was skipped.
  private func leaveOut(_ network: NetworkRecord, _ surroundings: Surroundings) throws(NetworkError) -> Bool {
    guard let bridge = network.bridge, !network.adoptsBridge, (try? host.links.get("\(bridge)")) == nil else {
      return false
    }
    do throws(NetworkError) { try checkClear(network, surroundings) } catch {
      try transaction(.power) { transaction in
        if network.isPredefined { transaction.remove(.network, network.id) }
        transaction.note(NetworkEvent(.overlap, networkID: network.id, network: network.name))
      }
      tell(ReconcileReport(failures: [error]))
      return true
    }
    return false
  }

  /// Undoes the unfinished creations of dead users of the store, and completes their removals.
  func recover() throws(NetworkError) {
    let (dead, isIdle) = try lookAtUnsettled { state in
      let owners =
        state.networks.values.filter(knows).map { ($0.phase, $0.owner) }
        + state.sandboxes.values.map { ($0.phase, $0.owner) } + state.endpoints.values.map { ($0.phase, $0.owner) }
      let unfinished = Set(owners.filter { $0.0 != .ready && $0.0 != .stopped }.map(\.1))
      let isIdle =
        !state.networks.values.contains(where: mayPassHost)
        && !(state.host.map { $0.sysctls.isEmpty && $0.uplinks.isEmpty } ?? true)
      return (unfinished.filter { !isAlive($0) }, isIdle)
    }
    if !dead.isEmpty { try takeAway(ownedBy: dead) }
    try forgetReadyOfTheDead()
    try finishPortChanges()
    try dropEmptyBridges()
    if isIdle { try releaseHost() }
  }

  /// Removes a container's unfinished records of a dead user of the store.
  func reclaim(_ container: String) throws(NetworkError) {
    let owner = try look { state in state.unfinishedOwner(of: container) }
    if let owner, !owner.isEmpty, !store.isAlive(owner) { try takeAway(ownedBy: [owner]) }
  }

  private struct Unfinished {
    var sandboxes: [SandboxRecord] = []
    var endpoints: [Endpoint] = []
    var networks: [NetworkRecord] = []
    var allNetworks: [String: NetworkRecord] = [:]
  }

  /// Best effort: an object that cannot be removed keeps its record for the next attempt.
  private func takeAway(ownedBy owners: Set<String>) throws(NetworkError) {
    let unfinished = try takeOver(owners)
    var failures: [NetworkError] = []
    var left: (containers: Set<String>, endpoints: [String], networks: [String]) = ([], [], [])
    for endpoint in unfinished.endpoints {
      let whole = unfinished.sandboxes.first { $0.sandboxID == endpoint.sandboxID }
      var failed: [NetworkError] = []
      if let network = unfinished.allNetworks[endpoint.networkID] {
        var sandbox = whole
        if sandbox == nil {
          failed += attempt { () throws(NetworkError) in
            sandbox = try look { state in state.members(of: endpoint.sandboxID).first }
          }
        }
        failed += disconnect(endpoint, from: network, of: sandbox)
      }
      if failed.isEmpty, whole == nil { failed += attempt { () throws(NetworkError) in try release(endpoint) } }
      if !failed.isEmpty {
        left.endpoints.append(endpoint.id)
        if let whole { left.containers.insert(whole.container) }
      }
      failures += failed
    }
    let gone = unfinished.endpoints.filter { !left.endpoints.contains($0.id) }
    failures += dropEmptyBridges(leaving: gone)
    for record in unfinished.sandboxes {
      withdrawNames(of: record, leaving: unfinished.endpoints.filter { $0.sandboxID == record.sandboxID })
      var failed = leave(record)
      if failed.isEmpty, !left.containers.contains(record.container) {
        let endpoints = unfinished.endpoints.filter { $0.sandboxID == record.sandboxID }
        failed += attempt { () throws(NetworkError) in try forget(record, endpoints) }
      }
      if !failed.isEmpty { left.containers.insert(record.container) }
      failures += failed
    }
    failures += dropEmptyBridges(after: gone)
    for network in unfinished.networks {
      let failed = discard(network)
      if !failed.isEmpty { left.networks.append(network.id) }
      failures += failed
    }
    guard failures.isEmpty else {
      let kept = unfinished.endpoints.filter { endpoint in
        unfinished.sandboxes.contains { $0.sandboxID == endpoint.sandboxID && left.containers.contains($0.container) }
      }
      failures += letGo(
        containers: left.containers.sorted(), endpoints: left.endpoints + kept.map(\.id), networks: left.networks)
      throw failures.leftovers("finish interrupted calls")
    }
  }

  /// Releases the addresses of a removed endpoint, and updates its container's default route.
  private func release(_ endpoint: Endpoint) throws(NetworkError) {
    try transaction { (transaction) throws(NetworkError) in try transaction.release(endpoint) }
    if let record = try look({ state in state.members(of: endpoint.sandboxID).first }),
      let namespace = try? namespace(of: record)
    {
      try settleRoutes(of: endpoint.sandboxID, in: namespace)
    }
    try refreshFiles(ofSandbox: endpoint.sandboxID)
  }

  /// Marks the unfinished records of dead owners as being removed here, so that no other process does the same.
  private func takeOver(_ owners: Set<String>) throws(NetworkError) -> Unfinished {
    let token = store.token
    return try transaction { transaction in
      var unfinished = Unfinished(allNetworks: transaction.state.networks)
      let isLeft = { (phase: Phase, owner: String) in
        phase != .ready && phase != .stopped && owners.contains(owner)
      }
      for var record in transaction.state.sandboxes.values where isLeft(record.phase, record.owner) {
        let isAlone = transaction.state.members(of: record.sandboxID).allSatisfy { other in
          other.container == record.container || other.phase == .removing || isLeft(other.phase, other.owner)
        }
        if isAlone {
          // The previous owner left the endpoints inside in place.
          for var endpoint in transaction.state.endpoints(ofSandbox: record.sandboxID) where endpoint.phase == .ready {
            endpoint.beginRemoval(by: token)
            transaction.save(.endpoint(endpoint))
            unfinished.endpoints.append(endpoint)
          }
        } else {
          record.ownsNamespace = false
        }
        if transaction.state.sharesFiles(record) { record.filesDirectory = nil }
        record.phase = .removing
        record.owner = token
        transaction.save(.sandbox(record))
        unfinished.sandboxes.append(record)
      }
      for var endpoint in transaction.state.endpoints.values where isLeft(endpoint.phase, endpoint.owner) {
        endpoint.beginRemoval(by: token)
        transaction.save(.endpoint(endpoint))
        unfinished.endpoints.append(endpoint)
      }
      for var network in transaction.state.networks.values
      where isLeft(network.phase, network.owner) && knows(network) {
        unfinished.networks.append(network)
        // A network that was never ready stays `creating`: its bridge may be foreign, whichever process recovers it.
        if network.phase != .creating { network.phase = .removing }
        network.owner = token
        transaction.save(.network(network))
      }
      return unfinished
    }
  }

  // MARK: - The default network

  /// Creates the default network unless it exists; waits while another process creates or removes it.
  ///
  /// - Returns: The network, if this call created it.
  func ensureDefaultNetwork() throws(NetworkError) -> NetworkRecord? {
    var contests = 0
    for _ in 0..<3_000 {
      let known = try look { state in state.networks.values.first { $0.name == "bridge" } }
      if known?.phase == .ready { return nil }
      if let known, isAtWork(known.phase, known.owner) {
        usleep(10_000)
        continue
      }
      if known != nil { try recover() }
      let bridge: InterfaceName
      do throws(NetworkError) { bridge = try freeDefaultBridge() } catch {
        throw undone("make the default network", error, leftovers: [])
      }
      do throws(NetworkError) { return try addNetwork("bridge", NetworkOptions(bridge: bridge)) } catch {
        // Another process was faster: of this record, or of another record that uses the name now.
        guard error.code == .alreadyExists || error.code == .inUse else { throw error }
        if try look({ state in state.networks.values.contains { $0.name == "bridge" } }) { continue }
        contests += 1
        guard contests < 50, try !firewall.others().isEmpty else { throw error }
        usleep(UInt32.random(in: 1_000...20_000))
      }
    }
    throw NetworkError(
      .inUse, operation: "make the default network",
      reason: "another process has been making or removing it for half a minute; see whether that process hangs")
  }
}

extension Engine {
  /// The name of the default network's bridge: the configured one, or with the next free number if another record of
  /// the host uses that.
  private func freeDefaultBridge() throws(NetworkError) -> InterfaceName {
    let first = try InterfaceName(settings.defaultBridge)
    let others = try firewall.othersBridges()
    guard others[settings.defaultBridge] != nil else { return first }
    let stem = settings.defaultBridge.reversed().drop { $0.isASCII && $0.isNumber }.reversed()
    let number = Int(settings.defaultBridge.dropFirst(stem.count)) ?? 0
    let links = Set(try host.links.glances().map(\.name))
    for next in (number + 1)... {
      let name = String(stem) + "\(next)"
      if !links.contains(name), others[name] == nil { return try InterfaceName(name) }
    }
    return first
  }
}

extension SandboxRecord {
  /// Whether it is in another container's namespace.
  var isSharer: Bool {
    if case .container = mode { return true }
    return false
  }
}
