public import NetworkPrimitives

/// The addresses of one subnet, their leases, and the position of the next search.
///
/// Addresses are allocated in turn: the search starts after the last one chosen and wraps. The last ``restingLimit``
/// released addresses rest and are reused, oldest first, only when no other is free. A released address is therefore
/// the last to be reused, whatever the state of the pool.
///
/// Memory grows with the leases, not with the size of the subnet; an allocation takes a few steps however full the pool
/// is.
public struct AddressPool: Hashable, Sendable {
  /// The configuration of the pool.
  public let configuration: SubnetConfiguration
  /// The gateway's address, which is leased from the start; nil if there is none.
  public let gateway: IPAddress?
  /// The last address chosen, after which the next search starts; nil before the first.
  public private(set) var cursor: IPAddress?
  /// The resting addresses, the oldest first.
  public private(set) var resting: [IPAddress] = []

  /// The maximum number of resting addresses.
  public static let restingLimit = 64

  private var leasesByAddress: [IPAddress: Lease] = [:]
  /// The addresses that a search skips: leased, reserved or resting.
  private var passedOver = SparseBitmap()
  private var usedInBlock: UInt128

  /// A pool, with the gateway and the auxiliary addresses leased.
  ///
  /// - Throws: every fault of the configuration together, as ``SubnetConfiguration/validate()``;
  ///   `.invalidValue` if the subnet is yet to be chosen.
  public init(_ configuration: SubnetConfiguration) throws(NetworkError) {
    try self.init(configuration, leases: [], cursor: nil)
  }

  /// Restores a pool from its ``leases``, ``cursor`` and ``resting``. Gateway and auxiliary addresses may be left out
  /// of `leases`.
  ///
  /// - Throws: as ``init(_:)``; `.inUse` if two leases have one address;
  ///   `.invalidValue` if an address lies outside the subnet.
  public init(
    _ configuration: SubnetConfiguration, leases: [Lease], cursor: IPAddress?, resting: [IPAddress] = []
  ) throws(NetworkError) {
    try configuration.validate()
    let subnet = configuration.subnet
    guard !configuration.isRequest else {
      throw .invalid(
        "make address pool", "\(subnet) asks for any free block; choose one of the default pools first")
    }
    self.configuration = configuration
    gateway = configuration.gatewayAddress
    let reserved = subnet.reservedAddresses
    usedInBlock = UInt128(reserved.count(where: configuration.allocationBlock.contains))
    for address in reserved { passedOver.insert(address.rawValue) }
    if let gateway { record(Lease(address: gateway, owner: "gateway", kind: .gateway)) }
    for (name, address) in configuration.auxiliaryAddresses {
      record(Lease(address: address, owner: name, kind: .auxiliary))
    }
    try restore(leases, cursor: cursor, resting: resting)
  }

  private mutating func restore(
    _ leases: [Lease], cursor: IPAddress?, resting: [IPAddress]
  ) throws(NetworkError) {
    let operation = "restore address pool \(subnet)"
    for lease in leases where leasesByAddress[lease.address] != lease {
      try checkFree(lease.address, operation)
      guard lease.kind == .dynamic || lease.kind == .static else {
        throw .invalid(operation, "\(lease.address) was \(lease.holder), which is not in the configuration")
      }
      record(lease)
    }
    for address in resting.suffix(Self.restingLimit) where !passedOver.contains(address.rawValue) {
      try checkFree(address, operation)
      rest(address)
    }
    if let cursor, !subnet.contains(cursor) {
      throw .invalid(operation, "the cursor \(cursor) is not in the subnet \(subnet)")
    }
    self.cursor = cursor
  }
}

extension AddressPool {
  /// The subnet.
  public var subnet: Subnet { configuration.subnet }

  /// The block from which addresses are chosen: the ip-range, or the subnet.
  public var allocationBlock: Subnet { configuration.allocationBlock }

  /// Every lease, in the order of the addresses.
  public var leases: [Lease] { leasesByAddress.values.sorted { $0.address < $1.address } }

  /// The lease of an address; nil if it is free.
  public func lease(of address: IPAddress) -> Lease? { leasesByAddress[address] }

  /// The owner of an address; nil if it is free.
  public func owner(of address: IPAddress) -> String? { leasesByAddress[address]?.owner }

  /// The number of the subnet's unavailable addresses: leased, or reserved as network, broadcast or anycast address.
  public var inUseCount: Int { leasesByAddress.count + subnet.reservedAddresses.count }

