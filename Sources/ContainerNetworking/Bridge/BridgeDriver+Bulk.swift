import Netlink
import NetworkPrimitives

extension BridgeDriver {
  /// Creates many endpoints as ``connect(_:to:in:routes:)`` creates one, with one nftables transaction for all. The
  /// host's kernel gets as many requests in one send as fit.
  ///
  /// - Returns: One entry for each endpoint: nil, or its failure with the leftovers of the undo.
  func connect(_ plugs: [EndpointPlug]) -> [NetworkError?] {
    var failures: [NetworkError?] = []
    do throws(NetworkError) {
      var elements = FirewallElements()
      for plug in plugs { elements.add(FirewallElements(plug.endpoint, on: plug.network)) }
      try firewall.add(elements)
      failures = try makePairs(plugs)
    } catch {
      // No element was added, or the answers were lost; connecting each endpoint alone finds the faulty one.
      return plugs.map { plug in
        let leftovers = takeBack(plug)
        guard leftovers.isEmpty else { return error.withoutLeftovers.with(leftovers: leftovers) }
        do throws(NetworkError) {
          try connect(
            plug.endpoint, to: plug.network, in: plug.namespace, routes: plug.routes)
          return nil
        } catch { return error }
      }
    }
    for (index, plug) in plugs.enumerated() {
      do throws(NetworkError) {
        if let failure = failures[index] { throw failure }
        try forgetFlows(of: plug.endpoint.ports, to: plug.endpoint, isReleased: false)
      } catch { failures[index] = error.withoutLeftovers.with(leftovers: takeBack(plug)) }
    }
    return failures
  }

  /// Removes all parts of an endpoint, including any link of its name: the name is random, and recorded as its own.
  private func takeBack(_ plug: EndpointPlug) -> [NetworkError] {
    disconnect(plug.endpoint, from: plug.network) { () throws(NetworkError) in plug.namespace }
  }

  /// - Throws: When answers were lost; it is then unknown which links were made.
  private func makePairs(_ plugs: [EndpointPlug]) throws(NetworkError) -> [NetworkError?] {
    var bridges: [InterfaceName: Int32] = [:]
    var requests: [NetlinkRequest] = []
    var starts: [Int] = []
    for plug in plugs {
      let name = try plug.network.bridge(of: plug.endpoint)
      if bridges[name] == nil { bridges[name] = try host.links.get("\(name)").index }
      starts.append(requests.count)
      requests += try pairRequests(plug.endpoint, plug.network, bridges[name] ?? 0, plug.namespace)
    }
    let outcomes = try host.connection(.route).perform(requests)
    var failures: [NetworkError?] = []
    var insides: [Int32] = []
    for (number, plug) in plugs.enumerated() {
      let end = number + 1 < starts.count ? starts[number + 1] : outcomes.count
      if let echo = outcomes[starts[number]].replies.first { uplinks.note(port: try Link.index(in: echo)) }
      let result = settle(plug, outcomes[starts[number]..<end])
      failures.append(result.failure)
      insides.append(result.index)
    }
    // The order in which the carrier comes up, see `plug(_:to:in:routes:)`. Also verifies that the bridges are the
    // same.
    let names = bridges.keys.sorted { "\($0)" < "\($1)" }
    var last: [NetlinkRequest] = []
    var owners: [Int] = []
    for index in plugs.indices where failures[index] == nil {
      let (endpoint, network) = (plugs[index].endpoint, plugs[index].network)
      let requests = try portSettings(endpoint, network) + [LinkRequests.glance(at: endpoint.requirePort())]
      last += requests
      owners += requests.map { _ in index }
    }
    let ends = try host.connection(.route).perform(last + names.map { LinkRequests.glance(at: $0) })
    for (index, end) in zip(owners, ends) where failures[index] == nil { failures[index] = end.error }
    try tellBridges(
      plugs.indices.filter { failures[$0] == nil }.map {
        (plugs[$0].endpoint, plugs[$0].network, outcomes[starts[$0]].replies.first)
      })
    for (index, plug) in plugs.enumerated() where failures[index] == nil && plug.endpoint.announcesToAll == true {
      do throws(NetworkError) { try announce(plug.endpoint, insides[index], in: plug.namespace) } catch {
        failures[index] = error
      }
    }
    let looks = ends.suffix(names.count)
    for (name, look) in zip(names, looks) {
      if let error = look.error { throw error }
      guard let reply = look.replies.first else { continue }
      if let plug = plugs.first(where: { (try? $0.network.bridge(of: $0.endpoint)) == name }) {
        try heed(reply, ofBridgeOf: plug.network, isFirst: plug.endpoint.bridge == nil)
      }
      guard try Link.index(in: reply) != bridges[name] else { continue }
      throw NetworkError(
        .inUse, operation: "make veth pairs on \(name)", reason: "it was deleted and made again meanwhile; try again")
    }
    return failures
  }

  /// Configures the container's end of a requested pair.
  ///
  /// - Returns: Its index, and its failure, if any.
  private func settle(
    _ plug: EndpointPlug, _ outcomes: ArraySlice<NetlinkConnection.Outcome>
  ) -> (index: Int32, failure: NetworkError?) {
    do throws(NetworkError) {
      for outcome in outcomes { if let error = outcome.error { throw error } }
      let inside = try insideIndex(of: plug.endpoint, outcomes.first?.replies.first, in: plug.namespace)
      try configure(plug.endpoint, inside, in: plug.namespace, routes: plug.routes)
      return (inside, nil)
    } catch { return (0, error) }
  }
}
