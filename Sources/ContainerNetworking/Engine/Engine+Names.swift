import NetworkPrimitives
import SystemPackage

/// Calls of the name service.
extension Engine {
  /// Makes a network's names available to a container that was just connected to it.
  func serveNames(
    of network: NetworkRecord, for record: SandboxRecord, in namespace: NetworkNamespace
  ) throws(NetworkError) {
    guard let names = settings.names, network.servesNamesAt != .off else { return }
    try serve(network, in: [Self.reachable(record, namespace)], by: names)
  }

  /// A record through which any process can open the namespace: one without a pin is opened through this process.
  private static func reachable(_ record: SandboxRecord, _ namespace: NetworkNamespace) -> SandboxRecord {
    var sandbox = record
    if sandbox.namespacePath == nil { sandbox.namespacePath = namespace.path.string }
    sandbox.namespaceInode = namespace.identity.inode
    return sandbox
  }

  /// Makes a repaired network's names available again.
  func serveNamesAgain(of network: NetworkRecord) throws(NetworkError) {
    guard let names = settings.names, network.servesNamesAt != .off else { return }
    let sandboxes = try look { state in
      let ids = Set(state.endpoints(ofNetwork: network.id).filter { $0.phase == .ready }.map(\.sandboxID))
      return ids.compactMap { state.members(of: $0).first { $0.phase == .ready } }
    }
    // Namespaces that are gone or private to another process cannot be served from here.
    let reachable = sandboxes.compactMap { record in
      (try? namespace(of: record)).map { Self.reachable(record, $0) }
    }
    if !reachable.isEmpty { try serve(network, in: reachable, by: names) }
  }

  /// The difference of networks in use whose names are not served.
  func nameDifference(_ survey: Survey) -> [Difference] {
    guard let names = settings.names else { return [] }
    let used = Set(survey.endpoints.filter { $0.phase == .ready }.map(\.networkID))
    let networks = survey.networks.filter { $0.phase == .ready && $0.servesNamesAt != .off && used.contains($0.id) }
    guard !networks.isEmpty else { return [] }
    let unserved: [NetworkRecord]
    do throws(NetworkError) { unserved = try names.unserved(networks) } catch { unserved = networks }
    return unserved.map {
      Difference(.namesUnserved, network: $0.name, "no name server answers for network \"\($0.name)\"")
    }
  }

  /// Ends serving a network that is about to be removed.
  func withdrawNames(of network: NetworkRecord) {
    if network.servesNamesAt != .off { settings.names?.withdraw(network) }
  }

  /// Ends serving inside a container that leaves its last network with a server inside.
  ///
  /// - Parameter endpoints: The endpoints of the left networks.
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
