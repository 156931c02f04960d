import Netlink
import NetworkPrimitives

/// Converts a packet's visits to its path: one hop for each point of the kernel where it was seen.
struct TraceStory {
  let context: TraceContext
  private(set) var hops: [PacketTrace.Hop] = []
  /// The rule that dropped it.
  private(set) var drop: (rule: PacketTrace.Rule, text: String)?
  /// The last visit, and the packet's addresses there.
  private(set) var last: TraceVisit?
  private(set) var lastFlow: PacketTrace.Flow?

  /// The port of a bridge that it left by.
  private var lastPort: Int32?

  private struct Point: Hashable {
    var isBridge: Bool
    var hook: NftChain.Hook?
    var incoming: Int32?
    var outgoing: Int32?
  }

  /// - Parameter visits: In their order.
  init(_ visits: [TraceVisit], _ context: TraceContext) {
    self.context = context
    var point: Point?
    // With br_netfilter, packet rules run between those of frames.
    var told: Set<Point> = []
    for visit in withoutFlood(visits) {
      let next = Point(
        isBridge: visit.table.family == .bridge, hook: visit.hook, incoming: visit.incomingLink,
        outgoing: visit.outgoingLink)
      let flow = PacketTrace.Flow(visit.packet)
      if next != point {
        // A translation at the end of a hook shows at the next one.
        note(flow)
        if isTold(next, after: point), told.insert(next).inserted { hops.append(hop(next, flow, after: point)) }
        point = next
      } else {
        note(flow)
      }
      lastFlow = flow ?? lastFlow
      last = visit
      if visit.table.family == .bridge, visit.hook == .postrouting { lastPort = visit.outgoingLink }
      guard !hops.isEmpty else { continue }
      let rules = context.rules(of: visit)
      hops[hops.count - 1].rules += rules
      if visit.isDropped, let rule = rules.last {
        drop = (rule, Self.why(rule))
        return
      }
    }
    shorten()
  }

  /// Chains without a decision get a line only if no other chain has one.
  private mutating func shorten() {
    for index in hops.indices {
      let decided = hops[index].rules.filter { $0.handle != nil || $0.decision != "accept" }
      if !decided.isEmpty { hops[index].rules = decided }
    }
  }

  private static func why(_ rule: PacketTrace.Rule) -> String {
    if let reason = rule.reason { return "by \(rule.place): \(reason)" }
    return "by \(rule.place), which is not ours: "
      + "nft -a list chain \(rule.family) \(rule.table) \(rule.chain) shows it"
  }

  /// Records that the packet's addresses changed since the last visit: at the hop of that visit.
  private mutating func note(_ flow: PacketTrace.Flow?) {
    guard let flow, let before = lastFlow, flow != before, let index = hops.indices.last else { return }
    hops[index].translated = flow
  }

  /// A frame to an unknown address is flooded to all ports; only its receiver's port is reported.
  private func withoutFlood(_ visits: [TraceVisit]) -> [TraceVisit] {
    let isOut = { (visit: TraceVisit) in
      visit.table.family == .bridge && visit.outgoingLink.map { context.endpoint(atPort: $0) != nil } == true
    }
    let ports = Set(visits.filter(isOut).compactMap(\.outgoingLink))
    guard ports.count > 1 else { return visits }
    return visits.filter { visit in
      guard isOut(visit), let port = visit.outgoingLink, let address = visit.packet.destination else { return true }
      guard let receiver = context.endpoint(at: address) else { return true }
      return context.name(port) == receiver.hostInterface?.description
    }
  }

  // MARK: - Hops

  /// Omits points that only repeat the one before.
  private func isTold(_ point: Point, after before: Point?) -> Bool {
    switch (point.isBridge, point.hook) {
    case (true, .postrouting?): before?.hook != .forward && before?.hook != .output || before?.isBridge == false
    default: true
    }
  }

