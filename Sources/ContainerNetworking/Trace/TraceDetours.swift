import Netlink
import NetworkPrimitives

/// Later changes of the host that take a packet off its way: routes into a network's subnet, links that do not forward, and
/// links that forward for our networks alone.
extension TraceContext {
  /// Of a packet for a network's subnet that the host sends elsewhere: by which route.
  func detour(of visit: TraceVisit?, _ flow: PacketTrace.Flow?) -> String? {
    guard let visit, let flow, visit.table.family != .bridge, let link = visit.outgoingLink, !isOwn(flow.destination)
    else { return nil }
    for network in networks where network.bridge != nil && self.network(of: link)?.id != network.id {
      guard let subnet = network.subnets.first(where: { $0.subnet.contains(flow.destination) })?.subnet,
        let bridge = network.bridge
      else { continue }
      let route = (try? host.routes.list(family: subnet.family))?.filter { route in
        route.kind == .unicast && route.link == link && route.destination.contains(flow.destination)
      }.max { $0.destination.prefixLength < $1.destination.prefixLength }
      let why = route.map { ": the route \($0.destination)\($0.gateway.map { " via \($0)" } ?? "") of the host" } ?? ""
      return
        "\(flow.destination) is in the subnet \(subnet) of network \(network.name), and goes out by \(name(link)), "
        + "not by its bridge \(bridge)\(why)"
    }
    return nil
  }

  /// Of a packet that a link took in, and does not pass on: by which switch.
  func idleLink(_ link: Int32, _ family: AddressFamily) -> String? {
    let name = name(link)
    let own = family == .ipv4 ? "net/ipv4/conf/\(name)/forwarding" : "net/ipv6/conf/\(name)/force_forwarding"
    let general = family == .ipv4 ? nil : "net/ipv6/conf/all/forwarding"
    guard network(of: link)?.isInternal != true, [own, general].compactMap({ $0 }).allSatisfy(isOff) else { return nil }
    return
      "\(name) does not forward \(family) (\(own) is 0); links added after our networks, or switched off, are switched "
      + "on by the next attach, and by cnet doctor --fix"
  }

  private func isOff(_ sysctl: String) -> Bool { ((try? host.sysctl(sysctl)) ?? "0") == "0" }

  /// What became of an answer that was seen for the last time in that visit, and that its receiver did not get.
  ///
  /// - Parameters:
  ///   - flow: The answer as it was seen then.
  ///   - question: What it answers, as its sender sent it.
  ///   - uplink: The link that the question left by.
  func lostAnswer(
    _ visit: TraceVisit, _ flow: PacketTrace.Flow, to question: PacketTrace.Flow?, sentBy uplink: Int32?
  ) -> String {
    var flow = flow
    // The host's address, which the question was given, becomes the asker's again where the nat chains have been.
    if visit.hook == .prerouting, let question, isOwn(flow.destination) { flow.destination = question.source }
    let loss = loss(after: visit, flow)
    guard visit.hook == .prerouting, let incoming = visit.incomingLink, let uplink, incoming != uplink else {
      return loss
    }
    return "the answer came in by \(name(incoming)), but the request left by \(name(uplink)); \(loss)"
  }

  /// How what a rule of ours keeps from a link of the host's can be let pass; nil for other rules.
  func remedy(for rule: PacketTrace.Rule, _ visit: TraceVisit?, _ family: AddressFamily) -> String? {
    guard let visit, rule.table == FirewallSets.table.name, let handle = rule.handle,
      let key = rules[FirewallSets.table]?[handle], key == RuleKey(guardOf: family),
      let incoming = visit.incomingLink, let outgoing = visit.outgoingLink
    else { return nil }
    return "to let it pass: a rule before ours, iifname \"\(name(incoming))\" oifname \"\(name(outgoing))\" "
      + "\(Engine.marking), at the hook forward with a priority below 0; or "
      + "\(Engine.everythingPasses(family)), where all links are to forward to all"
  }
}
