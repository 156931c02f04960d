import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// Repairs differences: changes the kernel to match the records.
extension Engine {
  /// Repairs every difference, and checks the repaired ones again.
  func reconcile(_ scope: LookScope = LookScope()) throws(NetworkError) -> ReconcileReport {
    // One repair at a time here. Concurrent repairs by other processes are harmless, because each checks before it
    // acts.
    try healing.withLock { (_) throws(NetworkError) in
      var report = ReconcileReport()
      report.found = try differences(scope)
      guard !report.found.isEmpty else { return report }
      report.failures = try repair(report.found)
      report.remaining = try differences(scope.narrowed(to: report.found))
      return report
    }
  }

  /// Repairs the given differences.
  ///
  /// - Returns: The failures.
  func repair(_ found: [Difference]) throws(NetworkError) -> [NetworkError] {
    let kinds = Set(found.map(\.kind))
    var failures: [NetworkError] = []
    // Needs no other request to the kernel.
    if kinds == [.rules] { return attempt { () throws(NetworkError) in try restoreRules() } }
    if kinds.contains(.unfinished) { failures += attempt { () throws(NetworkError) in try recover() } }
    for difference in found {
      guard let container = difference.container else { continue }
      switch difference.kind {
      case .namespaceGone: failures += attempt { () throws(NetworkError) in try detach(container) }
      case .endpointGone: failures += attempt { () throws(NetworkError) in _ = try leaveEndpoint(container) }
      default: continue
      }
    }
    let survey = try survey()
    if kinds.contains(.uplinks) { failures += attempt { () throws(NetworkError) in try yieldUplinks() } }
    for network in survey.networks
    where network.phase == .ready && knows(network) && found.contains(where: { $0.network == network.name }) {
      failures += attempt { () throws(NetworkError) in try repair(network, survey) }
    }
    let concerns = found.ofEndpoints
    for endpoint in survey.endpoints
    where endpoint.phase == .ready && concerns(endpoint) {
      failures += attempt { () throws(NetworkError) in try repairLink(of: endpoint, survey) }
    }
    for difference in found where difference.kind == .filesMissing {
      guard let record = survey.sandboxes.first(where: { $0.container == difference.container }) else { continue }
      failures += attempt { () throws(NetworkError) in try restoreFiles(of: record) }
    }
    if kinds.contains(.strayFiles) {
      for path in try strayFiles() {
        failures += attempt { () throws(NetworkError) in try ContainerFiles(directory: path).remove() }
      }
    }
    if kinds.contains(.strayPort) {
      for (index, difference) in strayPorts(survey) where found.contains(difference) {
        failures += attempt { () throws(NetworkError) in try host.links.delete(index: index) }
      }
    }
    // Last, because the tables refer to bridges and addresses by name, and restrict forwarding links to our networks.
    if kinds.contains(.rules) { failures += attempt { () throws(NetworkError) in try restoreRules() } }
    if kinds.contains(.forwarding) { failures += attempt { () throws(NetworkError) in try repairForwarding() } }
    return failures
  }

  private func repair(_ network: NetworkRecord, _ survey: Survey) throws(NetworkError) {
    let driver = try driver(of: network)
    if let bridge = network.bridge, survey.links["\(bridge)"] == nil {
      try checkClear(network, surroundings(of: survey.networks))
    }
    try driver.setUp(network, on: .repair)
    let failures = attempt { () throws(NetworkError) in try remakeBridges(ofNetwork: network.id) }
    let isStillThere = try look { state in state.networks[network.id]?.phase == .ready }
    guard isStillThere else {
      return try driver.tearDown(network).throwLeftovers("remove network \"\(network.name)\"")
    }
    try serveNamesAgain(of: network)
    if let first = failures.first { throw first }
  }

  private func repairLink(of endpoint: Endpoint, _ survey: Survey) throws(NetworkError) {
    guard let network = survey.network(endpoint.networkID), knows(network),
      let sandbox = survey.sandboxes.first(where: { $0.sandboxID == endpoint.sandboxID && $0.phase == .ready })
    else { return }
    let driver = try driver(of: network)
    if sandbox.handsOutLink == true {
      guard let bridges = driver as? BridgeDriver else { return }
      return try bridges.replug(endpoint, to: network)
    }
    let namespace = try namespace(of: sandbox)
    try driver.restore(endpoint, on: network, in: namespace, survey.snapshot)
    try settleRoutes(of: endpoint.sandboxID, in: namespace)
    let isStillThere = try look { state in state.endpoints[endpoint.id]?.phase == .ready }
    if !isStillThere {
      let failures =
        drivers.host(network.driver)?.unplug(endpoint)
        ?? driver.disconnect(endpoint, from: network) { () throws(NetworkError) in namespace }
      try failures.throwLeftovers(
        "remove \(endpoint.interface) of \"\(endpoint.container)\"")
    }
  }

  // MARK: - Rules

