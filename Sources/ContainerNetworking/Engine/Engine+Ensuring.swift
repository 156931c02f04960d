import NetworkPrimitives

/// Verbs that succeed whether their object exists or not.
extension Engine {
  /// The network of a full name; nil for none. One that a dead process left half made or half removed is removed first.
  func settledNetwork(named name: String) throws(NetworkError) -> NetworkRecord? {
    let find = { (state: EngineState) in state.networks.values.first { $0.name == name } }
    guard let known = try lookAtUnsettled(find) else { return nil }
    guard known.phase != .ready, !isAtWork(known.phase, known.owner) else { return known }
    try verb { () throws(NetworkError) in try recover() }
    return try lookAtUnsettled(find)
  }

  /// Removes a container, or some of its endpoints, if they exist.
  ///
  /// - Returns: Whether there was anything to remove.
  func ensureDetached(
    _ container: String, from networks: [String]?, interface: InterfaceName?
  ) throws(NetworkError) -> Bool {
    guard networks != nil || interface != nil else { return try detachIfThere(container) }
    let known = try look { state in
      state.sandboxes[container].map { record in (record, state.endpoints(ofSandbox: record.sandboxID)) }
    }
    guard let (record, endpoints) = known, !record.isSharer, record.sandboxID != Self.hostSandbox else { return false }
    let leaving = endpoints.filter { endpoint in
      (networks.map { $0.contains(endpoint.networkName) || $0.contains(endpoint.networkID) } ?? true)
        && (interface.map { $0 == endpoint.interface } ?? true)
    }
    return try remove(leaving, of: record, having: endpoints)
  }

  /// Removes some endpoints of a container, and the container if it has no others.
  ///
  /// - Returns: Whether there was anything to remove.
  private func remove(
    _ leaving: [Endpoint], of record: SandboxRecord, having endpoints: [Endpoint]
  ) throws(NetworkError) -> Bool {
    // Of a mode with a network: the last endpoint may have left it by an interrupted call.
    let isBare = endpoints.isEmpty && record.mode != .none
    if leaving.count == endpoints.count, isBare || !leaving.isEmpty { return try detachIfThere(record.container) }
    guard !leaving.isEmpty else { return false }
    for endpoint in leaving {
      do throws(NetworkError) {
        try disconnect(record.container, from: endpoint.networkID, isForced: true)
      } catch { try error.rethrow(unless: .notFound) }
    }
    // A concurrent call may have removed the others.
    let isLast = try look { state in state.endpoints(ofSandbox: record.sandboxID).isEmpty }
    if isLast { _ = try detachIfThere(record.container) }
    return true
  }

  private func detachIfThere(_ container: String) throws(NetworkError) -> Bool {
    guard try look({ state in state.sandboxes[container] != nil }) else { return false }
    do throws(NetworkError) { try detach(container) } catch {
      try error.rethrow(unless: .notFound)
      return false
    }
    return true
  }

  // MARK: - Collection

  /// Removes the matching attachments that are not kept.
  func keepOnly(_ kept: Set<AttachedInterface>, _ filter: EndpointFilter) throws(NetworkError) -> CollectionReport {
    var report = CollectionReport()
    for (record, endpoints) in try candidates() {
      let container = record.container
      guard !kept.contains(AttachedInterface(container)) else { continue }
      let own = record.isSharer ? [] : endpoints
      let leaving = own.filter { endpoint in
        filter.matches(endpoint) && !kept.contains(AttachedInterface(container, endpoint.interface))
          && !isAtWork(endpoint.phase, endpoint.owner)
      }
      if own.isEmpty {
        guard filter == EndpointFilter(), !kept.contains(where: { $0.container == container }) else { continue }
      } else if leaving.isEmpty {
        continue
      }
      do throws(NetworkError) {
        let isRemoved = own.isEmpty ? try detachIfThere(container) : try remove(leaving, of: record, having: own)
        guard isRemoved else { continue }
        report.removed +=
          own.isEmpty ? [AttachedInterface(container)] : leaving.map { AttachedInterface(container, $0.interface) }
      } catch { report.failures.append(error) }
    }
    return report
  }

  /// The containers that nobody is changing, by name; ready sandboxes excluded. Donors come before those that share their
  /// namespaces.
  private func candidates() throws(NetworkError) -> [(record: SandboxRecord, endpoints: [Endpoint])] {
    try look { state in
      state.sandboxes.values.filter { !$0.isKeptReady && !isAtWork($0.phase, $0.owner) }
        .sorted { ($0.isSharer ? 1 : 0, $0.container) < ($1.isSharer ? 1 : 0, $1.container) }
        .map { ($0, state.endpoints(ofSandbox: $0.sandboxID)) }
    }
  }
}
