import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// Forwarding entries of bridges and VXLANs: `rtnl_fdb_add`, `rtnl_fdb_del`, `rtnl_fdb_get` and `rtnl_fdb_dump` of
/// net/core/rtnetlink.c.
extension SimulatedState {
  mutating func newForwardingEntry(
    _ entry: SimulatedNeighbor, _ flags: MessageFlags, in namespace: UInt64
  ) throws(NetworkError) {
    let link = try ethernet(entry, in: namespace)
    var entry = entry
    var isDone = false
    if entry.isForMaster, let bridge = link.master {
      try add(entry, toBridge: bridge, port: link, flags, in: namespace)
      entry.flags &= ~UInt8(NTF_MASTER)
      isDone = true
    }
    if entry.isForLink {
      if let vxlan = link.vxlan {
        try add(entry, to: vxlan, flags, in: namespace)
      } else if link.kind == "bridge" {
        try add(entry, toBridge: link.index, port: nil, flags, in: namespace)
      } else {
        try addFilter(entry, flags, in: namespace)
      }
      isDone = true
    }
    guard isDone else { throw refusal(.notSupportedOnSocket) }
  }

  mutating func deleteForwardingEntry(_ entry: SimulatedNeighbor, in namespace: UInt64) throws(NetworkError) {
    let link = try ethernet(entry, in: namespace)
    var isDone = false
    if entry.isForMaster, link.master != nil {
      let found = namespaces[namespace]?.neighbors.first {
        $0.isOfBridge && !$0.isForLink && $0.macAddress == entry.macAddress && $0.link == link.index
      }
      guard let found else { throw refusal(.noSuchFileOrDirectory) }
      forget(in: namespace) { $0 == found }
      isDone = true
    }
    if entry.isForLink {
      let found = entries(for: entry, in: namespace)
      guard !found.isEmpty else { throw refusal(.noSuchFileOrDirectory) }
      let asked = link.vxlan.map { entry.normalized(for: $0) } ?? entry
      // A destination that is not there is no fault (`__vxlan_fdb_delete`).
      let gone = found.filter { asked.destination == nil || $0.hasSameDestination(as: asked) }
      forget(in: namespace) { gone.contains($0) }
      isDone = true
    }
    guard isDone else { throw refusal(.notSupportedOnSocket) }
  }

  func getForwardingEntries(
    _ asked: SimulatedNeighbor, _ payload: ArraySlice<UInt8>, isDump: Bool, in namespace: UInt64
  ) throws(NetworkError) -> [SimulatedNeighbor] {
    let attributes = try Attributes(payload.dropFirst(12))
    guard isDump else { return [try getForwardingEntry(asked, in: namespace)] }
    let isFiltered = asked.state != 0 || asked.flags != 0
    if isFiltered { throw refusal(.invalidArgument, "Invalid values in header for fdb dump request") }
    var port = asked.link
    var bridge: Int32 = 0
    for attribute in attributes {
      switch attribute.type {
      case Int(NDA_IFINDEX): port = try attribute.integer()
      case Int(NDA_MASTER): bridge = try attribute.integer()
      default: throw refusal(.invalidArgument, "Unsupported attribute in fdb dump request")
      }
    }
    let links = namespaces[namespace]?.links ?? [:]
    if bridge != 0, links[bridge] == nil { throw refusal(.noDevice) }
    return links.values.sorted { $0.index < $1.index }.filter { link in
      (port == 0 || link.index == port) && (bridge == 0 || link.index == bridge || link.master == bridge)
    }
    .flatMap { link in
      // Of each link, what its bridge knows comes first.
      let own = (namespaces[namespace]?.neighbors ?? []).filter { $0.isOfBridge && $0.link == link.index }
      return own.filter { !$0.isForLink } + localEntries(of: link, in: namespace) + own.filter { $0.isForLink }
    }
  }

  private func getForwardingEntry(
    _ asked: SimulatedNeighbor, in namespace: UInt64
  ) throws(NetworkError) -> SimulatedNeighbor {
    guard asked.macAddress?.count == 6 else { throw refusal(.invalidArgument, "Invalid address in fdb get request") }
    guard asked.link != 0 else { throw refusal(.noDevice, "No device specified") }
    guard let link = namespaces[namespace]?.links[asked.link] else {
      throw refusal(.noDevice, "Unknown device ifindex")
    }
    if asked.isForMaster {
      guard let bridge = link.master else { throw refusal(.invalidArgument, "Device is not a bridge port") }
      if let found = bridgeEntry(asked.macAddress, bridge, in: namespace) { return found }
    } else {
      guard link.vxlan != nil else {
        throw refusal(.notSupportedOnSocket, "Fdb get operation not supported by device")
      }
      if let found = entries(for: asked, in: namespace).first { return found }
    }
    throw refusal(.noSuchFileOrDirectory, "Fdb entry not found")
  }

