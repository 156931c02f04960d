import Netlink
import NetworkPrimitives
import SystemPackage

/// The further bridges of a network. They form a star around the first one, so that a frame passes three bridges at
/// most.
extension BridgeDriver {
  /// Creates a further bridge, joined to the first and up; existing parts stay.
  ///
  /// - Throws: `.exhausted` (`EXFULL`) when the first bridge has no free port for it; `.alreadyExists` for a foreign
  ///   link of its name, or of its trunk's. The caller removes the parts made until then with ``remove(_:of:)``.
  func make(_ further: FurtherBridge, of network: NetworkRecord) throws(NetworkError) {
    let first = try host.links.get("\(network.requireBridge())").index
    // The rules precede the bridge: from its first frame on, the bridge delivers nothing to the host.
    try firewall.include(FirewallElements(further, of: network))
    let bridge = try makeSwitch(further, of: network)
    let (trunk, uplink) = (try further.trunk, try further.uplink)
    var quiet = LinkChange()
    quiet.makesLinkLocalAddress = false
    try makeTrunk(further, of: network)
    var requests: [NetlinkRequest] = []
    for (name, master) in [(trunk, first), (uplink, bridge)] {
      requests.append(LinkRequests.change(named: name, quiet))
      var asPort = LinkChange(isUp: true)
      asPort.master = master
      requests.append(LinkRequests.change(named: name, asPort))
      var options = BridgePortOptions()
      // A frame that was flooded on its own bridge is flooded here, too: see `BridgePorts.swift`.
      options.suppressesNeighbors = true
      if name == trunk { options.isHairpin = passesBridgeNetfilter }
      requests.append(LinkRequests.changeBridgePort(named: name, options))
    }
    requests.append(LinkRequests.change(bridge, LinkChange(isUp: true)))
    // Makes the carrier come up at once, not when linkwatch runs (linkwatch_sync_dev in rtnl_getlink).
    requests += [uplink, trunk, further.name].map { LinkRequests.glance(at: $0) }
    try host.perform(requests)
  }

  private func makeTrunk(_ further: FurtherBridge, of network: NetworkRecord) throws(NetworkError) {
    let (trunk, uplink) = (try further.trunk, try further.uplink)
    do throws(NetworkError) {
      try host.connection(.route).execute(
        LinkRequests.createVeth(VethEnd(trunk), peer: VethEnd(uplink), mtu: network.mtu))
    } catch {
      guard error.code == .alreadyExists else { throw error }
      if try self.trunk(of: further) != nil { return }
      let others = [trunk, uplink].filter { (try? host.links.get("\($0)")) != nil }.map { "\"\($0)\"" }
      throw NetworkError(
        .alreadyExists, operation: "join bridge \"\(further.name)\" of network \"\(network.name)\" to its first",
        reason:
          "of the veth pair \"\(trunk)\" and \"\(uplink)\", \(others.joined(separator: " and ")) exists and is not "
          + "ours; delete or rename it", causes: [error])
    }
  }

