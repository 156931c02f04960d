import NetworkPrimitives
import SystemPackage

/// What the name service is asked for.
extension Engine {
  /// Has the names of a network answered where a container that was just given to it asks.
  func serveNames(
    of network: NetworkRecord, for record: SandboxRecord, in namespace: NetworkNamespace
  ) throws(NetworkError) {
    guard let names = settings.names, network.servesNamesAt != .off else { return }
    try serve(network, in: [Self.reachable(record, namespace)], by: names)
  }

  /// A record by which any process finds the namespace: one that this process alone holds is found through it.
  private static func reachable(_ record: SandboxRecord, _ namespace: NetworkNamespace) -> SandboxRecord {
    var sandbox = record
    if sandbox.namespacePath == nil { sandbox.namespacePath = namespace.path.string }
    sandbox.namespaceInode = namespace.identity.inode
    return sandbox
  }

  /// Has the names of a network that was repaired answered again.
  func serveNamesAgain(of network: NetworkRecord) throws(NetworkError) {
    guard let names = settings.names, network.servesNamesAt != .off else { return }
    let sandboxes = try look { state in
      let ids = Set(state.endpoints(ofNetwork: network.id).filter { $0.phase == .ready }.map(\.sandboxID))
      return ids.compactMap { state.members(of: $0).first { $0.phase == .ready } }
    }
    // One whose namespace is gone, or another process's alone, is not to be reached from here.
    let reachable = sandboxes.compactMap { record in
      (try? namespace(of: record)).map { Self.reachable(record, $0) }
    }
    if !reachable.isEmpty { try serve(network, in: reachable, by: names) }
  }

  /// Whether nobody answers for names that containers ask for.
  func nameDifference(_ survey: Survey) -> [Difference] {
    guard let names = settings.names else { return [] }
    let used = Set(survey.endpoints.filter { $0.phase == .ready }.map(\.networkID))
    let networks = survey.networks.filter { $0.phase == .ready && $0.servesNamesAt != .off && used.contains($0.id) }
    guard !networks.isEmpty else { return [] }
    let unserved: [NetworkRecord]
    do throws(NetworkError) { unserved = try names.unserved(networks) } catch { unserved = networks }
    return unserved.map {
      Difference(.namesUnserved, network: $0.name, "nobody answers for the names of network \"\($0.name)\"")
    }
  }

  /// Ends what is served of a network that is about to be taken away.
  func withdrawNames(of network: NetworkRecord) {
    if network.servesNamesAt != .off { settings.names?.withdraw(network) }
  }

  /// Ends what is served inside a container that leaves the last network that wants it there.
  ///
  /// - Parameter endpoints: Those that it leaves.
  func withdrawNames(of record: SandboxRecord, leaving endpoints: [Endpoint]) {
    guard let names = settings.names, !endpoints.isEmpty else { return }
    let wantsThem =
      (try? look { state in
        let wants = { (endpoint: Endpoint) in state.networks[endpoint.networkID]?.servesNamesAt == .container }
        let others = state.endpoints(ofSandbox: record.sandboxID).filter { other in
          (other.phase == .ready || other.phase == .creating) && !endpoints.contains { $0.id == other.id }
        }
        return endpoints.contains(where: wants) && !others.contains(where: wants)
      }) ?? true
    if wantsThem { names.withdraw(record) }
  }
}
