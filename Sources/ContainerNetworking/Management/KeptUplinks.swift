import Netlink
public import NetworkPrimitives

/// Links of the host that forward for our networks alone, where that keeps something from others: another link forwards by its
/// owner's own setting, or packets between other links were dropped.
///
/// Where nothing forwarded before our networks were made, nothing else is to pass because of them: what comes in by such a link
/// goes to a bridge of ours or is dropped, answers to what another link sent included.
public struct KeptUplinks: Hashable, Sendable, CustomStringConvertible {
  /// Of which packets.
  public var family: AddressFamily
  /// The links that forward for our networks alone.
  public var uplinks: [String]
  /// Links that forward by their owner's own setting, and get nothing from those.
  public var others: [String]
  /// How many packets were dropped since the rule was made.
  public var droppedPackets: UInt64
  /// The rule that drops them, as `inet containernetworking forward rule 7`; nil where it is gone.
  public var rule: String?
  /// Commands of which each line is needed to let it pass.
  public var remedies: [String]

  /// A sentence that names the links, the rule and the packets it has dropped.
  public var description: String {
    let one = uplinks.count == 1
    let kept = "\(Self.list(uplinks)) forward\(one ? "s" : "") \(family) for our networks alone"
    let own =
      others.isEmpty
      ? ""
      : "; \(Self.list(others)) forward\(others.count == 1 ? "s" : "") by \(others.count == 1 ? "its" : "their") "
        + "owner's setting, but packets for \(others.count == 1 ? "it" : "them") that come in by "
        + "\(one ? "that" : "those") are dropped"
    let dropped = droppedPackets == 0 ? "" : "; \(counted(Int(clamping: droppedPackets), "packet")) dropped so far"
    return kept + own + dropped + (rule.map { " (by \($0))" } ?? "")
  }

  private static func list(_ names: [String]) -> String {
    names.count < 2 ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
  }
}

extension Engine {
  /// The links that forward for our networks alone, by families for which somebody may want more of them.
  func keptUplinks() throws(NetworkError) -> [KeptUplinks] {
    let (networks, record) = try look { state in (Array(state.networks.values), state.host) }
    let families = forwardedFamilies(networks)
    guard record?.uplinks.isEmpty == false, !families.isEmpty else { return [] }
    let own = Set(networks.flatMap(\.ownLinks))
    let others = try firewall.othersBridges()
    let links = try host.links.withoutMaster().filter { link in
      !link.flags.contains(.loopback) && !own.contains(link.name) && others[link.name] == nil
    }
    let guards = try firewall.uplinkGuards()
    return families.sorted().compactMap { family in
      guard !isForwardedByOwner(family, record) else { return nil }
      let recorded = Set((record?.uplinks ?? []).filter { $0.family == family }.compactMap(\.index))
      let uplinks = links.filter { recorded.contains($0.index) }.map(\.name).sorted()
      // One that is made with forwarding on has it from its owner, too.
      let forwarding = links.filter { link in
        !recorded.contains(link.index) && link.flags.contains(.up) && link.forwards[family] == true
      }.map(\.name).sorted()
      let dropped = guards[family]?.packets ?? 0
      guard !uplinks.isEmpty, !forwarding.isEmpty || dropped > 0 else { return nil }
      return KeptUplinks(
        family: family, uplinks: uplinks, others: forwarding, droppedPackets: dropped, rule: guards[family]?.place,
        remedies: Self.remedies(family, uplinks, forwarding))
    }
  }

  private static func remedies(_ family: AddressFamily, _ uplinks: [String], _ others: [String]) -> [String] {
    guard !others.isEmpty else { return [everythingPasses(family)] }
    let set = { (names: [String]) in "{ \(names.map { "\"\($0)\"" }.joined(separator: ", ")) }" }
    return [
      "nft add table inet uplinks",
      "nft 'add chain inet uplinks before { type filter hook forward priority filter - 1; }'",
      "nft 'add rule inet uplinks before iifname \(set(uplinks)) oifname \(set(others)) \(Self.marking)'",
    ]
  }

  /// What lets all links of the host forward for all.
  static func everythingPasses(_ family: AddressFamily) -> String {
    family == .ipv4 ? "sysctl net.ipv4.ip_forward=1" : "sysctl net.ipv6.conf.all.forwarding=1"
  }

  /// The statement of an owner's rule by which our rules let a packet pass.
  static var marking: String { "meta mark set 0x" + String(NetworkController.acceptMark, radix: 16) }
}

extension Firewall {
  /// The rules that keep uplinks to our networks: where they are, and what they have dropped.
  func uplinkGuards() throws(NetworkError) -> [AddressFamily: (place: String, packets: UInt64)] {
    var guards: [AddressFamily: (place: String, packets: UInt64)] = [:]
    let messages: [NetlinkMessage]
    do throws(NetworkError) {
      messages = try host.connection(.netfilter).dump(NftRequests.rules(of: FirewallSets.table))
    } catch {
      guard error.code == .notFound else { throw error }
      return [:]
    }
    for message in messages {
      let rule = try NftRuleRecord(message)
      let key = RuleKey(rule)
      guard let family = AddressFamily.allCases.first(where: { key == RuleKey(guardOf: $0) }) else { continue }
      let counter = rule.expressions.first { $0.name == "counter" }?.attributes
      // NFTA_COUNTER_PACKETS
      let packets: UInt64 = try counter?[type: 2]?.bigEndian() ?? 0
      let place = "\(FirewallSets.table.family) \(FirewallSets.table.name) \(key.chain) rule \(rule.handle)"
      guards[family] = (place, packets)
    }
    return guards
  }
}

extension RuleKey {
  /// Of the rule that keeps what comes in by an uplink to our bridges.
  init(guardOf family: AddressFamily) {
    chain = "forward"
    words = ["iif", FirewallSets.uplinks.of(family).name, "oif", "!bridges", "iif", "!bridges", "drop"]
  }
}
