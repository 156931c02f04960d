import NetworkPrimitives
import Synchronization

extension Engine {
  /// Removes the custom networks that match and that nothing is on.
  ///
  /// - Returns: What was removed, and what could not be.
  func prune(_ filter: NetworkFilter) throws(NetworkError) -> PruneReport {
    // One at a time: the first goes on, a second is refused.
    guard
      pruning.withLock({ isBusy in
        defer { isBusy = true }
        return !isBusy
      })
    else { throw Self.secondPrune }
    defer { pruning.withLock { $0 = false } }
    let candidates = try transaction { (transaction) throws(NetworkError) in
      // Of all processes that share the record. What one that was killed has written down holds nobody up.
      if var host = transaction.state.host {
        if let other = host.pruner, other != holderID, isHolderAlive(other) { throw Self.secondPrune }
        host.pruner = holderID
        transaction.save(.host(host))
      }
      return transaction.state.networks.values.filter { network in
        !network.isPredefined && network.phase == .ready && transaction.state.endpoints(ofNetwork: network.id).isEmpty
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
    try transaction { transaction in
      if var host = transaction.state.host {
        host.pruner = nil
        transaction.save(.host(host))
      }
      transaction.note(NetworkEvent(.prune))
    }
    return report
  }

  private static var secondPrune: NetworkError {
    NetworkError(.inUse, operation: "prune networks", reason: "a prune is under way already; try again when it is done")
  }
}

/// What a prune did.
public struct PruneReport: Hashable, Sendable {
  /// The networks that were removed, in the order of their names.
  public internal(set) var removed: [NetworkRecord] = []
  /// Why others were not.
  public internal(set) var failures: [NetworkError] = []
}
