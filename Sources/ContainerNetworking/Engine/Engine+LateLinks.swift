import Netlink
import NetworkPrimitives

/// Follows later changes of the host: links that came after our networks, and forwarding that was switched off.
extension Engine {
  /// The repairs that our networks' packets need.
  struct ForwardingNeeds: OptionSet {
    let rawValue: UInt8
    /// A link of the host's is not switched on, or is kept to our networks though its owner has it forward for all.
    static let uplinks = ForwardingNeeds(rawValue: 1)
    /// A bridge of ours is not.
    static let bridges = ForwardingNeeds(rawValue: 2)
  }

  /// Has links of the host forward for our networks that came since the last look, and those that were switched off; at the end of
  /// a verb that made a container's link, or published a port.
  func followUplinks() {
    guard bridges.uplinks.takeWanted(), bridges.uplinks.isDue(in: host) else { return }
    do throws(NetworkError) {
      let needs = try forwardingNeeds()
      if needs.contains(.bridges) { firewall.losses.note() }
      if needs.contains(.uplinks) { try repairForwarding() }
    } catch {
      // The container is there; what keeps packets from it is told, and tried again with the next.
      bridges.uplinks.markDue()
      tell(ReconcileReport(failures: [error]))
    }
  }

  /// What has to be put right, by one look at the links that are no ports.
  func forwardingNeeds() throws(NetworkError) -> ForwardingNeeds {
    let (networks, record) = try look { state in (Array(state.networks.values), state.host) }
    let families = forwardedFamilies(networks)
    guard !families.isEmpty else { return [] }
    let links = try host.links.withoutMaster()
    var needs: ForwardingNeeds = []
    let apart = families.filter { !isOneForAll($0) }
    for network in networks where network.phase == .ready && isForwarded(network) {
      let bridge = links.first { $0.name == network.bridge?.description }
      if let bridge, apart.contains(where: { network.families.contains($0) && bridge.forwards[$0] == false }) {
        needs.insert(.bridges)
      }
    }
    let own = Set(networks.flatMap(\.ownLinks))
    let others = links.filter { !$0.flags.contains(.loopback) && !own.contains($0.name) }
    if try needsUplinks(others, families, record) { needs.insert(.uplinks) }
    return needs
  }

  private func needsUplinks(
    _ links: [LinkForwarding], _ families: Set<AddressFamily>, _ record: HostRecord?
  ) throws(NetworkError) -> Bool {
    var late: Set<String> = []
    for family in families {
      let recorded = Set((record?.uplinks ?? []).filter { $0.family == family }.compactMap(\.index))
      if isForwardedByOwner(family, record) {
        if !recorded.isEmpty { return true }
        continue
      }
      let isOneForAll = isOneForAll(family)
      if isOneForAll, isGeneralOff(record) { return true }
      for link in links {
        let isOff = !isOneForAll && link.forwards[family] == false
        if recorded.contains(link.index) {
          if isOff { return true }
        } else if isOneForAll || isOff {
          late.insert(link.name)
        }
      }
    }
    guard !late.isEmpty else { return false }
    // A port of ours that has no bridge yet, or no more, and another record's bridge are no ways out.
    let names = late
    late = try look { state in names.filter { !state.isPort($0) } }
    guard !late.isEmpty else { return false }
    return try !late.isSubset(of: firewall.othersBridges().keys)
  }

  /// The kernel's events of forwarding from now on; nil where events were lost.
  func forwardingChanges() throws(NetworkError) -> EventStream<ForwardingChange?> {
    try EventStream(
      of: try host.kernel.openSocket(.route, in: host.handle), groups: ForwardingChange.groups, lost: nil
    ) { (message) throws(NetworkError) in
      try ForwardingChange(message).map { [$0] } ?? []
    }
  }
}
