import AdapterSupport
import ArgumentParser
import ContainerNetworking
import SystemPackage

struct ListContainers: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ps", abstract: "List the attached containers.",
    discussion: """
      Formats are those of network ls. Docker's fields: ID, Names, Command, CreatedAt, RunningFor, Status, State, \
      Ports, Networks, Labels, Label "name", and Image, Mounts, LocalVolumes and Size, which are empty. Others: Name, \
      Mode, Addresses, MacAddresses, Interfaces, Namespace, Hostname, Files.

      Filters: id=, name=, label=NAME or NAME=VALUE, network=, status=running|dead|exited, publish=80/tcp, expose=80, \
      before=NAME, since=NAME. One value of each given kind must match.
      """, aliases: ["ls", "list"])

  @Flag(name: .shortAndLong, help: "List stopped containers that keep addresses, too.")
  var all = false
  @Flag(name: .shortAndLong, help: "Print only the names, which every verb takes.")
  var quiet = false
  @Flag(help: "Print full ids and commands.")
  var noTrunc = false
  @Option(name: .shortAndLong, help: .init("Which.", valueName: "filter"))
  var filter: [String] = []
  @Option(
    name: [.customShort("n"), .customLong("last")],
    help: .init("List only this many of the newest.", valueName: "number"))
  var last: Int?
  @Flag(name: .shortAndLong, help: "List only the newest.")
  var latest = false
  @Option(help: .init("How.", valueName: "format"))
  var format = "table"
  @Flag(help: "The same as --format json.")
  var json = false
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    let format = try Format(json ? "json" : format)
    let filter = try ContainerFilter(filter)
    let place = try global.place()
    let files = RunFiles(place)
    let sandboxes = try await global.controller().sandboxes()
    let count = latest ? 1 : last
    if quiet, filter.isEmpty, !all, count == nil {
      // Only names are needed: no other data is read.
      for name in sandboxes.map(\.container).sorted(by: NaturalOrder.precedes) { print(name) }
      return
    }
    var rows = sandboxes.map { sandbox in
      ContainerRow(ContainerInspection(sandbox: sandbox, known: files.known(sandbox.container)), isWhole: noTrunc)
    }
    if all || count != nil || filter.wantsStopped { rows += try Self.stopped(place.store(), isWhole: noTrunc) }
    rows = try filter.matching(rows)
    if let count {
      rows = Array(rows.sorted { $0.created > $1.created }.prefix(max(0, count)))
    } else {
      rows.sort { NaturalOrder.precedes($0.name, $1.name) }
    }
    if quiet {
      for row in rows { print(row.name) }
      return
    }
    let columns = [
      ("NAME", "Name"), ("MODE", "Mode"), ("ADDRESSES", "Addresses"), ("PORTS", "Ports"), ("NAMESPACE", "Namespace"),
      ("CONTAINER ID", "ID"), ("RUNNING FOR", "RunningFor"), ("CREATED AT", "CreatedAt"),
    ]
    let isJSON = if case .json = format { true } else { false }
    try Listing(columns: columns, shown: 5, rows: rows.map { $0.json(isJoined: !isJSON) })
      .print(as: format, Terminal(global.color))
  }

  /// Stopped containers, which are on no network but keep addresses.
  private static func stopped(_ store: any Store, isWhole: Bool) throws(NetworkError) -> [ContainerRow] {
    var (sandboxes, endpoints) = ([SandboxRecord](), [Endpoint]())
    for change in try store.read(since: 0).changes {
      switch change {
      case .save(.sandbox(let record)) where record.phase == .stopped: sandboxes.append(record)
      case .save(.endpoint(let endpoint)) where endpoint.phase == .stopped: endpoints.append(endpoint)
      default: break
      }
    }
    return sandboxes.map { record in
      ContainerRow(stopped: record, endpoints.filter { $0.container == record.container }, isWhole: isWhole)
    }
  }
}