  /// The index of a further bridge's trunk; nil unless trunk and uplink are the two ends of a veth pair.
  func trunk(of further: FurtherBridge) throws(NetworkError) -> Int32? {
    do throws(NetworkError) {
      let (trunk, uplink) = (try host.links.get("\(further.trunk)"), try host.links.get("\(further.uplink)"))
      let isPair = trunk.kind == "veth" && uplink.kind == "veth" && trunk.peer == uplink.index
      // An index in another namespace is meaningless here.
      return isPair && trunk.peerNamespaceID == nil ? trunk.index : nil
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  /// The bridge itself, a switch alone.
  private func makeSwitch(_ further: FurtherBridge, of network: NetworkRecord) throws(NetworkError) -> Int32 {
    var options = BridgeOptions()
    options.learnsFromGroups = false
    let mac = further.macAddress(ofNetwork: network.id)
    let link: Link
    do throws(NetworkError) {
      try host.connection(.route).execute(
        LinkRequests.createBridge(further.name, macAddress: mac, mtu: network.mtu, options: options))
      link = try host.links.get("\(further.name)")
    } catch {
      guard error.code == .alreadyExists, let there = try? host.links.get("\(further.name)") else { throw error }
      link = there
    }
    guard isOurs(kind: link.kind, link.macAddress, further, network) else {
      throw NetworkError(
        .alreadyExists, operation: "make bridge \"\(further.name)\" of network \"\(network.name)\"",
        reason: "a link of that name exists and is not ours; delete or rename it")
    }
    var settings = LinkChange()
    settings.makesLinkLocalAddress = false
    settings.forwardsIPv4 = false
    try host.perform([LinkRequests.change(link.index, settings)])
    // Keeps it from answering ARP even while our rules are missing: the gateway is the first bridge.
    try host.setSysctl("net/ipv4/conf/\(further.name)/arp_ignore", to: "8")
    do throws(NetworkError) { try host.setSysctl("net/ipv6/conf/\(further.name)/disable_ipv6", to: "1") } catch {
      // A host booted without IPv6 has no such sysctl.
      if error.code != .notFound { throw error }
    }
    return link.index
  }

  /// Whether br_netfilter passes bridged frames through the IP rules, which may redirect them within a bridge. Then a
  /// frame between two containers of one further bridge, sent to a published port, returns by the trunk on which it
  /// arrived.
  private var passesBridgeNetfilter: Bool {
    ["iptables", "ip6tables"].contains { (try? host.sysctl("net/bridge/bridge-nf-call-\($0)")) == "1" }
  }

  private func isOurs(
    kind: String?, _ address: MACAddress?, _ further: FurtherBridge, _ network: NetworkRecord
  ) -> Bool { kind == "bridge" && address == further.macAddress(ofNetwork: network.id) }

  /// Removes a further bridge. Tries every step and returns the failures; a missing object is no failure.
  func remove(_ further: FurtherBridge, of network: NetworkRecord) -> [NetworkError] {
    // Both ends at once.
    attempt { () throws(NetworkError) in
      if let trunk = try trunk(of: further) { try host.delete(LinkRequests.delete(trunk)) }
    }
      + attempt { () throws(NetworkError) in
        let link = try host.links.get("\(further.name)")
        if isOurs(kind: link.kind, link.macAddress, further, network) {
          try host.delete(LinkRequests.delete(link.index))
        }
      }
      + attempt { () throws(NetworkError) in try firewall.remove(FirewallElements(further, of: network)) }
  }

  /// The missing parts of a network's further bridges.
  func furtherDifferences(of network: NetworkRecord, _ host: HostSnapshot) throws(NetworkError) -> [Difference] {
    let first = host.links["\(try network.requireBridge())"]?.index
    var list: [Difference] = []
    for further in network.furtherBridges ?? [] where further.phase == .ready {
      let what = "the further bridge \(further.name) of network \"\(network.name)\""
      guard let bridge = host.links["\(further.name)"], isOurs(kind: bridge.kind, bridge.macAddress, further, network)
      else {
        list.append(Difference(.bridgeMissing, network: network.name, "\(what) is gone"))
        continue
      }
      let isUp = { (link: LinkGlance?) in link?.flags.contains(.up) == true }
      if !isUp(bridge) { list.append(Difference(.bridgeSettings, network: network.name, "\(what) is down")) }
      let (trunk, uplink) = (host.links["\(try further.trunk)"], host.links["\(try further.uplink)"])
      let isJoined = first != nil && trunk?.master == first && uplink?.master == bridge.index
      if passesBridgeNetfilter, trunk?.isHairpin == false {
        list.append(
          Difference(
            .bridgeSettings, network: network.name, "hairpin mode is off on the trunk port of \(what)"))
      }
      if [trunk, uplink].contains(where: { $0?.suppressesNeighbors == false }) {
        list.append(
          Difference(
            .bridgeSettings, network: network.name, "neighbour suppression is off on the trunk ports of \(what)"))
      }
      if !isJoined || !isUp(trunk) || !isUp(uplink) {
        list.append(
          Difference(.bridgeSettings, network: network.name, "\(what) is not joined to \(try network.requireBridge())"))
      }
    }
    return list
  }
}

extension NetworkError {
  /// Whether the cause is a bridge without a free port (`EXFULL`; `br_add_if` in net/bridge/br_if.c).
  var isBridgeFull: Bool { kernel?.errno == Errno(rawValue: 54) || causes.contains { $0.isBridgeFull } }
}
