import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// `RTM_SETLINK`, and `RTM_NEWLINK` of an existing link.
extension SimulatedState {
  mutating func change(
    _ index: Int32, _ message: LinkMessage, in namespace: UInt64, kind: Attributes? = nil
  ) throws(NetworkError) {
    var place = LinkReference(namespace: namespace, index: index)
    let attributes = message.attributes
    let destination = try target(message, from: namespace)
    if destination != namespace { place = try move(place, to: destination, named: try message.name()) }
    guard let link = link(place) else { throw refusal(.noDevice) }

    if let kind { try change(kind, of: place, link) }
    // A request without a change mask changes the flags that it sets, as old tools do.
    let mask = message.change != 0 ? message.change : message.flags
    if mask & message.flags & 1 != 0 { try checkUp(place) }
    if let mtu: UInt32 = try attributes[type: Int(IFLA_MTU)]?.integer() {
      if !link.isLoopback { try Self.check(mtu: mtu) }
      // macvlan_change_mtu.
      if link.kind == "macvlan", let below = link.peer.flatMap(self.link), mtu > below.mtu {
        throw refusal(.invalidArgument)
      }
      if let vxlan = link.vxlan, let most = try largestMTU(of: vxlan), mtu > most { throw refusal(.invalidArgument) }
      namespaces[place.namespace]?.links[place.index]?.mtu = mtu
      lowerMacvlans(on: place, to: mtu)
      changeIpvlans(on: place) { $0.mtu = mtu }
    }
    if let address = attributes[type: Int(IFLA_ADDRESS)] {
      // It has no ndo_set_mac_address.
      if link.kind == "ipvlan" { throw refusal(.notSupportedOnSocket) }
      try Self.check(macAddress: Array(address.payload))
      changeIpvlans(on: place) { $0.macAddress = Array(address.payload) }
      namespaces[place.namespace]?.links[place.index]?.macAddress = Array(address.payload)
    }
    if message.index > 0, let name = try message.name(), name != link.name {
      try Self.check(name: name)
      guard namespaces[place.namespace]?.link(named: name) == nil else { throw refusal(.fileExists) }
      namespaces[place.namespace]?.links[place.index]?.name = name
      namespaces[place.namespace]?.moveSysctls(of: link.name, to: name)
      notifySettings(of: place)
    }
    if let group: UInt32 = try attributes[type: Int(IFLA_GROUP)]?.integer() {
      namespaces[place.namespace]?.links[place.index]?.group = group
    }
    if let alias = attributes[type: Int(IFLA_IFALIAS)] {
      guard alias.payload.count < 256 else { throw refusal(.rangeExceeded, "Attribute failed policy validation") }
      namespaces[place.namespace]?.links[place.index]?.alias = alias.string.isEmpty ? nil : alias.string
    }
    if let master = try message.integer(Int(IFLA_MASTER)) {
      try setMaster(master, of: place.index, in: place.namespace)
    }
    if let settings = try attributes[type: Int(IFLA_AF_SPEC)]?.nested() { try set(settings, of: place) }
    if mask & 1 != 0 { setUp(message.flags & 1 != 0, place) }
    notifyLink(place.index, in: place.namespace)
    // The other end of a pair notices the change of its carrier.
    if mask & 1 != 0, link.kind == "veth", let peer = link.peer { notifyLink(peer.index, in: peer.namespace) }
  }

  /// Macvlans follow their parent's MTU down, but not up again: macvlan_device_event in drivers/net/macvlan.c.
  private mutating func lowerMacvlans(on parent: LinkReference, to mtu: UInt32) {
    for (other, content) in namespaces.sorted(by: { $0.key < $1.key }) {
      for link in content.links.values where link.kind == "macvlan" && link.peer == parent && link.mtu > mtu {
        namespaces[other]?.links[link.index]?.mtu = mtu
        notifyLink(link.index, in: other)
      }
    }
  }

  /// `IFLA_LINKINFO` of a link that exists.
  private mutating func change(
    _ kind: Attributes, of place: LinkReference, _ link: SimulatedLink
  ) throws(NetworkError) {
    if let data = try kind[type: Int(IFLA_INFO_DATA)]?.nested() {
      guard kind[type: Int(IFLA_INFO_KIND)]?.string == link.kind else { throw refusal(.notSupportedOnSocket) }
      if link.kind == "bridge" {
        namespaces[place.namespace]?.links[place.index]?.bridge = try link.bridge.changed(by: data)
      } else if let vxlan = link.vxlan {
        let changed = try vxlan.changed(by: data)
        _ = try largestMTU(of: changed)
        namespaces[place.namespace]?.links[place.index]?.vxlan = changed
      } else {
        throw refusal(.notSupportedOnSocket)
      }
    }
    if let data = try kind[type: Int(IFLA_INFO_SLAVE_DATA)]?.nested() {
      guard link.master != nil else { throw refusal(.notSupportedOnSocket) }
      namespaces[place.namespace]?.links[place.index]?.port = try link.port.changed(by: data)
    }
  }

