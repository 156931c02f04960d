import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// An entry of a neighbour table, or of a bridge's forwarding table.
struct SimulatedNeighbor: Hashable {
  var family: UInt8
  var link: Int32
  var state: UInt16
  var flags: UInt8
  /// `NDA_DST`: the address of the neighbour.
  var destination: [UInt8]?
  /// `NDA_LLADDR`.
  var macAddress: [UInt8]?

  /// Whether it is an entry of a bridge (`AF_BRIDGE`).
  var isOfBridge: Bool { family == 7 }
  /// Whether it is permanent (`NUD_NOARP`, `NUD_PERMANENT`); a bridge ages the others.
  var isLasting: Bool { state & 0xc0 != 0 }
  /// Whether it is for the link's bridge, not for the link itself (`NTF_MASTER`).
  var isForMaster: Bool { flags & 4 != 0 }

  func isSame(as other: SimulatedNeighbor) -> Bool {
    guard family == other.family, link == other.link else { return false }
    return isOfBridge ? macAddress == other.macAddress : destination == other.destination
  }
}

/// `RTM_NEWNEIGH`, `RTM_DELNEIGH` and `RTM_GETNEIGH`.
extension SimulatedState {
  mutating func newNeighbor(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let neighbor = try Self.neighbor(request.payload)
    guard namespaces[namespace]?.links[neighbor.link] != nil else { throw refusal(.noDevice) }
    try Self.check(neighbor)
    // rtnl_fdb_add checks the bridge, and br_fdb_add the port's state.
    if neighbor.isOfBridge, neighbor.isForMaster, let link = namespaces[namespace]?.links[neighbor.link] {
      guard link.master != nil else { throw refusal(.notSupportedOnSocket) }
      guard neighbor.isLasting || hasCarrier(link, in: namespace) else { throw refusal(.notPermitted) }
      // A bridge has an address behind one port only.
      let others = Set(namespaces[namespace]?.links.values.filter { $0.master == link.master }.map(\.index) ?? [])
      namespaces[namespace]?.neighbors.removeAll {
        $0.isOfBridge && $0.macAddress == neighbor.macAddress && $0.link != neighbor.link && others.contains($0.link)
      }
    }
    if let index = namespaces[namespace]?.neighbors.firstIndex(where: { $0.isSame(as: neighbor) }) {
      if request.flags.contains(.exclusive) { throw refusal(.fileExists) }
      namespaces[namespace]?.neighbors[index] = neighbor
    } else {
      guard request.flags.contains(.create) else { throw refusal(.noSuchFileOrDirectory) }
      namespaces[namespace]?.neighbors.append(neighbor)
    }
    notifyNeighbor(neighbor, in: namespace, type: Int32(RTM_NEWNEIGH))
    return []
  }

  mutating func deleteNeighbor(
    _ request: NetlinkMessage, in namespace: UInt64
  ) throws(NetworkError) -> [SimulatedReply] {
    let neighbor = try Self.neighbor(request.payload)
    guard namespaces[namespace]?.links[neighbor.link] != nil else { throw refusal(.noDevice) }
    guard let index = namespaces[namespace]?.neighbors.firstIndex(where: { $0.isSame(as: neighbor) }) else {
      throw refusal(.noSuchFileOrDirectory)
    }
    guard var removed = namespaces[namespace]?.neighbors.remove(at: index) else { return [] }
    // It is notified as failed before it is removed.
    removed.state = 0x20  // NUD_FAILED
    removed.macAddress = nil
    if removed.family != 7 { notifyNeighbor(removed, in: namespace, type: Int32(RTM_NEWNEIGH)) }
    notifyNeighbor(removed, in: namespace, type: Int32(RTM_DELNEIGH))
    return []
  }

  func getNeighbors(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    var asked = try Self.neighbor(request.payload)
    if request.flags.contains(.dump) {
      asked.link = try Attributes(request.payload.dropFirst(12))[type: Int(NDA_IFINDEX)]?.integer() ?? 0
    }
    let known = (namespaces[namespace]?.neighbors ?? []).filter { neighbor in
      (asked.family == 0 ? neighbor.family != 7 : neighbor.family == asked.family)
        && (asked.link == 0 || neighbor.link == asked.link)
        && (request.flags.contains(.dump) || neighbor.isSame(as: asked))
    }
    guard request.flags.contains(.dump) || !known.isEmpty else {
      guard namespaces[namespace]?.links[asked.link] != nil else { throw refusal(.noDevice) }
      throw refusal(.noSuchFileOrDirectory, "Neighbour entry not found")
    }
    return known.map { Self.describe($0, type: Int32(RTM_NEWNEIGH)) }
  }

  private static func describe(_ neighbor: SimulatedNeighbor, type: Int32) -> SimulatedReply {
    var body = PayloadWriter()
    body.append(neighbor.family)
    body.appendZeros(3)
    body.append(neighbor.link)
    body.append(neighbor.state)
    body.append(neighbor.flags)
    body.append(UInt8(0))
    if let destination = neighbor.destination { body.attribute(Int(NDA_DST), bytes: destination) }
    if let address = neighbor.macAddress { body.attribute(Int(NDA_LLADDR), bytes: address) }
    return SimulatedReply(type: UInt16(type), payload: body.bytes)
  }

  /// Removes the entries of a link that goes down.
  mutating func forgetNeighbors(of place: LinkReference) {
    for neighbor in namespaces[place.namespace]?.neighbors ?? [] where neighbor.link == place.index {
      notifyNeighbor(neighbor, in: place.namespace, type: Int32(RTM_DELNEIGH))
    }
    namespaces[place.namespace]?.neighbors.removeAll { $0.link == place.index }
  }

  private mutating func notifyNeighbor(_ neighbor: SimulatedNeighbor, in namespace: UInt64, type: Int32) {
    notify(Self.describe(neighbor, type: type), group: Int(RTNLGRP_NEIGH.rawValue), in: namespace)
  }

  /// The checks of `neigh_add` and, for a bridge's entry, of `rtnl_fdb_add`.
  private static func check(_ neighbor: SimulatedNeighbor) throws(NetworkError) {
    if neighbor.isOfBridge {
      guard neighbor.macAddress?.count == 6 else { throw refusal(.invalidArgument, "invalid address") }
      return
    }
    guard let destination = neighbor.destination else {
      throw refusal(.invalidArgument, "Network address not specified")
    }
    guard neighbor.macAddress.map({ $0.count == 6 }) ?? true else {
      throw refusal(.invalidArgument, "Invalid link address")
    }
    guard let family = AddressFamily(rawValue: neighbor.family) else { throw refusal(.familyNotSupported) }
    guard destination.count == family.bitWidth / 8 else { throw refusal(.invalidArgument, "Invalid network address") }
  }

  private static func neighbor(_ payload: ArraySlice<UInt8>) throws(NetworkError) -> SimulatedNeighbor {
    var reader = PayloadReader(payload)
    let family: UInt8 = try reader.read()
    try reader.skip(3)
    let link: Int32 = try reader.read()
    let state: UInt16 = try reader.read()
    let flags: UInt8 = try reader.read()
    try reader.skip(1)
    let attributes = try Attributes(reader.rest)
    return SimulatedNeighbor(
      family: family, link: link, state: state, flags: flags,
      destination: attributes[type: Int(NDA_DST)].map { Array($0.payload) },
      macAddress: attributes[type: Int(NDA_LLADDR)].map { Array($0.payload) })
  }
}
