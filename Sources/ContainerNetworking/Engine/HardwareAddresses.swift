import Netlink
import NetworkPrimitives

extension MACAddress {
  /// The reason why no interface can have the address; nil if one can (`is_valid_ether_addr` in linux/etherdevice.h).
  var stationFault: String? {
    if isMulticast {
      return "the MAC address \(self) is a multicast address; the first byte must be even, as in 02:42:ac:11:00:02"
    }
    return rawValue == 0 ? "the MAC address \(self) is all zeros; write one as in 02:42:ac:11:00:02" : nil
  }
}

extension MACAddress {
  /// The IPv4 address from which it is derived; nil for none.
  fileprivate var derivedFrom: IPv4Address? {
    let address = IPv4Address(rawValue: UInt32(truncatingIfNeeded: rawValue))
    return MACAddress(ipv4: address) == self ? address : nil
  }
}

/// The MAC addresses of endpoints, unique on a network.
extension Engine {
  /// The MAC address of a new endpoint: the network's shared one, the requested one, the one derived from the IPv4
  /// address, or a random one.
  ///
  /// - Throws: `.inUse`, naming the holder of the requested address.
  func hardwareAddress(
    of request: EndpointRequest, having addresses: [InterfaceAddress], on network: NetworkRecord,
    _ traits: EndpointTraits, _ operation: String, _ state: EngineState
  ) throws(NetworkError) -> MACAddress {
    if let shared = traits.macAddress {
      try checkShared(shared, traits, request, network, operation, state)
      return shared
    }
    if let wanted = request.options.macAddress {
      if let holder = try holder(of: wanted, on: network, beside: request.container, state) {
        throw NetworkError(
          .inUse, operation: operation, reason: "the MAC address \(wanted) belongs to \(holder); choose another")
      }
      return wanted
    }
    let isFree = { (address: MACAddress) in
      state.endpoint(having: address, onNetwork: network.id) == nil && address != network.bridgeMACAddress
    }
    if let v4 = addresses.first(where: { $0.family == .ipv4 })?.address.v4 {
      let own = MACAddress(ipv4: v4)
      if isFree(own) { return own }
    }
    var generator = SystemRandomNumberGenerator()
    var address = MACAddress.random(using: &generator)
    while !isFree(address) { address = .random(using: &generator) }
    return address
  }

  /// Checks a request for an endpoint whose hardware address is its network's.
  ///
  /// - Throws: `.conflictingOptions` if the request asks for another; `.inUse` while another endpoint has it alone.
  private func checkShared(
    _ address: MACAddress, _ traits: EndpointTraits, _ request: EndpointRequest, _ network: NetworkRecord,
    _ operation: String, _ state: EngineState
  ) throws(NetworkError) {
    if let wanted = request.options.macAddress, wanted != address {
      throw NetworkError(
        .conflictingOptions, operation: operation,
        reason: "the MAC address \(wanted) cannot be had: on network \"\(network.name)\" it is the parent's, \(address)"
      )
    }
    guard traits.isForOne,
      let other = state.endpoints(ofNetwork: network.id).first(where: { $0.phase != .stopped })
    else { return }
    throw NetworkError(
      .inUse, operation: operation,
      reason: "network \"\(network.name)\" is in passthru mode, for one container, which is \"\(other.container)\"; "
        + "detach that first")
  }

  /// The holder of a MAC address on a network, as a sentence names it; nil for none.
  private func holder(
    of address: MACAddress, on network: NetworkRecord, beside container: String, _ state: EngineState
  ) throws(NetworkError) -> String? {
    if let other = state.endpoint(having: address, onNetwork: network.id) { return "\"\(other.container)\"" }
    if let v4 = address.derivedFrom, let other = state.holder(of: .v4(v4), onNetwork: network.id), other != container,
      state.endpoints(ofContainer: other).contains(where: {
        $0.networkID == network.id && $0.macAddress == address && $0.phase != .stopped
      })
    {
      return "\"\(other)\", which derives it from its address \(v4)"
    }
    for further in network.furtherBridges ?? [] where further.macAddress(ofNetwork: network.id) == address {
      return "the bridge \(further.name)"
    }
    guard let link = network.parent ?? network.bridge, try host.links.get("\(link)").macAddress == address else {
      return nil
    }
    return "the \(network.parent == nil ? "bridge" : "parent") \(link)"
  }
}
