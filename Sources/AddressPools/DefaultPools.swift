public import NetworkPrimitives

/// The blocks from which networks get their subnets when the user gives none.
public struct DefaultPools: Hashable, Sendable, Codable {
  /// The blocks, in the order in which they are used up.
  public let pools: [DefaultPool]

  /// Custom pools.
  ///
  /// - Throws: an error that has every fault among its `causes`: a size that does not fit its block, two blocks
  ///   that overlap, a block that no host can use.
  public init(_ pools: [DefaultPool]) throws(NetworkError) {
    var faults = Faults()
    for (index, pool) in pools.enumerated() {
      faults.list += SubnetConfiguration(subnet: pool.block, gateway: .omitted).faults()
      if pool.block.network.isUnspecified {
        faults.list.append(.invalid("check default pool", "\(pool.block) is not a block of private addresses"))
      }
      if !(pool.block.prefixLength...pool.block.family.bitWidth).contains(pool.size) {
        let reason =
          "\(pool.block) cannot be cut into blocks of /\(pool.size); take a size from \(pool.block.prefixLength) "
          + "to \(pool.block.family.bitWidth)"
        faults.list.append(.invalid("check default pool", reason))
      }
      let before = pools[..<index].map { ClaimedSubnet($0.block, holder: "the pools before it") }
      faults.list += pool.block.overlapFaults(with: before)
    }
    try faults.throwAny("check default pools")
    self.pools = pools
  }

  private init(valid: [DefaultPool]) { pools = valid }

  /// A host's default pools: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in blocks of /20 (31 networks). For
  /// IPv6, the host's ``uniqueLocalBlock(hostIdentifier:)`` in blocks of /64.
  ///
  /// - Parameter hostIdentifier: a text that is unique to this host and never changes, such as the contents of
  ///   /etc/machine-id (machine-id(5)).
  public static func standard(hostIdentifier: String) -> DefaultPools {
    func ipv4(_ a: UInt8, _ b: UInt8, _ prefixLength: Int, size: Int) -> DefaultPool {
      DefaultPool(.block(.v4(IPv4Address(a, b, 0, 0)), prefixLength), size: size)
    }
    return DefaultPools(valid: [
      ipv4(172, 17, 16, size: 16), ipv4(172, 18, 15, size: 16), ipv4(172, 20, 14, size: 16),
      ipv4(172, 24, 13, size: 16), ipv4(192, 168, 16, size: 20),
      DefaultPool(uniqueLocalBlock(hostIdentifier: hostIdentifier), size: 64),
    ])
  }

  /// A unique local /48 (RFC 4193) that is stable on one host and differs between hosts: `fd`, then 40 bits.
  ///
  /// RFC 4193 derives those bits from a hash of a time and a hardware address. Here they come from the host's
  /// identifier alone, so that every start yields the same block. The hash is FNV-1a in 64 bits over the UTF-8 of
  /// `container-networking` followed by the identifier, folded to 40 bits by XOR. White space around the identifier
  /// does not count.
  public static func uniqueLocalBlock(hostIdentifier: String) -> Subnet {
    func isSpace(_ character: Character) -> Bool { character.isWhitespace }
    let identifier = hostIdentifier.drop(while: isSpace)
    let end = identifier.lastIndex { !isSpace($0) }.map { identifier.index(after: $0) } ?? identifier.startIndex
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in "container-networking".utf8 + Array(identifier[..<end].utf8) {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    let globalID = (hash >> 40) ^ (hash & 0xff_ffff_ffff)
    let number = UInt128(0xfd) << 120 | UInt128(globalID) << 80
    return .block(.v6(IPv6Address(rawValue: number)), 48)
  }

  /// Decodes and checks the pools.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let pools = try container.decode([DefaultPool].self, forKey: .pools)
    self = try decoder.checked { () throws(NetworkError) in try DefaultPools(pools) }
  }
}

/// One block of the ``DefaultPools``.
public struct DefaultPool: Hashable, Sendable, Codable {
  /// The block.
  public var block: Subnet
  /// The prefix length of the subnets cut from the block, unless the user asks for another.
  public var size: Int

  /// A pool; ``DefaultPools/init(_:)`` checks it.
  public init(_ block: Subnet, size: Int) {
    self.block = block
    self.size = size
  }
}

extension DefaultPools {
  /// The first block that overlaps nothing of `avoiding`.
  ///
  /// /0 and /1 in `avoiding` do not count: they are default routes, which every block overlaps. A VPN often writes one
  /// as two halves.
  ///
  /// - Parameters:
  ///   - family: the family.
  ///   - prefixLength: the size that the user asks for, the N of `0.0.0.0/N`; nil for each pool's own size.
  ///   - avoiding: the subnets of existing networks, the destinations of the host's routes, its resolvers' addresses.
  /// - Throws: `.invalidValue` if no pool is so large; `.exhausted` if no block is left.
  public func choose(
    family: AddressFamily, prefixLength: Int? = nil, avoiding: [Subnet] = []
  ) throws(NetworkError) -> Subnet {
    let operation = "choose \(family) subnet"
    let candidates = pools.filter { $0.block.family == family }
    let fitting = candidates.filter { ($0.block.prefixLength...family.bitWidth).contains(prefixLength ?? $0.size) }
    let list = candidates.map(\.block.description).joined(separator: ", ")
    guard !candidates.isEmpty else {
      throw NetworkError(.exhausted, operation: operation, reason: "there are no \(family) pools; name a subnet")
    }
    guard !fitting.isEmpty else {
      throw .invalid(
        operation,
        "no pool holds a /\(prefixLength ?? 0); the pools are \(list); ask for a smaller block or name a subnet")
    }
    let taken = avoiding.filter { $0.family == family && $0.prefixLength > 1 }.sorted()
    for pool in fitting {
      guard let first = pool.block.subnet(at: 0, prefixLength: prefixLength ?? pool.size) else { continue }
      if let block = Subnet.firstFree(from: first, in: pool.block, taken: taken) { return block }
    }
    let size = prefixLength.map { "a /\($0)" } ?? "a block"
    throw NetworkError(
      .exhausted, operation: operation,
      reason: "none of the pools \(list) has \(size) left that no network, route or resolver of the host overlaps; "
        + "remove a network, name a subnet, or add a pool")
  }
}

extension Subnet {
  /// The block of that size in which `address` lies; the length fits the family.
  static func block(_ address: IPAddress, _ prefixLength: Int) -> Subnet {
    Subnet(containing: address, validPrefixLength: prefixLength)
  }
}
