import NetworkPrimitives
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#endif

/// What others left unfinished: by a crash of theirs, or by a restart of the machine.
extension Engine {
  /// The start of the machine and the namespace that records of containers are true for.
  var stamp: String {
    let boot = settings.bootID ?? HostFiles.text("/proc/sys/kernel/random/boot_id") ?? ""
    return "\(boot.filter { !$0.isWhitespace }) \(host.identity)"
  }

  /// Opens the store: nothing of the kernel is touched, and no record read but those that are unsettled, unless something was
  /// left unfinished or the machine was started anew.
  func open() throws(NetworkError) {
    _ = try InterfaceName(settings.defaultBridge)
    let stamp = self.stamp
    try identify(stamp)
    try startAnew(stamp)
    do throws(NetworkError) { try recover() } catch {
      // What cannot be taken away now stays a difference, and is no reason to stand still.
      guard !error.causes.isEmpty else { throw error }
      tell(ReconcileReport(failures: error.causes))
    }
    renewRules()
    try openPorts()
  }

  /// Another namespace in the same start of the machine is another host, whose records these are not.
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

  /// After a start of the machine: the kernel has forgotten everything. Leases are released but for static ones, which stay
  /// their containers'; networks are made again. Waits while another does that, and goes on where one has died.
  private func startAnew(_ stamp: String) throws(NetworkError) {
    for _ in 0..<3_000 {
      guard let record = try lookAtUnsettled({ $0.host }), record.stamp != stamp || record.owner != nil else { return }
      if record.stamp == stamp, let owner = record.owner, owner != store.token, isAlive(owner) {
        usleep(10_000)
        continue
      }
      try look { (state) throws(NetworkError) in try checkStamp(stamp, state) }
      // The files that the namespaces were pinned at are still there, on a disk; without the namespaces. First, while the
      // record tells of them.
      if record.stamp != stamp { for sandbox in try look({ Array($0.sandboxes.values) }) { _ = leave(sandbox) } }
      guard let networks = try forgetOldStart(stamp) else { continue }
      // Every one is tried; what then is missing is a difference, which can be repaired.
      var failures: [NetworkError] = []
      let surroundings = try? self.surroundings(of: networks)
      for network in networks {
        if let surroundings, try leaveOut(network, surroundings) { continue }
        failures += attempt { () throws(NetworkError) in try bringBack(network) }
      }
      try transaction(.power) { transaction in
        guard var host = transaction.state.host else { return }
        host.owner = nil
        transaction.save(.host(host))
      }
      guard failures.isEmpty else { throw failures.leftovers("make the networks again") }
      return
    }
    throw NetworkError(
      .inUse, operation: "open controller",
      reason: "another process has been making the networks again for half a minute; see whether that one hangs")
  }

  /// - Returns: The networks that are to be made again, by this one; nil if another was faster.
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
          // Of a container that is gone too, whose guests were left.
          try transaction.release(endpoint)
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
      // Further bridges went with their last endpoints: they are made again as they are needed.
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

  /// Makes what is not there of a recorded network's part of the kernel.
  private func bringBack(_ network: NetworkRecord) throws(NetworkError) {
    try prepareHost(for: network)
    try driver(of: network).bringBack(network)
  }

  /// Leaves a network that is not there as it is, where the host lives in its subnet by now, and says so. The default network is
  /// forgotten: it is made anew, with a block that fits, for the next container.
  ///
  /// - Returns: Whether it is left out.
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

  /// Undoes what users of the store that are gone had begun, and finishes what they were taking away.
  func recover() throws(NetworkError) {
    let (dead, isIdle) = try lookAtUnsettled { state in
      let owners =
        state.networks.values.map { ($0.phase, $0.owner) }
        + state.sandboxes.values.map { ($0.phase, $0.owner) } + state.endpoints.values.map { ($0.phase, $0.owner) }
      let unfinished = Set(owners.filter { $0.0 != .ready && $0.0 != .stopped }.map(\.1))
      let isIdle =
        !state.networks.values.contains(where: \.passesHost)
        && !(state.host.map { $0.sysctls.isEmpty && $0.uplinks.isEmpty } ?? true)
      return (unfinished.filter { !isAlive($0) }, isIdle)
    }
    if !dead.isEmpty { try takeAway(ownedBy: dead) }
    try forgetReadyOfTheDead()
    try finishPortChanges()
    try dropEmptyBridges()
    if isIdle { try releaseHost() }
  }

  /// Has a container's records be free of what a user of the store that is gone had begun.
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

  /// Tries each: what cannot be taken away is left to whoever tries again, and is no reason to leave the rest.
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
      let failed = driver(of: network).owns(network) ? discard(network) : abandon(network, [])
      if !failed.isEmpty { left.networks.append(network.id) }
      failures += failed
    }
    guard failures.isEmpty else {
      let kept = unfinished.endpoints.filter { endpoint in
        unfinished.sandboxes.contains { $0.sandboxID == endpoint.sandboxID && left.containers.contains($0.container) }
      }
      failures += letGo(
        containers: left.containers.sorted(), endpoints: left.endpoints + kept.map(\.id), networks: left.networks)
      throw failures.leftovers("take away what was left unfinished")
    }
  }

  /// Gives back the addresses of an endpoint that is gone, and its container another default route.
  private func release(_ endpoint: Endpoint) throws(NetworkError) {
    try transaction { (transaction) throws(NetworkError) in try transaction.release(endpoint) }
    if let record = try look({ state in state.members(of: endpoint.sandboxID).first }),
      let namespace = try? namespace(of: record)
    {
      try settleRoutes(of: endpoint.sandboxID, in: namespace)
    }
    try refreshFiles(ofSandbox: endpoint.sandboxID)
  }

  /// Marks what the dead had begun as being removed by this one, so that no other does the same.
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
          // Whoever left it to this one did not take away what is in there.
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
      for var network in transaction.state.networks.values where isLeft(network.phase, network.owner) {
        unfinished.networks.append(network)
        // One that was never made stays so: its bridge may be another's, whoever comes to see to it.
        if network.phase != .creating { network.phase = .removing }
        network.owner = token
        transaction.save(.network(network))
      }
      return unfinished
    }
  }

  // MARK: - The default network

  /// Makes the default network unless it is there; waits while somebody else makes or removes it.
  ///
  /// - Returns: The network, if it was made here.
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
        // Another was faster: of this record, or another record of the host, which has the name by now.
        guard error.code == .alreadyExists || error.code == .inUse else { throw error }
        if try look({ state in state.networks.values.contains { $0.name == "bridge" } }) { continue }
        contests += 1
        guard contests < 50, try !firewall.others().isEmpty else { throw error }
        usleep(UInt32.random(in: 1_000...20_000))
      }
    }
    throw NetworkError(
      .inUse, operation: "make the default network",
      reason: "it is being made or removed by another process for half a minute; see whether that one hangs")
  }
}

extension Engine {
  /// What the default network's bridge is called: as it is set, or with the next number that is free where another record of
  /// the host has that.
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
  /// Whether it is in a namespace that another container brought.
  var isSharer: Bool {
    if case .container = mode { return true }
    return false
  }
}
