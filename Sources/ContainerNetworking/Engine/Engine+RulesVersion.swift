import NetworkPrimitives

/// Tables of ours from another version of this library: their rules may differ, and sets that we need may be missing.
extension Engine {
  /// Rebuilds such tables in this version's form, before anything is added to them. A failure stays a difference, and
  /// does not prevent the start.
  func renewRules() {
    let failures = attempt { () throws(NetworkError) in
      guard try lookAtUnsettled({ $0.host?.rulesVersion != Firewall.version }) else { return }
      guard try hasRules({ $0.phase == .ready }) else { return }
      try store.exclusively { () throws(NetworkError) in
        try settleUplinks(host.links.list())
        try settleRules(areNew: false)
      }
    }
    if !failures.isEmpty { tell(ReconcileReport(failures: failures)) }
  }

  /// Records that our tables have this version; if that is not recorded yet, rebuilds them.
  ///
  /// - Parameter areNew: Whether they were created just now.
  func settleRules(areNew: Bool) throws(NetworkError) {
    guard try lookAtUnsettled({ $0.host?.rulesVersion != Firewall.version }) else { return }
    // Without a network in them, tables of our names are foreign.
    if !areNew, try hasRules({ $0.phase == .ready }) { try restoreRules() }
    try transaction { transaction in
      guard var host = transaction.state.host else { return }
      host.rulesVersion = Firewall.version
      transaction.save(.host(host))
    }
  }
}
