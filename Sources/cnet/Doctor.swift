import ArgumentParser
import ContainerNetworking

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Compare the record with the kernel, and repair the differences.",
    discussion: "The exit code is 1 when there is a difference that is not repaired.")

  @Flag(help: "Repair.")
  var fix = false
  @Flag(help: "Print an object a line.")
  var json = false
  @OptionGroup
  var global: GlobalOptions

  func run() async throws {
    let controller = try await global.controller()
    if !fix {
      let found = try await controller.differences()
      try show(found, remaining: found)
      if !found.isEmpty { throw ExitCode.failure }
      return
    }
    let report = try await controller.reconcile()
    try show(report.found, remaining: report.remaining)
    for failure in report.failures { Failure.report(failure) }
    if !report.remaining.isEmpty || !report.failures.isEmpty { throw ExitCode.failure }
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
