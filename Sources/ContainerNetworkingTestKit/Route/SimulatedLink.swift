import CContainerNetworking
import Netlink
import NetworkPrimitives

/// A link, with the data of `RTM_NEWLINK`.
struct SimulatedLink {
  var index: Int32
  var name: String
  var kind: String?
  var isUp = false
  var mtu: UInt32
  var macAddress: [UInt8]
  var master: Int32?
  /// The other end of a veth pair, or the parent of a macvlan or an ipvlan.
  var peer: LinkReference?
  var group: UInt32 = 0
  var alias: String?
  var bridge = SimulatedBridge()
  var port = SimulatedPort()
  var vxlan: SimulatedVxlan?
  /// `MACVLAN_MODE_*`.
  var mode: UInt32 = 4
  /// `IPVLAN_MODE_*` and `IPVLAN_F_*`, the same of all ipvlans of a parent.
  var ipvlan: (mode: UInt16, flags: UInt16) = (1, 0)
  var transmitQueues: UInt32 = 1
  var makesLinkLocalAddress = true
  var addresses: [SimulatedAddress] = []

  static let loopback = SimulatedLink(
    index: 1, name: "lo", mtu: 65536, macAddress: [0, 0, 0, 0, 0, 0], makesLinkLocalAddress: false)

  var isLoopback: Bool { index == 1 && kind == nil }

  /// Whether it is made on a parent, whose frames it takes (`netdev_rx_handler_register`).
  var isUpper: Bool { kind == "macvlan" || kind == "ipvlan" }
  /// Whether it asks no neighbours: an ipvlan that routes (ipvlan_set_port_mode).
  var isWithoutARP: Bool { kind == "ipvlan" && ipvlan.mode != 0 }
}

/// A link of some namespace.
struct LinkReference: Hashable {
  var namespace: UInt64
  var index: Int32
}

extension SimulatedState {
  func link(_ reference: LinkReference) -> SimulatedLink? {
    namespaces[reference.namespace]?.links[reference.index]
  }

  /// Whether it has carrier: the other end, the parent or a port is up.
  func hasCarrier(_ link: SimulatedLink, in namespace: UInt64) -> Bool {
    guard link.isUp else { return false }
    switch link.kind {
    case "veth", "macvlan", "ipvlan": return link.peer.flatMap(self.link)?.isUp ?? false
    case "bridge":
      return namespaces[namespace]?.links.values.contains { port in
        port.master == link.index && hasCarrier(port, in: namespace)
      } ?? false
    default: return true
    }
  }

