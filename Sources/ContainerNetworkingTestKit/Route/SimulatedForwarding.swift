import CContainerNetworking
import Netlink
import NetworkPrimitives

/// Which links forward: what a link's message says of it, and what the kernel tells when it is switched.
extension SimulatedState {
  /// Sets a sysctl, and tells of forwarding that comes with it.
  ///
  /// - Returns: False where there is no such sysctl.
  mutating func setSysctl(_ name: String, to value: String, in namespace: UInt64) -> Bool {
    guard let before = namespaces[namespace] else { return false }
    guard namespaces[namespace]?.setSysctl(name, to: value) == true, let after = namespaces[namespace] else {
      return false
    }
    guard name.hasSuffix("/forwarding") || name.hasSuffix("/force_forwarding") || name == "net/ipv4/ip_forward" else {
      return true
    }
    let links = [(Int32(-1), "all"), (-2, "default")] + after.links.values.map { ($0.index, $0.name) }
    for family in AddressFamily.allCases {
      for (index, link) in links.sorted(by: { $0.0 < $1.0 }) {
        let isOn = Self.forwards(link, family, after)
        if isOn != Self.forwards(link, family, before) { notifyForwarding(index, family, isOn, in: namespace) }
      }
    }
    // Of this one only that it was written is told.
    if name.hasSuffix("/force_forwarding"), before.sysctl(name) != value,
      let index = links.first(where: { name == "net/ipv6/conf/\($0.1)/force_forwarding" })?.0
    {
      notifyForwarding(index, .ipv6, nil, in: namespace)
    }
    return true
  }

  private static func forwards(_ link: String, _ family: AddressFamily, _ namespace: SimulatedNamespace) -> Bool {
    namespace.sysctl("net/\(family == .ipv4 ? "ipv4" : "ipv6")/conf/\(link)/forwarding") == "1"
  }

  private mutating func notifyForwarding(
    _ index: Int32, _ family: AddressFamily, _ isOn: Bool?, isNew: Bool = false, in namespace: UInt64
  ) {
    var body = PayloadWriter()
    body.append(family.rawValue)
    body.appendZeros(3)
    body.attribute(ForwardingChange.Attribute.index, index)
    if let isOn { body.attribute(ForwardingChange.Attribute.forwarding, UInt32(isOn ? 1 : 0)) }
    if isNew { body.attribute(ForwardingChange.Attribute.multicastForwarding, UInt32(0)) }
    let group = ForwardingChange.groups[family == .ipv4 ? 0 : 1]
    notify(
      SimulatedReply(type: UInt16(RTM_NEWNETCONF), payload: body.bytes), group: Int(group), in: namespace)
  }

  /// A link has come, or has another name.
  mutating func notifySettings(of place: LinkReference) {
    guard let namespace = namespaces[place.namespace], let link = namespace.links[place.index] else { return }
    for family in AddressFamily.allCases {
      notifyForwarding(
        link.index, family, Self.forwards(link.name, family, namespace), isNew: true, in: place.namespace)
    }
  }

  /// `IFLA_AF_SPEC`: of the lists of numbers those places that tell whether the link forwards; the others are 0.
  func writeForwarding(of link: SimulatedLink, in namespace: UInt64, to body: inout PayloadWriter) {
    guard let namespace = namespaces[namespace] else { return }
    let isForced = namespace.sysctl("net/ipv6/conf/\(link.name)/force_forwarding") == "1"
    let loops = namespace.sysctl("net/ipv4/conf/\(link.name)/route_localnet") == "1"
    let numbers: [(AddressFamily, Int, [UInt32])] = [
      (
        .ipv4, Int(IFLA_INET_CONF),
        [Self.forwards(link.name, .ipv4, namespace) ? 1 : 0]
          + [UInt32](repeating: 0, count: Int(IPV4_DEVCONF_ROUTE_LOCALNET) - 2) + [loops ? 1 : 0]
      ),
      (
        .ipv6, Int(IFLA_INET6_CONF),
        [Self.forwards(link.name, .ipv6, namespace) ? 1 : 0]
          + [UInt32](repeating: 0, count: LinkForwarding.forcePlace - 1) + [isForced ? 1 : 0]
      ),
    ]
    body.nested(Int(IFLA_AF_SPEC), flagged: false) { families in
      for (family, type, numbers) in numbers {
        families.nested(Int(family.rawValue), flagged: false) { own in
          own.attribute(type, bytes: numbers.flatMap { unsafe withUnsafeBytes(of: $0) { unsafe Array($0) } })
        }
      }
    }
  }
}
