public import NetworkPrimitives

/// The addresses of one subnet, and who has them. A value: no I/O; memory grows with the leases, not with the subnet.
///
/// Allocation is next-fit: it starts behind the address given last and wraps, so that one just released is the last to
/// come back.
public struct AddressPool: Hashable, Sendable {
  /// The subnet that every lease is in.
  public let subnet: Subnet
  /// Where dynamic addresses come from: ``subnet`` or a part of it.
  public let range: Subnet
  /// The gateway's address; reserved before any other.
  public private(set) var gateway: IPAddress?
  /// Who has which address, reserved ones included.
  public private(set) var leases: [IPAddress: String] = [:]

  /// The leased addresses in order, as numbers: the first free one behind any is found by bisection.
  private var taken: [UInt128] = []
  private var next: UInt128

  /// Makes a pool and reserves what is never given out: network and broadcast address of an IPv4 subnet up to /30, the
  /// first address of an IPv6 subnet up to /126 (subnet-router anycast, RFC 4291 §2.6.1), gateway, auxiliary addresses.
  ///
  /// - Parameters:
  ///   - subnet: The subnet.
  ///   - range: Where dynamic addresses come from; nil for all of the subnet.
  ///   - gateway: The gateway's address; nil for the first free one of the range.
  ///   - auxiliaryAddresses: Addresses to keep, by what for.
  /// - Throws: `.invalidValue` with every fault among the causes; `.exhausted` when no address is left for a gateway.
  public init(
    subnet: Subnet, range: Subnet? = nil, gateway: IPAddress? = nil, auxiliaryAddresses: [String: IPAddress] = [:]
  ) throws(NetworkError) {
    let faults = Self.faults(subnet: subnet, range: range, gateway: gateway, auxiliary: auxiliaryAddresses)
    guard faults.isEmpty else {
      throw faults.count == 1
        ? faults[0]
        : NetworkError(
          .invalidValue, operation: "configure addresses of \(subnet)", reason: "\(faults.count) values are wrong",
          causes: faults)
    }
    self.subnet = subnet
    self.range = range ?? subnet
    next = self.range.first.rawValue
    if let broadcast = subnet.broadcast {
      insert(subnet.first, for: "network address")
      insert(.v4(broadcast), for: "broadcast address")
    } else if subnet.family == .ipv6, subnet.prefixLength <= 126 {
      insert(subnet.first, for: "subnet-router anycast address")
    }
    if let gateway { try allocate(gateway, for: "gateway") }
    for (purpose, address) in auxiliaryAddresses.sorted(by: { $0.key < $1.key }) {
      try allocate(address, for: "auxiliary address \"\(purpose)\"")
    }
    self.gateway = if let gateway { gateway } else { try allocate(for: "gateway") }
  }

  /// Leases the next free address of the range.
  ///
  /// - Throws: `.exhausted`, naming the range and its size.
  @discardableResult
  public mutating func allocate(for owner: String) throws(NetworkError) -> IPAddress {
    let first = range.first.rawValue
    let last = range.last.rawValue
    let found = firstFree(from: next, through: last) ?? (next > first ? firstFree(from: first, through: next - 1) : nil)
    guard let found, let address = IPAddress(family: subnet.family, rawValue: found) else {
      throw NetworkError(
        .exhausted, operation: "allocate an address of \(subnet)",
        reason:
          "all \(range.addressCount) addresses of \(range) are taken or reserved; release one, or use a larger subnet")
    }
    insert(address, for: owner)
    next = found == last ? first : found + 1
    return address
  }

  /// Leases a certain address: any of the subnet that is free, inside the range or not.
  ///
  /// - Throws: `.invalidValue` outside the subnet; `.inUse`, naming the owner.
  public mutating func allocate(_ address: IPAddress, for owner: String) throws(NetworkError) {
    guard subnet.contains(address) else {
      throw NetworkError(
        .invalidValue, operation: "allocate \(address)",
        reason:
          "\(address) is outside the network's subnet \(subnet); choose one from \(subnet.first) to \(subnet.last)")
    }
    if let holder = leases[address] {
      throw NetworkError(
        .inUse, operation: "allocate \(address)", reason: "address already in use: \(address) is the \(holder)'s")
    }
    insert(address, for: owner)
  }

  /// Gives an address back.
  ///
  /// - Throws: `.notFound` for one that is not leased.
  public mutating func release(_ address: IPAddress) throws(NetworkError) {
    guard leases.removeValue(forKey: address) != nil else {
      throw NetworkError(
        .notFound, operation: "release \(address)", reason: "\(address) is not leased from \(subnet)")
    }
    let index = position(of: address.rawValue)
    taken.remove(at: index)
  }

  /// How many addresses of the range can still be given.
  public var availableCount: UInt128 {
    let inside = position(of: range.last.rawValue &+ 1) - position(of: range.first.rawValue)
    return range.addressCount - UInt128(inside)
  }

  // MARK: - Order

  private mutating func insert(_ address: IPAddress, for owner: String) {
    leases[address] = owner
    taken.insert(address.rawValue, at: position(of: address.rawValue))
  }

  /// How many taken addresses are below `value`.
  private func position(of value: UInt128) -> Int {
    var low = 0
    var high = taken.count
    while low < high {
      let middle = (low + high) / 2
      if taken[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The first free address of a span. From `start`, taken addresses stand without a gap for a while; where the gap
  /// comes is found by bisection, since `taken[i] - i` only grows.
  private func firstFree(from start: UInt128, through end: UInt128) -> UInt128? {
    let first = position(of: start)
    var low = first
    var high = taken.count
    while low < high {
      let middle = (low + high) / 2
      if taken[middle] - start == UInt128(middle - first) { low = middle + 1 } else { high = middle }
    }
    let candidate = start + UInt128(low - first)
    return candidate <= end ? candidate : nil
  }

  private static func faults(
    subnet: Subnet, range: Subnet?, gateway: IPAddress?, auxiliary: [String: IPAddress]
  ) -> [NetworkError] {
    var faults: [NetworkError] = []
    let check = { (isRight: Bool, value: String, what: String) in
      if isRight { return }
      faults.append(
        NetworkError(
          .invalidValue, operation: "configure addresses of \(subnet)",
          reason: "\(what) \(value) is outside the subnet; it must lie in \(subnet.first)–\(subnet.last)"))
    }
    if let range { check(subnet.contains(range), "\(range)", "the ip-range") }
    if let gateway { check(subnet.contains(gateway), "\(gateway)", "the gateway") }
    for (purpose, address) in auxiliary.sorted(by: { $0.key < $1.key }) {
      check(subnet.contains(address), "\(address)", "the auxiliary address \"\(purpose)\"")
    }
    return faults
  }
}
