import Netlink
import NetworkPrimitives

/// The facts about a packet at a rule, as far as explanations need them.
struct RuleFacts {
  /// The incoming link, and the network whose bridge or bridge port it is.
  var incoming: (name: String, network: NetworkRecord?)?
  /// The outgoing link.
  var outgoing: (name: String, network: NetworkRecord?)?
  /// The endpoint behind the incoming port.
  var sender: Endpoint?
  /// The endpoint with the destination address.
  var receiver: Endpoint?
  var source: IPAddress?
  var destination: IPAddress?
  var destinationPort: UInt16?
  var sourceMAC: MACAddress?

  fileprivate var from: String { Self.words(incoming) }
  fileprivate var to: String { Self.words(outgoing) }
  fileprivate var who: String { sender?.container ?? "the sender behind \(incoming?.name ?? "the port")" }
  fileprivate var what: String { source.map { "\($0)" } ?? "the address that it gives" }

  private static func words(_ link: (name: String, network: NetworkRecord?)?) -> String {
    guard let link else { return "it" }
    return link.network.map { "network \($0.name)" } ?? link.name
  }
}

/// The purpose of each rule of our tables, by its content.
enum RuleReasons {
  typealias Reason = @Sendable (RuleFacts) -> String

  static func reason(for key: RuleKey, _ facts: RuleFacts) -> String? { all["\(key)"]?(facts) }

  /// The explanations: one for every rule that drops or refuses, and for others that need one.
  static let all: [String: Reason] = packets.merging(frames) { first, _ in first }

  private static let uplinks: Reason = { facts in
    "\(facts.from) forwards for our networks alone: packets that come in by it go to their bridges or nowhere"
  }
  private static let fromInternal: Reason = { "\($0.from) is internal: nothing leaves it" }
  private static let toInternal: Reason = { "\($0.to) is internal: nothing comes in" }
  private static let internalGateway: Reason = { facts in
    "\(facts.from) is internal: it reaches the host by its gateway alone, not by "
      + (facts.destination.map { "\($0)" } ?? "another address")
  }
  private static let published: Reason = { facts in
    if let network = facts.incoming?.network, let place = network.nameServer, let asked = facts.destination,
      network.bridgeGateways.contains(asked), [NetworkRecord.askedNamePort, place.port].contains(facts.destinationPort)
    {
      return
        "queries for names of network \(network.name) go to port \(NetworkRecord.askedNamePort), and are answered at "
        + "port \(place.port)"
    }
    return "a published port of this host leads to a container"
  }
  private static let hairpin: Reason = { facts in
    "a container that reaches its own network by a port of the host must get the answer from the host"
  }
  private static let leaving: Reason = { "packets that leave \($0.from) get this host's address" }

  /// A packet to a bridge that no rule accepted.
  private static let unwanted: Reason = { facts in
    let target = facts.receiver.map { $0.container } ?? facts.destination.map { "\($0)" } ?? "it"
    if let network = facts.incoming?.network, let other = facts.outgoing?.network {
      return network.id == other.id
        ? "containers of network \(network.name) do not reach each other (icc is off)"
        : "isolation between \(network.bridge.map { "\($0)" } ?? network.name) and "
          + "\(other.bridge.map { "\($0)" } ?? other.name): network \(network.name) does not reach network \(other.name)"
    }
    let port = facts.destinationPort.map { "port \($0) of \(target)" } ?? target
    return "direct access: \(port) is not published under its own address, and \(facts.to) lets nothing else in"
  }

