import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// Verbs that end as by `kill -9` between any two system calls that change a container's files; strace(1) sends the
/// signal. Whoever comes next finds the files whole, or makes them so, and takes none of it for somebody's edit.
@Suite(.timeLimit(.minutes(40))) struct FileCrashTests {
  static let scenarios: [CrashTests.Scenario] = [
    CrashTests.Scenario(setup: [["attach", "first", "bridge"]], verb: ["attach", "web", "bridge"]),
    CrashTests.Scenario(
      setup: [["create", "blue", "10.7.0.0/24"], ["attach", "web", "bridge"]], verb: ["connect", "web", "blue"]),
    CrashTests.Scenario(
      setup: [["create", "blue", "10.7.0.0/24"], ["attach", "web", "bridge"], ["connect", "web", "blue"]],
      verb: ["disconnect", "web", "blue"]),
    CrashTests.Scenario(setup: [["attach", "web", "bridge"]], verb: ["detach", "web"]),
  ]

  @Test(.timeLimit(.minutes(40)), arguments: scenarios) func everyFileCall(_ scenario: CrashTests.Scenario) async throws
  {
    let world = try Playground()
    var deaths = 0
    for call in ["mkdir", "write", "ftruncate", "rename", "unlink", "rmdir"] {
      for number in 1...40 {
        let crash = try Crash(world)
        #expect(try crash.run(0, ["open"], after: scenario.setup).output.hasPrefix("steps "))
        let isKilled = try crash.isKilled(at: call, number, scenario.verb)
        if isKilled {
          deaths += 1
          let what = "\(call) \(number) of \(scenario.testDescription)"
          try await crash.expectClean(what)
          // The next change of them does so.
          let names = try await crash.records().networks
          let web = try await crash.records().containers.contains { $0.hasPrefix("web ") }
          if web, !names.contains("green") {
            #expect(try crash.run(0, ["create", "green", "10.9.0.0/24"]).output.hasPrefix("steps "))
            #expect(try crash.run(0, ["connect", "web", "green"]).output.hasPrefix("steps "))
            try await crash.expectClean("connected after \(what)")
          }
        }
        try await crash.end()
        if !isKilled { break }
      }
    }
    print("file calls that \(scenario.testDescription) died at: \(deaths)")
    #expect(deaths >= 6)
  }
}

extension Crash {
  /// Runs a verb that is killed when it makes a system call for the so manieth time; false when it does not.
  fileprivate func isKilled(at call: String, _ number: Int, _ verb: [String]) throws -> Bool {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let probe = URL(filePath: own).deletingLastPathComponent().appending(path: "crash-probe").path
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments =
      [
        "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
        "inject=\(call):signal=SIGKILL:when=\(number)", probe, directory.string, world.host.path.string, "0",
      ] + verb
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    let isKilled = process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGKILL
    #expect(isKilled || process.terminationStatus == 0)
    return isKilled
  }
}
