import CContainerNetworking
import Netlink
import NetworkPrimitives
import SystemPackage

/// An address of a link.
struct SimulatedAddress: Hashable {
  var bytes: [UInt8]
  var prefixLength: UInt8
  var scope: UInt8 = 0
  var broadcast: [UInt8]?
  var flags: UInt32 = 0
  var label: String?
  /// Seconds; all ones for permanent. They do not count down here.
  var preferred: UInt32 = .max
  var valid: UInt32 = .max
  var isIPv6: Bool { bytes.count == 16 }
  var isLinkLocal: Bool { isIPv6 && bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 }
  var family: UInt8 { isIPv6 ? AddressFamily.ipv6.rawValue : AddressFamily.ipv4.rawValue }

  static let loopback4 = SimulatedAddress(bytes: [127, 0, 0, 1], prefixLength: 8, scope: 254)
  static let loopback6 = SimulatedAddress(bytes: [UInt8](repeating: 0, count: 15) + [1], prefixLength: 128, scope: 254)

  /// `fe80::/64` and the modified EUI-64 of the hardware address (RFC 4291, appendix A).
  static func linkLocal(of mac: [UInt8]) -> SimulatedAddress {
    let identifier = [mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]]
    return SimulatedAddress(
      bytes: [0xfe, 0x80, 0, 0, 0, 0, 0, 0] + identifier, prefixLength: 64, scope: 253)
  }
}

/// `RTM_NEWADDR`, `RTM_DELADDR` and `RTM_GETADDR`.
extension SimulatedState {
  private struct AddressMessage {
    var family: UInt8
    var prefixLength: UInt8
    var scope: UInt8
    var index: Int32
    var flags: UInt32
    var attributes: Attributes

    init(_ payload: ArraySlice<UInt8>) throws(NetworkError) {
      var reader = PayloadReader(payload)
      family = try reader.read()
      prefixLength = try reader.read()
      flags = UInt32(try reader.read(UInt8.self))
      scope = try reader.read()
      index = try reader.read()
      attributes = try Attributes(reader.rest)
      if let wide: UInt32 = try attributes[type: Int(IFA_FLAGS)]?.integer() { flags = wide }
    }

    func address() throws(NetworkError) -> SimulatedAddress {
      let attribute = attributes[type: Int(IFA_LOCAL)] ?? attributes[type: Int(IFA_ADDRESS)]
      guard let bytes = attribute?.payload else { throw refusal(.invalidArgument, missing: Int(IFA_LOCAL)) }
      let width = family == AddressFamily.ipv6.rawValue ? 16 : 4
      guard family == AddressFamily.ipv6.rawValue || family == AddressFamily.ipv4.rawValue else {
        throw refusal(.notSupportedOnSocket)
      }
      let broadcast = attributes[type: Int(IFA_BROADCAST)].map { Array($0.payload) }
      guard bytes.count == width, Int(prefixLength) <= width * 8, broadcast?.count ?? width == width else {
        throw refusal(.invalidArgument)
      }
      var address = SimulatedAddress(
        bytes: Array(bytes), prefixLength: prefixLength, scope: scope, broadcast: broadcast)
      address.flags = flags & UInt32(IFA_F_NODAD)
      if let label = attributes[type: Int(IFA_LABEL)] {
        guard label.string.utf8.count < 16 else { throw refusal(.rangeExceeded, "Attribute failed policy validation") }
        if !address.isIPv6 { address.label = label.string }
      }
      if let lifetimes = attributes[type: Int(IFA_CACHEINFO)] {
        var reader = PayloadReader(lifetimes.payload)
        address.preferred = try reader.read()
        address.valid = try reader.read()
        guard address.valid != 0, address.preferred <= address.valid else { throw refusal(.invalidArgument) }
      }
      return address
    }
  }

  mutating func newAddress(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let message = try AddressMessage(request.payload)
    let address = try message.address()
    guard let link = namespaces[namespace]?.links[message.index] else { throw refusal(.noDevice) }
    if address.isIPv6, namespaces[namespace]?.sysctl("net/ipv6/conf/\(link.name)/disable_ipv6") == "1" {
      throw refusal(.permissionDenied, "IPv6 is disabled on this device")
    }
    let existing = link.addresses.firstIndex { other in
      other.bytes == address.bytes && (address.isIPv6 || other.prefixLength == address.prefixLength)
    }
    if let existing {
      guard request.flags.contains(.replace), !request.flags.contains(.exclusive) else {
        throw refusal(.fileExists, address.isIPv6 ? "address already assigned" : "ipv4: Address already assigned")
      }
      namespaces[namespace]?.links[message.index]?.addresses[existing].preferred = address.preferred
      namespaces[namespace]?.links[message.index]?.addresses[existing].valid = address.valid
      if let changed = namespaces[namespace]?.links[message.index]?.addresses[existing] {
        notifyAddress(changed, of: LinkReference(namespace: namespace, index: message.index), type: Int32(RTM_NEWADDR))
      }
      return []
    }
    try check(address, isFreeFor: link)
    let place = LinkReference(namespace: namespace, index: message.index)
    add(address, to: place)
    return []
  }

