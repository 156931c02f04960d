public import NetworkPrimitives

/// The user's configuration of all subnets of one network.
public struct PoolConfiguration: Hashable, Sendable, Codable {
  /// The subnets; for a family that has none here, ``resolved(families:from:avoiding:claimed:onePerFamily:)`` chooses one.
  public var subnets: [SubnetConfiguration]

  /// A configuration; if empty, every subnet is chosen from the pools.
  public init(subnets: [SubnetConfiguration] = []) { self.subnets = subnets }

  /// Checks every subnet, the subnets against each other and against those of other networks.
  ///
  /// - Parameters:
  ///   - onePerFamily: whether the network can have only one subnet of each family, as a bridge network can.
  ///   - claimed: the subnets of other networks.
  /// - Throws: an error that has every fault among its `causes`; its code is theirs if they agree
  ///   (`.inUse` for overlaps), else `.invalidValue`.
  public func validate(onePerFamily: Bool = true, claimed: [ClaimedSubnet] = []) throws(NetworkError) {
    try Faults(list: faults(onePerFamily: onePerFamily, claimed: claimed)).throwAny("check address pools")
  }

  /// Every fault that ``validate(onePerFamily:claimed:)`` finds.
  public func faults(onePerFamily: Bool = true, claimed: [ClaimedSubnet] = []) -> [NetworkError] {
    var faults = subnets.flatMap { $0.faults() + $0.creationFaults() }
    if onePerFamily {
      for family in AddressFamily.allCases {
        let several = subnets.map(\.subnet).filter { $0.family == family }
        guard several.count > 1 else { continue }
        let list = several.map(\.description).joined(separator: ", ")
        faults.append(
          .invalid(
            "check subnets",
            "\(list): a network of this driver has one \(family) subnet; keep one, or make two networks"))
      }
    }
    let fixed = subnets.filter { !$0.isRequest }.map(\.subnet)
    for (index, subnet) in fixed.enumerated() {
      let before = fixed[..<index].map { ClaimedSubnet($0, holder: "the same network") }
      faults += subnet.overlapFaults(with: before + claimed)
    }
    return faults
  }

  /// Returns the configuration with every subnet chosen. A request such as `0.0.0.0/24` gets a block of that size; a
  /// family without a subnet gets one of the pools' own size.
  ///
  /// - Parameters:
  ///   - families: the families that the network has; a subnet of another family is a fault.
  ///   - pools: the source of the chosen blocks.
  ///   - avoiding: the host's routes and resolvers, which a chosen block must not overlap. A block that the user gave
  ///     may.
  ///   - claimed: the subnets of other networks, which no block may overlap.
  ///   - onePerFamily: whether the network can have only one subnet of each family.
  /// - Throws: every fault together, as ``validate(onePerFamily:claimed:)``; `.exhausted` if no block
  ///   is left.
  public func resolved(
    families: Set<AddressFamily>, from pools: DefaultPools, avoiding: [Subnet] = [], claimed: [ClaimedSubnet] = [],
    onePerFamily: Bool = true
  ) throws(NetworkError) -> PoolConfiguration {
    var faults = Faults(list: faults(onePerFamily: onePerFamily, claimed: claimed))
    for subnet in subnets.map(\.subnet) where !families.contains(subnet.family) {
      let reason = "\(subnet) is an \(subnet.family) subnet, but the network has no \(subnet.family); turn it on"
      faults.list.append(NetworkError(.conflictingOptions, operation: "check subnet \(subnet)", reason: reason))
    }
    try faults.throwAny("check address pools")

    var result = self
    var taken = avoiding + claimed.map(\.subnet) + subnets.filter { !$0.isRequest }.map(\.subnet)
    for index in result.subnets.indices where result.subnets[index].isRequest {
      let request = result.subnets[index].subnet
      let chosen = try pools.choose(
        family: request.family, prefixLength: request.prefixLength, avoiding: taken)
      result.subnets[index].subnet = chosen
      taken.append(chosen)
    }
    for family in families.sorted() where !result.subnets.contains(where: { $0.subnet.family == family }) {
      result.subnets.append(SubnetConfiguration(subnet: try pools.choose(family: family, avoiding: taken)))
    }
    return result
  }
}
