public import NetworkPrimitives

extension SubnetConfiguration {
  /// Checks the parts against each other.
  ///
  /// - Throws: an error that has every fault among its `causes`; its code is theirs if they agree, else
  ///   `.invalidValue`.
  public func validate() throws(NetworkError) {
    try Faults(list: faults()).throwAny("check subnet \(subnet)")
  }

  /// Every fault; empty if the configuration is sound.
  public func faults() -> [NetworkError] {
    if isRequest { return requestFaults() }
    var faults = subnetFaults()
    if let ipRange, !subnet.contains(ipRange) {
      faults.append(
        .invalid("check ip-range", "\(ipRange) is not inside the subnet \(subnet) (\(subnet.first)–\(subnet.last))"))
      // The automatic gateway comes from the range; its fault would only repeat the range's.
      if gateway == .automatic { return faults + auxiliaryFaults() }
    }
    if case .address(let address) = gateway, let fault = placeFault(address) {
      faults.append(.invalid("check gateway", fault))
    }
    faults += auxiliaryFaults()
    if gateway == .automatic, gatewayAddress == nil {
      let reason =
        "no address of \(allocationBlock) is free for it; use a larger block, name an address, or choose none"
      faults.append(NetworkError(.exhausted, operation: "choose gateway", reason: reason))
    }
    return faults
  }

  private func requestFaults() -> [NetworkError] {
    var given: [String] = []
    if ipRange != nil { given.append("an ip-range") }
    if case .address = gateway { given.append("a gateway") }
    if !auxiliaryAddresses.isEmpty { given.append("an auxiliary address") }
    return given.map {
      NetworkError(
        .conflictingOptions, operation: "check subnet \(subnet)",
        reason: "\(subnet) asks for any free block, so \($0) cannot lie in it; write the block itself")
    }
  }

  private func subnetFaults() -> [NetworkError] {
    Self.unusable.filter { $0.block.overlaps(subnet) }.map { placeFault($0.block, $0.use) }
  }

  private func auxiliaryFaults() -> [NetworkError] {
    var holders: [IPAddress: String] = [:]
    if case .address(let address) = gateway { holders[address] = "the gateway" }
    var faults: [NetworkError] = []
    for (name, address) in auxiliaryAddresses.sorted(by: { $0.key < $1.key }) {
      let operation = "check auxiliary address \(quoted(name))"
      if let fault = placeFault(address) {
        faults.append(.invalid(operation, fault))
      } else if let holder = holders[address] {
        faults.append(
          NetworkError(.inUse, operation: operation, reason: "\(address): address already in use by \(holder)"))
      } else {
        holders[address] = "the auxiliary address \(quoted(name))"
      }
    }
    return faults
  }

  /// The reason why `address` cannot be one of the subnet's; nil if it can.
  func placeFault(_ address: IPAddress) -> String? {
    guard subnet.contains(address) else {
      return "\(address) is not in the subnet \(subnet) (\(subnet.first)–\(subnet.last))"
    }
    return subnet.reservation(of: address).map { "\(address) is \($0), which no host can have" }
  }

  /// The blocks that no network can have.
  static let unusable: [(block: Subnet, use: String)] = [
    (.block(.v4(.any), 8), "\"this network\" (RFC 1122)"),
    (.block(.v4(.loopback), 8), "loopback (RFC 1122)"),
    (.block(.v4(IPv4Address(224, 0, 0, 0)), 4), "multicast (RFC 5771)"),
    (.block(.v6(.loopback), 127), "loopback (RFC 4291)"),
    (.block(.v6(IPv6Address(rawValue: 0xffff_0000_0000)), 96), "IPv4 addresses written as IPv6 (RFC 4291)"),
    (.block(.v6(IPv6Address(rawValue: 0xff << 120)), 8), "multicast (RFC 4291)"),
  ]
}

/// Collects faults one after the other, to throw them together.
struct Faults {
  var list: [NetworkError] = []

  /// Returns the result of `body`; if it throws, records the fault and returns nil. `operation` replaces the error's
  /// own.
  mutating func collect<Value>(
    _ operation: String? = nil, _ body: () throws(NetworkError) -> Value
  ) -> Value? {
    do {
      return try body()
    } catch {
      var fault = error
      if let operation { fault.operation = operation }
      list.append(fault)
      return nil
    }
  }

  /// One fault as it is, several beneath one error.
  func error(_ operation: String) -> NetworkError { NetworkError(faults: list, operation: operation) }

  func throwAny(_ operation: String) throws(NetworkError) {
    if !list.isEmpty { throw error(operation) }
  }
}
