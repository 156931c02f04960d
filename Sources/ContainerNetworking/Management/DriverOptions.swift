public import NetworkPrimitives

/// Driver options in the form of Docker's `--opt`, `NAME=VALUE`.
extension NetworkOptions {
  /// Docker's names of the known options, each with its short name; without those of drivers from elsewhere.
  public static let driverOptionNames: [(name: String, short: String)] = DriverOption.all.map { ($0.name, $0.short) }

  /// Sets an option by Docker's name or the short one, and records it under Docker's name
  /// (``NetworkOptions/driverOptions``). Set ``driver`` first: the options of a driver from elsewhere are recorded as they are,
  /// for that driver to read when the network is made.
  ///
  /// - Throws: `.invalidValue` for an unknown name, listing the known ones, and for an invalid value. Then nothing is
  ///   set.
  public mutating func setDriverOption(_ name: String, _ value: String) throws(NetworkError) {
    guard let option = DriverOption.all.first(where: { $0.isNamed(name) }) else {
      guard DriverOption.ofDrivers.contains(where: { $0.driver == driver }) else { return driverOptions[name] = value }
      let known = DriverOption.all.map { "\($0.short) (\($0.name))" }.joined(separator: ", ")
      throw .invalid("set driver option \(quoted(name))", "there is no such option; there are: \(known)")
    }
    do throws(NetworkError) { try option.set(&self, value) } catch {
      let operation = "set driver option \(quoted(name)) to \(quoted(value))"
      throw NetworkError(error.code, operation: operation, reason: error.reason)
    }
    driverOptions[option.name] = value
  }

  /// The options that are another driver's of this library, and set nothing that its own driver would see.
  func lostOptions(_ operation: String) -> [NetworkError] {
    var faults: [NetworkError] = []
    for (other, options) in DriverOption.ofDrivers where other != driver {
      for option in options where option.isText && driverOptions[option.name] != nil {
        faults.append(
          NetworkError(
            .conflictingOptions, operation: operation,
            reason: "the option \(quoted(option.name)) is the \(other) driver's; leave it out, or name that driver"))
      }
    }
    return faults
  }
}
