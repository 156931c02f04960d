import AdapterSupport
import ArgumentParser
import ContainerNetworking
import Glibc
import SystemPackage

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract:
      "Compare the record with the kernel, repair the differences, and find rules of other programs that drop packets.",
    discussion: """
      The exit code is 1 if a difference remains, or if rules of other programs drop our packets; only their owners \
      can change those.
      """)

  @Flag(help: "Repair.")
  var fix = false
  @Flag(help: "With --fix: check our firewall tables only.")
  var rules = false
  @Option(
    help: .init(
      "Remove the rules, cables and bridges of another record on this host, if that record is lost for ever.",
      valueName: "record"))
  var forgetRecord: String?
  @Flag(name: .shortAndLong, help: "With --forget-record: do not ask.")
  var force = false
  @Flag(help: "Print one JSON object per line.")
  var json = false
  @OptionGroup
  var global: GlobalOptions

  func validate() throws {
    guard fix || !rules else { throw ValidationError("--rules goes with --fix: give both, or neither") }
    guard forgetRecord != nil || !force else { throw ValidationError("--force goes with --forget-record") }
    guard forgetRecord == nil || !fix else {
      throw ValidationError("--forget-record does nothing else: leave --fix out")
    }
  }

  func run() async throws {
    let controller = try await global.controller()
    if let forgetRecord { return try await forget(forgetRecord, controller) }
    if !fix {
      let found = try await controller.differences()
      try show(found, remaining: found)
      let isBlocked = try await showObstacles(controller)
      try await showUplinks(controller)
      try await showOthers(controller)
      if !found.isEmpty || isBlocked { throw ExitCode.failure }
      return
    }
    let report = try await rules ? controller.reconcileRules() : controller.reconcile()
    try show(report.found, remaining: report.remaining)
    for failure in report.failures { Failure.report(failure) }
    let isBlocked = rules ? false : try await showObstacles(controller)
    if !rules {
      try await showUplinks(controller)
      try await showOthers(controller)
    }
    if !report.remaining.isEmpty || !report.failures.isEmpty || isBlocked { throw ExitCode.failure }
  }

  /// - Returns: Whether there are any obstacles.
  private func showObstacles(_ controller: NetworkController) async throws -> Bool {
    let terminal = Terminal(global.color)
    let obstacles = try await controller.obstacles()
    for obstacle in obstacles {
      if json {
        print(try JSON.line(ObstacleRow(obstacle)))
        continue
      }
      print(terminal.yellow("blocked:"), obstacle)
      for line in obstacle.remedies { print("  to allow it:", line) }
    }
    return !obstacles.isEmpty
  }

  private func forget(_ record: String, _ controller: NetworkController) async throws {
    if !force {
      guard Terminal.isTerminal(.standardInput) else {
        throw NetworkError(
          .refused, operation: "forget record \(record)",
          reason: "there is no terminal for the question whether to remove its objects; confirm by --force")
      }
      if let other = try await controller.otherRecords().first(where: { $0.id == record }) { print("That is", other) }
      print(
        "Its containers lose their network. A program that still uses that record restores it. Go on? [y/N] ",
        terminator: "")
      fflush(nil)
      guard ["y", "yes"].contains(readLine()?.lowercased() ?? "") else { throw ExitCode.failure }
    }
    for bridge in try await controller.forgetRecord(record) {
      print("left: the bridge \(bridge), which may be the host's own; delete it if it is not")
    }
  }

  /// What our networks' uplinks keep from others, which is meant, and may be news to them.
  private func showUplinks(_ controller: NetworkController) async throws {
    for kept in try await controller.keptUplinks() {
      if json {
        print(try JSON.line(UplinkRow(kept)))
        continue
      }
      print("kept apart:", kept)
      for line in kept.remedies { print("  to allow it:", line) }
    }
  }

  /// Other records of the host, which are no fault.
  private func showOthers(_ controller: NetworkController) async throws {
    let others = try await controller.otherRecords()
    for other in others {
      if json { print(try JSON.line(RecordRow(other))) } else { print("also on this host:", other) }
    }
    if !others.isEmpty, !json { print("  this one is record \(controller.recordID)") }
  }

  private func show(_ found: [Difference], remaining: [Difference]) throws {
    let terminal = Terminal(global.color)
    for difference in found {
      let isFixed = !remaining.contains(difference)
      if json {
        print(try JSON.line(Row(difference, isFixed)))
      } else {
        print(isFixed ? terminal.green("fixed:") : terminal.yellow("found:"), difference.detail)
        print(isFixed ? "  was done:" : fix ? "  could not be done:" : "  to do (--fix):", difference.remedy)
      }
    }
    if found.isEmpty, !json { print("The record and the kernel agree.") }
  }

  private struct RecordRow: Encodable {
    let kind = "record"
    let id: String
    let bridges: [String]
    let endpoints, publishedPorts: Int

    private enum CodingKeys: String, CodingKey {
      case kind = "Kind", id = "Id", bridges = "Bridges", endpoints = "Endpoints", publishedPorts = "PublishedPorts"
    }

    init(_ record: OtherRecord) {
      id = record.id
      bridges = record.bridges
      endpoints = record.endpoints
      publishedPorts = record.publishedPorts
    }
  }

  private struct UplinkRow: Encodable {
    let kind = "keptUplinks"
    let family, detail: String
    let uplinks, others, remedies: [String]
    let droppedPackets: UInt64
    let rule: String?

    private enum CodingKeys: String, CodingKey {
      case kind = "Kind", family = "Family", detail = "Detail", uplinks = "Uplinks", others = "Others",
        remedies = "Remedies", droppedPackets = "DroppedPackets", rule = "Rule"
    }

    init(_ kept: KeptUplinks) {
      family = kept.family.description
      detail = kept.description
      uplinks = kept.uplinks
      others = kept.others
      remedies = kept.remedies
      droppedPackets = kept.droppedPackets
      rule = kept.rule
    }
  }

  private struct ObstacleRow: Encodable {
    let kind = "obstacle"
    let network, table, chain: String
    let rule: String?
    let traffic, families: [String]
    let certain, bridgeNetfilter: Bool
    let detail: String
    let remedies: [String]

    private enum CodingKeys: String, CodingKey {
      case kind = "Kind", network = "Network", table = "Table", chain = "Chain", rule = "Rule", traffic = "Traffic",
        families = "Families", certain = "Certain", bridgeNetfilter = "BridgeNetfilter", detail = "Detail",
        remedies = "Remedies"
    }

    init(_ obstacle: Obstacle) {
      network = obstacle.network
      table = obstacle.table
      chain = obstacle.chain
      rule = obstacle.rule
      traffic = obstacle.traffic.map(\.rawValue)
      families = obstacle.families.map(\.description)
      certain = obstacle.isCertain
      bridgeNetfilter = obstacle.isByBridgeNetfilter
      detail = obstacle.description
      remedies = obstacle.remedies
    }
  }

  private struct Row: Encodable {
    let kind, network: String
    let container: String?
    let detail, remedy: String
    let fixed: Bool

    private enum CodingKeys: String, CodingKey {
      case kind = "Kind", network = "Network", container = "Container", detail = "Detail", remedy = "Remedy",
        fixed = "Fixed"
    }

    init(_ difference: Difference, _ isFixed: Bool) {
      kind = difference.kind.rawValue
      network = difference.network
      container = difference.container
      detail = difference.detail
      remedy = difference.remedy
      fixed = isFixed
    }
  }
}
