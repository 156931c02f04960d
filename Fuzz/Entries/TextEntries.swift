import ContainerNetworking

/// What is read from text.
enum TextEntries {
  static func texts(_ text: String) throws(Violation) {
    try same(text) { (text) throws(NetworkError) in try IPv4Address(text) }
    try same(text) { (text) throws(NetworkError) in try IPv6Address(text) }
    try same(text) { (text) throws(NetworkError) in try IPAddress(text) }
    try same(text) { (text) throws(NetworkError) in try Subnet(text) }
    try same(text) { (text) throws(NetworkError) in try AddressRange(text) }
    try same(text) { (text) throws(NetworkError) in try InterfaceAddress(text) }
    try same(text) { (text) throws(NetworkError) in try MACAddress(text) }
    try same(text) { (text) throws(NetworkError) in try InterfaceName(text) }
    try same(text) { (text) throws(NetworkError) in try PortRange(text) }
    try same(text) { (text) throws(NetworkError) in try TransportProtocol(text) }
    try same(text) { (text) throws(NetworkError) in try GatewayChoice(text) }
    try same(text) { (text) throws(NetworkError) in try NetworkMode(text) }
    if let mapping = try refusing({ () throws(NetworkError) in try PortMapping(text) }), let host = mapping.hostPorts {
      try Violation.unless(
        host.count == mapping.containerPorts.count || mapping.containerPorts.count == 1,
        "\"\(text)\" maps \(host.count) ports to \(mapping.containerPorts.count)")
    }
  }

  /// Lines: subnet, range, gateway, auxiliary addresses. What is accepted must be fit for a pool.
  static func subnetConfiguration(_ text: String) throws(Violation) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let optional = { (index: Int) in lines.count > index && !lines[index].isEmpty ? lines[index] : nil }
    var auxiliary: [String: String] = [:]
    for (index, line) in lines.dropFirst(3).enumerated() { auxiliary["a\(index)"] = line }
    let read = try refusing { () throws(NetworkError) in
      try SubnetConfiguration(
        parsing: lines[0], ipRange: optional(1), gateway: optional(2), auxiliaryAddresses: auxiliary)
    }
    guard let configuration = read, !configuration.isRequest else { return }
    var pool = try Violation.ifRefused("what was accepted is no pool") { () throws(NetworkError) in
      try AddressPool(configuration)
    }
    let free = pool.availableCount
    guard free > 0 else { return }
    let address = try Violation.ifRefused("\(free) addresses are free, but none is given") {
      () throws(NetworkError) in try pool.allocate(for: "c")
    }
    try Violation.unless(
      configuration.allocationBlock.contains(address) && address != pool.gateway
        && !configuration.auxiliaryAddresses.values.contains(address),
      "\(address) is not free in \(configuration)")
    _ = try Violation.ifRefused("an address cannot be given back") { () throws(NetworkError) in
      try pool.release(address)
    }
    try Violation.unless(pool.availableCount == free, "\(address) was given back, but is not available")
  }

  /// Reads `text`, writes it, and reads that again.
  private static func same<Value: Equatable & CustomStringConvertible>(
    _ text: String, _ read: (String) throws(NetworkError) -> Value
  ) throws(Violation) {
    guard let value = try refusing({ () throws(NetworkError) in try read(text) }) else { return }
    let again = try refusing { () throws(NetworkError) in try read(value.description) }
    try Violation.unless(again == value, "\"\(text)\" is read as \(value), which is read as something else")
  }

  /// Runs what may refuse a text, but with a reason.
  private static func refusing<Value>(_ body: () throws(NetworkError) -> Value) throws(Violation) -> Value? {
    do throws(NetworkError) { return try body() } catch {
      let codes: [NetworkError.Code] = [.invalidValue, .conflictingOptions, .inUse, .exhausted]
      try Violation.unless(codes.contains(error.code), "refused as \(error.code): \(error)")
      try Violation.unless(!error.reason.isEmpty || !error.causes.isEmpty, "refused without a reason: \(error)")
      return nil
    }
  }
}
