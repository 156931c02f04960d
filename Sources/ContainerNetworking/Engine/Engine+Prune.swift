import NetworkPrimitives
import Synchronization

extension Engine {
  /// Removes the custom networks that match and that nothing is on.
  ///
  /// - Returns: What was removed, and what could not be.
  func prune(_ filter: NetworkFilter) throws(NetworkError) -> PruneReport {
    // The marker of one at a time: the first goes on, a second is refused.
    guard
      pruning.withLock({ isBusy in
        defer { isBusy = true }
        return !isBusy
      })
    else {
      throw NetworkError(
        .inUse, operation: "prune networks", reason: "a prune is under way already; try again when it is done")
    }
    defer { pruning.withLock { $0 = false } }
    let candidates = try look { state in
      state.networks.values.filter { network in
        !network.isPredefined && network.phase == .ready && state.endpoints(ofNetwork: network.id).isEmpty
          && filter.matches(network, isUsed: false)
      }
    }
    var report = PruneReport()
    for network in candidates.sorted(by: { NaturalOrder.precedes($0.name, $1.name) }) {
      do throws(NetworkError) {
        try removeNetwork(id: network.id)
        report.removed.append(network)
      } catch {
        // One that came into use, or was removed, meanwhile is none of ours any more.
        if error.code != .inUse, error.code != .notFound { report.failures.append(error) }
      }
    }
    try transaction { $0.note(NetworkEvent(.prune)) }
    return report
  }
}

/// What a prune did.
public struct PruneReport: Sendable {
  /// The networks that were removed, in the order of their names.
  public internal(set) var removed: [NetworkRecord] = []
  /// Why others were not.
  public internal(set) var failures: [NetworkError] = []
}
