import CContainerNetworking
public import NetworkPrimitives

/// One end of a new veth pair.
public struct VethEnd: Hashable, Sendable {
  /// Its name.
  public var name: InterfaceName
  /// Hardware address; nil for a random one.
  public var macAddress: MACAddress?
  /// Index of the bridge whose port it becomes.
  public var master: Int32?
  /// Descriptor of the namespace in which it is created; nil for the requester's. A later move instead would wait for a
  /// grace period under the kernel's one lock.
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

/// A change of a link; nil leaves a property unchanged.
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
  /// Descriptor of the namespace to move to.
  public var namespace: Int32?
  /// Whether the kernel assigns a link-local IPv6 address (`IN6_ADDR_GEN_MODE_*`). Send it before bringing the link up,
  /// in a request of its own: together with up it has no effect.
  public var makesLinkLocalAddress: Bool?
  /// Whether IPv4 packets received on it may be forwarded (`IPV4_DEVCONF_FORWARDING`).
  public var forwardsIPv4: Bool?
  /// Whether 127.0.0.0/8 may be routed through it (`IPV4_DEVCONF_ROUTE_LOCALNET`).
  public var routesLoopback: Bool?
  /// A text for people, up to 255 bytes (`IFLA_IFALIAS`); empty for none.
  public var alias: String?
  /// Group number (`IFLA_GROUP`), for deleting many links at once; 0 for none.
  public var group: UInt32?
  /// Whether it announces its IPv4 addresses by gratuitous ARP when it comes up (`IPV4_DEVCONF_ARP_NOTIFY`).
  public var announcesAddresses: Bool?

  /// A change of nothing, to be filled in.
  public init() {}

  /// A change to up or down.
  public init(isUp: Bool) { self.isUp = isUp }

  /// Checks for values that the kernel would refuse, as far as that is known without it.
  ///
  /// - Throws: `.invalidValue` naming value and rule.
  public func validate() throws(NetworkError) {
    let operation = "check change of link"
    if let mtu { try LinkChange.check(mtu: mtu, operation: operation) }
    if let macAddress { try LinkChange.check(macAddress: macAddress, operation: operation) }
    if let alias, alias.utf8.count > 255 {
      throw .invalid(operation, "the alias has \(alias.utf8.count) bytes; it has at most 255")
    }
  }

  /// Checks a maximum transmission unit; only `lo` takes more than 65,535 bytes.
  ///
  /// - Throws: `.invalidValue`.
  public static func check(mtu: UInt32, operation: String) throws(NetworkError) {
    guard (68...65_536).contains(mtu) else {
      throw .invalid(
        operation, "the MTU is \(mtu); it is 68 to 65535 bytes, 65536 of lo, and at least 1280 for IPv6 (RFC 8200)")
    }
  }

  /// Checks an interface's hardware address.
  ///
  /// - Throws: `.invalidValue`.
  public static func check(macAddress: MACAddress, operation: String) throws(NetworkError) {
    guard !macAddress.isMulticast, macAddress.rawValue != 0 else {
      throw .invalid(
        operation,
        "\(macAddress) is \(macAddress.rawValue == 0 ? "all zeros" : "a multicast address"); an interface has an "
          + "address of its own, with an even first byte, as in 02:42:ac:11:00:02")
    }
  }
}

/// Requests about links, as bytes.
public enum LinkRequests {
  /// Creates a veth pair, down, each end with one queue: the default, one per possible processor, is expensive.
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

  /// Changes a link, by its index.
  public static func change(_ index: Int32, _ change: LinkChange) -> NetlinkRequest {
    self.change(index: index, change, purpose: "change link \(index)", writeName: change.name)
  }

  /// Changes a link by its name; fits into one send with the request that creates it. Cannot change the name.
  public static func change(named name: InterfaceName, _ change: LinkChange) -> NetlinkRequest {
    self.change(index: 0, change, purpose: "change link \"\(name)\"", writeName: name)
  }

