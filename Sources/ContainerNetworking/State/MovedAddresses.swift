import NetworkPrimitives

/// Whose neighbours may know its addresses by another hardware address than it has.
extension NetworkRecord {
  /// How many moved addresses are listed: each attach looks through them, and each that is new has the record written.
  private static let movedAddressLimit = 256

  /// Takes down which addresses of an endpoint that is gone the next who has them has with another hardware address: its IPv4
  /// address, if its own was of its choice, and an IPv6 address that it asked for. One of IPv6 that it was given does not come
  /// back, or is announced anyway (see ``mayBeKnownOtherwise(_:)``).
  ///
  /// - Returns: Whether there are any that were not known. On a network of IPv6 alone, where no hardware address comes back,
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

  /// Strikes out the addresses of an endpoint that has announced itself to all: they are known by the hardware address that
  /// comes with its IPv4 address.
  ///
  /// - Returns: Whether there were any.
  mutating func strikeMovedAddresses(of endpoint: Endpoint) -> Bool {
    guard endpoint.announcesToAll == true, endpoint.hasDerivedMACAddress, let known = movedAddresses else {
      return false
    }
    let left = known.filter { address in !endpoint.addresses.contains { $0.address == address } }
    movedAddresses = left.isEmpty ? nil : left
    return left.count < known.count
  }

  /// Forgets all of them: nobody knows anybody after a start of the machine.
  mutating func forgetMovedAddresses() {
    movedAddresses = nil
    hasUnlistedMovedAddresses = nil
  }

  /// Whether a neighbour may know an address of a new endpoint by another hardware address than it has. An IPv4 address brings
  /// its own; an IPv6 address goes with whatever IPv4 address its container has: one that was asked for may have had another
  /// before, and so may one out of few. One out of 2^32 or more, given in turn, comes to nobody twice.
  func mayBeKnownOtherwise(_ endpoint: Endpoint) -> Bool {
    guard bridge != nil else { return false }
    if hasUnlistedMovedAddresses == true || !endpoint.hasDerivedMACAddress { return true }
    if let known = movedAddresses, endpoint.addresses.contains(where: { known.contains($0.address) }) { return true }
    guard let own = endpoint.address(.ipv6), let subnet = subnet(.ipv6) else { return false }
    return endpoint.staticAddresses.contains(own.address) || (subnet.ipRange ?? subnet.subnet).prefixLength > 96
  }
}