  mutating func deleteAddress(
    _ request: NetlinkMessage, in namespace: UInt64
  ) throws(NetworkError) -> [SimulatedReply] {
    let message = try AddressMessage(request.payload)
    let address = try message.address()
    guard let link = namespaces[namespace]?.links[message.index] else { throw refusal(.noDevice) }
    let position = link.addresses.firstIndex { $0.bytes == address.bytes && $0.prefixLength == address.prefixLength }
    guard let position else { throw refusal(.addressAbsent, "Address not found") }
    remove(addressAt: position, of: LinkReference(namespace: namespace, index: message.index))
    // A link without an IPv4 address has IPv4 disabled.
    let isLast = !link.addresses.enumerated().contains { $0.offset != position && !$0.element.isIPv6 }
    if !address.isIPv6, isLast {
      namespaces[namespace]?.routes.removeAll { $0.link == message.index && !$0.isIPv6 }
    }
    return []
  }

  func getAddresses(_ request: NetlinkMessage, in namespace: UInt64) throws(NetworkError) -> [SimulatedReply] {
    let message = try AddressMessage(request.payload)
    guard request.flags.contains(.dump) else { throw refusal(.notSupportedOnSocket) }
    if message.index != 0, namespaces[namespace]?.links[message.index] == nil { throw refusal(.noDevice) }
    let links = namespaces[namespace]?.links.values.sorted { $0.index < $1.index } ?? []
    // The kernel lists one family after the other.
    return [AddressFamily.ipv4.rawValue, AddressFamily.ipv6.rawValue].flatMap { family in
      links.filter { message.index == 0 || $0.index == message.index }.flatMap { link in
        link.addresses.filter { $0.family == family && (message.family == 0 || message.family == family) }
          .map { Self.describe($0, of: link, type: Int32(RTM_NEWADDR)) }
      }
    }
  }

  private static func describe(_ address: SimulatedAddress, of link: SimulatedLink, type: Int32) -> SimulatedReply {
    var flags = address.flags
    if address.valid == .max { flags |= UInt32(IFA_F_PERMANENT) }
    if address.preferred == 0 { flags |= UInt32(IFA_F_DEPRECATED) }
    var body = PayloadWriter()
    body.append(address.family)
    body.append(address.prefixLength)
    body.append(UInt8(truncatingIfNeeded: flags))
    body.append(address.scope)
    body.append(link.index)
    body.attribute(Int(IFA_ADDRESS), bytes: address.bytes)
    if !address.isIPv6 {
      body.attribute(Int(IFA_LOCAL), bytes: address.bytes)
      if let broadcast = address.broadcast { body.attribute(Int(IFA_BROADCAST), bytes: broadcast) }
      body.attribute(Int(IFA_LABEL), string: address.label ?? link.name)
    }
    body.attribute(Int(IFA_FLAGS), flags)
    var lifetimes = PayloadWriter()
    lifetimes.append(address.preferred)
    lifetimes.append(address.valid)
    lifetimes.appendZeros(8)
    body.attribute(Int(IFA_CACHEINFO), bytes: lifetimes.bytes)
    return SimulatedReply(type: UInt16(type), payload: body.bytes)
  }

  /// Adds an address to a link and, while it is up, its connected routes.
  mutating func add(_ address: SimulatedAddress, to place: LinkReference) {
    namespaces[place.namespace]?.links[place.index]?.addresses.append(address)
    notifyAddress(address, of: place, type: Int32(RTM_NEWADDR))
    notifyConnectedRoutes(of: [address], on: place, type: Int32(RTM_NEWROUTE))
  }

  /// Removes an address and its routes from a link.
  mutating func remove(addressAt position: Int, of place: LinkReference) {
    guard let address = link(place)?.addresses[position] else { return }
    namespaces[place.namespace]?.links[place.index]?.addresses.remove(at: position)
    notifyAddress(address, of: place, type: Int32(RTM_DELADDR))
    notifyConnectedRoutes(of: [address], on: place, type: Int32(RTM_DELROUTE))
  }

  private mutating func notifyAddress(_ address: SimulatedAddress, of place: LinkReference, type: Int32) {
    guard let link = link(place) else { return }
    let group = address.isIPv6 ? RTNLGRP_IPV6_IFADDR : RTNLGRP_IPV4_IFADDR
    notify(Self.describe(address, of: link, type: type), group: Int(group.rawValue), in: place.namespace)
  }
}