  private static func change(
    index: Int32, _ change: LinkChange, purpose: @autoclosure @escaping @Sendable () -> String,
    writeName: InterfaceName?
  ) -> NetlinkRequest {
    let up: UInt32 = 1
    var body = header(index: index, flags: change.isUp == true ? up : 0, change: change.isUp == nil ? 0 : up)
    if let name = writeName { body.attribute(Int(IFLA_IFNAME), string: name.description) }
    if let mtu = change.mtu { body.attribute(Int(IFLA_MTU), mtu) }
    if let mac = change.macAddress { body.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes) }
    if let master = change.master { body.attribute(Int(IFLA_MASTER), master) }
    // Without a NUL: the kernel would store it.
    if let alias = change.alias { body.attribute(Int(IFLA_IFALIAS), bytes: alias.utf8) }
    if let group = change.group { body.attribute(Int(IFLA_GROUP), group) }
    if let namespace = change.namespace { body.attribute(Int(IFLA_NET_NS_FD), namespace) }
    let isSettingIPv4 =
      change.forwardsIPv4 != nil || change.routesLoopback != nil || change.announcesAddresses != nil
    if change.makesLinkLocalAddress != nil || isSettingIPv4 {
      body.nested(Int(IFLA_AF_SPEC)) { families in
        if let makes = change.makesLinkLocalAddress {
          families.nested(Int(AddressFamily.ipv6.rawValue)) { v6 in
            v6.attribute(Int(IFLA_INET6_ADDR_GEN_MODE), UInt8(makes ? 0 : 1))
          }
        }
        if isSettingIPv4 {
          families.nested(Int(AddressFamily.ipv4.rawValue)) { v4 in
            v4.nested(Int(IFLA_INET_CONF)) { conf in
              conf.setting(IPV4_DEVCONF_FORWARDING, change.forwardsIPv4)
              conf.setting(IPV4_DEVCONF_ROUTE_LOCALNET, change.routesLoopback)
              conf.setting(IPV4_DEVCONF_ARP_NOTIFY, change.announcesAddresses)
            }
          }
        }
      }
    }
    return NetlinkRequest(
      type: UInt16(RTM_SETLINK), body: body, name: "RTM_SETLINK", purpose: purpose())
  }

  /// Deletes every link of a group, in one request and one grace period.
  public static func delete(group: UInt32) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_GROUP), group)
    return NetlinkRequest(
      type: UInt16(RTM_DELLINK), body: body, name: "RTM_DELLINK", purpose: "delete links of group \(group)")
  }

  /// Deletes a link, and a veth's other end with it.
  public static func delete(_ index: Int32) -> NetlinkRequest {
    NetlinkRequest(
      type: UInt16(RTM_DELLINK), body: header(index: index).bytes, name: "RTM_DELLINK",
      purpose: "delete link \(index)")
  }

  /// Deletes a link by its name, and a veth's other end with it.
  public static func delete(named name: InterfaceName) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    return NetlinkRequest(
      type: UInt16(RTM_DELLINK), body: body, name: "RTM_DELLINK", purpose: "delete link \"\(name)\"")
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
      type: UInt16(RTM_GETLINK), body: body, name: "RTM_GETLINK", purpose: "get link \"\(name)\"")
  }

  /// Gets one link by index without its IPv6 counters, which the kernel sums over all processors
  /// (`RTEXT_FILTER_SKIP_STATS`; `inet6_fill_ifla6_attrs` in net/ipv6/addrconf.c).
  public static func glance(at index: Int32) -> NetlinkRequest {
    var body = header(index: index)
    body.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    return NetlinkRequest(
      type: UInt16(RTM_GETLINK), body: body, name: "RTM_GETLINK", purpose: "get link \(index)")
  }

  /// Gets one link by name without its IPv6 counters.
  public static func glance(at name: InterfaceName) -> NetlinkRequest {
    var body = header()
    body.attribute(Int(IFLA_IFNAME), string: name.description)
    body.attribute(Int(IFLA_EXT_MASK), UInt32(RTEXT_FILTER_SKIP_STATS))
    return NetlinkRequest(
      type: UInt16(RTM_GETLINK), body: body, name: "RTM_GETLINK", purpose: "get link \"\(name)\"")
  }

  /// Gets every link; to be dumped.
  public static func list() -> NetlinkRequest {
    NetlinkRequest(type: UInt16(RTM_GETLINK), body: header().bytes, name: "RTM_GETLINK", purpose: "list links")
  }

  static func header(index: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) -> PayloadWriter {
    var body = PayloadWriter(capacity: 192)
    body.appendZeros(4)
    body.append(index)
    body.append(flags)
    body.append(change)
    return body
  }

  static func write(_ end: VethEnd, mtu: UInt32?, to body: inout PayloadWriter) {
    body.attribute(Int(IFLA_IFNAME), string: end.name.description)
    if let mtu { body.attribute(Int(IFLA_MTU), mtu) }
    body.attribute(Int(IFLA_NUM_TX_QUEUES), UInt32(1))
    body.attribute(Int(IFLA_NUM_RX_QUEUES), UInt32(1))
    if let mac = end.macAddress { body.attribute(Int(IFLA_ADDRESS), bytes: mac.bytes) }
    if let master = end.master { body.attribute(Int(IFLA_MASTER), master) }
    if let namespace = end.namespace { body.attribute(Int(IFLA_NET_NS_FD), namespace) }
  }

  /// Always exclusive, because EEXIST is never success; the echo returns the new link's index without another request.
  static func create(
    _ body: PayloadWriter, _ purpose: @autoclosure @escaping @Sendable () -> String
  ) -> NetlinkRequest {
    NetlinkRequest(
      type: UInt16(RTM_NEWLINK), flags: [.create, .exclusive, .echo], body: body, name: "RTM_NEWLINK",
      purpose: purpose())
  }
}

extension PayloadWriter {
  /// Writes an interface's boolean setting, unless it is nil.
  fileprivate mutating func setting(_ type: some BinaryInteger, _ value: Bool?) {
    if let value { attribute(Int(type), UInt32(value ? 1 : 0)) }
  }
}
