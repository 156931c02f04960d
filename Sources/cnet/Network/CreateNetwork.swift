import ArgumentParser
import ContainerNetworking

struct CreateNetwork: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a network, and print its id.",
    discussion: """
      Driver options, by Docker's names or the short ones:
      \(NetworkOptions.driverOptionNames.map { "  \($0.short), \($0.name)" }.joined(separator: "\n"))
      """)

  @Option(name: .shortAndLong, help: "bridge, macvlan or ipvlan.")
  var driver = NetworkDriver.bridge.rawValue
  @Option(help: .init("A subnet, as in 192.168.50.0/24; one of a family.", valueName: "subnet"))
  var subnet: [String] = []
  @Option(help: .init("The part of the subnet that addresses are chosen from.", valueName: "subnet"))
  var ipRange: [String] = []
  @Option(help: .init("The bridge's address in the subnet; for a macvlan, the outside router's.", valueName: "ip"))
  var gateway: [String] = []
  @Option(help: .init("An address that no container gets.", valueName: "name=ip"))
  var auxAddress: [String] = []
  @Flag(help: "Let nothing pass in or out.")
  var `internal` = false
  @Flag(inversion: .prefixedNo, help: "Give containers IPv4 addresses.")
  var ipv4 = true
  @Flag(inversion: .prefixedNo, help: "Give containers IPv6 addresses; by default, if there is an IPv6 subnet.")
  var ipv6: Bool?
  @Option(help: .init("A label.", valueName: "name=value"))
  var label: [String] = []
  @Option(name: .shortAndLong, help: .init("An option of the driver.", valueName: "name=value"))
  var opt: [String] = []
  @Flag(help: "No effect: every network takes containers.")
  var attachable = false
  @Option(help: .init("The scope; local is the only one.", valueName: "scope"))
  var scope = NetworkScope.local
  @Option(help: .init("The IPAM driver; default is the only one.", valueName: "driver"))
  var ipamDriver = AddressDriver.default
  @Option(
    help: .init("A name server for names outside the network; by default the host's.", valueName: "ip"))
  var dns: [String] = []
  @OptionGroup
  var global: GlobalOptions
  @Argument(help: "The network's name.")
  var name: String

  func run() async throws {
    var text = NetworkOptions.Text()
    text.driver = driver
    text.subnets = subnet
    text.ipRanges = ipRange
    text.gateways = gateway
    text.auxiliaryAddresses = auxAddress
    text.driverOptions = opt
    text.dnsServers = dns
    text.labels = label
    text.isIPv4Enabled = ipv4
    text.isIPv6Enabled = ipv6
    text.isInternal = self.internal
    let options = try NetworkOptions(parsing: text)
    print(try await global.controller().createNetwork(name, options: options).id)
  }
}

/// The scope of a network.
enum NetworkScope: String, ExpressibleByArgument, CaseIterable {
  case local
}

/// The source of addresses.
enum AddressDriver: String, ExpressibleByArgument, CaseIterable {
  case `default`
}
