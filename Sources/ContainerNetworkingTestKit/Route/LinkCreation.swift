import CContainerNetworking
import Glibc
import Netlink
import NetworkPrimitives
import SystemPackage

/// `RTM_NEWLINK` where it makes a link.
extension SimulatedState {
  var ownProcess: Int32 { getpid() }

  mutating func newLink(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let message = try LinkMessage(request.payload)
    if let link = try find(message, in: namespace) {
      if request.type == UInt16(RTM_NEWLINK), request.flags.contains(.exclusive) { throw refusal(.fileExists) }
      // RTM_SETLINK ignores the attributes of a kind.
      let isNew = request.type == UInt16(RTM_NEWLINK)
      let kind = isNew ? try message.attributes[type: Int(IFLA_LINKINFO)]?.nested() : nil
      try change(link.index, message, in: namespace, kind: kind)
      return []
    }
    guard request.type == UInt16(RTM_NEWLINK), request.flags.contains(.create) else {
      throw refusal(
        message.index > 0 || message.attributes[type: Int(IFLA_IFNAME)] != nil ? .noDevice : .invalidArgument)
    }
    let info = try message.attributes[type: Int(IFLA_LINKINFO)]?.nested()
    let kinds = ["bridge", "veth", "macvlan", "ipvlan", "vxlan", "dummy"]
    guard let kind = info?[type: Int(IFLA_INFO_KIND)]?.string, kinds.contains(kind) else {
      throw refusal(.notSupportedOnSocket, "Unknown device type")
    }
    let made = try create(kind, message, data: info?[type: Int(IFLA_INFO_DATA)]?.nested(), in: namespace)
    guard request.flags.contains(.echo), made.namespace == namespace, var link = link(made) else { return [] }
    // __vxlan_dev_create in drivers/net/vxlan/vxlan_core.c tells of it by itself, and not as an answer.
    if link.vxlan != nil { return [] }
    // The echo precedes the assignment of the bridge.
    link.master = nil
    return [describe(link, in: namespace)]
  }

  private mutating func create(
    _ kind: String, _ message: LinkMessage, data: Attributes?, in namespace: UInt64
  ) throws(NetworkError) -> LinkReference {
    let place = try target(message, from: namespace)
    guard kind == "veth" else {
      let vxlan = kind == "vxlan" ? try SimulatedVxlan(data, from: namespace) : nil
      let made = try register(kind, message, in: place)
      if let vxlan {
        try makeVxlan(made, vxlan, hasMTU: message.attributes[type: Int(IFLA_MTU)] != nil)
      }
      if kind == "bridge", let data {
        namespaces[place]?.links[made.index]?.bridge = try SimulatedBridge().changed(by: data)
      }
      if kind == "macvlan" {
        guard let parent = try message.integer(Int(IFLA_LINK)) else { throw refusal(.invalidArgument) }
        guard let below = namespaces[namespace]?.links[parent] else { throw refusal(.noDevice) }
        let reference = LinkReference(namespace: namespace, index: parent)
        try check(reference, carries: kind)
        let mode: UInt32 = try data?[type: Int(IFLA_MACVLAN_MODE)]?.integer() ?? 2
        try check(mode: mode, on: reference)
        namespaces[place]?.links[made.index]?.peer = reference
        namespaces[place]?.links[made.index]?.mode = mode
        if let mtu: UInt32 = try message.attributes[type: Int(IFLA_MTU)]?.integer() {
          // macvlan_change_mtu, by dev_configure_mtu's validation in rtnl_create_link.
          if mtu > below.mtu { throw refusal(.invalidArgument) }
        } else {
          namespaces[place]?.links[made.index]?.mtu = below.mtu
        }
        // MACVLAN_MODE_PASSTHRU: eth_hw_addr_inherit in macvlan_common_newlink.
        if mode == 8 { namespaces[place]?.links[made.index]?.macAddress = below.macAddress }
      }
      if kind == "ipvlan" { try makeIpvlan(made, message, data, in: namespace) }
      try configure(made, message)
      return made
    }
    // The other end is created first, so it has the lower index within one namespace.
    let end: LinkMessage
    let isDescribed: Bool
    if let nest = data?[type: Int(VETH_INFO_PEER)] {
      end = try LinkMessage(nest.payload)
      isDescribed = true
    } else {
      end = message
      isDescribed = false
    }
    let otherPlace = isDescribed ? try target(end, from: namespace) : place
    let other = try register(kind, end, in: otherPlace, named: isDescribed)
    let made = try register(kind, message, in: place)
    namespaces[otherPlace]?.links[other.index]?.peer = made
    namespaces[place]?.links[made.index]?.peer = other
    if isDescribed, end.flags & 1 != 0 { setUp(true, other) }
    notifyLink(other.index, in: otherPlace)
    try configure(made, message)
    return made
  }

