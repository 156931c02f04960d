import CContainerNetworking
public import NetworkPrimitives

/// One end of a new veth pair.
public struct VethEnd: Hashable, Sendable {
  /// Its name.
  public var name: InterfaceName
  /// Hardware address; nil for a random one.
  public var macAddress: MACAddress?
  /// Index of the bridge that it becomes a port of.
  public var master: Int32?
  /// Descriptor of the namespace it is made in; nil for the requester's. Made there, not moved there: a move waits for
  /// a grace period with the kernel's one lock held.
  public var namespace: Int32?

  /// Makes an end.
  public init(
    _ name: InterfaceName, macAddress: MACAddress? = nil, master: Int32? = nil, namespace: Int32? = nil
  ) {
    self.name = name
    self.macAddress = macAddress
    self.master = master
    self.namespace = namespace
  }
}

/// A change of a link; what is nil stays as it is.
public struct LinkChange: Hashable, Sendable {
  /// Up or down.
  public var isUp: Bool?
  /// Maximum transmission unit, bytes.
  public var mtu: UInt32?
  /// Hardware address.
  public var macAddress: MACAddress?
  /// Index of its bridge; 0 for none.
  public var master: Int32?
  /// A new name; the link must be down on kernels before 6.1.
  public var name: InterfaceName?
  /// Descriptor of the namespace it moves to.
  public var namespace: Int32?
  /// Whether IPv6 gives it a link-local address by itself (`IN6_ADDR_GEN_MODE_*`). Before it is up, in a request of its
  /// own: together with up it has no effect.
  public var makesLinkLocalAddress: Bool?
  /// Whether IPv4 packets that come in by it may be forwarded (`IPV4_DEVCONF_FORWARDING`).
  public var forwardsIPv4: Bool?
  /// Whether 127.0.0.0/8 may be routed by it (`IPV4_DEVCONF_ROUTE_LOCALNET`).
  public var routesLoopback: Bool?

  /// Whether it announces its IPv4 addresses by gratuitous ARP when it comes up (`IPV4_DEVCONF_ARP_NOTIFY`).
  public var announcesAddresses: Bool?

  /// A change of nothing, to be filled in.
  public init() {}

  /// A change to up or down.
  public init(isUp: Bool) { self.isUp = isUp }
}