  /// The number of free addresses in ``allocationBlock``.
  public var availableCount: UInt128 { allocationBlock.addressCount - usedInBlock }

  /// The number of words in the search structure; grows with the leases alone.
  var storedWordCount: Int { passedOver.wordCount }
}

extension AddressPool {
  /// Chooses the next free address of ``allocationBlock``.
  ///
  /// - Throws: `.exhausted` if none is free.
  public mutating func allocate(for owner: String) throws(NetworkError) -> IPAddress {
    guard let address = nextFree() else { throw exhausted(owner) }
    unrest(address)
    record(Lease(address: address, owner: owner, kind: .dynamic))
    cursor = address
    return address
  }

  /// Leases the address that the owner asks for; it may lie outside the ip-range.
  ///
  /// - Throws: `.inUse` naming the owner if it is taken, even if by the same owner;
  ///   `.invalidValue` if it lies outside the subnet or no host can have it. Nothing is changed then.
  public mutating func allocate(_ address: IPAddress, for owner: String) throws(NetworkError) {
    try checkFree(address, "allocate \(address) for \(quoted(owner))")
    unrest(address)
    record(Lease(address: address, owner: owner, kind: .static))
  }

  /// Releases an address and returns its former lease.
  ///
  /// - Throws: `.notFound` if it is not leased; `.refused` if it is the gateway or an
  ///   auxiliary address, which stay taken as long as the pool exists.
  @discardableResult
  public mutating func release(_ address: IPAddress) throws(NetworkError) -> Lease {
    let operation = { "release \(address)" }
    guard let lease = leasesByAddress[address] else {
      throw NetworkError(.notFound, operation: operation(), reason: "\(address) is not leased from \(subnet)")
    }
    guard lease.kind == .dynamic || lease.kind == .static else {
      let reason = "\(address) is \(lease.holder) and stays taken; remove the network to free it"
      throw NetworkError(.refused, operation: operation(), reason: reason)
    }
    leasesByAddress[address] = nil
    if allocationBlock.contains(address) { usedInBlock -= 1 }
    rest(address)
    return lease
  }

  /// Makes another owner the holder of a leased address.
  ///
  /// - Throws: `.notFound` if it is not leased; `.refused` if it is the gateway or an auxiliary address.
  public mutating func transfer(_ address: IPAddress, to owner: String) throws(NetworkError) {
    // Built only on failure: the text takes longer than the change.
    let operation = { "transfer \(address) to \(quoted(owner))" }
    guard let lease = leasesByAddress[address] else {
      throw NetworkError(.notFound, operation: operation(), reason: "\(address) is not leased from \(subnet)")
    }
    guard lease.kind == .dynamic || lease.kind == .static else {
      throw NetworkError(
        .refused, operation: operation(), reason: "\(address) is \(lease.holder) and stays taken; choose another")
    }
    leasesByAddress[address] = Lease(address: address, owner: owner, kind: lease.kind)
  }

  /// Leases an address that another copy of the pool leased, replacing any lease of it here.
  ///
  /// - Throws: `.inUse` for the gateway or an auxiliary address; `.invalidValue` if it lies outside the subnet or no host can
  ///   have it. Nothing is changed then.
  package mutating func adopt(_ lease: Lease) throws(NetworkError) {
    if let known = leasesByAddress[lease.address], known.kind == .dynamic || known.kind == .static {
      leasesByAddress[lease.address] = lease
      return
    }
    try checkFree(lease.address, "lease \(lease.address) to \(quoted(lease.owner))")
    unrest(lease.address)
    record(lease)
  }

  /// Forgets the lease of an address that another copy of the pool released, unless it has a new owner by now. The
  /// address does not rest before ``settle(cursor:resting:)`` lists it.
  package mutating func forget(_ address: IPAddress, of owner: String) {
    guard let lease = leasesByAddress[address], lease.owner == owner, lease.kind == .dynamic || lease.kind == .static
    else {
      return
    }
    leasesByAddress[address] = nil
    if allocationBlock.contains(address) { usedInBlock -= 1 }
    passedOver.remove(address.rawValue)
  }

