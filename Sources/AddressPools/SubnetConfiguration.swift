public import NetworkPrimitives

/// The user's configuration of one subnet: the block, and how its addresses are allocated.
public struct SubnetConfiguration: Hashable, Sendable, Codable {
  /// The block of addresses; `0.0.0.0/N` or `::/N` asks for any block of that size from the ``DefaultPools``.
  public var subnet: Subnet
  /// The part of the subnet from which addresses are chosen; nil means all of it. An explicitly requested address may
  /// lie outside.
  public var ipRange: Subnet?
  /// The gateway.
  public var gateway: GatewayChoice
  /// Addresses that are never allocated, by the name of their user.
  public var auxiliaryAddresses: [String: IPAddress]

  /// A subnet's configuration; call ``validate()`` to check it.
  public init(
    subnet: Subnet, ipRange: Subnet? = nil, gateway: GatewayChoice = .automatic,
    auxiliaryAddresses: [String: IPAddress] = [:]
  ) {
    self.subnet = subnet
    self.ipRange = ipRange
    self.gateway = gateway
    self.auxiliaryAddresses = auxiliaryAddresses
  }

  /// Reads a configuration from text and validates it. `gateway` is an address, `none`, or nil for the first free address.
  ///
  /// - Throws: an error that has every fault of every part among its `causes`.
  public init(
    parsing subnet: String, ipRange: String? = nil, gateway: String? = nil, auxiliaryAddresses: [String: String] = [:]
  ) throws(NetworkError) {
    var faults = Faults()
    let block = faults.collect { () throws(NetworkError) in try Subnet(subnet) }
    let range = ipRange.flatMap { text in
      faults.collect("read ip-range") { () throws(NetworkError) in try Subnet(text) }
    }
    let choice = gateway.flatMap { text in
      faults.collect("read gateway") { () throws(NetworkError) in try GatewayChoice(text) }
    }
    var auxiliary: [String: IPAddress] = [:]
    for (name, text) in auxiliaryAddresses.sorted(by: { $0.key < $1.key }) {
      auxiliary[name] = faults.collect("read auxiliary address \(quoted(name))") { () throws(NetworkError) in
        try IPAddress(text)
      }
    }
    guard let block else { throw faults.error("check subnet \(quoted(subnet))") }
    self.init(
      subnet: block, ipRange: range, gateway: choice ?? .automatic, auxiliaryAddresses: auxiliary)
    faults.list += self.faults()
    try faults.throwAny("check subnet \(block)")
  }

  /// Decodes a configuration; all but `subnet` may be left out. It is not validated.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      subnet: try container.decode(Subnet.self, forKey: .subnet),
      ipRange: try container.decodeIfPresent(Subnet.self, forKey: .ipRange),
      gateway: try container.decodeIfPresent(GatewayChoice.self, forKey: .gateway) ?? .automatic,
      auxiliaryAddresses: try container.decodeIfPresent([String: IPAddress].self, forKey: .auxiliaryAddresses) ?? [:])
  }

  /// Whether the subnet is a request for a block: `0.0.0.0/N` or `::/N`.
  public var isRequest: Bool { subnet.network.isUnspecified }

  /// The block from which addresses are chosen.
  public var allocationBlock: Subnet { ipRange ?? subnet }

  /// The gateway's address: the one given, or the first of the block that is neither reserved nor auxiliary. Nil if the
  /// gateway is omitted or no address is free.
  public var gatewayAddress: IPAddress? {
    switch gateway {
    case .omitted: return nil
    case .address(let address): return address
    case .automatic:
      let auxiliary = Set(auxiliaryAddresses.values)
      var candidate: IPAddress? = allocationBlock.first
      while let address = candidate, allocationBlock.contains(address) {
        if subnet.reservation(of: address) == nil, !auxiliary.contains(address) { return address }
        candidate = address.advanced(by: 1)
      }
      return nil
    }
  }
}

extension Subnet {
  /// The addresses that no host can have.
  ///
  /// IPv4: the network and the broadcast address, but not of a /31 (RFC 3021) or /32. IPv6: the subnet-router anycast address
  /// (RFC 4291, section 2.6.1), but not of a /127 (RFC 6164) or /128, for which the kernel does not join it either
  /// (`addrconf_join_anycast` in net/ipv6/addrconf.c).
  var reservedAddresses: [IPAddress] {
    guard prefixLength < family.bitWidth - 1 else { return [] }
    return family == .ipv4 ? [first, last] : [first]
  }

  /// The use of a reserved IPv4 address, in a word.
  func use(of address: IPAddress) -> String { address == first ? "network" : "broadcast" }

  /// The reserved use of the address; nil if a host can have it.
  public func reservation(of address: IPAddress) -> String? {
    guard reservedAddresses.contains(address) else { return nil }
    if family == .ipv6 { return "the subnet-router anycast address of \(self)" }
    return "the \(use(of: address)) address of \(self)"
  }
}
