import ArgumentParser
import ContainerNetworking

/// What a container may ask for on one network.
struct EndpointArguments: ParsableArguments {
  @Option(help: .init("The IPv4 address.", valueName: "ip"))
  var ip: [String] = []
  @Option(help: .init("The IPv6 address.", valueName: "ip"))
  var ip6: [String] = []
  @Option(name: [.customLong("alias"), .customLong("network-alias")], help: .init("One more name.", valueName: "name"))
  var aliases: [String] = []
  @Option(
    name: [.customLong("mac-address"), .customLong("mac")], help: .init("The hardware address.", valueName: "mac"))
  var macAddress: String?
  @Option(
    help: .init("The highest of a container's networks has the default route.", valueName: "number"))
  var gwPriority: Int?
  @Option(help: .init("The interface's name in the container.", valueName: "name"))
  var interface: String?
  @Option(
    name: .customLong("driver-opt"),
    help: .init("com.docker.network.endpoint.ifname=NAME, which is --interface.", valueName: "name=value"))
  var driverOptions: [String] = []

  /// - Throws: Every fault together.
  func options() throws(NetworkError) -> EndpointOptions {
    var fields: [(String, String)] = aliases.map { ("alias", $0) }
    fields += ip.map { ("ip", $0) } + ip6.map { ("ip6", $0) }
    if let macAddress { fields.append(("mac-address", macAddress)) }
    if let gwPriority { fields.append(("gw-priority", "\(gwPriority)")) }
    if let interface { fields.append(("interface", interface)) }
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
    for (name, value) in fields {
      do throws(NetworkError) { try set(name, value) } catch {
        var fault = error
        fault.operation = "read \(name)"
        faults.append(fault)
      }
    }
    guard !faults.isEmpty else { return }
    throw NetworkError(faults: faults, operation: operation)
  }

  private mutating func set(_ name: String, _ value: String) throws(NetworkError) {
    switch name {
    case "ip": try add(value, .ipv4)
    case "ip6": try add(value, .ipv6)
    case "alias": aliases.append(value)
    case "mac-address": macAddress = try MACAddress(value)
    case "interface": interface = try InterfaceName(value)
    case "driver-opt":
      let name = "com.docker.network.endpoint.ifname="
      guard value.hasPrefix(name) else {
        throw NetworkError(
          .unsupported, operation: "", reason: "\"\(value)\" is no option of an endpoint; there is: \(name)NAME")
      }
      interface = try InterfaceName(String(value.dropFirst(name.count)))
    case "link", "link-local-ip":
      throw NetworkError(.unsupported, operation: "", reason: name == "link" ? Reason.links : Reason.linkLocal)
    case "gw-priority":
      guard let number = Int(value) else {
        throw NetworkError(.invalidValue, operation: "", reason: "\"\(value)\" is no whole number, as in 10")
      }
      gatewayPriority = number
    default:
      throw NetworkError(
        .invalidValue, operation: "",
        reason: "there is no such option; there are: ip, ip6, alias, mac-address, gw-priority, interface, driver-opt")
    }
  }

  /// - Throws: Also `.conflictingOptions` for a second address of the family.
  private mutating func add(_ text: String, _ family: AddressFamily) throws(NetworkError) {
    let address = try Self.address(text, family)
    if let first = addresses.first(where: { $0.family == family }) {
      throw NetworkError(
        .conflictingOptions, operation: "",
        reason: "\(first) is asked for already, and an endpoint has one \(family) address; keep one")
    }
    addresses.append(address)
  }

  private static func address(_ text: String, _ family: AddressFamily) throws(NetworkError) -> IPAddress {
    let address = try IPAddress(text)
    guard address.family == family else {
      throw NetworkError(
        .invalidValue, operation: "",
        reason: "\(address) is no \(family) address; give it as --ip\(family == .ipv4 ? "6" : "")")
    }
    return address
  }
}
