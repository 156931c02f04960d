import Netlink
import NetworkPrimitives
import SystemPackage

/// Explains the loss of a packet that no rule dropped, with the kernel's own lookups.
extension TraceContext {
  /// The next hop of a packet that came in by a link, or that the host sends; nil if it needs none.
  func gateway(of flow: PacketTrace.Flow, by link: Int32?) -> IPAddress? {
    guard let link else { return (try? host.routes.get(to: flow.destination))?.gateway }
    return (try? host.routes.get(to: flow.destination, from: flow.source, by: link))?.gateway
  }

  /// The fate of a packet that was last seen in that visit.
  func loss(after visit: TraceVisit, _ flow: PacketTrace.Flow) -> String {
    let outgoing = visit.outgoingLink.map { name($0) } ?? "its link"
    let incoming = visit.incomingLink.map { name($0) } ?? "its link"
    switch (visit.table.family == .bridge, visit.hook) {
    case (true, .prerouting?):
      return
        "the bridge of \(incoming) passed it to no port: the frame is neither for the bridge nor for a port that is up"
    case (true, _): return "it was not seen after the bridge's port \(outgoing)"
    case (false, .prerouting?): return unrouted(visit, flow)
    case (false, .forward?): return "it was dropped after routing: its time to live has run out, or it is too large"
    case (false, .output?), (false, .postrouting?):
      if let link = visit.outgoingLink, let silent = silentNeighbor(of: flow, on: link) { return silent }
      return "it was not seen after \(outgoing)"
    default: return "it was not seen again"
    }
  }

  /// The packet's next neighbour, if its hardware address cannot be resolved.
  func silentNeighbor(of flow: PacketTrace.Flow, on link: Int32) -> String? {
    let next = gateway(of: flow, by: nil) ?? flow.destination
    let neighbor = try? host.neighbors.list(link: link).first { $0.address == next }
    guard let neighbor, neighbor.state == .failed || neighbor.state == .incomplete else { return nil }
    let question = next.family == .ipv4 ? "ARP" : "neighbour discovery"
    return "no host on \(name(link)) answers for \(next) (\(question))"
  }

  /// The routing's reason for a packet that was received and neither delivered nor forwarded.
  private func unrouted(_ visit: TraceVisit, _ flow: PacketTrace.Flow) -> String {
    guard let link = visit.incomingLink else { return "it was not routed" }
    let incoming = name(link)
    do throws(NetworkError) {
      let route = try host.routes.get(to: flow.destination, from: flow.source, by: link, mark: visit.mark ?? 0)
      switch route.kind {
      case .blackhole: return "a route of kind blackhole leads to \(flow.destination)"
      case .unreachable, .prohibit: return "a route of kind \(route.kind) leads to \(flow.destination)"
      case .local, .broadcast, .multicast, .anycast:
        return "it is for the host, and was lost on the way to a program"
      case .unicast:
        return idleLink(link, flow.destination.family) ?? "it was lost in routing, and the kernel does not say why"
      }
    } catch {
      switch error.kernel?.errno.rawValue {
      case 18, 22:  // EXDEV, EINVAL
        return refusedAddress(flow, link)
      case 113:  // EHOSTUNREACH
        if let network = network(of: link), network.isInternal {
          return "network \(network.name) is internal: its bridge \(incoming) does not forward"
        }
        return idleLink(link, flow.destination.family)
          ?? "no route leads from \(incoming) to \(flow.destination), or \(incoming) does not forward"
      case 101:  // ENETUNREACH
        return "no route leads to \(flow.destination)"
      case 13:  // EACCES
        return "a route of kind prohibit leads to \(flow.destination)"
      default: return "it was not routed: \(error.description)"
      }
    }
  }
}

extension TraceContext {
  /// The address check that a packet failed (`fib_validate_source` of the kernel's net/ipv4/fib_frontend.c).
  private func refusedAddress(_ flow: PacketTrace.Flow, _ link: Int32) -> String {
    let incoming = name(link)
    if isOwn(flow.source) {
      return "\(flow.source) is an address of the host: a packet from \(incoming) with that source is a martian"
    }
    let strictness = ["all", incoming].compactMap { try? host.sysctl("net/ipv4/conf/\($0)/rp_filter") }.max() ?? "0"
    let back = try? host.routes.get(to: flow.source)
    if flow.source.family == .ipv4, strictness != "0", back?.link != link {
      return "the reverse-path check refused it (net/ipv4/conf/\(incoming)/rp_filter is \(strictness)): "
        + "the route back to \(flow.source) does not use \(incoming)"
    }
    return "\(flow.source) or \(flow.destination) cannot be on \(incoming): a martian"
  }
}

extension Routes {
  /// The kernel's route for a packet that came in by a link.
  ///
  /// - Parameters:
  ///   - address: The packet's destination.
  ///   - source: The packet's source.
  ///   - link: Index of the incoming link.
  ///   - mark: The packet's mark.
  /// - Throws: The refusal of the packet: `EINVAL` as a martian or by `rp_filter`, `EHOSTUNREACH` or `ENETUNREACH`
  ///   without a route; `.notFound` for the link.
  public func get(
    to address: IPAddress, from source: IPAddress, by link: Int32, mark: UInt32 = 0
  ) throws(NetworkError) -> Route {
    let request = RouteRequests.get(to: address, from: source, by: link, mark: mark)
    guard let message = try namespace.connection(.route).execute(request).first, let route = try Route(message) else {
      throw NetworkError(
        .replyLost, operation: request.purpose, reason: "the kernel acknowledged the request, but sent no route")
    }
    return route
  }
}
