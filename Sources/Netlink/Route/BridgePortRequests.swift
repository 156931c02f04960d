import CContainerNetworking
public import NetworkPrimitives

extension LinkRequests {
  /// Changes what a bridge does with a port, by the port's name, so that it can be in one send with the request that
  /// makes it.
  ///
  /// - Parameters:
  ///   - name: The port.
  ///   - isHairpin: Whether it may send back what came from it (`IFLA_BRPORT_MODE`): what a container sends to its own
  ///     published port comes back by the port that it left by, where br_netfilter redirects frames within the bridge.
  public static func setBridgePort(named name: InterfaceName, isHairpin: Bool) -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(16)  // struct ifinfomsg
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_SLAVE_KIND), string: "bridge")
      info.nested(Int(IFLA_INFO_SLAVE_DATA)) { data in
        data.attribute(Int(IFLA_BRPORT_MODE), UInt8(isHairpin ? 1 : 0))
      }
    }
    return NetlinkRequest(
      type: UInt16(RTM_NEWLINK), body: body.bytes, name: "RTM_NEWLINK", purpose: "set up bridge port \"\(name)\"")
  }

  /// Deletes a link by its name, and a veth's other end with it.
  public static func delete(named name: InterfaceName) -> NetlinkRequest {
    var body = PayloadWriter()
    body.appendZeros(16)
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    return NetlinkRequest(
      type: UInt16(RTM_DELLINK), body: body.bytes, name: "RTM_DELLINK", purpose: "delete link \"\(name)\"")
  }
}
