import CContainerNetworking
package import NetworkPrimitives

/// Of a link what tells whether it is where it should be: a fifth of what the kernel says of it, for looks at thousands.
package struct LinkGlance: Hashable, Sendable {
  /// Its index in its namespace.
  package var index: Int32
  /// Its name (`IFLA_IFNAME`).
  package var name: String
  /// `IFF_*` of `linux/if.h`.
  package var flags: LinkFlags
  /// What it is: `bridge`, `veth`; nil for hardware and `lo` (`IFLA_INFO_KIND`).
  package var kind: String?
  /// Index of the bridge that it is a port of.
  package var master: Int32?

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
    kind = Attributes.first(Int(IFLA_LINKINFO), in: attributes).flatMap {
      Attributes.first(Int(IFLA_INFO_KIND), in: $0.payload)?.string
    }
  }
}

extension LinkRequests {
  /// Gets every link without its IPv6 counters; to be dumped.
  package static func glances() -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    return NetlinkRequest(type: UInt16(RTM_GETLINK), body: body.bytes, name: "RTM_GETLINK", purpose: "list links")
  }
}
