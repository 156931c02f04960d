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
      case .outgoing: "packets from containers to the outside"
      case .answers: "answers from outside"
      case .published: "packets to published ports"
      case .toHost: "packets from containers to the host"
      case .fromHost: "packets from the host to containers"
      case .betweenContainers: "packets between containers"
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
    if isByBridgeNetfilter { text += "; bridged frames pass it because net.bridge.bridge-nf-call-iptables is on" }
    if !isCertain { text += "; unless a rule with an unknown expression accepts them" }
    return text
  }
}
