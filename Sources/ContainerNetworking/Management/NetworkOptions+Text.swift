import AddressPools
public import NetworkPrimitives

extension NetworkOptions {
  /// Unparsed options from a prompt or a file, in the form of `docker network create`.
  public struct Text: Hashable, Sendable {
    /// The driver: `bridge`, `macvlan`.
    public var driver = NetworkDriver.bridge.rawValue
    /// Subnets: `192.168.50.0/24`; `0.0.0.0/24` for any of that size.
    public var subnets: [String] = []
    /// Ranges of dynamic addresses: `192.168.50.128/25`.
    public var ipRanges: [String] = []
    /// The bridge's addresses, or the external routers' of a macvlan.
    public var gateways: [String] = []
    /// Addresses that no container gets: `printer=192.168.50.9`.
    public var auxiliaryAddresses: [String] = []
    /// Driver options: `com.docker.network.driver.mtu=1400`, `icc=false`; see ``NetworkOptions/driverOptionNames``.
    public var driverOptions: [String] = []
    /// Name servers, by address.
    public var dnsServers: [String] = []
    /// Labels: `tier=db`, or `tier` alone.
    public var labels: [String] = []
    /// Whether endpoints have IPv4 addresses.
    public var isIPv4Enabled = true
    /// Whether endpoints have IPv6 addresses; nil for yes if there is an IPv6 subnet.
    public var isIPv6Enabled: Bool?
    /// Whether nothing passes in or out.
    public var isInternal = false

    /// Makes empty options: a bridge network with a subnet from the pools.
    public init() {}
  }

  /// Parses all parts.
  ///
  /// - Throws: One error with every fault among its `causes`, those of the subnets against each other too;
  ///   its code is theirs if they agree, else `.invalidValue`.
  public init(parsing text: Text) throws(NetworkError) {
    self.init(isIPv6Enabled: text.isIPv6Enabled, isInternal: text.isInternal)
    isIPv4Enabled = text.isIPv4Enabled
    var faults: [NetworkError] = []
    func read<Value>(_ what: String?, _ body: () throws(NetworkError) -> Value) -> Value? {
      do throws(NetworkError) { return try body() } catch {
        var fault = error
        if let what { fault.operation = what }
        faults.append(fault)
        return nil
      }
    }

    driver = read(nil) { () throws(NetworkError) in try Self.driver(text.driver) } ?? .bridge
    subnets = text.subnets.compactMap { part in read("read subnet") { () throws(NetworkError) in try Subnet(part) } }
    ipRanges = text.ipRanges.compactMap { part in
      read("read ip-range") { () throws(NetworkError) in try Subnet(part) }
    }
    gateways = text.gateways.compactMap { part in
      read("read gateway") { () throws(NetworkError) in try IPAddress(part) }
    }
    for part in text.auxiliaryAddresses {
      let entry = read(nil) { () throws(NetworkError) in
        try Self.pair(part, "aux-address", "printer=192.168.50.9")
      }
      guard let entry else { continue }
      let address = read("read aux-address \(quoted(entry.name))") { () throws(NetworkError) in
        try IPAddress(entry.value)
      }
      if let address { auxiliaryAddresses[entry.name] = address }
    }
    dnsServers = text.dnsServers.compactMap { part in
      read(nil) { () throws(NetworkError) in try NameOptions.server(part) }
    }
    for part in text.driverOptions {
      if let entry = read(nil, { () throws(NetworkError) in try Self.pair(part, "driver option", "icc=false") }) {
        _ = read(nil) { () throws(NetworkError) in try setDriverOption(entry.name, entry.value) }
      }
    }
    for part in text.labels {
      let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      if halves[0].isEmpty {
        faults.append(.invalid("read label \(quoted(part))", "it has no name; write one, as in tier=db"))
      } else {
        labels[halves[0]] = halves.count > 1 ? halves[1] : ""
      }
    }
    guard !faults.isEmpty else { return }
    // Checks the readable parts too, so that a user sees all faults at once.
    faults += subnetFaults()
    throw NetworkError(faults: faults, operation: "read network options")
  }

  private static func driver(_ text: String) throws(NetworkError) -> NetworkDriver {
    // Whether there is such a driver, its controller knows.
    guard (1...63).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw .invalid("read driver", "\(quoted(text)) is no driver's name; it has 1 to 63 characters, as macvlan")
    }
    return NetworkDriver(text)
  }

  private static func pair(
    _ text: String, _ what: String, _ example: String
  ) throws(NetworkError) -> (name: String, value: String) {
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw .invalid("read \(what) \(quoted(text))", "it is not NAME=VALUE, as in \(example)")
    }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
  }

  private func subnetFaults() -> [NetworkError] { poolConfiguration(.ofOurs(driver)).faults() }
}