  private mutating func register(
    _ kind: String, _ message: LinkMessage, in namespace: UInt64, named: Bool = true
  ) throws(NetworkError) -> LinkReference {
    guard let content = namespaces[namespace] else { throw refusal(.invalidArgument) }
    let asked = named ? try message.name() : nil
    let name = (asked ?? "\(kind)%d").hasSuffix("%d") ? content.freeName(asked ?? "\(kind)%d") : asked ?? kind
    try Self.check(name: name)
    guard content.link(named: name) == nil else { throw refusal(.fileExists) }
    if message.index > 0, content.links[message.index] != nil { throw refusal(.fileExists) }
    let mtu: UInt32 = try message.attributes[type: Int(IFLA_MTU)]?.integer() ?? 1500
    try Self.check(mtu: mtu)
    let address: [UInt8]
    if named, let given = message.attributes[type: Int(IFLA_ADDRESS)] {
      address = Array(given.payload)
      try Self.check(macAddress: address)
    } else {
      madeAddresses += 1
      address = [0x02, 0x53] + bigEndianBytes(madeAddresses)
    }
    let index = namespaces[namespace, default: SimulatedNamespace()].makeIndex(message.index)
    var link = SimulatedLink(index: index, name: name, kind: kind, mtu: mtu, macAddress: address)
    link.group = try message.attributes[type: Int(IFLA_GROUP)]?.integer() ?? 0
    link.transmitQueues = try message.attributes[type: Int(IFLA_NUM_TX_QUEUES)]?.integer() ?? 1
    namespaces[namespace]?.links[index] = link
    let made = LinkReference(namespace: namespace, index: index)
    notifySettings(of: made)
    return made
  }

  private mutating func configure(_ made: LinkReference, _ message: LinkMessage) throws(NetworkError) {
    if message.flags & 1 != 0 {
      try checkUp(made)
      setUp(true, made)
    }
    if let master = try message.integer(Int(IFLA_MASTER)) {
      try setMaster(master, of: made.index, in: made.namespace)
    }
    notifyLink(made.index, in: made.namespace)
  }

  // MARK: - Rules

  static func check(name: String) throws(NetworkError) {
    let isBad = name.isEmpty || name == "." || name == ".." || name.utf8.count > 15
    let hasBad = name.utf8.contains { $0 == 0x2f || $0 == 0x3a || $0 == 0x20 || (0x09...0x0d).contains($0) }
    if isBad || hasBad { throw refusal(.invalidArgument) }
  }

  static func check(mtu: UInt32) throws(NetworkError) {
    if mtu < 68 { throw refusal(.invalidArgument, "mtu less than device minimum") }
    if mtu > 65535 { throw refusal(.invalidArgument, "mtu greater than device maximum") }
  }

  static func check(macAddress: [UInt8]) throws(NetworkError) {
    guard macAddress.count == 6 else { throw refusal(.invalidArgument) }
    if macAddress[0] & 1 != 0 || macAddress.allSatisfy({ $0 == 0 }) { throw refusal(.addressAbsent) }
  }
}

extension SimulatedNamespace {
  /// The first free name of a pattern that ends in `%d`.
  func freeName(_ pattern: String) -> String {
    let prefix = pattern.dropLast(2)
    var number = 0
    while link(named: "\(prefix)\(number)") != nil { number += 1 }
    return "\(prefix)\(number)"
  }
}

/// The four bytes of a number in network order.
func bigEndianBytes(_ value: UInt32) -> [UInt8] {
  [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
}
