import Netlink
import NetworkPrimitives
import Synchronization
import SystemPackage

/// The way back from a difference: the kernel is made to be as the records say.
extension Engine {
  /// Repairs every difference that it finds, and looks again.
  ///
  /// - Parameter looksInside: Whether containers' namespaces are looked into and repaired.
  func reconcile(looksInside: Bool = true) throws(NetworkError) -> ReconcileReport {
    // One at a time; another process's repairs of the same are harmless: each looks before it makes.
    try healing.withLock { (_) throws(NetworkError) in
      var report = ReconcileReport()
      report.found = try differences(looksInside: looksInside)
      guard !report.found.isEmpty else { return report }
      report.failures = try repair(report.found)
      report.remaining = try differences(looksInside: looksInside)
      return report
    }
  }

  private func repair(_ found: [Difference]) throws(NetworkError) -> [NetworkError] {
    let kinds = Set(found.map(\.kind))
    var failures: [NetworkError] = []
    if kinds.contains(.unfinished) { failures += attempt { () throws(NetworkError) in try recover() } }
    for difference in found where difference.kind == .namespaceGone {
      guard let container = difference.container else { continue }
      failures += attempt { () throws(NetworkError) in try detach(container) }
    }
    let survey = try survey()
    if kinds.contains(.uplinks) { failures += attempt { () throws(NetworkError) in try yieldUplinks() } }
    if kinds.contains(.forwarding) {
      failures += attempt { () throws(NetworkError) in
        try store.exclusively { () throws(NetworkError) in
          for name in survey.host?.sysctls.keys.sorted() ?? [] { try switchOn(name) }
        }
      }
    }
    for network in survey.networks
    where network.phase == .ready && found.contains(where: { $0.network == network.name }) {
      failures += attempt { () throws(NetworkError) in try repair(network, survey) }
    }
    for endpoint in survey.endpoints
    where endpoint.phase == .ready && found.contains(where: { $0.concerns(endpoint) }) {
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
      for (link, _, _) in strayPorts(survey) {
        failures += attempt { () throws(NetworkError) in try host.links.delete(index: link.index) }
      }
    }
    // Last: the tables name bridges and addresses that are there by now.
    if kinds.contains(.rules) { failures += attempt { () throws(NetworkError) in try restoreRules() } }
    return failures
  }

  private func repair(_ network: NetworkRecord, _ survey: Survey) throws(NetworkError) {
    let driver = driver(of: network)
    try driver.repair(network, survey)
    let isStillThere = try look { state in state.networks[network.id]?.phase == .ready }
    guard isStillThere else {
      return try driver.tearDown(network).throwLeftovers("remove network \"\(network.name)\"")
    }
    try serveNamesAgain(of: network)
  }

  private func repairLink(of endpoint: Endpoint, _ survey: Survey) throws(NetworkError) {
    guard let network = survey.network(endpoint.networkID),
      let sandbox = survey.sandboxes.first(where: { $0.sandboxID == endpoint.sandboxID && $0.phase == .ready })
    else { return }
    let namespace = try namespace(of: sandbox)
    let driver = driver(of: network)
    if try driver.isPlugged(endpoint, in: namespace, survey) {
      try driver.replug(endpoint, to: network)
      let all = try missing(inside: namespace, [endpoint])
      if !all.isEmpty { try driver.reconfigure(endpoint, in: namespace) }
    } else {
      try driver.plug(endpoint, to: network, in: namespace, routes: [])
    }
    try settleRoutes(of: endpoint.sandboxID, in: namespace)
    let isStillThere = try look { state in state.endpoints[endpoint.id]?.phase == .ready }
    if !isStillThere {
      try driver.unplug(endpoint, from: network, in: namespace).throwLeftovers(
        "remove \(endpoint.interface) of \"\(endpoint.container)\"")
    }
  }

  // MARK: - Rules