  /// Whose elements a network has; of a driver that is not there, those that a bridge would have stay as they are.
  private func rules(of network: NetworkRecord) -> any HostDriver { drivers.host(network.driver) ?? bridges }

  /// The elements of the records in our sets: those wanted now, and those in transition.
  private func wantedElements() throws(NetworkError) -> (wanted: FirewallElements, open: FirewallElements) {
    let yielded = try yieldedFamilies(look { $0.host })
    return try look { state in
      let uplinks = state.host?.uplinks ?? []
      var wanted = FirewallElements(uplinks.filter { !yielded.contains($0.family) })
      var open = FirewallElements(uplinks.filter { yielded.contains($0.family) })
      let presence = presence(state)
      wanted.add(presence.wanted)
      open.add(presence.open)
      for network in state.networks.values {
        let isWanted = network.phase == .ready && knows(network)
        for (own, isSettled) in rules(of: network).elements(of: network) {
          if isWanted, isSettled { wanted.add(own) } else { open.add(own) }
        }
      }
      for endpoint in state.endpoints.values {
        guard endpoint.phase != .stopped, let network = state.networks[endpoint.networkID] else { continue }
        let rules = rules(of: network)
        let own = rules.elements(of: endpoint, on: network)
        if endpoint.phase == .ready, knows(network) { wanted.add(own) } else { open.add(own) }
        if let change = endpoint.portChange { open.add(rules.elements(of: change.ports, of: endpoint, on: network)) }
      }
      return (wanted, open)
    }
  }

  /// Whether there is a network in our tables.
  func hasRules(_ isMeant: @Sendable (NetworkRecord) -> Bool = { _ in true }) throws(NetworkError) -> Bool {
    try lookAtUnsettled { state in state.networks.values.contains { passesHost($0) && isMeant($0) } }
  }

  func ruleDifference() throws(NetworkError) -> Difference? {
    guard try hasRules() else { return nil }
    let wasReady = try hasRules { $0.phase == .ready }
    var content: FirewallContent
    var odd: OddElements
    do throws(NetworkError) {
      content = try firewall.content()
      odd = OddElements(content, [try wantedElements()])
      if !odd.isEmpty {
        // Others continue meanwhile: an element wanted before and after is missing, one wanted at neither time is
        // superfluous.
        let before = try wantedElements()
        content = try firewall.content()
        odd = OddElements(content, [before, try wantedElements()])
      }
    } catch {
      guard error.code == .notFound else { throw error }
      let isReady = try hasRules { $0.phase == .ready }
      return wasReady && isReady ? Difference(.rules, "our firewall tables are gone") : nil
    }
    var parts: [String] = []
    if content.isOlder { parts.append("the rules of an older version") }
    if !content.isNewer, content.ruleCount != Firewall.staticRuleCount {
      parts.append("\(counted(content.ruleCount, "rule")) where \(Firewall.staticRuleCount) belong")
    }
    parts += odd.described
    guard !parts.isEmpty else { return nil }
    return Difference(.rules, "our firewall tables have \(parts.joined(separator: ", "))")
  }

  /// The changes that restore our tables when none of them exists.
  func rulesRestoration() throws(NetworkError) -> NftTransaction { try firewall.restoration(wantedElements().wanted) }

  /// Restores our part of the tables; starts again if the rules changed between the check and the change.
  func restoreRules() throws(NetworkError) {
    for _ in 0..<1_000 {
      let generation = try firewall.generation()
      var content: FirewallContent?
      do throws(NetworkError) { content = try firewall.content() } catch {
        if error.code != .notFound { throw error }
      }
      guard try hasRules() else { return }
      var (wanted, open) = try wantedElements()
      if let content {
        let present = Dictionary(uniqueKeysWithValues: open.list.map { ($0.set.name, content.has($0.set.name)) })
        wanted.add(open.filtered { set, element in present[set.name]?.contains(element.identity) == true })
      }
      let links = content?.isOlder == true ? try linkIndices() : [:]
      do throws(NetworkError) {
        try firewall.restore(wanted, over: content, links: links, generation: generation)
        return
      } catch { if error.kernel?.errno != Firewall.restart { throw error } }
    }
    throw NetworkError(
      .inUse, operation: "put our firewall tables back",
      reason: "other programs keep changing rules; try again when the host is calmer")
  }
}

extension [Difference] {
  /// Whether a difference concerns the endpoint's link, or its network's bridge.
  fileprivate var ofEndpoints: (Endpoint) -> Bool {
    var networks: Set<String> = []
    var containers: [String: Set<String>] = [:]
    for difference in self {
      guard [.linkMissing, .portSettings, .containerSettings, .bridgeMissing].contains(difference.kind) else {
        continue
      }
      if let container = difference.container {
        containers[difference.network, default: []].insert(container)
      } else {
        networks.insert(difference.network)
      }
    }
    return { endpoint in
      networks.contains(endpoint.networkName) || containers[endpoint.networkName]?.contains(endpoint.container) == true
    }
  }
}
