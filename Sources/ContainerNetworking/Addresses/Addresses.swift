public import Netlink
public import NetworkPrimitives
import SystemPackage

/// The addresses of a namespace's links. Calls block; see ``NetworkNamespace``.
///
/// Every change may throw `.permissionDenied` without `CAP_NET_ADMIN`, and `.notFound` (`ENODEV`) for the link.
public struct Addresses: Sendable {
  let namespace: NetworkNamespace

  /// Every address, IPv4 and IPv6; of one link, if said.
  ///
  /// - Throws: `.notFound` for the link.
  public func list(link: Int32? = nil) throws(NetworkError) -> [AssignedAddress] {
    var addresses: [AssignedAddress] = []
    for message in try namespace.connection(.route).dump(AddressRequests.list(link: link ?? 0)) {
      addresses.append(try AssignedAddress(message))
    }
    return addresses
  }

  /// An address of a link, with its state. It is looked for in the link's list: the kernel gets no IPv4 address alone.
  ///
  /// - Throws: `.notFound` for the link, and where it has no such address.
  public func get(_ address: InterfaceAddress, of link: Int32) throws(NetworkError) -> AssignedAddress {
    guard let found = try list(link: link).first(where: { $0.address == address }) else { throw absent(address, link) }
    return found
  }

  /// Gives a link an address, IPv6 without duplicate address detection unless the options ask for it.
  ///
  /// - Throws: `.alreadyExists`; `.notFound` for the link; `.invalidValue` for the options.
  public func add(
    _ address: InterfaceAddress, to link: Int32, options: AddressOptions = AddressOptions()
  ) throws(NetworkError) {
    try options.validate(for: address)
    try namespace.connection(.route).execute(AddressRequests.add(address, to: link, options: options))
  }

  /// Gives a link an address, or gives the one that it has the lifetimes of `options`. The label stays as it is.
  ///
  /// - Throws: `.notFound` for the link; `.invalidValue` for the options.
  public func replace(
    _ address: InterfaceAddress, of link: Int32, options: AddressOptions = AddressOptions()
  ) throws(NetworkError) {
    try options.validate(for: address)
    try namespace.connection(.route).execute(AddressRequests.replace(address, of: link, options: options))
  }

  /// Takes an address from a link; with the first IPv4 address of a subnet go the others, unless
  /// `net.ipv4.conf.*.promote_secondaries` is set.
  ///
  /// - Throws: `.notFound` when it has no such address (`EADDRNOTAVAIL`), and for the link.
  public func remove(_ address: InterfaceAddress, from link: Int32) throws(NetworkError) {
    do { try namespace.connection(.route).execute(AddressRequests.remove(address, from: link)) } catch {
      guard error.kernel?.errno == .addressNotAvailable else { throw error }
      throw absent(address, link, error.kernel)
    }
  }

  private func absent(_ address: InterfaceAddress, _ link: Int32, _ report: KernelReport? = nil) -> NetworkError {
    NetworkError(
      .notFound, operation: "find address \(address) of link \(link)",
      reason: "link \(link) has no \(address); the prefix length belongs to it", kernel: report)
  }
}

extension NetworkNamespace {
  /// Its addresses.
  public var addresses: Addresses { Addresses(namespace: self) }
}
