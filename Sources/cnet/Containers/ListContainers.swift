import AdapterSupport
import ArgumentParser
import ContainerNetworking
import SystemPackage

struct ListContainers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ps", abstract: "List the containers that are on the network.",
    discussion: """
      Formats as those of network ls. Fields: Name, Mode, Networks, Addresses, MacAddresses, Interfaces, Ports, \
      Namespace, Hostname, Files.
      """)

  @Flag(name: .shortAndLong, help: "Print the names alone.")
  var quiet = false
  @Option(help: .init("How.", valueName: "format"))
  var format = "table"
  @Flag(help: "The same as --format json.")
  var json = false
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    let format = try Format(json ? "json" : format)
    let sandboxes = try await global.controller().sandboxes().sorted {
      NaturalOrder.precedes($0.container, $1.container)
    }
    if quiet {
      for sandbox in sandboxes { print(sandbox.container) }
      return
    }
    let columns = [
      ("NAME", "Name"), ("MODE", "Mode"), ("ADDRESSES", "Addresses"), ("PORTS", "Ports"), ("NAMESPACE", "Namespace"),
    ]
    let rows = try sandboxes.map { sandbox in try JSON(ContainerRow(sandbox)) }
    let texts = rows.map(Self.joined)
    if case .json = format {
      try Listing(columns: columns, rows: rows).print(as: format, Terminal(global.color))
    } else {
      try Listing(columns: columns, rows: texts).print(as: format, Terminal(global.color))
    }
  }

  /// Lists as one text, for people.
  private static func joined(_ row: JSON) -> JSON {
    guard case .object(let fields) = row else { return row }
    return .object(
      fields.mapValues { value in
        guard case .list(let list) = value else { return value }
        return .text(list.isEmpty ? "-" : list.map(\.plain).joined(separator: ", "))
      })
  }
}

/// A container, as scripts read it.
struct ContainerRow: Encodable {
  let name, mode: String
  let networks, interfaces, addresses, macAddresses, ports: [String]
  let namespace, hostname, files: String

  private enum CodingKeys: String, CodingKey {
    case name = "Name", mode = "Mode", networks = "Networks", interfaces = "Interfaces", addresses = "Addresses",
      macAddresses = "MacAddresses", ports = "Ports", namespace = "Namespace", hostname = "Hostname", files = "Files"
  }

  init(_ sandbox: Sandbox) {
    name = sandbox.container
    mode = "\(sandbox.mode)"
    networks = sandbox.endpoints.map(\.networkName)
    interfaces = sandbox.endpoints.map { "\($0.interface)" }
    addresses = sandbox.endpoints.flatMap { $0.addresses.map(\.description) }
    macAddresses = sandbox.endpoints.map { "\($0.macAddress)" }
    ports = sandbox.endpoints.flatMap { $0.ports.map(\.description) }
    // Without an origin it is the host's, which is ours: a descriptor of this process is of no use to others.
    namespace = sandbox.mode == .host ? "host" : sandbox.namespace.path.string
    // The directory of its resolv.conf, hosts and hostname, for a runtime to bind.
    hostname = sandbox.hostname ?? ""
    files = sandbox.files?.directory.string ?? ""
  }
}