  /// What the records say that is in our sets, and what of the kernel's is there for a change that is under way.
  private func wantedElements(_ survey: Survey, present: [String: Set<NftElement>]) -> FirewallElements {
    var wanted = FirewallElements(survey.host?.uplinks ?? [])
    var open = FirewallElements()
    for network in survey.networks {
      let own = FirewallElements(network)
      if network.phase == .ready { wanted.add(own) } else { open.add(own) }
    }
    for endpoint in survey.endpoints {
      guard endpoint.phase != .stopped, let network = survey.network(endpoint.networkID) else { continue }
      let own = FirewallElements(endpoint, on: network)
      if endpoint.phase == .ready { wanted.add(own) } else { open.add(own) }
      if let change = endpoint.portChange { open.add(FirewallElements(change.ports, of: endpoint, on: network)) }
    }
    wanted.add(open.filtered { set, element in present[set.name]?.contains(element) == true })
    return wanted
  }

  /// What the records say that is in our sets for sure.
  private func steadyElements(_ survey: Survey) -> [String: Set<NftElement>] {
    wantedElements(survey, present: [:]).bySet
  }

  func ruleDifference(_ survey: Survey) throws(NetworkError) -> Difference? {
    guard survey.networks.contains(where: \.passesHost) else { return nil }
    let present: [String: Set<NftElement>]
    let ruleCount: Int
    do throws(NetworkError) {
      present = try firewall.elements()
      ruleCount = try firewall.ruleCount()
    } catch {
      guard error.code == .notFound else { throw error }
      let isReady = { (survey: Survey) in survey.networks.contains { $0.phase == .ready && $0.passesHost } }
      let after = try self.survey()
      return isReady(survey) && isReady(after) ? Difference(.rules, "our firewall tables are gone") : nil
    }
    // Others go on meanwhile: what was to be there before and after is missing, what was neither is strange.
    let after = try self.survey()
    let (steady, steadyAfter) = (steadyElements(survey), steadyElements(after))
    let (allowed, allowedAfter) = (
      wantedElements(survey, present: present).bySet, wantedElements(after, present: present).bySet
    )
    var missing = 0
    var strange = 0
    for set in FirewallSets.all {
      let has = present[set.name] ?? []
      missing += (steady[set.name] ?? []).intersection(steadyAfter[set.name] ?? []).subtracting(has).count
      strange += has.subtracting(allowed[set.name] ?? []).subtracting(allowedAfter[set.name] ?? []).count
    }
    var parts: [String] = []
    if ruleCount != Firewall.staticRuleCount {
      parts.append("\(ruleCount) rules where \(Firewall.staticRuleCount) belong")
    }
    if missing > 0 { parts.append("\(missing) elements missing") }
    if strange > 0 { parts.append("\(strange) elements too many") }
    guard !parts.isEmpty else { return nil }
    return Difference(.rules, "our firewall tables have \(parts.joined(separator: ", "))")
  }

  /// Puts our tables back whole, unless somebody changed the rules between the look and the change: then it looks again.
  func restoreRules() throws(NetworkError) {
    for attempt in 1...20 {
      let generation = try firewall.generation()
      var present: [String: Set<NftElement>] = [:]
      do throws(NetworkError) { present = try firewall.elements() } catch {
        if error.code != .notFound { throw error }
      }
      let survey = try survey()
      guard survey.networks.contains(where: \.passesHost) else { return }
      do throws(NetworkError) {
        try firewall.restore(wantedElements(survey, present: present), generation: generation)
        return
      } catch {
        guard error.kernel?.errno.rawValue == 85, attempt < 20 else { throw error }  // ERESTART
      }
    }
  }
}

extension Difference {
  fileprivate func concerns(_ endpoint: Endpoint) -> Bool {
    [.linkMissing, .portSettings, .containerSettings, .bridgeMissing].contains(kind) && network == endpoint.networkName
      && (container == nil || container == endpoint.container)
  }
}
