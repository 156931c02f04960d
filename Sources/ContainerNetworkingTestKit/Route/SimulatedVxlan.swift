import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// A VXLAN's data.
struct SimulatedVxlan: Hashable {
  var options: VxlanOptions
  /// Of an unspecified address too.
  let family: AddressFamily
  /// The namespace that it was made in: its socket is there, whatever namespace the link is in.
  let home: UInt64

  /// `vxlan_nl2conf` and `vxlan_validate` of drivers/net/vxlan/vxlan_core.c.
  init(_ data: Attributes?, from namespace: UInt64) throws(NetworkError) {
    guard let data else {
      throw refusal(.invalidArgument, "Required attributes not provided to perform the operation")
    }
    try Self.check(data)
    options = try VxlanOptions(data)
    family = options.family
    home = namespace
    let port: UInt16? = try data[type: Int(IFLA_VXLAN_PORT)]?.bigEndian()
    // `vxlan_port` and FDB_AGE_DEFAULT, for 0 too.
    options.port = port.flatMap { $0 == 0 ? nil : $0 } ?? 8472
    if options.ageingTime == .zero { options.ageingTime = .seconds(300) }
    try check()
    if options.local?.isUnspecified == true { options.local = nil }
    if options.remote?.isUnspecified == true { options.remote = nil }
  }

  private static let known = [
    IFLA_VXLAN_ID, IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6, IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6,
    IFLA_VXLAN_TTL, IFLA_VXLAN_LEARNING, IFLA_VXLAN_AGEING, IFLA_VXLAN_LIMIT, IFLA_VXLAN_PORT, IFLA_VXLAN_PROXY,
    IFLA_VXLAN_UDP_CSUM, IFLA_VXLAN_UDP_ZERO_CSUM6_TX, IFLA_VXLAN_DF,
  ].map { Int($0) }

  private static func check(_ data: Attributes) throws(NetworkError) {
    for attribute in data where !known.contains(attribute.type) && attribute.payload.contains(where: { $0 != 0 }) {
      throw refusal(.notSupportedOnSocket, "VXLAN attribute \(attribute.type) is not simulated")
    }
    if let identifier: UInt32 = try data[type: Int(IFLA_VXLAN_ID)]?.integer(), identifier >= 1 << 24 {
      throw refusal(.rangeExceeded, "VXLAN ID must be lower than 16777216")
    }
    if let mode: UInt8 = try data[type: Int(IFLA_VXLAN_DF)]?.integer(), mode > 2 {
      throw refusal(.invalidArgument, "Invalid DF attribute")
    }
  }

  /// `vxlan_config_validate`.
  private func check() throws(NetworkError) {
    if let remote = options.remote, let local = options.local, remote.family != local.family {
      throw refusal(.invalidArgument, "Local and remote address must be from the same family")
    }
    if options.local?.isMulticast == true { throw refusal(.invalidArgument, "Local address cannot be multicast") }
    guard options.underlay == nil else { return }
    if options.remote?.isMulticast == true {
      throw refusal(.invalidArgument, "Local interface required for multicast remote destination")
    }
    if family == .ipv6, options.local?.isLinkLocal == true || options.remote?.isLinkLocal == true {
      throw refusal(.invalidArgument, "Local interface required for link-local local/remote addresses")
    }
  }

  /// `vxlan_nl2conf` of a link that exists.
  func changed(by data: Attributes) throws(NetworkError) -> SimulatedVxlan {
    try Self.check(data)
    var changed = self
    for attribute in data {
      switch attribute.type {
      case Int(IFLA_VXLAN_ID):
        guard try attribute.integer() == options.identifier else { throw refusal(.notSupported, "Cannot change VNI") }
      case Int(IFLA_VXLAN_PORT): throw refusal(.notSupported, "Cannot change port")
      case Int(IFLA_VXLAN_PROXY): throw refusal(.notSupported, "vxlan: cannot change PROXY flag")
      case Int(IFLA_VXLAN_UDP_CSUM): throw refusal(.notSupported, "Cannot change UDP_CSUM flag")
      case Int(IFLA_VXLAN_LIMIT): throw refusal(.notSupported, "Cannot change limit")
      case Int(IFLA_VXLAN_UDP_ZERO_CSUM6_TX):
        throw refusal(.notSupported, "vxlan: cannot change UDP_ZERO_CSUM6_TX flag")
      case Int(IFLA_VXLAN_LOCAL), Int(IFLA_VXLAN_LOCAL6):
        guard let local = IPAddress(bytes: attribute.payload), local.family == family else {
          throw refusal(.notSupported, "New local address family does not match old")
        }
        changed.options.local = local
      case Int(IFLA_VXLAN_GROUP), Int(IFLA_VXLAN_GROUP6):
        guard let remote = IPAddress(bytes: attribute.payload), remote.family == family else {
          throw refusal(.notSupported, "New group address family does not match old group")
        }
        changed.options.remote = remote
      case Int(IFLA_VXLAN_LINK): changed.options.underlay = try attribute.integer()
      case Int(IFLA_VXLAN_TTL): changed.options.timeToLive = try attribute.integer()
      case Int(IFLA_VXLAN_LEARNING): changed.options.learnsAddresses = try attribute.integer(UInt8.self) != 0
      case Int(IFLA_VXLAN_AGEING): changed.options.ageingTime = .seconds(Int64(try attribute.integer(UInt32.self)))
      case Int(IFLA_VXLAN_DF):
        changed.options.fragmentation =
          VxlanOptions.Fragmentation(rawValue: try attribute.integer(UInt8.self)) ?? .allowed
      default: continue
      }
    }
    try changed.check()
    return changed
  }

