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
    let Kind, Network: String
    let Container: String?
    let Detail, Remedy: String
    let Fixed: Bool

    init(_ difference: Difference, _ isFixed: Bool) {
      Kind = difference.kind.rawValue
      Network = difference.network
      Container = difference.container
      Detail = difference.detail
      Remedy = difference.remedy
      Fixed = isFixed
    }
  }
}
