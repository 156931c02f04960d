import ArgumentParser
import ContainerNetworking
import Glibc
import SystemPackage

struct PruneNetworks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune", abstract: "Remove every unused custom network.")

  @Flag(name: .shortAndLong, help: "Do not ask.")
  var force = false
  @Option(help: .init("Filters: label=, label!=, until=24h.", valueName: "filter"))
  var filter: [String] = []
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    var meant = NetworkFilter()
    for text in filter { try meant.add(text) }
    let controller = try await global.controller()
    if !force {
      guard try isConfirmed() else { throw ExitCode.failure }
    }
    let report = try await controller.prune(matching: meant)
    if !report.removed.isEmpty { print("Deleted Networks:") }
    for network in report.removed { print(network.name) }
    for failure in report.failures { Failure.report(failure) }
    if !report.failures.isEmpty { throw ExitCode.failure }
  }

  private func isConfirmed() throws(NetworkError) -> Bool {
    guard Terminal.isTerminal(.standardInput) else {
      throw NetworkError(
        .refused, operation: "prune networks",
        reason: "there is no terminal for the question whether to remove every unused network; confirm by -f")
    }
    let terminal = Terminal(global.color)
    print(terminal.yellow("WARNING!"), "This will remove all custom networks not used by at least one container.")
    print("Are you sure you want to continue? [y/N] ", terminator: "")
    fflush(nil)
    return ["y", "yes"].contains(readLine()?.lowercased() ?? "")
  }
}
