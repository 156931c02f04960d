import CContainerNetworking
package import NetworkPrimitives

/// What the kernel tells of forwarding by a link: once when the link comes, and whenever it is switched (`RTM_NEWNETCONF`,
/// `linux/netconf.h`).
package struct ForwardingChange: Hashable, Sendable {
  /// The link's index; negative for the switch of all links, and for that of links to come.
  package var link: Int32
  /// Of which packets.
  package var family: AddressFamily
  /// Whether the link has come, or has another name, which is told by all of its settings.
  package var isNewLink: Bool
  /// Whether it forwards by now; nil where that is not told, as of IPv6's `force_forwarding`.
  package var isOn: Bool?

  /// `RTNLGRP_IPV4_NETCONF` and `RTNLGRP_IPV6_NETCONF`.
  package static let groups = [RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF].map { Int32($0.rawValue) }

  /// `NETCONFA_*` of `linux/netconf.h`.
  package enum Attribute {
    package static let index = 1
    package static let forwarding = 2
    package static let multicastForwarding = 4
  }

  /// Reads a message of one of the groups; nil for a link that is gone, and for other families.
  ///
  /// - Throws: `.malformedMessage`.
  package init?(_ message: NetlinkMessage) throws(NetworkError) {
    guard message.type == UInt16(RTM_NEWNETCONF), let number = message.payload.first,
      let family = AddressFamily(rawValue: number)
    else { return nil }
    self.family = family
    var header = PayloadReader(message.payload)
    try header.skip(4)  // `struct netconfmsg`, padded
    let attributes = try Attributes(header.rest)
    guard let index: Int32 = try attributes[type: Attribute.index]?.integer() else { return nil }
    link = index
    isNewLink = attributes[type: Attribute.multicastForwarding] != nil
    let forwarding: Int32? = try attributes[type: Attribute.forwarding]?.integer()
    isOn = forwarding.map { $0 != 0 }
  }
}
