import Netlink
import NetworkPrimitives

/// The host's own links that forward for our networks, identified by index whatever their names.
///
/// The records of a host share them: an element of `uplinks4` or `uplinks6` means that one record has enabled the
/// link's forwarding. A joining record first adds itself to `forwarding4` or `forwarding6`, and then takes over the
/// links that others have enabled. A leaving record first removes itself, disables the links unless another record is
/// present, and then checks whether one has joined meanwhile. The order of join and leave therefore does not matter,
/// and the remaining records clean up after a crash.
extension Engine {
  /// Enables forwarding on the host's links, new ones included. One process at a time.
  func switchOnUplinks(_ families: [AddressFamily]) throws(NetworkError) {
    try yieldUplinksNow()
    let links = try host.links.list()
    try settleUplinks(links)
    for family in families { try recordUplinks(family, links) }
    let record = try look { $0.host }
    // The rules precede forwarding: from its first packet on, an uplink forwards only for us.
    try firewall.include(FirewallElements(record?.uplinks ?? []))
    for name in forwardingSwitches(record, Self.names(links)) { try switchOn(name) }
  }

  /// Enables missing forwarding for our networks, on links added later too.
  func repairForwarding() throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in
      let families = forwardedFamilies(try look { Array($0.networks.values) })
      try switchOnUplinks(AddressFamily.allCases.filter(families.contains))
    }
  }

  /// The families of networks whose packets the host must forward.
  func forwardedFamilies(_ networks: [NetworkRecord]) -> Set<AddressFamily> {
    Set(networks.filter { $0.phase == .ready && isForwarded($0) }.flatMap(\.families))
  }

  /// The switch of a link of the host's for a family, if it is off and ours to switch on: the link came after the last
  /// network was made, or came back. Where IPv6 has one switch for all links, and that is ours, it is this: the link forwards, and
  /// is not kept to our networks yet. Nil for a link that is recorded.
  func idleUplink(_ name: String, _ index: Int32, _ family: AddressFamily, _ record: HostRecord?) -> String? {
    if record?.uplinks.contains(where: { $0.index == index && $0.family == family }) == true { return nil }
    if isOneForAll(family) { return record?.sysctls[Self.general] == nil ? nil : Self.general }
    let path = Self.forwardingSwitch(name, family)
    return (try? host.sysctl(path)) == "0" && !isForwardedByOwner(family, record) ? path : nil
  }

  private static func names(_ links: [Link]) -> [Int32: String] {
    Dictionary(links.map { ($0.index, $0.name) }) { first, _ in first }
  }

  private static func forwardingSwitch(_ link: String, _ family: AddressFamily) -> String {
    family == .ipv4 ? "net/ipv4/conf/\(link)/forwarding" : "net/ipv6/conf/\(link)/force_forwarding"
  }

  /// IPv6's sysctl for all links, the only one before Linux 6.17.
  private static let general = "net/ipv6/conf/all/forwarding"

  func isOneForAll(_ family: AddressFamily) -> Bool {
    family == .ipv6 && (try? host.sysctl("net/ipv6/conf/all/force_forwarding")) == nil
  }

  /// Whether the one switch for all that we threw is off.
  func isGeneralOff(_ record: HostRecord?) -> Bool {
    record?.sysctls[Self.general] != nil && (try? host.sysctl(Self.general)) == "0"
  }

  /// The switches that were switched on for our networks, by what the links are called now.
  func forwardingSwitches(_ record: HostRecord?, _ names: [Int32: String]) -> [String] {
    let ofLinks = (record?.uplinks ?? []).filter { !isOneForAll($0.family) }.compactMap { uplink in
      uplink.index.flatMap { names[$0] }.map { Self.forwardingSwitch($0, uplink.family) }
    }
    return (record?.sysctls.keys.sorted() ?? []) + ofLinks
  }

  // MARK: - The record

  /// Identifies recorded links by index, and updates their names. Removes deleted links, whose sysctls ended with them.
  func settleUplinks(_ links: [Link]) throws(NetworkError) {
    guard let record = try look({ $0.host }), !record.uplinks.isEmpty else { return }
    let names = Self.names(links)
    let indices = Dictionary(links.map { ($0.name, $0.index) }) { first, _ in first }
    var settled: [Uplink] = []
    var gone: [Uplink] = []
    for var uplink in record.uplinks {
      uplink.index = uplink.index ?? indices["\(uplink.name)"]
      guard let index = uplink.index, let name = names[index] else {
        gone.append(uplink)
        continue
      }
      uplink.name = (try? InterfaceName(name)) ?? uplink.name
      if !settled.contains(uplink) { settled.append(uplink) }
    }
    // An earlier version recorded a link's own sysctl by its path.
    let paths = Set(record.uplinks.map { Self.forwardingSwitch("\($0.name)", $0.family) })
    let isChanged = settled != record.uplinks || record.sysctls.keys.contains(where: paths.contains)
    guard isChanged else { return }
    try firewall.remove(FirewallElements(gone))
    try transaction { transaction in
      guard var host = transaction.state.host else { return }
      host.uplinks = settled + host.uplinks.filter { !record.uplinks.contains($0) && !settled.contains($0) }
      host.sysctls = host.sysctls.filter { !paths.contains($0.key) }
      transaction.save(.host(host))
    }
  }

  /// Records the host's links that do not forward yet and are about to, and those that another record has enabled.
  private func recordUplinks(_ family: AddressFamily, _ all: [Link]) throws(NetworkError) {
    let (networks, record) = try look { state in (Array(state.networks.values), state.host) }
    // If the host's owner forwards on all links, a link that is off is so on purpose.
    guard !isForwardedByOwner(family, record) else { return }
    let isOneForAll = isOneForAll(family)
    let bridges = Set(networks.flatMap(\.ownLinks))
    let links = all.filter { link in
      !link.flags.contains(.loopback) && link.master == nil && !bridges.contains(link.name)
    }
    // Reads the sysctls before the others' elements, which the others write before they enable a sysctl.
    var found: Set<Int32> = []
    for link in links where isOneForAll || (try? host.sysctl(Self.forwardingSwitch(link.name, family))) == "0" {
      found.insert(link.index)
    }
    found.formUnion(try sharedUplinks(family))
    // Others' bridges are in our tables before the links exist.
    let others = try firewall.othersBridges()
    let known = Set((record?.uplinks ?? []).filter { $0.family == family }.compactMap(\.index))
    let new = links.filter { found.contains($0.index) && !known.contains($0.index) && others[$0.name] == nil }
    let takesGeneral = isOneForAll && record?.sysctls[Self.general] == nil
    guard !new.isEmpty || takesGeneral else { return }
    let stamp = self.stamp
    try transaction { transaction in
      var record = transaction.state.host ?? HostRecord(stamp: stamp, sysctls: [:], uplinks: [])
      if takesGeneral { record.sysctls[Self.general] = "0" }
      for link in new {
        guard let name = try? InterfaceName(link.name) else { continue }
        record.uplinks.append(Uplink(name: name, family: family, index: link.index))
      }
      transaction.save(.host(record))
    }
  }

  /// The indices of links that a record of the host has enabled.
  private func sharedUplinks(_ family: AddressFamily) throws(NetworkError) -> Set<Int32> {
    let set = FirewallSets.uplinks.of(family)
    let shared = try firewall.foundIfAny(in: set).filter { $0.comment == RecordID.shared }
    return Set(shared.compactMap { $0.number.map { Int32(bitPattern: $0) } })
  }

  /// Removes sysctls and links from the current record; other fields may have changed meanwhile.
  private func strike(_ switches: Set<String>, _ families: Set<AddressFamily>) throws(NetworkError) {
    try transaction { transaction in
      guard let host = transaction.state.host else { return }
      var record = host
      record.sysctls = record.sysctls.filter { !switches.contains($0.key) }
      record.uplinks.removeAll { families.contains($0.family) }
      if record != host { transaction.save(.host(record)) }
    }
  }

  // MARK: - The end

  /// Disables forwarding of families that no record needs on the host's links.
  func switchOffUplinks(_ families: [AddressFamily]) throws(NetworkError) {
    // An earlier version recorded links by name, not by index.
    if try look({ $0.host?.uplinks.isEmpty == false }) { try settleUplinks(host.links.list()) }
    try firewall.remove(FirewallElements(firewall.id, forwards: families))
    try all(families) { (family) throws(NetworkError) in
      if try !firewall.isShared(FirewallSets.forwarding.of(family), linkIndices()) { try setBackUplinks(family) }
      try strike(family == .ipv6 ? [Self.general] : [], [family])
    }
  }

  private func setBackUplinks(_ family: AddressFamily) throws(NetworkError) {
    let record = try look { $0.host }
    let own = (record?.uplinks ?? []).filter { $0.family == family }.compactMap(\.index)
    let indices = try sharedUplinks(family).union(own)
    let isGeneralOurs = family == .ipv6 && record?.sysctls[Self.general] != nil
    guard !indices.isEmpty || isGeneralOurs else { return }
    let names = Self.names(try host.links.list())
    let uplinks = indices.sorted().map { Uplink(name: .loopback, family: family, index: $0) }
    var switches = isOneForAll(family) ? [] : indices.compactMap { names[$0] }.map { Self.forwardingSwitch($0, family) }
    if isGeneralOurs { switches.append(Self.general) }
    try all(switches.sorted(), setBack)
    // The rules are removed last: until its last packet, an uplink forwards only for us.
    try firewall.remove(FirewallElements(uplinks))
    // A record that joined meanwhile may have seen the sysctls on, without knowing who enabled them.
    guard try firewall.isShared(FirewallSets.forwarding.of(family), linkIndices()) else { return }
    try firewall.include(FirewallElements(uplinks.filter { uplink in uplink.index.map { names[$0] != nil } ?? false }))
    for name in switches.sorted() { try switchOn(name) }
  }

  // MARK: - Hosts that others have forward

  /// Whether the host's owner has it forward a family on all links at once. No link is to be kept to our networks then, nor
  /// to be switched on or off: for IPv6 that switch counts whatever a link's own says (`ip6_forward` in
  /// net/ipv6/ip6_output.c), for IPv4 a link whose own is off is meant not to forward.
  func isForwardedByOwner(_ family: AddressFamily, _ record: HostRecord?) -> Bool {
    let general = family == .ipv4 ? "net/ipv4/ip_forward" : Self.general
    guard record?.sysctls[general] == nil, (try? host.sysctl(general)) == "1" else { return false }
    // If IPv6 has a single sysctl, another record may have enabled it.
    guard isOneForAll(family) else { return true }
    return (try? sharedUplinks(family))?.isEmpty ?? true
  }

  /// The families for which the host's owner has enabled forwarding on all links since we enabled ours.
  func yieldedFamilies(_ record: HostRecord?) -> [AddressFamily] {
    AddressFamily.allCases.filter { family in
      record?.uplinks.contains { $0.family == family } == true && isForwardedByOwner(family, record)
    }
  }

  /// Lifts the restriction of the host's links to our networks, if its owner forwards on all links.
  func yieldUplinks() throws(NetworkError) {
    try store.exclusively { () throws(NetworkError) in try yieldUplinksNow() }
  }

  func yieldUplinksNow() throws(NetworkError) {
    guard let record = try look({ $0.host }) else { return }
    let families = yieldedFamilies(record)
    guard !families.isEmpty else { return }
    try settleUplinks(host.links.list())
    let names = Self.names(try host.links.list())
    let uplinks = try look { $0.host?.uplinks ?? [] }.filter { families.contains($0.family) }
    // For IPv4 the owner's sysctl and ours are the same, now the owner's. This one was for us alone, and would stay on
    // without a guard when the owner disables theirs.
    if families.contains(.ipv6), !isOneForAll(.ipv6) {
      let links = uplinks.filter { $0.family == .ipv6 }.compactMap(\.index).compactMap { names[$0] }
      try all(links.map { Self.forwardingSwitch($0, .ipv6) }, setBack)
    }
    try firewall.remove(FirewallElements(uplinks))
    try strike([], Set(families))
  }

  func switchOn(_ name: String) throws(NetworkError) {
    do throws(NetworkError) {
      if try host.sysctl(name) != "1" { try host.setSysctl(name, to: "1") }
    } catch { if error.code != .notFound { throw error } }
  }

  private func setBack(_ name: String) throws(NetworkError) {
    // A deleted link took its setting along; a value changed since is not ours.
    do throws(NetworkError) {
      if try host.sysctl(name) == "1" { try host.setSysctl(name, to: "0") }
    } catch { if error.code != .notFound { throw error } }
  }
}
