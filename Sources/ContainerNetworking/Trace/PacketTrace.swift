public import NetworkPrimitives

/// The path of a real packet from its sender through bridges, rules and routing of the host to its end, and the path of
/// the answer.
public struct PacketTrace: Hashable, Sendable, Codable {
  /// The packet as sent; nil when none was seen.
  public var packet: Flow?
  /// Its way.
  public var there: [Hop]
  /// The path of the first answer.
  public var back: [Hop]
  /// The outcome.
  public var outcome: Outcome
  /// The limits of the trace.
  public var remarks: [String]

  /// The sender and receiver of a packet.
  public struct Flow: Hashable, Sendable, Codable, CustomStringConvertible {
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    public var transport: String
    /// The sender's address.
    public var source: IPAddress
    /// The sender's port; the identifier of an echo.
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
    /// The place.
    public var place: NetworkGraph.Place
    /// The event, in one line.
    public var text: String
    /// The arriving packet.
    public var packet: Flow?
    /// The rules that decided here, in order.
    public var rules: [Rule]
    /// The packet after a translation at this hop.
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
    /// The rule's handle, as in `nft -a list ruleset`; nil for the chain's policy.
    public var handle: UInt64?
    /// The decision: `accept`, `drop`, `jump publish`.
    public var decision: String
    /// The purpose of a rule of ours; the comment of another owner's rule, if it has one.
    public var reason: String?
  }

  /// The outcome of a packet.
  public struct Outcome: Hashable, Sendable, Codable {
    /// The kinds of end.
    public enum Kind: String, Hashable, Sendable, Codable {
      /// It reached its receiver, which answered.
      case answered
      /// It reached its receiver, or a router, which refused it.
      case refused
      /// It was followed to the end of what is visible; no answer came in time.
      case delivered
      /// A rule dropped it.
      case dropped
      /// It was lost without a drop by a rule.
      case lost
      /// No such packet came in time.
      case unseen
    }

    /// The kind.
    public var kind: Kind
    /// The outcome, in a sentence.
    public var text: String
    /// The rule that dropped it.
    public var rule: Rule?

    init(_ kind: Kind, _ text: String, _ rule: Rule? = nil) {
      self.kind = kind
      self.text = text
      self.rule = rule
    }
  }

  /// The path there, ready to be marked in the host's graph, with the outcome.
  ///
  /// - Parameter title: The subject of the path.
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
  /// The role of a part of the text, for coloured output.
  public enum Style: Hashable, Sendable {
    /// A heading.
    case heading
    /// A packet's addresses.
    case packet
    /// A rule that let it pass.
    case passed
    /// A rule that dropped the packet, or the end of a lost one.
    case failed
    /// The end of a packet that arrived.
    case succeeded
  }

  /// The trace as lines for a terminal.
  public var description: String { text { text, _ in text } }

  /// The trace as lines for a terminal.
  ///
  /// - Parameter styled: Formats a part of a line.
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
  /// The rule's place, in words: `inet containernetworking forward rule 12`.
  public var place: String {
    "\(family) \(table) \(chain)" + (handle.map { " rule \($0)" } ?? " policy")
  }
}
