import CContainerNetworking
package import NetworkPrimitives

/// Of a link that is no port of another what tells whether packets come in by it for our networks.
package struct LinkForwarding: Hashable, Sendable {
  /// Its index in its namespace.
  package var index: Int32
  /// Its name.
  package var name: String
  /// `IFF_*` of `linux/if.h`.
  package var flags: LinkFlags
  /// Index of the link that it is a port of.
  package var master: Int32?
  /// Whether what comes in by it is forwarded, by families that the link has a switch of its own for: `forwarding` of IPv4,
  /// `force_forwarding` of IPv6 (Linux 6.17).
  package var forwards: [AddressFamily: Bool] = [:]

  /// `DEVCONF_FORCE_FORWARDING` of `linux/ipv6.h`, the place in `IFLA_INET6_CONF`.
  package static let forcePlace = 59

  /// Reads an `RTM_NEWLINK` message.
  ///
  /// - Throws: `.malformedMessage`.
  package init(_ message: NetlinkMessage) throws(NetworkError) {
    var header = PayloadReader(message.payload)
    try header.skip(4)
    index = try header.read()
    flags = LinkFlags(rawValue: try header.read())
    try header.skip(4)
    let attributes = header.rest
    name = Attributes.first(Int(IFLA_IFNAME), in: attributes)?.string ?? ""
    master = try Attributes.first(Int(IFLA_MASTER), in: attributes)?.integer()
    guard let families = Attributes.first(Int(IFLA_AF_SPEC), in: attributes)?.payload else { return }
    for (family, type, place) in [
      (AddressFamily.ipv4, Int(IFLA_INET_CONF), 0), (.ipv6, Int(IFLA_INET6_CONF), Self.forcePlace),
    ] {
      guard let own = Attributes.first(Int(family.rawValue), in: families)?.payload,
        let settings = Attributes.first(type, in: own)?.payload, settings.count >= 4 * (place + 1)
      else { continue }
      var numbers = PayloadReader(settings)
      try numbers.skip(4 * place)
      forwards[family] = try numbers.read(UInt32.self) != 0
    }
  }
}

extension LinkRequests {
  /// Gets every link that is no port of another, without its IPv6 counters; to be dumped. Before Linux 5.16 the kernel finds none
  /// (`link_master_filtered` in net/core/rtnetlink.c).
  package static func withoutMaster() -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    body.attribute(Int(IFLA_MASTER), Int32(-1))
    return NetlinkRequest(
      type: UInt16(RTM_GETLINK), body: body, name: "RTM_GETLINK", purpose: "list links that are no ports")
  }
}
