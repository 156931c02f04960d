import Netlink
import NetworkPrimitives

/// What all networks of a host have in common: our table, and links that forward. One process at a time sees to it.
extension Engine {
  /// Has the table there, and forwarding switched on where the network needs it.
  func prepareHost(for network: NetworkRecord) throws(NetworkError) {
    guard network.passesHost else { return }
    try store.exclusively { () throws(NetworkError) in
      try settleRules(areNew: firewall.ensure())
      try switchOnUplinks(network.isInternal ? [] : network.families)
    }
  }

  /// Has the host's links forward, those that are new too. One process at a time.
  private func switchOnUplinks(_ families: [AddressFamily]) throws(NetworkError) {
    try yieldUplinksNow()
    if !families.isEmpty {
      let links = try host.links.list()
      try forgetUplinks(except: Set(links.map(\.name)))
      for family in families { try recordUplinks(family, links) }
    }
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

  /// The switch of a link of the host's for a family, if it is off and ours to switch on: the link came after the last
  /// network was made, or came back. Nil for IPv6 where one switch is for all links.
  func idleUplink(_ name: String, _ family: AddressFamily, _ record: HostRecord?) -> String? {
    guard (try? InterfaceName(name)) != nil else { return nil }
    let path = Self.forwardingSwitch(name, family)
    return (try? host.sysctl(path)) == "0" && !isForwardedByOwner(family, record) ? path : nil
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
      if let record {
        let unneeded = record.sysctls.filter { !needed.contains($0.key.hasPrefix("net/ipv4/") ? .ipv4 : .ipv6) }
        let uplinks = record.uplinks.filter { !needed.contains($0.family) }
        for (name, value) in unneeded { try setBack(name, to: value) }
        // The rules last: until its last packet, an uplink forwards for us alone.
        if !networks.isEmpty, !uplinks.isEmpty { try firewall.remove(FirewallElements(uplinks)) }
        if !unneeded.isEmpty || !uplinks.isEmpty {
          try strike(unneeded, uplinks)
        }
      }
      if networks.isEmpty { try firewall.remove() }
      try forget()
    }
  }

  /// Forgets links that are gone, which took their switches along. One switch for all links stays, and so do its links.
  private func forgetUplinks(except names: Set<String>) throws(NetworkError) {
    guard let record = try look({ $0.host }) else { return }
    let gone = record.uplinks.filter { uplink in
      let path = Self.forwardingSwitch("\(uplink.name)", uplink.family)
      return !names.contains("\(uplink.name)") && record.sysctls[path] != nil && isGone(path)
    }
    guard !gone.isEmpty else { return }
    try firewall.remove(FirewallElements(gone))
    let paths = Set(gone.map { Self.forwardingSwitch("\($0.name)", $0.family) })
    try strike(record.sysctls.filter { paths.contains($0.key) }, gone)
  }

  /// Takes switches and links off the record as it is by now: what else it says, others change meanwhile.
  private func strike(_ switches: [String: String], _ uplinks: [Uplink]) throws(NetworkError) {
    try transaction { transaction in
      guard var record = transaction.state.host else { return }
      record.sysctls = record.sysctls.filter { switches[$0.key] == nil }
      record.uplinks.removeAll { uplinks.contains($0) }
      transaction.save(.host(record))
    }
  }

  private func isGone(_ path: String) -> Bool {
    do throws(NetworkError) { _ = try host.sysctl(path) } catch { return error.code == .notFound }
    return false
  }

  /// Writes down the host's own links that do not forward yet, which they are about to.
  private func recordUplinks(_ family: AddressFamily, _ all: [Link]) throws(NetworkError) {
    let (networks, record) = try look { state in (Array(state.networks.values), state.host) }
    // Where its owner forwards for all, a link that is off is so on purpose.
    guard !isForwardedByOwner(family, record) else { return }
    let bridges = Set(networks.flatMap(\.ownLinks))
    // A name with a slash or dot is another path under /proc/sys; such a link is left as it is.
    let links = all.filter {
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

  /// Whether the host's owner has it forward a family on all links at once. No link is to be kept to our networks then, nor
  /// to be switched on or off: for IPv6 that switch counts whatever a link's own says (`ip6_forward` in
  /// net/ipv6/ip6_output.c), for IPv4 a link whose own is off is meant not to forward.
  private func isForwardedByOwner(_ family: AddressFamily, _ record: HostRecord?) -> Bool {
    let general = family == .ipv4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding"
    return record?.sysctls[general] == nil && (try? host.sysctl(general)) == "1"
  }

  /// The families that the host's owner has switched forwarding on for since we did for ourselves, on all links at once.
  func yieldedFamilies(_ record: HostRecord?) -> [AddressFamily] {
    AddressFamily.allCases.filter { family in
      record?.uplinks.contains { $0.family == family } == true && isForwardedByOwner(family, record)
    }
  }

  /// Lets the host's own links forward for others too, where its owner wants that.
  func yieldUplinks() throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in try yieldUplinksNow() }
  }

  private func yieldUplinksNow() throws(NetworkError) {
    guard let record = try look({ $0.host }) else { return }
    let families = yieldedFamilies(record)
    guard !families.isEmpty else { return }
    let uplinks = record.uplinks.filter { families.contains($0.family) }
    let switches = record.sysctls.filter { families.contains($0.key.hasPrefix("net/ipv4/") ? .ipv4 : .ipv6) }
    // IPv4 has one switch for them and us, by now theirs. This one was for us alone, and would stay on without a guard when
    // they switch theirs off.
    for (name, value) in switches where name.hasSuffix("/force_forwarding") { try setBack(name, to: value) }
    try firewall.remove(FirewallElements(uplinks))
    try strike(switches, uplinks)
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