  /// `vxlan_fill_info`: every attribute, but unset addresses and underlay.
  func write(to data: inout PayloadWriter) {
    data.attribute(Int(IFLA_VXLAN_ID), options.identifier)
    if let remote = options.remote {
      data.attribute(Int(family == .ipv4 ? IFLA_VXLAN_GROUP : IFLA_VXLAN_GROUP6), bytes: remote.bytes)
    }
    if let underlay = options.underlay { data.attribute(Int(IFLA_VXLAN_LINK), underlay) }
    if let local = options.local {
      data.attribute(Int(family == .ipv4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6), bytes: local.bytes)
    }
    data.attribute(Int(IFLA_VXLAN_TTL), options.timeToLive)
    data.attribute(Int(IFLA_VXLAN_DF), options.fragmentation.rawValue)
    data.attribute(Int(IFLA_VXLAN_LEARNING), UInt8(options.learnsAddresses ? 1 : 0))
    data.attribute(Int(IFLA_VXLAN_PROXY), UInt8(options.answersNeighbors ? 1 : 0))
    data.attribute(Int(IFLA_VXLAN_AGEING), UInt32(clamping: options.ageingTime.components.seconds))
    data.attribute(Int(IFLA_VXLAN_LIMIT), options.maximumEntries)
    data.attribute(Int(IFLA_VXLAN_PORT), bigEndian: options.port)
    data.attribute(Int(IFLA_VXLAN_UDP_CSUM), UInt8(family == .ipv6 || options.sendsChecksums ? 1 : 0))
    data.attribute(
      Int(IFLA_VXLAN_UDP_ZERO_CSUM6_TX), UInt8(family == .ipv6 && !options.sendsChecksums ? 1 : 0))
  }

  /// The binding of its socket, while it is up.
  var binding: PortBinding { PortBinding(.any(family), options.port, .udp) }
}

extension SimulatedState {
  /// Makes a registered link a VXLAN, with the MTU that its underlay allows.
  mutating func makeVxlan(
    _ made: LinkReference, _ vxlan: SimulatedVxlan, hasMTU: Bool
  ) throws(NetworkError) {
    let most = try largestMTU(of: vxlan)
    guard !vxlans(from: vxlan.home).contains(where: { $0.isSame(as: vxlan) }) else {
      throw refusal(.fileExists, "A VXLAN device with the specified VNI already exists")
    }
    namespaces[made.namespace]?.links[made.index]?.vxlan = vxlan
    guard let most, let link = link(made) else { return }
    namespaces[made.namespace]?.links[made.index]?.mtu = hasMTU ? min(link.mtu, most) : most
  }

  /// The MTU that a VXLAN's underlay leaves; nil without one (`vxlan_change_mtu`).
  func largestMTU(of vxlan: SimulatedVxlan) throws(NetworkError) -> UInt32? {
    guard let underlay = vxlan.options.underlay else { return nil }
    guard let below = namespaces[vxlan.home]?.links[underlay] else {
      throw refusal(.noDevice, "Specified interface for tunnel endpoint communications not found")
    }
    return max(68, below.mtu - min(below.mtu, vxlan.family == .ipv4 ? 50 : 70))
  }

  /// The VXLANs that were made in a namespace, wherever they are by now.
  private func vxlans(from home: UInt64) -> [SimulatedVxlan] {
    namespaces.values.flatMap(\.links.values).compactMap(\.vxlan).filter { $0.home == home }
  }

  /// The bindings of the tunnels that are up, in a namespace; those of one family share the port.
  func tunnelPorts(in home: UInt64) -> Set<PortBinding> {
    let links = namespaces.values.flatMap(\.links.values)
    return Set(links.filter { $0.isUp }.compactMap(\.vxlan).filter { $0.home == home }.map(\.binding))
  }

  /// A VXLAN comes up unless a program holds its port.
  func checkUp(_ place: LinkReference) throws(NetworkError) {
    guard let link = link(place), !link.isUp, let vxlan = link.vxlan else { return }
    if namespaces[vxlan.home]?.isHeld(vxlan.binding) == true { throw refusal(.addressInUse) }
  }

  /// The VXLANs that go with a link below them, or with the namespace of their sockets.
  func vxlans(on underlay: LinkReference? = nil, from home: UInt64) -> [LinkReference] {
    namespaces.sorted { $0.key < $1.key }.flatMap { inode, content in
      content.links.values.filter { link in
        guard let vxlan = link.vxlan, vxlan.home == home else { return false }
        return underlay == nil || vxlan.options.underlay == underlay?.index
      }
      .map { LinkReference(namespace: inode, index: $0.index) }.sorted { $0.index < $1.index }
    }
  }
}

extension SimulatedVxlan {
  /// `vxlan_vni_in_use`.
  fileprivate func isSame(as other: SimulatedVxlan) -> Bool {
    options.identifier == other.options.identifier && options.port == other.options.port && family == other.family
  }
}
