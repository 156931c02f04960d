package import NetworkPrimitives

/// Faults of a new network's subnet. A recorded subnet stays as it is.
extension SubnetConfiguration {
  /// Every fault that applies to a new network's subnet only; those of ``faults()`` are not included.
  func creationFaults() -> [NetworkError] {
    guard !isRequest else { return [] }
    let misplaced = Self.kept.filter { $0.block.overlaps(subnet) }.map { placeFault($0.block, $0.use) }
    return misplaced + (roomFault().map { [$0] } ?? [])
  }

  /// The fault of overlapping a block that is reserved for another use.
  func placeFault(_ block: Subnet, _ use: String) -> NetworkError {
    .invalid(
      "check subnet \(subnet)",
      "\(subnet) overlaps \(block), which is for \(use); use a private block, as in "
        + (subnet.family == .ipv4 ? "10.1.0.0/16" : "fd00:1::/64"))
  }

  /// The fault of having no address for a container, with the longest prefix length that has one.
  private func roomFault() -> NetworkError? {
    let own = Set((gatewayAddress.map { [$0] } ?? []) + auxiliaryAddresses.values).filter(subnet.contains)
    let isAlone = subnet.addressCount == 1
    // A missing gateway address is a separate fault.
    guard isAlone || gateway != .automatic || gatewayAddress != nil else { return nil }
    let isFull = { (block: Subnet) in
      UInt128(Set(own).union(block.reservedAddresses).count) >= block.addressCount
    }
    guard isAlone || isFull(subnet) else { return nil }
    let wider = (0..<subnet.prefixLength).reversed().lazy
      .map { Subnet(containing: subnet.network, validPrefixLength: $0) }.first { !isFull($0) }
    let taken = isAlone ? "has one address alone" : "has no address left for a container"
    return .invalid(
      "check subnet \(subnet)",
      "\(subnet) \(taken); the smallest that works is \(wider.map { "\($0)" } ?? "a larger one")")
  }

  /// Blocks that a network would take from every link of the host, or that have no hosts.
  private static let kept: [(block: Subnet, use: String)] = [
    (.block(.v4(IPv4Address(169, 254, 0, 0)), 16), "link-local addresses (RFC 3927)"),
    (.block(.v4(IPv4Address(240, 0, 0, 0)), 4), "future use and broadcast (RFC 1112)"),
    (.block(.v6(IPv6Address(rawValue: 0xfe80 << 112)), 10), "link-local addresses (RFC 4291)"),
  ]

  /// The blocks in which a network cannot be created.
  static var reservedBlocks: [Subnet] { (unusable + kept).map(\.block) }
}

extension Subnet {
  /// The adjacent free block of the same size: the first one after it, else, in a private block, the first one of that.
  ///
  /// - Parameter taken: The blocks that it must not overlap; /0 and /1 do not count.
  package func nextFree(avoiding taken: some Sequence<Subnet>) -> Subnet? {
    let obstacles = (Array(taken) + SubnetConfiguration.reservedBlocks + [self])
      .filter { $0.family == family && $0.prefixLength > 1 }.sorted()
    let region = Self.privateBlocks.first { $0.contains(self) }
    if let found = Self.firstFree(from: self, in: region ?? .all(family), taken: obstacles) { return found }
    return region.flatMap { region in
      region.subnet(at: 0, prefixLength: prefixLength).flatMap { .firstFree(from: $0, in: region, taken: obstacles) }
    }
  }

  /// The first block from `start` on that overlaps nothing of `taken`, which is sorted by first address: each overlap moves
  /// the candidate past it.
  static func firstFree(from start: Subnet, in block: Subnet, taken: [Subnet]) -> Subnet? {
    var current = start
    for obstacle in taken {
      guard obstacle.first <= current.last else { break }
      guard obstacle.last >= current.first else { continue }
      // The next candidate starts after the later of the two ends, which is a multiple of the block's size either way.
      guard let next = max(obstacle.last, current.last).advanced(by: 1), block.contains(next) else { return nil }
      current = .block(next, start.prefixLength)
    }
    return current
  }

  private static let privateBlocks: [Subnet] = [
    .block(.v4(IPv4Address(10, 0, 0, 0)), 8), .block(.v4(IPv4Address(172, 16, 0, 0)), 12),
    .block(.v4(IPv4Address(192, 168, 0, 0)), 16), .block(.v6(IPv6Address(rawValue: 0xfc << 120)), 7),
  ]
}