  // MARK: - Tables

  /// The link of a request.
  private func ethernet(_ entry: SimulatedNeighbor, in namespace: UInt64) throws(NetworkError) -> SimulatedLink {
    guard entry.link != 0 else { throw refusal(.invalidArgument, "invalid ifindex") }
    guard let link = namespaces[namespace]?.links[entry.link] else { throw refusal(.noDevice, "unknown ifindex") }
    guard entry.macAddress?.count == 6 else { throw refusal(.invalidArgument, "invalid address") }
    guard !link.isLoopback else {
      throw refusal(.invalidArgument, "FDB add only supported for Ethernet devices")
    }
    return link
  }

  /// The entries of a link's own table for an address: one for each destination.
  private func entries(for asked: SimulatedNeighbor, in namespace: UInt64) -> [SimulatedNeighbor] {
    (namespaces[namespace]?.neighbors ?? []).filter {
      $0.isOfBridge && $0.isForLink && $0.link == asked.link && $0.macAddress == asked.macAddress
    }
  }

  private func bridgeEntry(_ address: [UInt8]?, _ bridge: Int32, in namespace: UInt64) -> SimulatedNeighbor? {
    guard let content = namespaces[namespace] else { return nil }
    let links = content.links.values.filter { $0.master == bridge || $0.index == bridge }
    let indices = Set(links.map(\.index))
    return content.neighbors.first {
      $0.isOfBridge && !$0.isForLink && $0.macAddress == address && indices.contains($0.link)
    } ?? links.flatMap { localEntries(of: $0, in: namespace) }.first { $0.macAddress == address }
  }

  /// The hardware addresses of a bridge and its ports are its own (`br_fdb_change_mac_address`, `br_fdb_add_local`).
  private func localEntries(of link: SimulatedLink, in namespace: UInt64) -> [SimulatedNeighbor] {
    let ports = namespaces[namespace]?.links.values.filter { $0.master == link.index } ?? []
    let isShown = link.master != nil || link.kind == "bridge" && !ports.contains { $0.macAddress == link.macAddress }
    guard isShown else { return [] }
    let mates = Set(
      (namespaces[namespace]?.links.values.filter { link.master != nil && $0.master == link.master } ?? []).map(\.index)
    )
    let isPlaced = (namespaces[namespace]?.neighbors ?? []).contains {
      $0.isOfBridge && !$0.isForLink && $0.macAddress == link.macAddress
        && ($0.link == link.index || mates.contains($0.link))
    }
    if isPlaced { return [] }
    return [
      SimulatedNeighbor(
        family: 7, link: link.index, state: Neighbor.State.permanent.rawValue, flags: 0, macAddress: link.macAddress)
    ]
  }

  /// `br_fdb_add` and `fdb_add_entry` of net/bridge/br_fdb.c.
  private mutating func add(
    _ entry: SimulatedNeighbor, toBridge bridge: Int32, port: SimulatedLink?, _ flags: MessageFlags,
    in namespace: UInt64
  ) throws(NetworkError) {
    let isPermanent = entry.state & 0x80 != 0
    guard entry.isLasting || entry.state & 0x02 != 0, entry.macAddress?.contains(where: { $0 != 0 }) == true else {
      throw refusal(.invalidArgument)
    }
    if let port, !entry.isLasting, !hasCarrier(port, in: namespace) { throw refusal(.notPermitted) }
    if port == nil, !isPermanent { throw refusal(.invalidArgument) }
    var made = entry
    made.flags = 0
    made.state = isPermanent ? 0x80 : entry.isLasting ? 0x40 : 0x02
    made.destination = nil
    if let known = bridgeEntry(entry.macAddress, bridge, in: namespace) {
      if flags.contains(.exclusive) { throw refusal(.fileExists) }
      if let index = namespaces[namespace]?.neighbors.firstIndex(of: known) {
        namespaces[namespace]?.neighbors[index] = made
      } else {
        namespaces[namespace]?.neighbors.append(made)
      }
      if known.link == made.link, known.state == entry.state { return }
    } else {
      guard flags.contains(.create) else { throw refusal(.noSuchFileOrDirectory) }
      namespaces[namespace]?.neighbors.append(made)
    }
    notifyNeighbor(made, in: namespace, type: Int32(RTM_NEWNEIGH))
  }

