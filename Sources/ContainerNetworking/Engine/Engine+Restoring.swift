import NetworkPrimitives
import Synchronization
import SystemPackage

/// Repairs within a verb: restores recorded objects that another program has removed from the host, and continues.
/// Checks only after a failed request, or when an answer that arrives anyway shows a loss.
extension Engine {
  /// Runs a caller's verb.
  func verb<Value>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    try gate.pass { () throws(NetworkError) in
      defer { settleLosses() }
      do throws(NetworkError) { return try body() } catch {
        guard error.tellsOfAbsence else { throw error }
        let (isRestored, left) = restoreOurs()
        guard isRestored else { throw error.naming(left) }
        do throws(NetworkError) { return try body() } catch let second {
          // The leftovers of the first attempt block the second one; they are no cause of their own.
          throw (second.code == .alreadyExists ? error : second).naming(left)
        }
      }
    }
  }

  /// As above for many: failures by a missing object are retried once.
  func attachAll(_ requests: [AttachRequest]) throws(NetworkError) -> [Result<Sandbox, NetworkError>] {
    try gate.pass { () throws(NetworkError) in
      defer { settleLosses() }
      var results = attach(requests)
      let failed = results.indices.filter { index in
        if case .failure(let error) = results[index] { error.tellsOfAbsence } else { false }
      }
      guard !failed.isEmpty else { return results }
      let (isRestored, left) = restoreOurs()
      let again = isRestored ? attach(failed.map { requests[$0] }) : failed.map { results[$0] }
      for (index, result) in zip(failed, again) { results[index] = result.mapError { $0.naming(left) } }
      return results
    }
  }

  /// The differences whose objects belong to the host, not to a container.
  private static let restored: Set<Difference.Kind> = [
    .bridgeMissing, .bridgeSettings, .forwarding, .rules, .linkMissing, .portSettings,
  ]

  /// Restores our missing objects on the host.
  ///
  /// - Returns: Whether any was missing, and the differences that remain.
  private func restoreOurs() -> (isRestored: Bool, left: [Difference]) {
    do throws(NetworkError) {
      return try healing.withLock { (_) throws(NetworkError) in
        let scope = LookScope(looksInside: false)
        let found = try differences(scope)
        let ours = found.filter { Self.restored.contains($0.kind) }
        let others = found.filter { [.parentMissing, .namespaceGone, .namespaceUnseen].contains($0.kind) }
        guard !ours.isEmpty else { return (false, others) }
        guard try !repair(ours).isEmpty else { return (true, others) }
        return (true, try differences(scope).filter { ours.contains($0) || others.contains($0) })
      }
    } catch { return (false, []) }
  }

  /// Restores objects that a verb found missing without failing.
  private func settleLosses() {
    followUplinks()
    guard firewall.losses.take() else { return }
    let left = restoreOurs().left
    if !left.isEmpty { tell(ReconcileReport(remaining: left)) }
  }
}

/// Whether an object of ours was found missing without a failure.
final class Losses: Sendable {
  private let isNoted = Atomic(false)

  func note() { isNoted.store(true, ordering: .relaxed) }

  /// - Returns: Whether there was a loss since the last call.
  func take() -> Bool { isNoted.load(ordering: .relaxed) && isNoted.exchange(false, ordering: .relaxed) }
}

extension NetworkError {
  /// Whether the kernel reported a missing object.
  fileprivate var tellsOfAbsence: Bool {
    guard let kernel else { return causes.contains(where: \.tellsOfAbsence) }
    // A link that is no longer a port: EINVAL and EOPNOTSUPP of do_setlink in net/core/rtnetlink.c.
    return code == .notFound || kernel.request.hasSuffix("LINK") && [22, 95].contains(kernel.errno.rawValue)
  }

  /// This failure, with the missing objects and the remedy.
  fileprivate func naming(_ left: [Difference]) -> NetworkError {
    guard !left.isEmpty else { return self }
    var error = self
    let missing = left.map(\.detail).joined(separator: "; ")
    error.reason = [reason, "\(missing): correct that, and reconcile (cnet doctor --fix)"].filter { !$0.isEmpty }
      .joined(separator: "; ")
    return error
  }
}
