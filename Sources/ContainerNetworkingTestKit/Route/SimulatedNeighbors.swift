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
  /// `NDA_PORT`, `NDA_VNI` and `NDA_IFINDEX`: of a VXLAN's forwarding entry.
  var port: UInt16?
  var identifier: UInt32?
  var outgoingLink: Int32?

  /// Whether it is a forwarding entry, of a bridge or of a link (`AF_BRIDGE`).
  var isOfBridge: Bool { family == 7 }
  /// Whether it is permanent (`NUD_NOARP`, `NUD_PERMANENT`); a bridge ages the others.
  var isLasting: Bool { state & 0xc0 != 0 }
  /// In a request, whether it is for the link's bridge (`NTF_MASTER`, or no flag).
  var isForMaster: Bool { flags == 0 || flags & UInt8(NTF_MASTER) != 0 }
  /// Whether it is of the link's own table (`NTF_SELF`).
  var isForLink: Bool { flags & UInt8(NTF_SELF) != 0 }

  func isSame(as other: SimulatedNeighbor) -> Bool {
    family == other.family && link == other.link && destination == other.destination
  }
}

/// `RTM_NEWNEIGH`, `RTM_DELNEIGH` and `RTM_GETNEIGH`.
extension SimulatedState {
  mutating func newNeighbor(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let neighbor = try Self.neighbor(request.payload)
    if neighbor.isOfBridge {
      try newForwardingEntry(neighbor, request.flags, in: namespace)
      return []
    }
    guard namespaces[namespace]?.links[neighbor.link] != nil else { throw refusal(.noDevice) }
    try Self.check(neighbor)
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
    if neighbor.isOfBridge {
      try deleteForwardingEntry(neighbor, in: namespace)
      return []
    }
    guard namespaces[namespace]?.links[neighbor.link] != nil else { throw refusal(.noDevice) }
    guard let index = namespaces[namespace]?.neighbors.firstIndex(where: { $0.isSame(as: neighbor) }) else {
      throw refusal(.noSuchFileOrDirectory)
    }
    guard var removed = namespaces[namespace]?.neighbors.remove(at: index) else { return [] }
    // It is notified as failed before it is removed.
    removed.state = 0x20  // NUD_FAILED
    removed.macAddress = nil
    notifyNeighbor(removed, in: namespace, type: Int32(RTM_NEWNEIGH))
    notifyNeighbor(removed, in: namespace, type: Int32(RTM_DELNEIGH))
    return []
  }

  func getNeighbors(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    var asked = try Self.neighbor(request.payload)
    if asked.isOfBridge {
      let entries = try getForwardingEntries(
        asked, request.payload, isDump: request.flags.contains(.dump), in: namespace)
      return entries.map { describe($0, in: namespace, type: Int32(RTM_NEWNEIGH)) }
    }
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
    return known.map { describe($0, in: namespace, type: Int32(RTM_NEWNEIGH)) }
  }

  private func describe(_ neighbor: SimulatedNeighbor, in namespace: UInt64, type: Int32) -> SimulatedReply {
    var body = PayloadWriter()
    body.append(neighbor.family)
    body.appendZeros(3)
    body.append(neighbor.link)
    body.append(neighbor.state)
    body.append(neighbor.flags)
    body.append(UInt8(0))
    if let destination = neighbor.destination { body.attribute(Int(NDA_DST), bytes: destination) }
    if let address = neighbor.macAddress { body.attribute(Int(NDA_LLADDR), bytes: address) }
    if let port = neighbor.port { body.attribute(Int(NDA_PORT), bigEndian: port) }
    if let identifier = neighbor.identifier { body.attribute(Int(NDA_VNI), identifier) }
    if let link = neighbor.outgoingLink { body.attribute(Int(NDA_IFINDEX), link) }
    if neighbor.isOfBridge, !neighbor.isForLink, let link = namespaces[namespace]?.links[neighbor.link] {
      body.attribute(Int(NDA_MASTER), link.master ?? link.index)
    }
    return SimulatedReply(type: UInt16(type), payload: body.bytes)
  }

  /// Removes the entries of a link that goes down or away; forwarding entries that do not age survive the former.
  mutating func forgetNeighbors(of place: LinkReference, isGone: Bool = true) {
    forget(in: place.namespace) { $0.link == place.index && (isGone || !$0.isOfBridge || !$0.isLasting) }
  }

  mutating func notifyNeighbor(_ neighbor: SimulatedNeighbor, in namespace: UInt64, type: Int32) {
    notify(describe(neighbor, in: namespace, type: type), group: Int(RTNLGRP_NEIGH.rawValue), in: namespace)
  }

  /// The checks of `neigh_add`.
  private static func check(_ neighbor: SimulatedNeighbor) throws(NetworkError) {
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
    var neighbor = SimulatedNeighbor(
      family: family, link: link, state: state, flags: flags,
      destination: attributes[type: Int(NDA_DST)].map { Array($0.payload) },
      macAddress: attributes[type: Int(NDA_LLADDR)].map { Array($0.payload) })
    guard neighbor.isOfBridge else { return neighbor }
    neighbor.port = try attributes[type: Int(NDA_PORT)]?.bigEndian()
    neighbor.identifier = try attributes[type: Int(NDA_VNI)]?.integer()
    neighbor.outgoingLink = try attributes[type: Int(NDA_IFINDEX)]?.integer()
    return neighbor
  }
}
