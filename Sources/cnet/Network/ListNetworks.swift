import AdapterSupport
import ArgumentParser
import ContainerNetworking

struct ListNetworks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List the networks.",
    discussion: """
      Formats: table; json, one object per line; a template such as '{{.Name}} {{.Driver}}', for each network; 'table \
      {{.Name}}\\t{{.Driver}}'. Fields: ID, Name, Driver, Scope, IPv4, IPv6, Internal, Labels, CreatedAt.
      """, aliases: ["list"])

  @Flag(name: .shortAndLong, help: "Print only the ids.")
  var quiet = false
  @Flag(help: "Print full ids.")
  var noTrunc = false
  @Option(
    name: .shortAndLong,
    help: .init("Filters: driver=, id=, name=, label=, label!=, scope=, type=, dangling=.", valueName: "filter"))
  var filter: [String] = []
  @Option(help: .init("How.", valueName: "format"))
  var format = "table"
  @Flag(help: "The same as --format json.")
  var json = false
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    let format = try Format(json ? "json" : format)
    let selection = try Selection(filter)
    let rows = try await selection.networks(of: global.controller(), isWhole: noTrunc)
    if quiet {
      for row in rows { print(row.id) }
      return
    }
    let columns = [("NETWORK ID", "ID"), ("NAME", "Name"), ("DRIVER", "Driver"), ("SCOPE", "Scope")]
    try Listing(columns: columns, rows: rows.map { row in try JSON(row) }).print(as: format, Terminal(global.color))
  }

  /// The selected networks, including predefined ones.
  private struct Selection {
    var filter = NetworkFilter()
    /// Drivers that only a predefined network has.
    var drivers: Set<String> = []

    init(_ texts: [String]) throws(NetworkError) {
      for text in texts {
        if ["driver=host", "driver=null"].contains(text) {
          drivers.insert(String(text.dropFirst("driver=".count)))
        } else {
          try filter.add(text)
        }
      }
    }

    func networks(of controller: NetworkController, isWhole: Bool) async throws(NetworkError) -> [Row] {
      let known = Set(try await controller.networks().map(\.name))
      let isOnlyPredefined = filter.drivers.isEmpty && !drivers.isEmpty
      let records = isOnlyPredefined ? [] : try await controller.networks(matching: filter)
      let predefined = PredefinedNetwork.allCases.filter { network in
        !known.contains(network.rawValue) && network.isMeant(by: filter, drivers: drivers)
      }
      return (records.map { Row($0, isWhole) } + predefined.map { Row($0, isWhole) }).sorted {
        NaturalOrder.precedes($0.name, $1.name)
      }
    }
  }

  /// A line of the list, with Docker's names and texts.
  private struct Row: Encodable {
    let createdAt, driver, id, ipv4, ipv6, isInternal, labels, name, scope: String

    private enum CodingKeys: String, CodingKey {
      case createdAt = "CreatedAt", driver = "Driver", id = "ID", ipv4 = "IPv4", ipv6 = "IPv6",
        isInternal = "Internal", labels = "Labels", name = "Name", scope = "Scope"
    }

    init(_ network: NetworkRecord, _ isWhole: Bool) {
      createdAt = network.created.description
      driver = network.driver.rawValue
      id = isWhole ? network.id : String(network.id.prefix(12))
      ipv4 = "\(network.families.contains(.ipv4))"
      ipv6 = "\(network.families.contains(.ipv6))"
      isInternal = "\(network.isInternal)"
      labels = network.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
      name = network.name
      scope = "local"
    }

    init(_ network: PredefinedNetwork, _ isWhole: Bool) {
      createdAt = ""
      driver = network.driver
      id = isWhole ? network.id : String(network.id.prefix(12))
      ipv4 = "true"
      ipv6 = "false"
      isInternal = "false"
      labels = ""
      name = network.rawValue
      scope = "local"
    }
  }
}
