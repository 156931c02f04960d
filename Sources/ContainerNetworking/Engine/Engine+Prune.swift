import NetworkPrimitives
import Synchronization

extension Engine {
  /// Removes the matching custom networks without endpoints.
  ///
  /// - Returns: The removed networks, and the failures.
  func prune(_ filter: NetworkFilter) throws(NetworkError) -> PruneReport {
    // One prune at a time: a second one is refused.
    guard
      pruning.withLock({ isBusy in
        defer { isBusy = true }
        return !isBusy
      })
    else { throw Self.secondPrune }
    defer { pruning.withLock { $0 = false } }
    let candidates = try transaction { (transaction) throws(NetworkError) in
      // Applies to all processes of the record. A killed process's entry does not block.
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
        // A network that was removed or used meanwhile is no failure.
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

/// The result of a prune.
public struct PruneReport: Hashable, Sendable {
  /// The removed networks, in the order of their names.
  public internal(set) var removed: [NetworkRecord] = []
  /// The failures to remove others.
  public internal(set) var failures: [NetworkError] = []
}
