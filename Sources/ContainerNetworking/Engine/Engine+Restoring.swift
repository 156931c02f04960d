import NetworkPrimitives
import Synchronization
import SystemPackage

/// What a verb does about something of ours that somebody else has taken off the host: it puts back what the record says is ours,
/// and goes on. Nothing is looked at for that before a request fails, or an answer that comes anyway tells of it.
extension Engine {
  /// Does what a caller asks for.
  func verb<Value>(_ body: () throws(NetworkError) -> Value) throws(NetworkError) -> Value {
    try gate.pass { () throws(NetworkError) in
      defer { settleLosses() }
      do throws(NetworkError) { return try body() } catch {
        guard error.tellsOfAbsence else { throw error }
        let (isRestored, left) = restoreOurs()
        guard isRestored else { throw error.naming(left) }
        do throws(NetworkError) { return try body() } catch let second {
          // What could not be taken back is in the way of a second try, and is no reason of its own.
          throw (second.code == .alreadyExists ? error : second).naming(left)
        }
      }
    }
  }

  /// The same for many: those that failed of that are done once more.
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

  /// Of what a repair makes, that which belongs to the host and to no container.
  private static let restored: Set<Difference.Kind> = [
    .bridgeMissing, .bridgeSettings, .forwarding, .rules, .linkMissing, .portSettings,
  ]

  /// Makes again what the host lacks of ours.
  ///
  /// - Returns: Whether there was anything; what is still missing.
  private func restoreOurs() -> (isRestored: Bool, left: [Difference]) {
    do throws(NetworkError) {
      return try healing.withLock { (_) throws(NetworkError) in
        let scope = LookScope(looksInside: false)
        let found = try differences(scope)
        let ours = found.filter { Self.restored.contains($0.kind) }
        let others = found.filter { $0.kind == .parentMissing || $0.kind == .namespaceGone }
        guard !ours.isEmpty else { return (false, others) }
        guard try !repair(ours).isEmpty else { return (true, others) }
        return (true, try differences(scope).filter { ours.contains($0) || others.contains($0) })
      }
    } catch { return (false, []) }
  }

  /// Makes again what a verb found missing and could do without.
  private func settleLosses() {
    followUplinks()
    guard firewall.losses.take() else { return }
    let left = restoreOurs().left
    if !left.isEmpty { tell(ReconcileReport(remaining: left)) }
  }
}

/// Whether something of ours was found missing on the host by those who could do without it.
final class Losses: Sendable {
  private let isNoted = Atomic(false)

  func note() { isNoted.store(true, ordering: .relaxed) }

  /// - Returns: Whether there was a loss since the last call.
  func take() -> Bool { isNoted.load(ordering: .relaxed) && isNoted.exchange(false, ordering: .relaxed) }
}

extension NetworkError {
  /// Whether the kernel has not found what a request was about.
  fileprivate var tellsOfAbsence: Bool {
    guard let kernel else { return causes.contains(where: \.tellsOfAbsence) }
    // Of a link that is no port any more: EINVAL and EOPNOTSUPP of do_setlink in net/core/rtnetlink.c.
    return code == .notFound || kernel.request.hasSuffix("LINK") && [22, 95].contains(kernel.errno.rawValue)
  }

  /// This failure, with what is missing and who makes it again.
  fileprivate func naming(_ left: [Difference]) -> NetworkError {
    guard !left.isEmpty else { return self }
    var error = self
    let missing = left.map(\.detail).joined(separator: "; ")
    error.reason = [reason, "\(missing): see to that, and reconcile (cnet doctor --fix)"].filter { !$0.isEmpty }
      .joined(separator: "; ")
    return error
  }
}
