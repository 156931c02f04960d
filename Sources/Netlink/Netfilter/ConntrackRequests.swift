import CContainerNetworking
public import NetworkPrimitives

/// Requests about tracked connections, as bytes (`IPCTNL_MSG_CT_*` in `linux/netfilter/nfnetlink_conntrack.h`).
public enum ConntrackRequests {
  /// All connections of a family and a protocol, for a dump.
  public static func list(_ transport: TransportProtocol, _ family: AddressFamily) -> NetlinkRequest {
    var body = NftMessage.body(family: family.rawValue)
    body.nested(CTA_TUPLE_ORIG) { tuple in
      tuple.nested(CTA_TUPLE_PROTO) { ports in ports.attribute(Int(CTA_PROTO_NUM.rawValue), transport.number) }
    }
    // Kernels before 5.8 ignore the filter and list all protocols.
    body.nested(CTA_FILTER) { filter in filter.attribute(Int(CTA_FILTER_ORIG_FLAGS.rawValue), byProtocol) }
    return NetlinkRequest(
      type: type(IPCTNL_MSG_CT_GET), body: body, name: "IPCTNL_MSG_CT_GET",
      purpose: "list tracked \(family) connections of \(transport)")
  }

  /// The filter: only the protocol is compared. The kernel's user headers do not name this bit
  /// (`CTA_FILTER_F_CTA_PROTO_NUM` in its `net/netfilter/nf_internals.h`).
  private static let byProtocol: UInt32 = 1 << 3

  /// Deletes one connection; `ENOENT` when it is gone or replaced. The next packet creates a new one, translated by the
  /// rules of that moment.
  public static func delete(_ entry: ConntrackEntry) -> NetlinkRequest {
    var body = NftMessage.body(family: entry.original.source.family.rawValue)
    entry.original.encode(CTA_TUPLE_ORIG, into: &body)
    if entry.zone != 0 { body.attribute(Int(CTA_ZONE.rawValue), bigEndian: entry.zone) }
    if let id = entry.id { body.attribute(Int(CTA_ID.rawValue), id) }
    return NetlinkRequest(
      type: type(IPCTNL_MSG_CT_DELETE), body: body, name: "IPCTNL_MSG_CT_DELETE",
      purpose: "delete tracked connection \(entry.original)")
  }

  static func type(_ message: cntl_msg_types) -> UInt16 {
    UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
  }
}