  /// Takes over the cursor and the resting addresses of another copy of the pool.
  ///
  /// - Throws: `.invalidValue` if an address lies outside the subnet.
  package mutating func settle(cursor: IPAddress?, resting: [IPAddress]) throws(NetworkError) {
    for address in self.resting { passedOver.remove(address.rawValue) }
    self.resting = []
    try restore([], cursor: cursor, resting: resting)
  }

  private func nextFree() -> IPAddress? {
    let (first, last) = (allocationBlock.first.rawValue, allocationBlock.last.rawValue)
    var start = first
    if let cursor, allocationBlock.contains(cursor), cursor.rawValue < last { start = cursor.rawValue + 1 }
    var found = passedOver.firstMissing(from: start, through: last)
    if found == nil, start > first { found = passedOver.firstMissing(from: first, through: start - 1) }
    if let found { return IPAddress(family: subnet.family, rawValue: found) }
    return resting.first { allocationBlock.contains($0) }
  }

  private mutating func record(_ lease: Lease) {
    leasesByAddress[lease.address] = lease
    passedOver.insert(lease.address.rawValue)
    if allocationBlock.contains(lease.address) { usedInBlock += 1 }
  }

  private mutating func rest(_ address: IPAddress) {
    passedOver.insert(address.rawValue)
    resting.append(address)
    if resting.count > Self.restingLimit { passedOver.remove(resting.removeFirst().rawValue) }
  }

  private mutating func unrest(_ address: IPAddress) {
    if let index = resting.firstIndex(of: address) { resting.remove(at: index) }
  }

  private func checkFree(_ address: IPAddress, _ operation: @autoclosure () -> String) throws(NetworkError) {
    if let fault = configuration.placeFault(address) { throw .invalid(operation(), fault) }
    if let lease = leasesByAddress[address] {
      let reason = "\(address): address already in use by \(lease.holder)"
      throw NetworkError(.inUse, operation: operation(), reason: reason)
    }
  }

  private func exhausted(_ owner: String) -> NetworkError {
    let block = allocationBlock
    let reserved = subnet.reservedAddresses.filter(block.contains)
    let leases = leasesByAddress.values.filter { block.contains($0.address) }
    let owned = leases.count { $0.kind == .dynamic || $0.kind == .static }
    let auxiliary = leases.filter { $0.kind == .auxiliary }.map { quoted($0.owner) }.sorted()
    var parts: [String] = []
    if owned > 0 { parts.append("\(owned) leased") }
    if leases.contains(where: { $0.kind == .gateway }) { parts.append("1 the gateway's") }
    if !auxiliary.isEmpty {
      let names = auxiliary.prefix(3).joined(separator: ", ") + (auxiliary.count > 3 ? ", …" : "")
      parts.append("\(auxiliary.count) set apart (\(names))")
    }
    if !reserved.isEmpty {
      let uses =
        subnet.family == .ipv6 ? "subnet-router anycast" : reserved.map(subnet.use(of:)).joined(separator: ", ")
      parts.append("\(reserved.count) reserved (\(uses))")
    }
    let place = configuration.ipRange == nil ? "\(subnet)" : "the ip-range \(block) in \(subnet)"
    var ways = owned > 0 ? ["release one"] : []
    ways.append(configuration.ipRange == nil ? "use a network with a larger subnet" : "ask for an address outside it")
    return NetworkError(
      .exhausted, operation: "allocate an address for \(quoted(owner))",
      reason: "no address of \(place) is free, of \(block.addressCount): \(parts.joined(separator: ", ")); "
        + ways.joined(separator: ", or "))
  }
}

extension AddressPool: Codable {
  private enum CodingKeys: String, CodingKey { case configuration, leases, cursor, resting }

  /// Decodes a pool and checks it as ``init(_:leases:cursor:resting:)`` does.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let configuration = try container.decode(SubnetConfiguration.self, forKey: .configuration)
    let leases = try container.decode([Lease].self, forKey: .leases)
    let cursor = try container.decodeIfPresent(IPAddress.self, forKey: .cursor)
    let resting = try container.decodeIfPresent([IPAddress].self, forKey: .resting) ?? []
    self = try decoder.checked { () throws(NetworkError) in
      try AddressPool(configuration, leases: leases, cursor: cursor, resting: resting)
    }
  }

  /// Encodes the configuration, every lease, the cursor and the resting addresses.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(configuration, forKey: .configuration)
    try container.encode(leases, forKey: .leases)
    try container.encodeIfPresent(cursor, forKey: .cursor)
    try container.encode(resting, forKey: .resting)
  }
}
