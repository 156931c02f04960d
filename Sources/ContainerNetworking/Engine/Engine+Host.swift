import Netlink
import NetworkPrimitives

/// What all networks of a host have in common: our table, and links that forward. One process at a time sees to it.
extension Engine {
  /// Has the table there, and forwarding switched on where the network needs it.
  func prepareHost(for network: NetworkRecord) throws(NetworkError) {
    guard network.passesHost else { return }
    try store.exclusively { () throws(NetworkError) in
      try settleRules(areNew: firewall.ensure())
      try yieldUplinksNow()
      try switchOnUplinks(network.isInternal ? [] : network.families)
    }
  }

  /// Has the host's links forward, those that are new too. One process at a time.
  private func switchOnUplinks(_ families: [AddressFamily]) throws(NetworkError) {
    for family in families { try recordUplinks(family) }
    let record = try look { $0.host }
    // The rules first: from its first packet on, an uplink forwards for us alone.
    try firewall.include(FirewallElements(record?.uplinks ?? []))
    for name in record?.sysctls.keys.sorted() ?? [] { try switchOn(name) }
  }

  /// Switches on what is off of what our networks need, with links that came after the last of them was made.
  func repairForwarding() throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in
      let families = Self.forwardedFamilies(try look { Array($0.networks.values) })
      try switchOnUplinks(AddressFamily.allCases.filter(families.contains))
    }
  }

  /// The families of networks whose packets the host is to forward.
  static func forwardedFamilies(_ networks: [NetworkRecord]) -> Set<AddressFamily> {
    Set(networks.filter { $0.phase == .ready && $0.passesHost && !$0.isInternal }.flatMap(\.families))
  }

  /// The switch of a link of the host's for a family, if it is off and we have not seen to it: the link came after the last
  /// network was made. Nil for IPv6 where one switch is for all links.
  func idleUplink(_ name: String, _ family: AddressFamily, _ record: HostRecord?) -> String? {
    guard (try? InterfaceName(name)) != nil else { return nil }
    let path = Self.forwardingSwitch(name, family)
    return record?.sysctls[path] == nil && (try? host.sysctl(path)) == "0" ? path : nil
  }

  private static func forwardingSwitch(_ link: String, _ family: AddressFamily) -> String {
    family == .ipv4 ? "net/ipv4/conf/\(link)/forwarding" : "net/ipv6/conf/\(link)/force_forwarding"
  }

  /// Sets back what nothing needs any more: forwarding of a family without a network of it that lets packets out, the table
  /// without any network.
  ///
  /// - Parameters:
  ///   - network: The id of one that is about to be forgotten, and counts no more.
  ///   - forget: Forgets it, before another is let in that asks what is still needed.
  func releaseHost(
    without network: String? = nil, _ forget: () throws(NetworkError) -> Void = {}
  ) throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in
      try yieldUplinksNow()
      let (networks, record) = try look { state in
        (state.networks.filter { $0.key != network && $0.value.passesHost }, state.host)
      }
      let needed = Set(networks.values.filter { !$0.isInternal }.flatMap(\.families))
      if var record {
        let unneeded = record.sysctls.filter { !needed.contains($0.key.hasPrefix("net/ipv4/") ? .ipv4 : .ipv6) }
        let uplinks = record.uplinks.filter { !needed.contains($0.family) }
        for (name, value) in unneeded { try setBack(name, to: value) }
        // The rules last: until its last packet, an uplink forwards for us alone.
        if !networks.isEmpty, !uplinks.isEmpty { try firewall.remove(FirewallElements(uplinks)) }
        if !unneeded.isEmpty || !uplinks.isEmpty {
          record.sysctls = record.sysctls.filter { unneeded[$0.key] == nil }
          record.uplinks.removeAll { uplinks.contains($0) }
          let released = record
          try transaction { $0.save(.host(released)) }
        }
      }
      if networks.isEmpty { try firewall.remove() }
      try forget()
    }
  }

  /// Writes down the host's own links that do not forward yet, which they are about to.
  private func recordUplinks(_ family: AddressFamily) throws(NetworkError) {
    let bridges = Set(try look { state in state.networks.values.flatMap(\.ownLinks) })
    // A name with a slash or dot is another path under /proc/sys; such a link is left as it is.
    let links = try host.links.list().filter {
      !$0.flags.contains(.loopback) && $0.master == nil && !bridges.contains($0.name)
    }.compactMap { try? InterfaceName($0.name) }

    var found: [(path: String, uplinks: [InterfaceName])] = []
    for name in links {
      let path = Self.forwardingSwitch("\(name)", family)
      if (try? host.sysctl(path)) == "0" { found.append((path, [name])) }
    }
    // Before 6.17 IPv6 has one switch for all links.
    let general = "net/ipv6/conf/all/forwarding"
    let isOneForAll = family == .ipv6 && (try? host.sysctl("net/ipv6/conf/all/force_forwarding")) == nil
    if isOneForAll, (try? host.sysctl(general)) == "0" { found.append((general, links)) }
    guard !found.isEmpty else { return }
    let stamp = self.stamp
    try transaction { transaction in
      var record = transaction.state.host ?? HostRecord(stamp: stamp, sysctls: [:], uplinks: [])
      for (path, names) in found where record.sysctls[path] == nil {
        record.sysctls[path] = "0"
        record.uplinks += names.map { Uplink(name: $0, family: family) }
      }
      transaction.save(.host(record))
    }
  }

  // MARK: - Hosts that others have forward

  /// The families that the host's owner has switched forwarding on for since we did for ourselves, on all links at once.
  /// What is on then is theirs, and not to be kept to our networks, nor to be switched off.
  func yieldedFamilies(_ record: HostRecord?) -> [AddressFamily] {
    AddressFamily.allCases.filter { family in
      let general = family == .ipv4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding"
      guard let record, record.uplinks.contains(where: { $0.family == family }), record.sysctls[general] == nil else {
        return false
      }
      return (try? host.sysctl(general)) == "1"
    }
  }

  /// Lets the host's own links forward for others too, where its owner wants that.
  func yieldUplinks() throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in try yieldUplinksNow() }
  }

  private func yieldUplinksNow() throws(NetworkError) {
    guard var record = try look({ $0.host }) else { return }
    let families = yieldedFamilies(record)
    guard !families.isEmpty else { return }
    let uplinks = record.uplinks.filter { families.contains($0.family) }
    try firewall.remove(FirewallElements(uplinks))
    record.uplinks.removeAll { families.contains($0.family) }
    record.sysctls = record.sysctls.filter { name, _ in
      !families.contains(name.hasPrefix("net/ipv4/") ? .ipv4 : .ipv6)
    }
    let yielded = record
    try transaction { $0.save(.host(yielded)) }
  }

  func switchOn(_ name: String) throws(NetworkError) {
    do throws(NetworkError) {
      if try host.sysctl(name) != "1" { try host.setSysctl(name, to: "1") }
    } catch { if error.code != .notFound { throw error } }
  }

  private func setBack(_ name: String, to value: String) throws(NetworkError) {
    // A link that is gone took its setting along; a value that somebody changed since is theirs.
    do throws(NetworkError) {
      if try host.sysctl(name) == "1" { try host.setSysctl(name, to: value) }
    } catch { if error.code != .notFound { throw error } }
  }
}