  private func hop(_ point: Point, _ flow: PacketTrace.Flow?, after before: Point?) -> PacketTrace.Hop {
    let incoming = point.incoming.map { context.name($0) } ?? "?"
    let outgoing = point.outgoing.map { context.name($0) } ?? "?"
    guard point.isBridge else {
      var hop = packetHop(point, incoming, outgoing, flow)
      if before?.isBridge == true, before?.hook == point.hook { hop.text += ", shown by the bridge (br_netfilter)" }
      return hop
    }
    let network =
      (point.incoming ?? point.outgoing).flatMap { context.network(of: $0) }
      ?? point.outgoing.flatMap { context.network(of: $0) }
    let bridge =
      (point.incoming ?? point.outgoing).flatMap { context.links[$0]?.master }.map { context.name($0) }
      ?? network?.bridge.map { "\($0)" } ?? "a bridge"
    let place = network.map { NetworkGraph.Place.network($0.name) } ?? .host
    let text =
      switch point.hook {
      case .prerouting?: "comes to bridge \(bridge) by its port \(incoming)"
      case .input?: "is for the host: bridge \(bridge) hands it up"
      case .forward?: "bridge \(bridge) passes it on to port \(outgoing)"
      case .output?: "leaves bridge \(bridge) by its port \(outgoing)"
      default: "leaves bridge \(bridge) by its port \(outgoing)"
      }
    return PacketTrace.Hop(place, text, flow)
  }

  private func packetHop(
    _ point: Point, _ incoming: String, _ outgoing: String, _ flow: PacketTrace.Flow?
  ) -> PacketTrace.Hop {
    let text =
      switch point.hook {
      case .prerouting?: "comes in by \(incoming), before routing"
      case .input?: "is for a program of the host"
      case .forward? where incoming == outgoing: "is passed on within \(incoming)"
      case .forward?:
        "is routed from \(incoming) to \(outgoing)"
          + (flow.flatMap { context.gateway(of: $0, by: point.incoming) }.map { ", next hop \($0)" } ?? "")
      case .output?: "is sent by the host, by \(outgoing)"
      case .postrouting?: "is about to leave by \(outgoing)"
      default: "is seen"
      }
    return PacketTrace.Hop(.host, text, flow)
  }

  // MARK: - Both ends

  mutating func prepend(_ hop: PacketTrace.Hop) { hops.insert(hop, at: 0) }
  mutating func append(_ hop: PacketTrace.Hop) { hops.append(hop) }

  /// Adds the incoming uplink and the sender behind it.
  mutating func tellOrigin(_ visit: TraceVisit?, _ text: String) {
    guard let visit, visit.table.family != .bridge, visit.hook == .prerouting, let link = visit.incomingLink,
      context.network(of: link) == nil
    else { return }
    let flow = PacketTrace.Flow(visit.packet)
    prepend(PacketTrace.Hop(.uplink(context.name(link)), "takes it in", flow))
    prepend(PacketTrace.Hop(.outside, text, flow))
  }

  /// Adds the receiver.
  ///
  /// - Returns: Whether the packet was seen to leave for a receiver; false if it was lost before.
  mutating func tellArrival() -> Bool {
    guard drop == nil, let last else { return false }
    // With br_netfilter, packet rules run after those of frames.
    let isWithinBridge = last.hook == .postrouting && last.outgoingLink.flatMap { context.network(of: $0) } != nil
    if last.table.family == .bridge || (isWithinBridge && lastPort != nil) {
      guard last.hook == .postrouting, let port = lastPort else { return false }
      if let endpoint = context.endpoint(atPort: port) {
        append(PacketTrace.Hop(.container(endpoint.container), "comes in by \(endpoint.interface)", lastFlow))
      }
      return true
    }
    switch last.hook {
    case .input?:
      append(PacketTrace.Hop(.host, "has come to the host", lastFlow))
      return true
    case .postrouting?:
      guard let link = last.outgoingLink, context.network(of: link) == nil,
        context.links[link]?.flags.contains(.loopback) != true
      else { return false }
      let next = lastFlow.map { context.gateway(of: $0, by: nil) ?? $0.destination }.map { " to \($0)" } ?? ""
      append(PacketTrace.Hop(.uplink(context.name(link)), "sends it\(next)", lastFlow))
      append(PacketTrace.Hop(.outside, "is out of the host's sight", lastFlow))
      return true
    default: return false
    }
  }
}
