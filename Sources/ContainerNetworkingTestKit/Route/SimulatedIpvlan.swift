import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// Ipvlans: links that share their parent's hardware address, and differ by their IP addresses (drivers/net/ipvlan).
extension SimulatedState {
  /// The macvlans and ipvlans on a parent.
  func uppers(on parent: LinkReference) -> [SimulatedLink] {
    namespaces.values.flatMap(\.links.values).filter { $0.isUpper && $0.peer == parent }
  }

  /// Whether a parent can carry links of a kind: Ethernet whose frames nobody else takes, neither a bridge nor links of the
  /// other kind (netdev_is_rx_handler_busy).
  func check(_ parent: LinkReference, carries kind: String) throws(NetworkError) {
    guard let below = link(parent), !below.isLoopback else { throw refusal(.invalidArgument) }
    let isBusy = below.master != nil || uppers(on: parent).contains { $0.kind != kind }
    if isBusy { throw refusal(.resourceBusy) }
  }

  /// ipvlan_link_new, for a link that is registered already.
  mutating func makeIpvlan(
    _ made: LinkReference, _ message: LinkMessage, _ data: Attributes?, in namespace: UInt64
  ) throws(NetworkError) {
    guard let index = try message.integer(Int(IFLA_LINK)) else { throw refusal(.invalidArgument) }
    guard var below = namespaces[namespace]?.links[index] else { throw refusal(.noDevice) }
    var parent = LinkReference(namespace: namespace, index: index)
    // One on another is made on that one's parent.
    if below.kind == "ipvlan", let lower = below.peer, let link = link(lower) { (below, parent) = (link, lower) }
    try check(parent, carries: "ipvlan")
    let mode: UInt16 = try data?[type: Int(IFLA_IPVLAN_MODE)]?.integer() ?? 1
    let asked: UInt16? = try data?[type: Int(IFLA_IPVLAN_FLAGS)]?.integer()
    guard mode < 3, asked ?? 0 < 3 else { throw refusal(.invalidArgument) }
    let flags = asked ?? uppers(on: parent).first?.ipvlan.flags ?? 0
    namespaces[made.namespace]?.links[made.index]?.peer = parent
    namespaces[made.namespace]?.links[made.index]?.macAddress = below.macAddress
    if message.attributes[type: Int(IFLA_MTU)] == nil {
      namespaces[made.namespace]?.links[made.index]?.mtu = below.mtu
    }
    // Mode and flags are the port's: the latest are those of all.
    changeIpvlans(on: parent) { $0.ipvlan = (mode, flags) }
  }

  /// Changes all ipvlans of a parent.
  mutating func changeIpvlans(on parent: LinkReference, _ change: (inout SimulatedLink) -> Void) {
    for (inode, content) in namespaces.sorted(by: { $0.key < $1.key }) {
      for link in content.links.values where link.kind == "ipvlan" && link.peer == parent {
        guard var changed = namespaces[inode]?.links[link.index] else { continue }
        change(&changed)
        namespaces[inode]?.links[link.index] = changed
        notifyLink(link.index, in: inode)
      }
    }
  }

  /// An address of one ipvlan cannot be another's on the same parent: ipvlan_addr4_validator_event.
  func check(_ address: SimulatedAddress, isFreeFor link: SimulatedLink) throws(NetworkError) {
    guard link.kind == "ipvlan", let parent = link.peer else { return }
    let isTaken = uppers(on: parent).contains { other in other.addresses.contains { $0.bytes == address.bytes } }
    if isTaken { throw refusal(.addressInUse, "Address already assigned to an ipvlan device") }
  }
}
