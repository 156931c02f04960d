import Netlink
import NetworkPrimitives

/// A snapshot of the records and the kernel during a trace: the owners of links and addresses, and our rules.
struct TraceContext {
  let host: NetworkNamespace
  let links: [Int32: Link]
  /// The host's own addresses.
  let addresses: [AssignedAddress]
  let networks: [NetworkRecord]
  let endpoints: [Endpoint]
  let chains: [NftChain]
  /// Our rules, by table and handle, since handles are unique in a table only.
  let rules: [NftTable: [UInt64: RuleKey]]
  /// The comments of others' rules.
  let comments: [NftTable: [UInt64: String]]
  /// The tables of the trace itself, which are not shown.
  let tracer: String

  init(
    _ host: NetworkNamespace, networks: [NetworkRecord], endpoints: [Endpoint], tracer: String
  ) throws(NetworkError) {
    self.host = host
    self.networks = networks
    self.endpoints = endpoints
    self.tracer = tracer
    links = Dictionary(try host.links.list().map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
    addresses = try host.addresses.list()
    let connection = try host.connection(.netfilter)
    var chains: [NftChain] = []
    for message in try connection.dump(NftRequests.chains()) {
      var chain = try NftChain(message)
      chain.table.handle = nil
      chains.append(chain)
    }
    self.chains = chains
    var rules: [NftTable: [UInt64: RuleKey]] = [:]
    var comments: [NftTable: [UInt64: String]] = [:]
    for table in Set(chains.map(\.table)) where table.name != tracer {
      let messages: [NetlinkMessage]
      do throws(NetworkError) { messages = try connection.dump(NftRequests.rules(of: table)) } catch {
        if error.code == .notFound { continue }
        throw error
      }
      for message in messages {
        let rule = try NftRuleRecord(message)
        if FirewallSets.tables.contains(table) {
          rules[table, default: [:]][rule.handle] = RuleKey(rule)
        } else if let comment = rule.comment {
          comments[table, default: [:]][rule.handle] = comment
        }
      }
    }
    self.rules = rules
    self.comments = comments
  }

  func hook(of table: NftTable, _ chain: String) -> NftChain.Hook? {
    chains.first { $0.table.family == table.family && $0.table.name == table.name && $0.name == chain }?.base?.hook
  }

  func name(_ index: Int32) -> String { links[index]?.name ?? "link \(index)" }

  /// The network whose bridge the link is, or is a port of.
  func network(of index: Int32) -> NetworkRecord? {
    guard let link = links[index] else { return nil }
    if let network = networks.first(where: { $0.isBridge(link.name) }) { return network }
    return link.master.flatMap { self.network(of: $0) }
  }

  func endpoint(atPort index: Int32) -> Endpoint? {
    let name = name(index)
    return endpoints.first { $0.hostInterface?.description == name }
  }

  func endpoint(at address: IPAddress) -> Endpoint? {
    endpoints.first { $0.addresses.contains { $0.address == address } }
  }

  func isOwn(_ address: IPAddress) -> Bool {
    address.isLoopback || addresses.contains { $0.address.address == address }
  }

  // MARK: - Rules

  func facts(of visit: TraceVisit) -> RuleFacts {
    var facts = RuleFacts()
    facts.incoming = visit.incomingLink.map { (name($0), network(of: $0)) }
    facts.outgoing = visit.outgoingLink.map { (name($0), network(of: $0)) }
    facts.sender = visit.incomingLink.flatMap { endpoint(atPort: $0) }
    facts.receiver = visit.packet.destination.flatMap { endpoint(at: $0) }
    facts.source = visit.packet.source
    facts.destination = visit.packet.destination
    facts.destinationPort = visit.packet.icmpType == nil ? visit.packet.destinationPort : nil
    facts.sourceMAC = visit.packet.sourceMAC
    return facts
  }

  /// The reported decisions of a visit; a chain's policy only if no rule decided.
  func rules(of visit: TraceVisit) -> [PacketTrace.Rule] {
    guard visit.table.name != tracer else { return [] }
    let facts = facts(of: visit)
    var rules: [PacketTrace.Rule] = []
    for step in visit.steps {
      var rule = PacketTrace.Rule(
        family: "\(step.table.family)", table: step.table.name, chain: step.chain, decision: Self.words(step.decision))
      switch step.kind {
      case .rule(let handle):
        rule.handle = handle
        if let key = self.rules[step.table]?[handle] {
          rule.reason = RuleReasons.reason(for: key, facts)
          if let action = key.words.last, ["dnat", "snat", "masquerade", "reject"].contains(action) {
            rule.decision += " (\(action))"
          }
        } else {
          rule.reason = comments[step.table]?[handle]
        }
        // A rule that only counts passes to the next.
        if step.decision == .verdict(.continue) { continue }
      case .end: continue
      case .policy: break
      }
      rules.append(rule)
    }
    return rules
  }

  private static func words(_ decision: NftTrace.Decision) -> String {
    switch decision {
    case .verdict(.accept): "accept"
    case .verdict(.drop): "drop"
    case .verdict(.jump(let chain)): "jump \(chain)"
    case .verdict(.goto(let chain)): "goto \(chain)"
    case .verdict(.return): "return"
    case .verdict(.continue): "continue"
    case .queue(let number): "queue \(number)"
    case .stolen: "taken"
    case .other(let code): "verdict \(code)"
    }
  }
}
