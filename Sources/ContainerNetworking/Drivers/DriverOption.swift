import NetworkPrimitives

/// An option of networks in the form of Docker's `--opt`, `NAME=VALUE`. A driver says which are its own.
struct DriverOption: Sendable {
  /// Docker's name, or one of the same form.
  let name: String
  /// The short name.
  let short: String
  /// Whether its driver reads it as a text from ``NetworkOptions/driverOptions``; otherwise it sets a property.
  let isText: Bool
  /// Checks a value, and sets what it says.
  let set: @Sendable (inout NetworkOptions, String) throws(NetworkError) -> Void

  init(
    _ name: String, short: String, isText: Bool = false,
    _ set: @escaping @Sendable (inout NetworkOptions, String) throws(NetworkError) -> Void
  ) {
    (self.name, self.short, self.isText, self.set) = (name, short, isText, set)
  }

  func isNamed(_ text: String) -> Bool { text == name || text == short }

  /// The parent, of every driver that has one.
  static let parent = DriverOption("parent", short: "parent") { (options, text) throws(NetworkError) in
    options.parent = try InterfaceName(text)
  }

  /// Those of every driver.
  static let common = [
    DriverOption("com.docker.network.driver.mtu", short: "mtu") { (options, text) throws(NetworkError) in
      guard let mtu = decimal(text.utf8, atMost: 65_535) as UInt32? else {
        throw .invalid("", "\(quoted(text)) is not a number of bytes up to 65535, as in 1500")
      }
      options.mtu = mtu
    },
    DriverOption("com.docker.network.container_iface_prefix", short: "interface-prefix") { options, text in
      options.interfacePrefix = text
    },
    DriverOption("com.containernetworking.names", short: "names") { (options, text) throws(NetworkError) in
      options.nameServing = try choice(text) { "names cannot be served at \($0)" }
    },
    DriverOption("com.containernetworking.host_overlap", short: "host-overlap") {
      (options, text) throws(NetworkError) in options.allowsHostOverlap = try flag(text)
    },
  ]

  /// Those of this library's drivers, and the drivers'.
  static let ofDrivers: [(driver: NetworkDriver, options: [DriverOption])] = [
    (.bridge, BridgeDriver.options), (.macvlan, MacvlanDriver.options), (.ipvlan, IpvlanDriver.options),
  ]

  static let all: [DriverOption] = ofDrivers.flatMap(\.options) + common

  /// Go's `strconv.ParseBool`, as in Docker.
  static func flag(_ text: String) throws(NetworkError) -> Bool {
    switch text {
    case "1", "t", "T", "true", "TRUE", "True": return true
    case "0", "f", "F", "false", "FALSE", "False": return false
    default: throw .invalid("", "\(quoted(text)) is neither true nor false; write one of them")
    }
  }

  /// One of some words.
  static func choice<Value: RawRepresentable<String> & CaseIterable>(
    _ text: String, _ refusal: (String) -> String
  ) throws(NetworkError) -> Value {
    if let value = Value(rawValue: text) { return value }
    let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
    throw .invalid("", "\(refusal(quoted(text))); there are: \(known)")
  }
}
