public import Netlink
public import NetworkPrimitives
import SystemPackage

/// The addresses of a namespace's links. Calls block; see ``NetworkNamespace``.
///
/// Every change may throw `.permissionDenied` without `CAP_NET_ADMIN`, and `.notFound` (`ENODEV`) for the link.
public struct Addresses: Sendable {
  let namespace: NetworkNamespace

  /// Every address, IPv4 and IPv6, of all links or of one.
  ///
  /// - Throws: `.notFound` for the link.
  public func list(link: Int32? = nil) throws(NetworkError) -> [AssignedAddress] {
    var addresses: [AssignedAddress] = []
    for message in try namespace.connection(.route).dump(AddressRequests.list(link: link ?? 0)) {
      addresses.append(try AssignedAddress(message))
    }
    return addresses
  }

  /// An address of a link, with its state. Searches the link's list: the kernel cannot return a single IPv4 address.
  ///
  /// - Throws: `.notFound` for a missing link or address.
  public func get(_ address: InterfaceAddress, of link: Int32) throws(NetworkError) -> AssignedAddress {
    guard let found = try list(link: link).first(where: { $0.address == address }) else { throw absent(address, link) }
    return found
  }

  /// Adds an address to a link, IPv6 without duplicate address detection unless the options ask for it.
  ///
  /// - Throws: `.alreadyExists`; `.notFound` for the link; `.invalidValue` for the options.
  public func add(
    _ address: InterfaceAddress, to link: Int32, options: AddressOptions = AddressOptions()
  ) throws(NetworkError) {
    try options.validate(for: address)
    try namespace.connection(.route).execute(AddressRequests.add(address, to: link, options: options))
  }

  /// Adds an address to a link, or sets the lifetimes of an existing one. The label stays as it is.
  ///
  /// - Throws: `.notFound` for the link; `.invalidValue` for the options.
  public func replace(
    _ address: InterfaceAddress, of link: Int32, options: AddressOptions = AddressOptions()
  ) throws(NetworkError) {
    try options.validate(for: address)
    try namespace.connection(.route).execute(AddressRequests.replace(address, of: link, options: options))
  }

  /// Removes an address from a link. The first IPv4 address of a subnet takes the others with it, unless
  /// `net.ipv4.conf.*.promote_secondaries` is set.
  ///
  /// - Throws: `.notFound` for a missing address (`EADDRNOTAVAIL`) or link.
  public func remove(_ address: InterfaceAddress, from link: Int32) throws(NetworkError) {
    do { try namespace.connection(.route).execute(AddressRequests.remove(address, from: link)) } catch {
      guard error.kernel?.errno == .addressNotAvailable else { throw error }
      throw absent(address, link, error.kernel)
    }
  }

  private func absent(_ address: InterfaceAddress, _ link: Int32, _ report: KernelReport? = nil) -> NetworkError {
    NetworkError(
      .notFound, operation: "find address \(address) of link \(link)",
      reason: "link \(link) has no address \(address); the prefix length must match, too", kernel: report)
  }
}

extension NetworkNamespace {
  /// Its addresses.
  public var addresses: Addresses { Addresses(namespace: self) }
}
