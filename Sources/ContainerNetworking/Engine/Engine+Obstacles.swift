import Netlink
import NetworkPrimitives

/// The effects of foreign rules on our networks' packets.
extension Engine {
  /// Every foreign table that drops packets of a ready network, by network and table.
  func obstacles() throws(NetworkError) -> [Obstacle] {
    let survey = try survey()
    let networks = survey.networks.filter { $0.phase == .ready && passesHost($0) && $0.bridge != nil }
    guard !networks.isEmpty else { return [] }
    var ruleset = try NftRuleset(over: host.connection(.netfilter), without: FirewallSets.tables)
    guard ruleset.chains.contains(where: { $0.base != nil }) else { return [] }
    let uplinks = try self.uplinks(survey)
    var found: [Obstacle] = []
    for network in networks {
      let endpoints = survey.endpoints.filter { $0.networkID == network.id && $0.phase == .ready }
      for family in network.families {
        for probe in probes(of: network, family, endpoints, from: uplinks[family]) {
          for base in ruleset.baseChains(at: probe.hook, probe.family) {
            guard case .dropped(let drop) = try ruleset.fate(of: probe.packet, in: base) else { continue }
            Obstacle(network, family, probe, drop, chains: ruleset.chains).merge(into: &found)
          }
        }
      }
    }
    return found
  }

  /// The link of each family's default route.
  private func uplinks(_ survey: Survey) throws(NetworkError) -> [AddressFamily: String] {
    let names = Dictionary(survey.links.values.map { ($0.index, $0.name) }) { first, _ in first }
    var uplinks: [AddressFamily: String] = [:]
    let routes = try host.routes.list().filter { $0.kind == .unicast && $0.destination.prefixLength == 0 }
    for route in routes where uplinks[route.destination.family] == nil {
      uplinks[route.destination.family] = route.link.flatMap { names[$0] }
    }
    return uplinks
  }

  /// A packet, and a point on its path.
  fileprivate struct Probe {
    var traffic: Obstacle.Traffic
    var hook: NftChain.Hook
    var packet: NftPacket
    var family: NftFamily
  }

  private func probes(
    of network: NetworkRecord, _ family: AddressFamily, _ endpoints: [Endpoint], from uplink: String?
  ) -> [Probe] {
    guard let name = network.bridge?.description, let subnet = network.subnet(family) else { return [] }
    let layer: NftFamily = family == .ipv4 ? .ipv4 : .ipv6
    let (bridge, outside) = (
      NftPacket.Interface.named(name), uplink.map { NftPacket.Interface.named($0) } ?? .unknown
    )
    let own = endpoints.lazy.compactMap { $0.address(family)?.address }.first ?? subnet.subnet.first
    var probes: [Probe] = []
    func add(
      _ traffic: Obstacle.Traffic, _ hook: NftChain.Hook, _ packet: NftPacket, in family: NftFamily? = nil
    ) { probes.append(Probe(traffic: traffic, hook: hook, packet: packet, family: family ?? layer)) }

    if !network.isInternal {
      let there = NftPacket(family, from: bridge, to: outside, source: own)
      let back = NftPacket(family, from: outside, to: bridge, state: .established, destination: own)
      for (traffic, packet) in [(Obstacle.Traffic.outgoing, there), (.answers, back)] {
        // Before routing and NAT, the packet has no outgoing link, and an answer not yet the container's address.
        var early = packet
        (early.outgoing, early.destination) = (nil, nil)
        add(traffic, .prerouting, early)
        add(traffic, .forward, packet)
        var late = packet
        late.incoming = nil
        add(traffic, .postrouting, late)
      }
      let ports = endpoints.flatMap { endpoint in endpoint.ports.map { (endpoint, $0) } }
      let published = ports.first { $0.1.hostAddress == nil || $0.1.hostAddress?.family == family }
      if let (endpoint, port) = published, network.policy.gatewayMode(family) != .routed {
        add(
          .published, .forward,
          NftPacket(
            family, from: outside, to: bridge, status: .destinationNAT, destination: endpoint.address(family)?.address,
            transport: port.transport, destinationPort: port.containerPort))
      }
    }
    if let gateway = subnet.gateway, network.policy.gatewayMode(family) != .isolated {
      add(.toHost, .input, NftPacket(family, from: bridge, source: own, destination: gateway))
      add(.toHost, .output, NftPacket(family, to: bridge, state: .established, source: gateway, destination: own))
      add(.fromHost, .output, NftPacket(family, to: bridge, source: gateway, destination: own))
      add(.fromHost, .input, NftPacket(family, from: bridge, state: .established, source: own, destination: gateway))
    }
    if network.policy.allowsContainerTraffic {
      let ports = endpoints.compactMap(\.hostInterface).prefix(2).map { NftPacket.Interface.named($0.description) }
      add(
        .betweenContainers, .forward,
        NftPacket(family, from: ports.first ?? .unknown, to: ports.last ?? .unknown, source: own), in: .bridge)
      let setting = "net/bridge/bridge-nf-call-\(family == .ipv4 ? "iptables" : "ip6tables")"
      if (try? host.sysctl(setting)) == "1" {
        for name in [name] + (network.furtherBridges ?? []).map(\.name.description) {
          let bridge = NftPacket.Interface.named(name)
          add(.betweenContainers, .forward, NftPacket(family, from: bridge, to: bridge, source: own))
        }
      }
    }
    return probes
  }
}