  mutating func setMaster(_ master: Int32, of index: Int32, in namespace: UInt64) throws(NetworkError) {
    if let old = namespaces[namespace]?.links[index]?.master, old != master {
      forgetPort(index, in: namespace)
    }
    guard master != 0 else {
      namespaces[namespace]?.links[index]?.master = nil
      return
    }
    guard let bridge = namespaces[namespace]?.links[master] else { throw refusal(.invalidArgument) }
    guard bridge.kind == "bridge" else { throw refusal(.notSupportedOnSocket) }
    guard let link = namespaces[namespace]?.links[index], !link.isLoopback else { throw refusal(.invalidArgument) }
    guard link.kind != "bridge" else {
      throw refusal(.tooManyLinks, "Can not enslave a bridge to a bridge")
    }
    // IFF_NO_RX_HANDLER, and a parent whose frames others take: netdev_rx_handler_register.
    if link.kind == "ipvlan" { throw refusal(.invalidArgument) }
    if !uppers(on: LinkReference(namespace: namespace, index: index)).isEmpty { throw refusal(.resourceBusy) }
    let ports = namespaces[namespace]?.links.values.filter { $0.master == master }.count ?? 0
    guard link.master == master || ports < 1023 else { throw refusal(.exchangeFull) }
    if link.master != master { namespaces[namespace]?.links[index]?.port = SimulatedPort() }
    namespaces[namespace]?.links[index]?.master = master
    addLinkLocalAddresses()
  }

  /// Up adds addresses to `lo`; down removes every route and IPv6 address.
  mutating func setUp(_ isUp: Bool, _ place: LinkReference) {
    guard let link = link(place), link.isUp != isUp else { return }
    if isUp {
      namespaces[place.namespace]?.links[place.index]?.isUp = true
      notifyConnectedRoutes(of: link.addresses, on: place, type: Int32(RTM_NEWROUTE))
      if link.isLoopback {
        for address in [SimulatedAddress.loopback4, .loopback6] where !link.addresses.contains(address) {
          add(address, to: place)
        }
      }
      addLinkLocalAddresses()
    } else {
      // The removal of IPv6 routes is notified, that of IPv4 routes is not.
      for position in link.addresses.indices.reversed() where link.addresses[position].isIPv6 {
        remove(addressAt: position, of: place)
      }
      forgetNeighbors(of: place, isGone: false)
      namespaces[place.namespace]?.links[place.index]?.isUp = false
      namespaces[place.namespace]?.routes.removeAll { $0.link == place.index }
      let removed = namespaces[place.namespace]?.removedRoutes ?? []
      namespaces[place.namespace]?.removedRoutes = removed.filter { $0.link != place.index }
    }
  }

  /// Adds a link-local IPv6 address to every link with a new carrier, unless that is disabled.
  private mutating func addLinkLocalAddresses() {
    for (inode, namespace) in namespaces {
      for link in namespace.links.values where link.makesLinkLocalAddress && hasCarrier(link, in: inode) {
        let isDisabled = namespace.sysctl("net/ipv6/conf/\(link.name)/disable_ipv6") == "1"
        let isKept = link.master != nil || link.addresses.contains { $0.isLinkLocal }
        guard !isDisabled, !isKept else { continue }
        add(.linkLocal(of: link.macAddress), to: LinkReference(namespace: inode, index: link.index))
      }
    }
  }

  private mutating func move(
    _ place: LinkReference, to namespace: UInt64, named name: String?
  ) throws(NetworkError) -> LinkReference {
    guard let link = link(place), link.kind != "bridge", !link.isLoopback else {
      throw refusal(.invalidArgument, "The interface netns is immutable")
    }
    let newName = name ?? link.name
    guard namespaces[namespace]?.link(named: newName) == nil else {
      throw refusal(.fileExists, "Cannot move device: an interface with the same name exists in the target netns")
    }
    detach(place.index, in: place.namespace)
    notifyLink(place.index, in: place.namespace, type: Int32(RTM_DELLINK))
    guard var moved = namespaces[place.namespace]?.links.removeValue(forKey: place.index) else {
      throw refusal(.noDevice)
    }
    namespaces[place.namespace]?.moveSysctls(of: link.name, to: nil)
    moved.index = namespaces[namespace, default: SimulatedNamespace()].makeIndex(place.index)
    moved.name = newName
    namespaces[namespace]?.links[moved.index] = moved
    let arrived = LinkReference(namespace: namespace, index: moved.index)
    notifySettings(of: arrived)
    for (inode, content) in namespaces {
      for other in content.links.values where other.peer == place {
        namespaces[inode]?.links[other.index]?.peer = arrived
      }
    }
    return arrived
  }

  /// `IFLA_AF_SPEC`: settings by family.
  private mutating func set(_ families: Attributes, of place: LinkReference) throws(NetworkError) {
    guard let name = link(place)?.name else { return }
    for family in families {
      let settings = try family.nested()
      if family.type == Int(AddressFamily.ipv6.rawValue) {
        guard let mode: UInt8 = try settings[type: Int(IFLA_INET6_ADDR_GEN_MODE)]?.integer() else { continue }
        namespaces[place.namespace]?.links[place.index]?.makesLinkLocalAddress = mode == 0
      } else if family.type == Int(AddressFamily.ipv4.rawValue),
        let values = try settings[type: Int(IFLA_INET_CONF)]?.nested()
      {
        for value in values {
          guard let key = Self.settingNames[value.type] else { throw refusal(.invalidArgument) }
          let number: UInt32 = try value.integer()
          _ = setSysctl("net/ipv4/conf/\(name)/\(key)", to: "\(number)", in: place.namespace)
        }
      }
    }
  }

  private static var settingNames: [Int: String] {
    [
      Int(IPV4_DEVCONF_FORWARDING): "forwarding", Int(IPV4_DEVCONF_ROUTE_LOCALNET): "route_localnet",
      Int(IPV4_DEVCONF_ARP_NOTIFY): "arp_notify", Int(IPV4_DEVCONF_RP_FILTER): "rp_filter",
      Int(IPV4_DEVCONF_PROXY_ARP): "proxy_arp", Int(IPV4_DEVCONF_ARP_IGNORE): "arp_ignore",
    ]
  }
}
