import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// Tracked connections: always none, since no packet flows.
extension SimulatedState {
  func answerConntrack(
    _ request: NetlinkMessage, _ message: NetfilterMessage
  ) throws(NetworkError) -> [SimulatedReply] {
    let attributes = message.attributes
    let hasFilter = attributes[type: number(CTA_FILTER)] != nil
    let tuple = attributes[type: number(CTA_TUPLE_ORIG)] ?? attributes[type: number(CTA_TUPLE_REPLY)]
    switch UInt32(request.type & 0xff) {
    case IPCTNL_MSG_CT_GET.rawValue where request.flags.contains(.dump):
      guard hasFilter else { return [] }
      guard tuple != nil else { throw refusal(.invalidArgument) }
      guard [2, 10].contains(message.family) else { throw refusal(.notSupportedOnSocket) }
      return []
    case IPCTNL_MSG_CT_GET.rawValue:
      try check(tuple, message.family)
      throw refusal(.noSuchFileOrDirectory)
    case IPCTNL_MSG_CT_DELETE.rawValue:
      // Without a tuple, the request concerns all connections, or those of a filter.
      guard tuple != nil, !hasFilter else { return [] }
      try check(tuple, message.family)
      throw refusal(.noSuchFileOrDirectory)
    default: throw refusal(.notSupportedOnSocket)
    }
  }

  /// The kernel's check of a tuple before it looks the tuple up (`ctnetlink_parse_tuple`).
  private func check(_ tuple: Attribute?, _ family: UInt8) throws(NetworkError) {
    guard let tuple else { throw refusal(.invalidArgument) }
    guard [2, 10].contains(family) else { throw refusal(.notSupportedOnSocket) }
    let parts = try tuple.nested()
    guard let addresses = try parts[type: number(CTA_TUPLE_IP)]?.nested(),
      let ports = try parts[type: number(CTA_TUPLE_PROTO)]?.nested(), ports[type: number(CTA_PROTO_NUM)] != nil
    else { throw refusal(.invalidArgument) }
    let types = family == 2 ? [CTA_IP_V4_SRC, CTA_IP_V4_DST] : [CTA_IP_V6_SRC, CTA_IP_V6_DST]
    for type in types where addresses[type: number(type)]?.payload.count != (family == 2 ? 4 : 16) {
      throw refusal(.invalidArgument)
    }
  }
}
