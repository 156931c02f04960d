import NetworkPrimitives

/// Addresses that neighbours may know by a stale hardware address.
extension NetworkRecord {
  /// The limit of the list: each attach searches it, and each new address rewrites the network's record.
  private static let movedAddressLimit = 256

  /// Records the addresses of a removed endpoint whose next holder will have a different MAC. These are its IPv4
  /// address, if its MAC address was chosen by the user, and a requested IPv6 address. An allocated IPv6 address is not
  /// reused, or its holder announces itself anyway (see ``mayBeKnownOtherwise(_:)``).
  ///
  /// - Returns: Whether new addresses were recorded. On a network of IPv6 alone none are: no MAC address is reused
  ///   there, and every endpoint announces itself to all.
  ///   everybody announces itself to all anyway.
  mutating func noteMovedAddresses(of endpoint: Endpoint) -> Bool {
    guard bridge != nil, families.contains(.ipv4), hasUnlistedMovedAddresses != true else { return false }
    let isDerived = endpoint.hasDerivedMACAddress
    let known = movedAddresses ?? []
    let new = endpoint.addresses.map(\.address).filter { address in
      let isKept = address.family == .ipv4 ? isDerived : !endpoint.staticAddresses.contains(address)
      return !isKept && !known.contains(address)
    }
    guard !new.isEmpty else { return false }
    movedAddresses = known + new
    if known.count + new.count > Self.movedAddressLimit {
      movedAddresses = nil
      hasUnlistedMovedAddresses = true
    }
    return true
  }

  /// Removes the addresses of an endpoint that has announced itself to all: neighbours now know them by the MAC address
  /// derived from its IPv4 address.
  ///
  /// - Returns: Whether any was removed.
  mutating func strikeMovedAddresses(of endpoint: Endpoint) -> Bool {
    guard endpoint.announcesToAll == true, endpoint.hasDerivedMACAddress, let known = movedAddresses else {
      return false
    }
    let left = known.filter { address in !endpoint.addresses.contains { $0.address == address } }
    movedAddresses = left.isEmpty ? nil : left
    return left.count < known.count
  }

  /// Removes all of them: neighbours' caches are empty after a start of the machine.
  mutating func forgetMovedAddresses() {
    movedAddresses = nil
    hasUnlistedMovedAddresses = nil
  }

  /// Whether a neighbour may know an address of a new endpoint by a stale MAC address. An IPv4 address determines its
  /// MAC address. An IPv6 address has the MAC address of its container's IPv4 address, so a requested one, or one from
  /// a small pool, may have had another before. From a pool of 2^32 addresses or more, allocated in turn, none is
  /// reused.
  func mayBeKnownOtherwise(_ endpoint: Endpoint) -> Bool {
    guard bridge != nil else { return false }
    if hasUnlistedMovedAddresses == true || !endpoint.hasDerivedMACAddress { return true }
    if let known = movedAddresses, endpoint.addresses.contains(where: { known.contains($0.address) }) { return true }
    guard let own = endpoint.address(.ipv6), let subnet = subnet(.ipv6) else { return false }
    return endpoint.staticAddresses.contains(own.address) || (subnet.ipRange ?? subnet.subnet).prefixLength > 96
  }
}
