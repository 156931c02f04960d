public import Netlink
public import NetworkPrimitives

/// The addresses of a namespace's links. Calls block; see ``NetworkNamespace``.
public struct Addresses: Sendable {
  let namespace: NetworkNamespace

  /// Every address, IPv4 and IPv6; of one link, if said.
  public func list(link: Int32? = nil) throws(NetworkError) -> [AssignedAddress] {
    var addresses: [AssignedAddress] = []
    for message in try namespace.connection(.route).dump(AddressRequests.list()) {
      let address = try AssignedAddress(message)
      if link == nil || address.link == link { addresses.append(address) }
    }
    return addresses
  }

  /// Gives a link an address, IPv6 without duplicate address detection.
  ///
  /// - Throws: `.alreadyExists`; `.notFound` for the link.
  public func add(_ address: InterfaceAddress, to link: Int32) throws(NetworkError) {
    try namespace.connection(.route).execute(AddressRequests.add(address, to: link))
  }

  /// Takes an address from a link.
  ///
  /// - Throws: The kernel's `EADDRNOTAVAIL` when it has no such address.
  public func remove(_ address: InterfaceAddress, from link: Int32) throws(NetworkError) {
    try namespace.connection(.route).execute(AddressRequests.remove(address, from: link))
  }
}

extension NetworkNamespace {
  /// Its addresses.
  public var addresses: Addresses { Addresses(namespace: self) }
}
