public import NetworkPrimitives

/// Where networks get a subnet that was not chosen by hand.
public struct DefaultPools: Hashable, Sendable {
  /// A part of the address space, cut into subnets of one size.
  public struct Pool: Hashable, Sendable {
    /// The part.
    public var base: Subnet
    /// Prefix length of the subnets cut from it.
    public var size: Int

    /// Makes a pool.
    public init(_ base: Subnet, size: Int) {
      self.base = base
      self.size = size
    }
  }

  /// In the order in which they are tried.
  public var pools: [Pool]

  /// Pools of one's own.
  public init(pools: [Pool]) { self.pools = pools }

  /// Docker's: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 cut to /20; 31 networks.
  public init() {
    let large = (17...31).map { second in
      Pool(Self.subnet(172, UInt32(second), prefixLength: 16), size: 16)
    }
    pools = large + [Pool(Self.subnet(192, 168, prefixLength: 16), size: 20)]
  }

  /// The first subnet that overlaps nothing of `used`.
  ///
  /// - Throws: `.exhausted`, with the number of subnets tried.
  public func choose(avoiding used: [Subnet]) throws(NetworkError) -> Subnet {
    var tried = 0
    for pool in pools {
      var index: UInt128 = 0
      while let subnet = pool.base.subnet(at: index, prefixLength: pool.size) {
        if !used.contains(where: { $0.overlaps(subnet) }) { return subnet }
        tried += 1
        index += 1
      }
    }
    throw NetworkError(
      .exhausted, operation: "choose a subnet",
      reason:
        "all \(tried) subnets of the default pools overlap a network or a route of the host; name a subnet, or set pools"
    )
  }

  private static func subnet(_ first: UInt32, _ second: UInt32, prefixLength: Int) -> Subnet {
    let address = IPv4Address(rawValue: first << 24 | second << 16)
    // The prefix length is in range, which is all that can be wrong.
    return (try? Subnet(containing: .v4(address), prefixLength: prefixLength)) ?? .all(.ipv4)
  }
}
