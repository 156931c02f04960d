import NetworkPrimitives

/// Tables of ours that another version of this library made: its rules may be others, and lack sets that ours need.
extension Engine {
  /// Puts such tables in the shape of this version's, before anything is added to them. What cannot be done now stays a
  /// difference, and is no reason to stand still.
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

  /// Writes down that our tables are of this version; where it is not written yet, they are made so.
  ///
  /// - Parameter areNew: Whether they were made just now.
  func settleRules(areNew: Bool) throws(NetworkError) {
    guard try lookAtUnsettled({ $0.host?.rulesVersion != Firewall.version }) else { return }
    // Without a network that is in them, tables under our names are somebody else's.
    if !areNew, try hasRules({ $0.phase == .ready }) { try restoreRules() }
    try transaction { transaction in
      guard var host = transaction.state.host else { return }
      host.rulesVersion = Firewall.version
      transaction.save(.host(host))
    }
  }
}
