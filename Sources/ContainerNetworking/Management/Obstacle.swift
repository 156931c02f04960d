public import NetworkPrimitives

/// Foreign rules that drop a network's packets: an nftables drop is final, whatever our rules say.
///
/// Found by evaluating other tables' rules for hypothetical packets; sends nothing. Rules of iptables-legacy, eBPF and
/// other machines are not visible. A rule that tests an unknown property of the packet counts as not matching
/// (``isCertain``).
public struct Obstacle: Hashable, Sendable, CustomStringConvertible {
  /// The dropped traffic.
  public enum Traffic: String, Hashable, Sendable, Codable, CaseIterable, Comparable {
    /// From containers to outside the host.
    case outgoing
    /// Answers to that.
    case answers
    /// From outside to a published port.
    case published
    /// From containers to the host.
    case toHost
    /// From the host to containers.
    case fromHost
    /// Between containers of the network.
    case betweenContainers

    /// In the order of the cases.
    public static func < (left: Traffic, right: Traffic) -> Bool {
      (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }

    fileprivate var words: String {
      switch self {
      case .outgoing: "what containers send out"
      case .answers: "the answers to it"
      case .published: "what comes to published ports"
      case .toHost: "what containers send to the host"
      case .fromHost: "what the host sends to containers"
      case .betweenContainers: "what containers send each other"
      }
    }
  }

  /// The network that is in trouble.
  public var network: String
  /// The dropped traffic.
  public var traffic: [Traffic]
  /// The affected families.
  public var families: [AddressFamily]
  /// The table, by family and name: `ip filter`.
  public var table: String
  /// The base chain.
  public var chain: String
  /// The rule in that chain, or in a chain that it jumps to, as `handle 7 of chain DOCKER-FORWARD`; nil for the base
  /// chain's policy.
  public var rule: String?
  /// Whether the drop is certain; if not, a rule with an unknown result may let the traffic pass.
  public var isCertain: Bool
  /// Commands for the table's owner that let the traffic pass; all of them are needed.
  public var remedies: [String]
  /// Whether br_netfilter, which passes bridged frames through packet rules, is the cause.
  public var isByBridgeNetfilter: Bool

  /// The dropped traffic and the dropping rule, in words.
  public var description: String {
    let what = traffic.map(\.words).joined(separator: ", ")
    let place = rule.map { "by \($0), from chain \(chain)" } ?? "by the policy of chain \(chain)"
    let families = families.map(\.description).joined(separator: " and ")
    var text = "table \(table) drops \(families) of network \"\(network)\": \(what); \(place)"
    if isByBridgeNetfilter { text += "; bridged frames come there because net.bridge.bridge-nf-call-iptables is on" }
    if !isCertain { text += "; unless a rule lets it pass that was not understood" }
    return text
  }
}