  /// The `RTM_NEWLINK` message of a link.
  mutating func describe(
    _ link: SimulatedLink, in namespace: UInt64, type: Int32 = Int32(RTM_NEWLINK)
  ) -> SimulatedReply {
    let isRunning = hasCarrier(link, in: namespace)
    var flags: UInt32 = link.isLoopback ? 0x8 : 0x1002
    if link.isUp { flags |= 0x1 }
    if isRunning { flags |= 0x10040 }
    if link.isWithoutARP { flags |= 0x80 }
    var body = PayloadWriter()
    body.append(UInt16(0))
    body.append(UInt16(link.isLoopback ? 772 : 1))  // ARPHRD_LOOPBACK, ARPHRD_ETHER
    body.append(link.index)
    body.append(flags)
    body.append(UInt32(0))
    body.attribute(Int(IFLA_IFNAME), string: link.name)
    body.attribute(Int(IFLA_TXQLEN), UInt32(1000))
    // IF_OPER_UP 6, IF_OPER_DOWN 2, IF_OPER_LOWERLAYERDOWN 7, IF_OPER_UNKNOWN 0 of lo and of a VXLAN that is up.
    let downState: UInt8 = link.isUp && link.kind == "veth" ? 7 : 2
    body.attribute(Int(IFLA_OPERSTATE), link.isLoopback ? 0 : isRunning ? (link.vxlan == nil ? 6 : 0) : downState)
    body.attribute(Int(IFLA_MTU), link.mtu)
    body.attribute(Int(IFLA_GROUP), link.group)
    if let alias = link.alias { body.attribute(Int(IFLA_IFALIAS), string: alias) }
    body.attribute(Int(IFLA_PROMISCUITY), UInt32(link.master == nil ? 0 : 1))
    body.attribute(Int(IFLA_NUM_TX_QUEUES), link.transmitQueues)
    if let master = link.master { body.attribute(Int(IFLA_MASTER), master) }
    body.attribute(Int(IFLA_CARRIER), UInt8(isRunning ? 1 : 0))
    body.attribute(Int(IFLA_ADDRESS), bytes: link.macAddress)
    body.attribute(
      Int(IFLA_BROADCAST), bytes: [UInt8](repeating: link.isLoopback ? 0 : 0xff, count: 6))
    body.attribute(Int(IFLA_STATS64), bytes: [UInt8](repeating: 0, count: 25 * 8))
    if let kind = link.kind {
      body.nested(Int(IFLA_LINKINFO), flagged: false) { info in
        info.attribute(Int(IFLA_INFO_KIND), string: kind)
        switch kind {
        case "bridge": info.nested(Int(IFLA_INFO_DATA), flagged: false) { link.bridge.write(to: &$0) }
        case "macvlan":
          info.nested(Int(IFLA_INFO_DATA), flagged: false) { $0.attribute(Int(IFLA_MACVLAN_MODE), link.mode) }
        case "ipvlan":
          info.nested(Int(IFLA_INFO_DATA), flagged: false) { data in
            data.attribute(Int(IFLA_IPVLAN_MODE), link.ipvlan.mode)
            data.attribute(Int(IFLA_IPVLAN_FLAGS), link.ipvlan.flags)
          }
        case "vxlan":
          info.nested(Int(IFLA_INFO_DATA), flagged: false) { data in link.vxlan?.write(to: &data) }
        default: break
        }
        if link.master != nil {
          info.attribute(Int(IFLA_INFO_SLAVE_KIND), string: "bridge")
          info.nested(Int(IFLA_INFO_SLAVE_DATA), flagged: false) { link.port.write(to: &$0) }
        }
      }
    }
    writeForwarding(of: link, in: namespace, to: &body)
    if let peer = link.peer {
      if peer.namespace != namespace {
        let identifier = namespaces[namespace, default: SimulatedNamespace()].identifier(of: peer.namespace)
        body.attribute(Int(IFLA_LINK_NETNSID), identifier)
      }
      body.attribute(Int(IFLA_LINK), peer.index)
    }
    // A VXLAN that is in another namespace than its socket names itself as the link below.
    if let home = link.vxlan?.home, home != namespace {
      let identifier = namespaces[namespace, default: SimulatedNamespace()].identifier(of: home)
      body.attribute(Int(IFLA_LINK_NETNSID), identifier)
      body.attribute(Int(IFLA_LINK), link.index)
    }
    return SimulatedReply(type: UInt16(type), payload: body.bytes)
  }

  mutating func notifyLink(_ index: Int32, in namespace: UInt64, type: Int32 = Int32(RTM_NEWLINK)) {
    guard let link = namespaces[namespace]?.links[index] else { return }
    notify(describe(link, in: namespace, type: type), group: Int(RTNLGRP_LINK.rawValue), in: namespace)
  }

  // MARK: - Leaving

  /// Removes a link and its dependents: the other end, macvlans and ipvlans on it, its ports' membership, its routes.
  mutating func removeLink(_ index: Int32, in namespace: UInt64) {
    guard let link = namespaces[namespace]?.links[index] else { return }
    let reference = LinkReference(namespace: namespace, index: index)
    detach(index, in: namespace)
    notifyLink(index, in: namespace, type: Int32(RTM_DELLINK))
    namespaces[namespace]?.links[index] = nil
    namespaces[namespace]?.moveSysctls(of: link.name, to: nil)
    if link.kind == "veth", let peer = link.peer { removeLink(peer.index, in: peer.namespace) }
    for (other, content) in namespaces.sorted(by: { $0.key < $1.key }) {
      for dependent in content.links.values where dependent.isUpper && dependent.peer == reference {
        removeLink(dependent.index, in: other)
      }
    }
    for vxlan in vxlans(on: reference, from: namespace) { removeLink(vxlan.index, in: vxlan.namespace) }
  }

  /// Removes a link's addresses, routes, neighbours and memberships, before it is removed or moved.
  mutating func detach(_ index: Int32, in namespace: UInt64) {
    for position in namespaces[namespace]?.links[index]?.addresses.indices.reversed() ?? [] {
      remove(addressAt: position, of: LinkReference(namespace: namespace, index: index))
    }
    namespaces[namespace]?.links[index]?.isUp = false
    namespaces[namespace]?.links[index]?.master = nil
    namespaces[namespace]?.routes.removeAll { $0.link == index }
    forgetNeighbors(of: LinkReference(namespace: namespace, index: index))
    for port in namespaces[namespace]?.links.values.filter({ $0.master == index }) ?? [] {
      forgetPort(port.index, in: namespace)
      namespaces[namespace]?.links[port.index]?.master = nil
      notifyLink(port.index, in: namespace)
    }
  }
}