  /// `vxlan_fdb_add` and `vxlan_fdb_update` of drivers/net/vxlan/vxlan_core.c.
  private mutating func add(
    _ entry: SimulatedNeighbor, to vxlan: SimulatedVxlan, _ flags: MessageFlags, in namespace: UInt64
  ) throws(NetworkError) {
    guard entry.state & 0x82 != 0, let destination = entry.destination else { throw refusal(.invalidArgument) }
    guard [4, 16].contains(destination.count) else {
      throw refusal(.familyNotSupported, "Unsupported address family")
    }
    if let link = entry.outgoingLink, namespaces[namespace]?.links[link] == nil {
      throw refusal(.addressAbsent, "Device not found")
    }
    guard destination.count == vxlan.family.bitWidth / 8 else { throw refusal(.familyNotSupported) }
    let made = entry.normalized(for: vxlan)
    let isOfMany = made.macAddress.map { $0[0] & 1 == 1 || $0.allSatisfy { $0 == 0 } } ?? false
    let known = entries(for: entry, in: namespace)
    guard !known.isEmpty else {
      guard flags.contains(.create) else { throw refusal(.noSuchFileOrDirectory) }
      if flags.contains(.replace), isOfMany { throw refusal(.notSupportedOnSocket) }
      let count = Set(namespaces[namespace]?.neighbors.filter { $0.isForLink && $0.link == made.link } ?? [])
      if vxlan.options.maximumEntries != 0, count.count >= vxlan.options.maximumEntries { throw refusal(.noSpace) }
      namespaces[namespace]?.neighbors.append(made)
      notifyNeighbor(made, in: namespace, type: Int32(RTM_NEWNEIGH))
      return
    }
    if flags.contains(.exclusive) { throw refusal(.fileExists) }
    var isChanged = false
    for index in namespaces[namespace]?.neighbors.indices ?? 0..<0 {
      guard let old = namespaces[namespace]?.neighbors[index], known.contains(old), old.state != made.state else {
        continue
      }
      namespaces[namespace]?.neighbors[index].state = made.state
      isChanged = true
    }
    let isThere = known.contains { $0.hasSameDestination(as: made) }
    if flags.contains(.replace) {
      if isOfMany { throw refusal(.notSupportedOnSocket, "Cannot replace non-unicast fdb entries") }
      if !isThere, let index = namespaces[namespace]?.neighbors.firstIndex(where: { $0.isDestination(like: known[0]) })
      {
        namespaces[namespace]?.neighbors[index] = made
        isChanged = true
      }
    }
    if flags.contains(.append), isOfMany, !isThere {
      namespaces[namespace]?.neighbors.append(made)
      isChanged = true
    }
    if isChanged { notifyNeighbor(made, in: namespace, type: Int32(RTM_NEWNEIGH)) }
  }

  /// `ndo_dflt_fdb_add`: a further hardware address that a link receives by.
  private mutating func addFilter(
    _ entry: SimulatedNeighbor, _ flags: MessageFlags, in namespace: UInt64
  ) throws(NetworkError) {
    guard entry.state == 0 || entry.state & 0x80 != 0 else {
      throw refusal(.invalidArgument, "FDB only supports static addresses")
    }
    var made = entry
    made.state = 0x80
    made.flags = UInt8(NTF_SELF)
    made.destination = nil
    guard entries(for: entry, in: namespace).isEmpty else {
      if flags.contains(.exclusive) { throw refusal(.fileExists) }
      return
    }
    namespaces[namespace]?.neighbors.append(made)
    notifyNeighbor(made, in: namespace, type: Int32(RTM_NEWNEIGH))
  }

  // MARK: - Loss

  /// Removes forwarding entries, and tells of it.
  mutating func forget(in namespace: UInt64, _ isGone: (SimulatedNeighbor) -> Bool) {
    for entry in namespaces[namespace]?.neighbors ?? [] where isGone(entry) {
      notifyNeighbor(entry, in: namespace, type: Int32(RTM_DELNEIGH))
    }
    namespaces[namespace]?.neighbors.removeAll(where: isGone)
  }

  /// The bridge forgets what is behind a port that leaves it.
  mutating func forgetPort(_ index: Int32, in namespace: UInt64) {
    forget(in: namespace) { $0.isOfBridge && !$0.isForLink && $0.link == index }
  }
}

extension SimulatedNeighbor {
  /// As a VXLAN reports it: its own port and VNI are not told.
  fileprivate func normalized(for vxlan: SimulatedVxlan) -> SimulatedNeighbor {
    var entry = self
    if port == vxlan.options.port { entry.port = nil }
    if identifier == vxlan.options.identifier { entry.identifier = nil }
    entry.flags = UInt8(NTF_SELF)
    return entry
  }

  fileprivate func hasSameDestination(as other: SimulatedNeighbor) -> Bool {
    destination == other.destination && port == other.port && identifier == other.identifier
      && outgoingLink == other.outgoingLink
  }

  /// Whether it is that destination of that entry, whatever its state.
  fileprivate func isDestination(like other: SimulatedNeighbor) -> Bool {
    isOfBridge && isForLink && link == other.link && macAddress == other.macAddress && hasSameDestination(as: other)
  }
}
