import NetworkPrimitives

/// The drivers of a controller, by their names.
struct DriverRegistry: Sendable {
  private struct Entry {
    var driver: any Driver
    var traits: DriverTraits
    /// The driver, if packets of its networks pass the host.
    var host: (any HostDriver)?
  }

  private let entries: [NetworkDriver: Entry]
  /// A name that more than one driver has; nil for none.
  private let repeated: NetworkDriver?

  init(_ drivers: [any Driver]) {
    var names: Set<NetworkDriver> = []
    repeated = drivers.map(\.name).first { !names.insert($0).inserted }
    let entries = drivers.map { driver in
      (driver.name, Entry(driver: driver, traits: driver.traits, host: driver as? any HostDriver))
    }
    self.entries = Dictionary(entries) { first, _ in first }
  }

  /// - Throws: `.conflictingOptions` if two drivers have one name.
  func check() throws(NetworkError) {
    guard let repeated else { return }
    throw NetworkError(
      .conflictingOptions, operation: "open controller",
      reason: "two drivers have the name \"\(repeated)\"; give yours another name")
  }

  /// The driver of a name; nil if there is none.
  subscript(name: NetworkDriver) -> (any Driver)? { entries[name]?.driver }

  /// The driver of a name, if packets of its networks pass the host.
  func host(_ name: NetworkDriver) -> (any HostDriver)? { entries[name]?.host }

  /// The properties of a driver's networks; none for a driver that is not there.
  func traits(of name: NetworkDriver) -> DriverTraits { entries[name]?.traits ?? DriverTraits() }

  /// - Throws: `.unsupported` for a driver that is not there.
  func require(_ name: NetworkDriver, _ operation: String) throws(NetworkError) -> any Driver {
    if let driver = self[name] { return driver }
    throw NetworkError(.unsupported, operation: operation, reason: lack(of: name))
  }

  /// - Throws: `.unsupported` for a network whose driver is not there.
  func require(for network: NetworkRecord, _ operation: String?) throws(NetworkError) -> any Driver {
    if let driver = self[network.driver] { return driver }
    throw NetworkError(
      .unsupported, operation: operation ?? "use network \"\(network.name)\"", reason: absence(of: network))
  }

  /// The sentence about a network whose driver is not there.
  func absence(of network: NetworkRecord) -> String {
    "the driver of network \"\(network.name)\" is not here: \(lack(of: network.driver))"
  }

  private func lack(of name: NetworkDriver) -> String {
    let known = entries.keys.map(\.rawValue).sorted().joined(separator: ", ")
    let overlay =
      name == .overlay ? ": a network is on one host; for one that spans hosts, use macvlan on a common wire" : ""
    return "there is no driver \"\(name)\"\(overlay); there are: \(known)"
  }
}
