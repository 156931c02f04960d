public import NetworkPrimitives

/// Rules of another owner that drop a network's packets: what nftables drops anywhere is dropped, whatever ours say.
///
/// Found by running the rules of other tables on packets as they would be; nothing is sent. Rules of iptables-legacy,
/// eBPF and other machines are not seen, and a rule that asks for what a packet made up has not is taken not to match
/// (``isCertain``).
public struct Obstacle: Hashable, Sendable, CustomStringConvertible {
  /// What is dropped.
  public enum Traffic: String, Hashable, Sendable, Codable, CaseIterable, Comparable {
    /// What containers send out of the host.
    case outgoing
    /// What is answered to that.
    case answers
    /// What comes from outside to a published port.
    case published
    /// What containers send to the host.
    case toHost
    /// What the host sends to containers.
    case fromHost
    /// What containers of the network send each other.
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
  /// What of it is dropped.
  public var traffic: [Traffic]
  /// Of which families.
  public var families: [AddressFamily]
  /// The table, by family and name: `ip filter`.
  public var table: String
  /// The base chain.
  public var chain: String
  /// The rule of it, or of a chain that it jumps to, as `handle 7 of chain DOCKER-FORWARD`; nil for the base chain's policy.
  public var rule: String?
  /// Whether it is so for sure; else a rule that could not be understood may let it pass.
  public var isCertain: Bool
  /// Commands of which each line is needed to let it pass, for whoever owns the table.
  public var remedies: [String]
  /// Whether a setting that gives bridges' frames to rules of packets is what brings it about.
  public var isByBridgeNetfilter: Bool

  /// What is dropped, and by what, in words.
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