extension Obstacle {
  fileprivate init(
    _ network: NetworkRecord, _ family: AddressFamily, _ probe: Engine.Probe, _ drop: NftRuleset.Drop,
    chains: [NftChain]
  ) {
    let table = drop.base.table
    let names = Set(chains.filter { $0.table == drop.base.table || $0.table.name == table.name }.map(\.name))
    self.init(
      network: network.name, traffic: [probe.traffic], families: [family], table: "\(table.family) \(table.name)",
      chain: drop.base.name, rule: drop.rule.map { "handle \($0.handle) of chain \(drop.chain)" },
      isCertain: drop.isCertain,
      remedies: Remedies(
        table: table, chain: drop.base.name, names: names, bridge: "\(network.bridge.map { "\($0)" } ?? "")"
      )
      .lines(for: probe.traffic),
      isByBridgeNetfilter: probe.traffic == .betweenContainers && probe.family != .bridge)
  }

  /// Merges obstacles of the same network and chain.
  fileprivate func merge(into list: inout [Obstacle]) {
    guard
      let index = list.firstIndex(where: {
        $0.network == network && $0.table == table && $0.chain == chain
          && $0.isByBridgeNetfilter == isByBridgeNetfilter
      })
    else { return list.append(self) }
    for traffic in traffic where !list[index].traffic.contains(traffic) { list[index].traffic.append(traffic) }
    for family in families where !list[index].families.contains(family) { list[index].families.append(family) }
    for line in remedies where !list[index].remedies.contains(line) { list[index].remedies.append(line) }
    if isCertain { list[index].isCertain = true }
  }
}

/// The remedies for a table, in the syntax of the program that owns it.
private struct Remedies {
  var table: NftTable
  var chain: String
  /// The names of the table's chains.
  var names: Set<String>
  var bridge: String

  func lines(for traffic: Obstacle.Traffic) -> [String] {
    if table.name == "firewalld" {
      return ["firewall-cmd --permanent --zone=trusted --add-interface=\(bridge)", "firewall-cmd --reload"]
    }
    let isXtables =
      table.family != .inet && ["filter", "raw", "mangle", "security"].contains(table.name)
      && ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"].contains(chain)
    guard isXtables, table.family != .bridge else { return [nft(traffic)] }
    if names.contains(where: { $0.hasPrefix("ufw") }) { return ufw(traffic) }
    let program = table.family == .ipv4 ? "iptables" : "ip6tables"
    let place = names.contains("DOCKER-USER") && chain == "FORWARD" ? "DOCKER-USER" : chain
    let option = table.name == "filter" ? "" : "-t \(table.name) "
    return ["\(program) \(option)-I \(place) \(Self.isIncoming(traffic, chain) ? "-i" : "-o") \(bridge) -j ACCEPT"]
  }

  /// Whether the bridge is such packets' incoming link at a chain.
  private static func isIncoming(_ traffic: Obstacle.Traffic, _ chain: String) -> Bool {
    switch traffic {
    case .outgoing, .betweenContainers: chain.lowercased() != "postrouting"
    case .answers, .published: false
    case .toHost, .fromHost: chain.lowercased() != "output"
    }
  }

  private func ufw(_ traffic: Obstacle.Traffic) -> [String] {
    switch traffic {
    case .outgoing, .betweenContainers: ["ufw route allow in on \(bridge)"]
    case .answers, .published: ["ufw route allow out on \(bridge)"]
    case .toHost, .fromHost: [chain == "OUTPUT" ? "ufw allow out on \(bridge)" : "ufw allow in on \(bridge)"]
    }
  }

  private func nft(_ traffic: Obstacle.Traffic) -> String {
    let name = table.family == .bridge ? "ibrname" : Self.isIncoming(traffic, chain) ? "iifname" : "oifname"
    return "nft insert rule \(table.family) \(table.name) \(chain) \(name) \"\(bridge)\" accept"
  }
}