  private static let packets: [String: Reason] = {
    var all: [String: Reason] = [
      "guard: iif drop": { facts in
        "\(facts.destination.map { "\($0)" } ?? "127.0.0.0/8") is an address of the host's own loopback: "
          + "from a wire it is a martian"
      },
      "guard: iif bridges drop": { facts in
        "\(facts.what) is an address of the host's own loopback: from a wire it is a martian"
      },
      "guard: iif internal_bridges iif !internal_gateways4 drop": internalGateway,
      "guard: iif internal_bridges iif !internal_gateways6 drop": internalGateway,
      "guard: iif further_bridges accept": { facts in
        "\(facts.incoming?.name ?? "it") is a further bridge of \(facts.from): the first one's rules decide"
      },
      "forward: accept": { _ in "a rule of the user has marked it" },
      "publish: return": { _ in "packets to ::1 are not forwarded" },
      "forward: iif oif same_bridge accept": { "containers of \($0.from) may reach each other" },
      "forward: iif internal_bridges drop": fromInternal,
      "forward: oif internal_bridges drop": toInternal,
      "forward: oif bridges state accept": { _ in "it answers a connection of a container" },
      "forward: iif bridges state accept": { _ in "it belongs to an accepted connection" },
      "forward: oif bridges status accept": { _ in "it was sent to a published port" },
      "forward: oif bridges drop": unwanted,
      "forward: iif bridges accept": { "containers of \($0.from) may go out" },
      "prerouting: jump": { _ in "it is sent to an address of this host" },
      "output: jump": { _ in "it is sent to an address of this host" },
      "postrouting: oif bridges masquerade": { _ in "a container cannot answer to 127.0.0.0/8" },
    ]
    for family in ["4", "6"] {
      all["forward: iif uplinks\(family) oif !bridges iif !bridges drop"] = uplinks
      all["forward: iif !bridges oif open_bridges\(family) accept"] = { "\($0.to) is open to the outside" }
      all["forward: iif !bridges iif oif trusted_links direct_ports\(family) accept"] = { facts in
        "the port is published, and \(facts.to) is reached directly from \(facts.from)"
      }
      all["postrouting: oif !bridges iif source_addresses\(family) snat"] = { facts in
        "packets that leave \(facts.from) get its source address"
      }
      all["forward: oif ping_bridges\(family) icmptype accept"] = { "\($0.to) is routed: its containers answer pings" }
      all["forward: oif bridges routed_ports\(family) accept"] = { _ in "the port is published, and its network routed"
      }
      all["publish: published_at\(family) dnat"] = published
      all["publish: published\(family) dnat"] = published
      all["postrouting: status oif endpoints\(family) masquerade"] = hairpin
      all["postrouting: status iif besides\(family) masquerade"] = { facts in
        "\(facts.receiver?.container ?? "the container that it is sent to") is on \(facts.from), too, and would "
          + "answer there"
      }
      all["postrouting: iif nat_bridges\(family) oif !bridges masquerade"] = leaving
    }
    return all
  }()

  private static let otherMAC: Reason = { facts in
    "anti-spoofing: \(facts.sourceMAC.map { "\($0)" } ?? "another hardware address") is not the hardware address of \(facts.who)"
  }
  private static let otherAddress: Reason = { "anti-spoofing: \($0.what) is not an address of \($0.who)" }
  private static let own: Reason = { "\($0.what) is an address of \($0.who)" }

  private static let frames: [String: Reason] = [
    "source: iif !ports accept": { _ in "it does not come from a container's port" },
    "source: iif !port_macs drop": otherMAC,
    "source: iif port_addresses4 accept": own,
    "source: iif port_addresses6 accept": own,
    "source: icmptype iif !port_addresses6 drop": { facts in
      "anti-spoofing: it advertises an address that is not one of \(facts.who)"
    },
    "source: icmptype drop": { "anti-spoofing: it says that \($0.who) is a router" },
    "source: accept": { _ in "it has no address yet, and asks" },
    "source: drop": otherAddress,
    "control: iif ports iif !port_macs drop": otherMAC,
    "control: iif further_ports drop": { facts in
      "a further bridge of \(facts.from) is a switch alone: the host is reached by the first"
    },
    "apart: iif oif trunks drop": { _ in "it came from there" },
    "apart: iif apart_ports oif apart_ports drop": { facts in
      "containers of \(facts.incoming?.network.map { "network \($0.name)" } ?? "this network") do not reach each other "
        + "(icc is off)"
    },
  ]
}
