import CContainerNetworking
public import NetworkPrimitives

/// A change of a namespace's links, addresses, routes, neighbours or forwarding entries, as the kernel notifies of it
/// (`RTNLGRP_*` in `linux/rtnetlink.h`, rtnetlink(7)).
public enum NetworkChange: Hashable, Sendable {
  /// A link was added or changed.
  case linkChanged(Link)
  /// A link was deleted, or moved to another namespace.
  case linkRemoved(Link)
  /// An address was added, or its flags or lifetimes changed. An IPv6 address is reported once the link carries
  /// packets.
  case addressAdded(AssignedAddress)
  /// An address was removed.
  case addressRemoved(AssignedAddress)
  /// A route was added or replaced.
  case routeAdded(Route)
  /// A route was deleted. The kernel does not report the IPv4 routes that are deleted when a link goes down.
  case routeRemoved(Route)
  /// A neighbour was added, or its hardware address or state changed.
  case neighborChanged(Neighbor)
  /// A neighbour was forgotten.
  case neighborRemoved(Neighbor)
  /// A forwarding entry of a bridge or a VXLAN was added or learned, or its way changed.
  case forwardingEntryChanged(ForwardingEntry)
  /// A forwarding entry of a bridge or a VXLAN was removed.
  case forwardingEntryRemoved(ForwardingEntry)
  /// Changes were dropped, because they came faster than they were read: list everything again. Later changes are newer
  /// than the loss.
  case lost

  /// The kinds of change to report.
  public struct Kinds: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// Kinds from their bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Links (`RTNLGRP_LINK`).
    public static let links = Kinds(rawValue: 1)
    /// Addresses (`RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR`).
    public static let addresses = Kinds(rawValue: 2)
    /// Routes of every table (`RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE`).
    public static let routes = Kinds(rawValue: 4)
    /// Neighbours (`RTNLGRP_NEIGH`).
    public static let neighbors = Kinds(rawValue: 8)
    /// Forwarding entries of bridges and VXLANs (`RTNLGRP_NEIGH`).
    public static let forwardingEntries = Kinds(rawValue: 16)
    /// All of them.
    public static let all: Kinds = [.links, .addresses, .routes, .neighbors, .forwardingEntries]

    /// The multicast groups.
    public var groups: [Int32] {
      var groups: [rtnetlink_groups] = []
      if contains(.links) { groups.append(RTNLGRP_LINK) }
      if contains(.addresses) { groups += [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR] }
      if contains(.routes) { groups += [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE] }
      if !isDisjoint(with: [.neighbors, .forwardingEntries]) { groups.append(RTNLGRP_NEIGH) }
      return groups.map { Int32($0.rawValue) }
    }
  }

  /// Reads a message of one of the groups; nil for types unknown to this library: a bridge's ports (`AF_BRIDGE`),
  /// routes of other families.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - kinds: The kinds that are asked for: neighbours and forwarding entries come by one group.
  /// - Throws: `.malformedMessage`.
  public init?(_ message: NetlinkMessage, of kinds: Kinds = .all) throws(NetworkError) {
    var change: NetworkChange?
    switch message.type {
    case UInt16(RTM_NEWLINK), UInt16(RTM_DELLINK):
      // A port that leaves its bridge is reported as a deleted link of AF_BRIDGE.
      guard message.payload.first == 0 else { return nil }
      let link = try Link(message)
      change = message.type == UInt16(RTM_NEWLINK) ? .linkChanged(link) : .linkRemoved(link)
    case UInt16(RTM_NEWADDR): change = .addressAdded(try AssignedAddress(message))
    case UInt16(RTM_DELADDR): change = .addressRemoved(try AssignedAddress(message))
    case UInt16(RTM_NEWROUTE): change = try Route(message).map { .routeAdded($0) }
    case UInt16(RTM_DELROUTE): change = try Route(message).map { .routeRemoved($0) }
    case UInt16(RTM_NEWNEIGH), UInt16(RTM_DELNEIGH):
      let isNew = message.type == UInt16(RTM_NEWNEIGH)
      if message.payload.first == ForwardingRequests.family {
        guard kinds.contains(.forwardingEntries) else { return nil }
        change = try ForwardingEntry(message).map { isNew ? .forwardingEntryChanged($0) : .forwardingEntryRemoved($0) }
      } else {
        guard kinds.contains(.neighbors) else { return nil }
        change = try Neighbor(message).map { isNew ? .neighborChanged($0) : .neighborRemoved($0) }
      }
    default: break
    }
    guard let change else { return nil }
    self = change
  }
}