/// Requests about links, as bytes.
public enum LinkRequests {
  /// Makes a bridge, down.
  public static func createBridge(
    _ name: InterfaceName, macAddress: MACAddress?, mtu: UInt32
  ) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    body.attribute(Int(IFLA_MTU), mtu)
    if let macAddress { body.attribute(Int(IFLA_ADDRESS), bytes: macAddress.bytes) }
    body.nested(Int(IFLA_LINKINFO)) { info in info.attribute(Int(IFLA_INFO_KIND), string: "bridge") }
    return create(body, "create bridge \"\(name)\"")
  }

  /// Makes a veth pair, down, each end with one queue: the default is one per possible processor, which is what costs.
  public static func createVeth(_ end: VethEnd, peer: VethEnd, mtu: UInt32) -> NetlinkRequest {
    var body = header()
    write(end, mtu: mtu, to: &body)
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_KIND), string: "veth")
      info.nested(Int(IFLA_INFO_DATA)) { data in
        data.nested(Int(VETH_INFO_PEER)) { nest in
          nest.append(contentsOf: header().bytes)
          write(peer, mtu: mtu, to: &nest)
        }
      }
    }
    return create(body, "create veth pair \"\(end.name)\" and \"\(peer.name)\"")
  }

  /// Makes a macvlan on a parent, down, in bridge mode (`MACVLAN_MODE_BRIDGE`).
  public static func createMacvlan(_ end: VethEnd, parent: Int32, mtu: UInt32) -> NetlinkRequest {
    var body = header()
    write(end, mtu: mtu, to: &body)
    body.attribute(Int(IFLA_LINK), parent)
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_KIND), string: "macvlan")
      info.nested(Int(IFLA_INFO_DATA)) { data in data.attribute(1, UInt32(4)) }
    }
    return create(body, "create macvlan \"\(end.name)\"")
  }

  /// Changes a link, by its index.
  public static func change(_ index: Int32, _ change: LinkChange) -> NetlinkRequest {
    self.change(index: index, change, called: "\(index)", writeName: change.name)
  }

  /// Changes a link, by its name, so that it can be in one send with the request that makes it; not for a new name.
  public static func change(named name: InterfaceName, _ change: LinkChange) -> NetlinkRequest {
    self.change(index: 0, change, called: "\"\(name)\"", writeName: name)
  }

  private static func change(
    index: Int32, _ change: LinkChange, called: String, writeName: InterfaceName?
  ) -> NetlinkRequest {
    let up: UInt32 = 1
    var body = header(index: index, flags: change.isUp == true ? up : 0, change: change.isUp == nil ? 0 : up)
    if let name = writeName { body.attribute(Int(IFLA_IFNAME), string: name.description) }
    if let mtu = change.mtu { body.attribute(Int(IFLA_MTU), mtu) }
    if let mac = change.macAddress { body.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes) }
    if let master = change.master { body.attribute(Int(IFLA_MASTER), master) }
    if let namespace = change.namespace { body.attribute(Int(IFLA_NET_NS_FD), namespace) }
    let settings = [
      (IPV4_DEVCONF_FORWARDING, change.forwardsIPv4), (IPV4_DEVCONF_ROUTE_LOCALNET, change.routesLoopback),
      (IPV4_DEVCONF_ARP_NOTIFY, change.announcesAddresses),
    ].compactMap { key, value in value.map { (Int(key), $0) } }
    if change.makesLinkLocalAddress != nil || !settings.isEmpty {
      body.nested(Int(IFLA_AF_SPEC)) { families in
        if let makes = change.makesLinkLocalAddress {
          families.nested(Int(AddressFamily.ipv6.rawValue)) { v6 in
            v6.attribute(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(makes ? 0 : 1))
          }
        }
        if !settings.isEmpty {
          families.nested(Int(AddressFamily.ipv4.rawValue)) { v4 in
            v4.nested(Int(IFLA_INET_CONF)) { conf in
              for (key, value) in settings { conf.attribute(key, UInt32(value ? 1 : 0)) }
            }
          }
        }
      }
    }
    return NetlinkRequest(
      type: UInt16(RTM_SETLINK), body: body.bytes, name: "RTM_SETLINK", purpose: "change link \(called)")
  }

  /// Lets a bridge's port send back what came from it (`IFLA_BRPORT_MODE`): what a container sends to its own published
  /// port comes back by the port that it left by, where br_netfilter redirects frames within the bridge.
  public static func setHairpin(named name: InterfaceName) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    body.nested(Int(IFLA_LINKINFO)) { info in
      info.attribute(Int(IFLA_INFO_SLAVE_KIND), string: "bridge")
      info.nested(Int(IFLA_INFO_SLAVE_DATA)) { data in data.attribute(Int(IFLA_BRPORT_MODE), UInt8(1)) }
    }
    return NetlinkRequest(
      type: UInt16(RTM_NEWLINK), body: body.bytes, name: "RTM_NEWLINK", purpose: "set hairpin of port \"\(name)\"")
  }

  /// Deletes a link, and a veth's other end with it.
  public static func delete(_ index: Int32) -> NetlinkRequest {
    NetlinkRequest(
      type: UInt16(RTM_DELLINK), body: header(index: index).bytes, name: "RTM_DELLINK",
      purpose: "delete link \(index)")
  }

  /// Gets one link by index.
  public static func get(_ index: Int32) -> NetlinkRequest {
    NetlinkRequest(
      type: UInt16(RTM_GETLINK), body: header(index: index).bytes, name: "RTM_GETLINK", purpose: "get link \(index)")
  }

  /// Gets one link by name.
  public static func get(_ name: InterfaceName) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    return NetlinkRequest(
      type: UInt16(RTM_GETLINK), body: body.bytes, name: "RTM_GETLINK", purpose: "get link \"\(name)\"")
  }

  /// Gets every link; to be dumped.
  public static func list() -> NetlinkRequest {
    NetlinkRequest(type: UInt16(RTM_GETLINK), body: header().bytes, name: "RTM_GETLINK", purpose: "list links")
  }

  private static func header(index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) -> PayloadWriter {
    var body = PayloadWriter()
    body.appendZeros(4)
    body.append(index)
    body.append(flags)
    body.append(change)
    return body
  }

  private static func write(_ end: VethEnd, mtu: UInt32, to body: inout PayloadWriter) {
    body.attribute(Int(IFLA_IFNAME), string: end.name.description)
    body.attribute(Int(IFLA_MTU), mtu)
    body.attribute(Int(IFLA_NUM_TX_QUEUES), UInt32(1))
    body.attribute(Int(IFLA_NUM_RX_QUEUES), UInt32(1))
    if let mac = end.macAddress { body.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes) }
    if let master = end.master { body.attribute(Int(IFLA_MASTER), master) }
    if let namespace = end.namespace { body.attribute(Int(IFLA_NET_NS_FD), namespace) }
  }

  /// EEXIST is never success, so always exclusive; the echo tells the new link's index without another request.
  private static func create(_ body: PayloadWriter, _ purpose: String) -> NetlinkRequest {
    NetlinkRequest(
      type: UInt16(RTM_NEWLINK), flags: [.create, .exclusive, .echo], body: body.bytes, name: "RTM_NEWLINK",
      purpose: purpose)
  }
}
