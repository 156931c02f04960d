import ArgumentParser
import ContainerNetworking

/// A container's options on one network.
struct EndpointArguments: ParsableArguments {
  @Option(help: .init("The IPv4 address.", valueName: "ip"))
  var ip: [String] = []
  @Option(help: .init("The IPv6 address.", valueName: "ip"))
  var ip6: [String] = []
  @Option(
    name: [.customLong("alias"), .customLong("network-alias")], help: .init("An additional name.", valueName: "name"))
  var aliases: [String] = []
  @Option(
    name: [.customLong("mac-address"), .customLong("mac")], help: .init("The hardware address.", valueName: "mac"))
  var macAddresses: [String] = []
  @Option(
    help: .init("The gateway priority; a container's default route goes to the highest.", valueName: "number"))
  var gwPriority: [Int] = []
  @Option(help: .init("The interface's name in the container.", valueName: "name"))
  var interface: [String] = []
  @Option(
    name: .customLong("driver-opt"),
    help: .init("com.docker.network.endpoint.ifname=NAME, which is --interface.", valueName: "name=value"))
  var driverOptions: [String] = []

  /// - Throws: Every fault together.
  func options() throws(NetworkError) -> EndpointOptions {
    var fields: [(String, String)] = aliases.map { ("alias", $0) }
    fields += ip.map { ("ip", $0) } + ip6.map { ("ip6", $0) }
    fields += macAddresses.map { ("mac-address", $0) } + gwPriority.map { ("gw-priority", "\($0)") }
    fields += interface.map { ("interface", $0) }
    fields += driverOptions.map { ("driver-opt", $0) }
    return try EndpointOptions(fields: fields, operation: "read endpoint options")
  }
}

extension EndpointOptions {
  /// Reads `ip`, `ip6`, `alias`, `mac-address`, `gw-priority`, `interface` and `driver-opt`.
  ///
  /// - Throws: Every fault together.
  init(fields: [(name: String, value: String)], operation: String) throws(NetworkError) {
    self.init()
    var faults: [NetworkError] = []
    var priority: Int?
    for (name, value) in fields {
      do throws(NetworkError) { try set(name, value, &priority) } catch {
        var fault = error
        fault.operation = "read \(name)"
        faults.append(fault)
      }
    }
    guard !faults.isEmpty else { return }
    throw NetworkError(faults: faults, operation: operation)
  }

  /// - Throws: Also `.conflictingOptions` where an option that has one value is given again.
  private mutating func set(_ name: String, _ value: String, _ priority: inout Int?) throws(NetworkError) {
    switch name {
    case "ip": try add(value, .ipv4)
    case "ip6": try add(value, .ipv6)
    case "alias": aliases.append(value)
    case "mac-address":
      try Self.refuseSecond(macAddress, "hardware address")
      macAddress = try MACAddress(value)
    case "interface": try self.name(interface: value)
    case "driver-opt":
      let name = "com.docker.network.endpoint.ifname="
      guard value.hasPrefix(name) else {
        throw NetworkError(
          .unsupported, operation: "", reason: "\"\(value)\" is not an option of an endpoint; there is: \(name)NAME")
      }
      try self.name(interface: String(value.dropFirst(name.count)))
    case "link", "link-local-ip":
      throw NetworkError(.unsupported, operation: "", reason: name == "link" ? Reason.links : Reason.linkLocal)
    case "gw-priority":
      guard let number = Int(value) else {
        throw NetworkError(.invalidValue, operation: "", reason: "\"\(value)\" is not a whole number, as in 10")
      }
      try Self.refuseSecond(priority, "gateway priority")
      priority = number
      gatewayPriority = number
    default:
      throw NetworkError(
        .invalidValue, operation: "",
        reason: "there is no such option; there are: ip, ip6, alias, mac-address, gw-priority, interface, driver-opt")
    }
  }

  private mutating func name(interface text: String) throws(NetworkError) {
    try Self.refuseSecond(interface, "interface")
    interface = try InterfaceName(text)
  }

  private mutating func add(_ text: String, _ family: AddressFamily) throws(NetworkError) {
    let address = try Self.address(text, family)
    try Self.refuseSecond(addresses.first { $0.family == family }, "\(family) address")
    addresses.append(address)
  }

  private static func refuseSecond(_ first: (some CustomStringConvertible)?, _ what: String) throws(NetworkError) {
    guard let first else { return }
    throw NetworkError(
      .conflictingOptions, operation: "",
      reason: "\(first) is given already, and an endpoint has one \(what); keep one")
  }

  private static func address(_ text: String, _ family: AddressFamily) throws(NetworkError) -> IPAddress {
    let address = try IPAddress(text)
    guard address.family == family else {
      throw NetworkError(
        .invalidValue, operation: "",
        reason: "\(address) is not an \(family) address; give it as --ip\(family == .ipv4 ? "6" : "")")
    }
    return address
  }
}
