import CContainerNetworking
package import NetworkPrimitives

/// The placement of a link: a fifth of the kernel's data, for checks of thousands.
package struct LinkGlance: Hashable, Sendable {
  /// Its index in its namespace.
  package var index: Int32
  /// Its name (`IFLA_IFNAME`).
  package var name: String
  /// `IFF_*` of `linux/if.h`.
  package var flags: LinkFlags
  /// Its kind: `bridge`, `veth`; nil for hardware and `lo` (`IFLA_INFO_KIND`).
  package var kind: String?
  /// Index of the bridge of which it is a port.
  package var master: Int32?
  /// Its hardware address; nil if it does not have six bytes.
  package var macAddress: MACAddress?
  /// For a bridge's port, hairpin mode (`IFLA_BRPORT_MODE`).
  package var isHairpin: Bool?
  /// For a bridge's port, neighbour suppression (`IFLA_BRPORT_NEIGH_SUPPRESS`).
  package var suppressesNeighbors: Bool?

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
    macAddress = Attributes.first(Int(IFLA_ADDRESS), in: attributes).flatMap { MACAddress(bytes: $0.payload) }
    guard let info = Attributes.first(Int(IFLA_LINKINFO), in: attributes)?.payload else { return }
    kind = Attributes.first(Int(IFLA_INFO_KIND), in: info)?.string
    guard Attributes.first(Int(IFLA_INFO_SLAVE_KIND), in: info)?.string == "bridge",
      let port = Attributes.first(Int(IFLA_INFO_SLAVE_DATA), in: info)?.payload
    else { return }
    isHairpin = try Attributes.first(Int(IFLA_BRPORT_MODE), in: port)?.integer(UInt8.self).isSet
    suppressesNeighbors = try Attributes.first(Int(IFLA_BRPORT_NEIGH_SUPPRESS), in: port)?.integer(UInt8.self).isSet
  }
}

extension LinkRequests {
  /// Gets every link without its IPv6 counters; to be dumped.
  package static func glances() -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    return NetlinkRequest(type: UInt16(RTM_GETLINK), body: body, name: "RTM_GETLINK", purpose: "list links")
  }
}
