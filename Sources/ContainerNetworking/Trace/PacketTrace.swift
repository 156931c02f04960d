public import NetworkPrimitives

/// The way of a packet that really went: from its sender, through bridges, rules and routing of the host, to where it came
/// to or was lost; and that of what came back.
public struct PacketTrace: Hashable, Sendable, Codable {
  /// The packet as its sender sent it; nil when none was seen.
  public var packet: Flow?
  /// Its way.
  public var there: [Hop]
  /// The way of the first packet that came back.
  public var back: [Hop]
  /// How it ended.
  public var outcome: Outcome
  /// What could not be seen.
  public var remarks: [String]

  /// Who sends to whom.
  public struct Flow: Hashable, Sendable, Codable, CustomStringConvertible {
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    public var transport: String
    /// The sender's address.
    public var source: IPAddress
    /// The sender's port; of an echo its identifier.
    public var sourcePort: UInt16?
    /// The receiver's address.
    public var destination: IPAddress
    /// The receiver's port.
    public var destinationPort: UInt16?

    /// As `tcp 172.17.0.2:40000 → 192.0.2.1:80`.
    public var description: String {
      "\(transport) \(Self.end(source, isEcho ? nil : sourcePort)) → \(Self.end(destination, isEcho ? nil : destinationPort))"
        + (isEcho ? sourcePort.map { " id \($0)" } ?? "" : "")
    }

    private var isEcho: Bool { transport.hasPrefix("icmp") }

    static func end(_ address: IPAddress, _ port: UInt16?) -> String {
      guard let port else { return "\(address)" }
      return address.family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
  }

  /// A step of the way.
  public struct Hop: Hashable, Sendable, Codable {
    /// Where.
    public var place: NetworkGraph.Place
    /// What happens, in a line.
    public var text: String
    /// The packet as it comes here.
    public var packet: Flow?
    /// The rules that decided here, in order.
    public var rules: [Rule]
    /// The packet as it goes on, where it was translated.
    public var translated: Flow?

    init(_ place: NetworkGraph.Place, _ text: String, _ packet: Flow? = nil) {
      self.place = place
      self.text = text
      self.packet = packet
      rules = []
    }
  }

  /// A decision of a rule or of a chain's policy.
  public struct Rule: Hashable, Sendable, Codable {
    /// The table's family, as nft(8) names it: `inet`, `bridge`, `ip`.
    public var family: String
    /// The table.
    public var table: String
    /// The chain.
    public var chain: String
    /// The rule's handle, by which `nft -a list ruleset` shows it; nil for the chain's policy.
    public var handle: UInt64?
    /// What was decided: `accept`, `drop`, `jump publish`.
    public var decision: String
    /// Why the rule is there, where it is ours; its comment, where it is another's and has one.
    public var reason: String?
  }

  /// How a packet ended.
  public struct Outcome: Hashable, Sendable, Codable {
    /// The kinds of end.
    public enum Kind: String, Hashable, Sendable, Codable {
      /// It came to its receiver, which answered.
      case answered
      /// It came to its receiver, or to a router, which told that it is not wanted.
      case refused
      /// It came as far as it can be followed; no answer came in time.
      case delivered
      /// A rule dropped it.
      case dropped
      /// It was lost, and not by a rule.
      case lost
      /// No such packet came in time.
      case unseen
    }

    /// The kind.
    public var kind: Kind
    /// What happened, in a sentence.
    public var text: String
    /// The rule that dropped it.
    public var rule: Rule?

    init(_ kind: Kind, _ text: String, _ rule: Rule? = nil) {
      self.kind = kind
      self.text = text
      self.rule = rule
    }
  }

  /// The way there as a path to mark in the host's graph, and how it ended.
  ///
  /// - Parameter title: What it is the way of.
  public func path(_ title: String) -> NetworkGraph.Path {
    var stops: [NetworkGraph.Path.Stop] = there.map { hop in
      var text = "\(Self.name(of: hop.place)): \(hop.text)"
      let decisive = hop.rules.filter { $0.reason != nil && !$0.decision.hasPrefix("jump") }
      if let last = decisive.last { text += "; \(last.chain): \(last.decision), \(last.reason ?? "")" }
      if let translated = hop.translated { text += "; becomes \(translated)" }
      return NetworkGraph.Path.Stop(hop.place, text)
    }
    if let last = stops.indices.last { stops[last].text += "; \(outcome.text)" }
    return NetworkGraph.Path(title, stops)
  }

  static func name(of place: NetworkGraph.Place) -> String {
    switch place {
    case .outside: "outside"
    case .uplink(let name): name
    case .host: "host"
    case .network(let name): "network \(name)"
    case .container(let name): name
    }
  }
}

extension PacketTrace: CustomStringConvertible {
  /// What a part of the text is, for those who colour it.
  public enum Style: Hashable, Sendable {
    /// A heading.
    case heading
    /// A packet's addresses.
    case packet
    /// A rule that let it pass.
    case passed
    /// A rule that dropped it, or the end of a packet that was lost.
    case failed
    /// The end of a packet that arrived.
    case succeeded
  }

  /// The trace as lines for a terminal.
  public var description: String { text { text, _ in text } }

  /// The trace as lines for a terminal.
  ///
  /// - Parameter styled: Gives a part of a line its look.
  public func text(_ styled: (String, Style) -> String) -> String {
    var lines: [String] = []
    if let packet { lines.append(styled(packet.description, .packet)) }
    for (title, hops) in [("there", there), ("back", back)] where !hops.isEmpty {
      lines.append(styled(title, .heading))
      for (index, hop) in hops.enumerated() {
        let isLast = index == hops.count - 1
        lines.append("\(isLast ? "└─" : "├─") \(Self.name(of: hop.place)): \(hop.text)")
        let bar = isLast ? "   " : "│  "
        for rule in hop.rules {
          let style: Style = rule.decision.hasPrefix("drop") ? .failed : .passed
          lines.append("\(bar)   \(rule.place): \(styled(rule.decision, style))\(rule.reason.map { " – \($0)" } ?? "")")
        }
        if let translated = hop.translated { lines.append("\(bar)   becomes \(styled("\(translated)", .packet))") }
      }
    }
    let isGood = [.answered, .delivered].contains(outcome.kind)
    lines.append("\(styled(outcome.kind.rawValue, isGood ? .succeeded : .failed)): \(outcome.text)")
    lines += remarks.map { "note: \($0)" }
    return lines.joined(separator: "\n")
  }
}

extension PacketTrace.Rule {
  /// Where it is, in words: `inet containernetworking forward rule 12`.
  public var place: String {
    "\(family) \(table) \(chain)" + (handle.map { " rule \($0)" } ?? " policy")
  }
}
