import CContainerNetworking
public import NetworkPrimitives

/// The reachability among macvlans of one parent (`MACVLAN_MODE_*` in `linux/if_link.h`).
public enum MacvlanMode: UInt32, Hashable, Sendable, Codable, CaseIterable {
  /// Isolated: reaches no other.
  case `private` = 1
  /// Others are reached through the parent's switch, if that reflects frames.
  case vepa = 2
  /// Others are reached directly.
  case bridge = 4
  /// It is the parent's only macvlan, and takes over its hardware address.
  case passthru = 8
}

/// The mode of an ipvlan, which shares its parent's hardware address (`IPVLAN_MODE_*`).
public enum IpvlanMode: UInt16, Hashable, Sendable, CaseIterable {
  /// Switches: broadcast and multicast reach it.
  case l2 = 0
  /// Routes on the parent: no broadcast, and the parent's namespace routes.
  case l3 = 1
  /// As `l3`, and packets pass the parent's netfilter and connection tracking.
  case l3s = 2
}

/// The reachability among ipvlans of one parent (`IPVLAN_F_*` in `linux/if_link.h`), one for all of them: the last one made
/// decides.
public enum IpvlanFlag: UInt16, Hashable, Sendable, CaseIterable {
  /// Others are reached directly: no flag.
  case bridge = 0
  /// Isolated: reaches no other.
  case `private` = 1
  /// Others are reached through the parent's switch, if that reflects frames.
  case vepa = 2
}

/// Requests about links of a kind, as bytes.
extension LinkRequests {
  /// Makes a bridge, down.
  public static func createBridge(
    _ name: InterfaceName, macAddress: MACAddress?, mtu: UInt32, options: BridgeOptions = BridgeOptions()
  ) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    body.attribute(Int(IFLA_MTU), mtu)
    if let macAddress { body.attribute(Int(IFLA_ADDRESS), bytes: macAddress.bytes) }
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_KIND), string: "bridge")
      if options != BridgeOptions() { info.nested(Int(IFLA_INFO_DATA)) { options.write(to: &$0) } }
    }
    return create(body, "create bridge \"\(name)\"")
  }

  /// Changes a bridge.
  public static func changeBridge(_ index: Int32, _ options: BridgeOptions) -> NetlinkRequest {
    var body = header(index: index)
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_KIND), string: "bridge")
      info.nested(Int(IFLA_INFO_DATA)) { options.write(to: &$0) }
    }
    return NetlinkRequest(
      type: UInt16(RTM_NEWLINK), body: body, name: "RTM_NEWLINK", purpose: "change bridge \(index)")
  }

  /// Changes a bridge's port.
  public static func changeBridgePort(_ index: Int32, _ options: BridgePortOptions) -> NetlinkRequest {
    changeBridgePort(header(index: index), options, "change bridge port \(index)")
  }

  /// Changes a bridge's port by its name; fits into one send with the request that creates it.
  public static func changeBridgePort(named name: InterfaceName, _ options: BridgePortOptions) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    return changeBridgePort(body, options, "change bridge port \"\(name)\"")
  }

  private static func changeBridgePort(
    _ start: PayloadWriter, _ options: BridgePortOptions,
    _ purpose: @autoclosure @escaping @Sendable () -> String
  ) -> NetlinkRequest {
    var body = start
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_SLAVE_KIND), string: "bridge")
      info.nested(Int(IFLA_INFO_SLAVE_DATA)) { options.write(to: &$0) }
    }
    return NetlinkRequest(type: UInt16(RTM_NEWLINK), body: body, name: "RTM_NEWLINK", purpose: purpose())
  }

  /// Makes a macvlan on a parent, down.
  public static func createMacvlan(
    _ end: VethEnd, parent: Int32, mtu: UInt32, mode: MacvlanMode = .bridge
  ) -> NetlinkRequest {
    create("macvlan", end, parent: parent, mtu: mtu) { $0.attribute(Int(IFLA_MACVLAN_MODE), mode.rawValue) }
  }

  /// Makes an ipvlan on a parent, down, with an MTU or the parent's. The flag is that of all ipvlans of the parent; nil for
  /// the one that they have, which is `bridge` at first.
  public static func createIpvlan(
    _ end: VethEnd, parent: Int32, mtu: UInt32? = nil, mode: IpvlanMode, flag: IpvlanFlag? = nil
  ) -> NetlinkRequest {
    create("ipvlan", end, parent: parent, mtu: mtu) { data in
      data.attribute(Int(IFLA_IPVLAN_MODE), mode.rawValue)
      if let flag { data.attribute(Int(IFLA_IPVLAN_FLAGS), flag.rawValue) }
    }
  }

  /// Makes a link of a kind that needs no options, down: `dummy`, `ifb`, `nlmon`.
  public static func create(_ end: VethEnd, kind: String) -> NetlinkRequest { create(kind, end) }

  static func create(
    _ kind: String, _ end: VethEnd, parent: Int32? = nil, mtu: UInt32? = nil,
    _ data: ((inout PayloadWriter) -> Void)? = nil
  ) -> NetlinkRequest {
    var body = header()
    write(end, mtu: mtu, to: &body)
    if let parent { body.attribute(Int(IFLA_LINK), parent) }
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_KIND), string: kind)
      if let data { info.nested(Int(IFLA_INFO_DATA), data) }
    }
    return create(body, "create \(kind) \"\(end.name)\"")
  }
}
