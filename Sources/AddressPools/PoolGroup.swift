public import NetworkPrimitives

/// All the pools of one network.
public struct PoolGroup: Hashable, Sendable, Codable {
  /// The pools, in the order of the configuration.
  public private(set) var pools: [AddressPool]

  /// The pools of a configuration whose subnets are chosen.
  ///
  /// - Throws: every fault together, as ``PoolConfiguration/validate(onePerFamily:claimed:)``, except that a family may have
  ///   several subnets.
  public init(_ configuration: PoolConfiguration) throws(NetworkError) {
    try configuration.validate(onePerFamily: false)
    pools = []
    for subnet in configuration.subnets { pools.append(try AddressPool(subnet)) }
  }

  /// Restores pools. The caller guarantees that they do not overlap.
  public init(pools: [AddressPool]) { self.pools = pools }

  /// The subnets.
  public var subnets: [Subnet] { pools.map(\.subnet) }

  /// The pool that an address belongs to; nil if there is none.
  public func pool(containing address: IPAddress) -> AddressPool? { pools.first { $0.subnet.contains(address) } }

  /// Chooses the next free address of a family, from the first pool that has one; with the subnet's prefix length.
  ///
  /// - Throws: `.invalidValue` if the network has no subnet of the family;
  ///   `.exhausted`, with a cause for each pool, if all are full.
  public mutating func allocate(
    _ family: AddressFamily, for owner: String
  ) throws(NetworkError) -> InterfaceAddress {
    let operation = "allocate an \(family) address for \(quoted(owner))"
    var causes: [NetworkError] = []
    for index in pools.indices where pools[index].subnet.family == family {
      do {
        let address = try pools[index].allocate(for: owner)
        return try InterfaceAddress(address: address, in: pools[index].subnet)
      } catch {
        causes.append(error)
      }
    }
    guard !causes.isEmpty else {
      throw .invalid(operation, "the network has no \(family) subnet; its subnets are \(list)")
    }
    throw NetworkError(
      .exhausted, operation: operation, reason: "no \(family) address of the network is free", causes: causes)
  }

  /// Leases the address that the owner asks for, and returns it with the subnet's prefix length.
  ///
  /// - Throws: as ``AddressPool/allocate(_:for:)``; if no subnet has the address, the error lists the subnets.
  @discardableResult
  public mutating func allocate(
    _ address: IPAddress, for owner: String
  ) throws(NetworkError) -> InterfaceAddress {
    let index = try index(containing: address, "allocate \(address) for \(quoted(owner))")
    try pools[index].allocate(address, for: owner)
    return try InterfaceAddress(address: address, in: pools[index].subnet)
  }

  /// Releases an address and returns its former lease.
  ///
  /// - Throws: as ``AddressPool/release(_:)``; if no subnet has the address, the error lists the subnets.
  @discardableResult
  public mutating func release(_ address: IPAddress) throws(NetworkError) -> Lease {
    let index = try index(containing: address, "release \(address)")
    return try pools[index].release(address)
  }

  private var list: String { pools.isEmpty ? "none" : subnets.map(\.description).joined(separator: ", ") }

  private func index(containing address: IPAddress, _ operation: String) throws(NetworkError) -> Int {
    guard let index = pools.firstIndex(where: { $0.subnet.contains(address) }) else {
      throw .invalid(operation, "\(address) is in none of the network's subnets; they are \(list)")
    }
    return index
  }
}
