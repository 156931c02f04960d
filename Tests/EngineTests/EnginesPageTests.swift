import Foundation
import Testing

/// The page on engines shows the output of its commands, each with the engine itself.
@Suite(.serialized, .timeLimit(.minutes(10))) struct EnginesPageTests {
  /// The page's blocks, and the engine of each.
  @Test(arguments: [
    ("podman", "podman"), ("netavark", "netavark"), ("pods", "netavark"), ("containerd", "containerd"), ("runc", "oci"),
    ("crun", "oci"), ("docker", "docker"),
  ]) func pageIsWhatTheEnginePrints(_ block: String, _ engine: String) throws {
    let here = URL(filePath: #filePath).deletingLastPathComponent()
    let file = here.appending(path: "../../Documentation/Engines.md")
    let page = try String(contentsOf: file, encoding: .utf8)
    let opening = "```console \(block)\n"
    let start = try #require(page.range(of: opening)).upperBound
    let end = try #require(page.range(of: "```", range: start..<page.endIndex)).lowerBound
    let commands = page[start..<end].split(separator: "\n").filter { $0.hasPrefix("$ ") }.map {
      String($0.dropFirst(2))
    }
    #expect(commands.count > 5)

    var script = try ["prelude.sh", "\(engine).sh"].map {
      try String(contentsOf: here.appending(path: $0), encoding: .utf8)
    }.joined(separator: "\n")
    script += "\nexec 2>&1\n"
    for command in commands { script += "echo '\(Self.mark)'\n\(command)\n" }
    let output = try Self.run(script)
    let outputs = output.components(separatedBy: Self.mark + "\n").dropFirst().map(Self.stable)
    #expect(outputs.count == commands.count, "\(output)")
    let text = zip(commands, outputs).map { "$ \($0)\n\($1)" }.joined()
    let shown = page.replacing(opening + page[start..<end], with: opening + text, maxReplacements: 1)
    if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil { try Data(shown.utf8).write(to: file) }
    #expect(
      try String(contentsOf: file, encoding: .utf8) == shown,
      "the page differs; run UPDATE_DOCUMENTS=1 swift test --filter EnginesPageTests:\n\(text)")
  }

  private static let mark = "-- next command --"

  private static func stable(_ text: String) -> String {
    text.replacing(#/veth[0-9a-f]{8}/#, with: "veth0a1b2c3d").replacing(#/\b[0-9a-f]{64}\b/#) {
      String(repeating: "0", count: 52) == $0.output.suffix(52) ? $0.output : "ID"
    }
    .replacing(#/(?m)^(?!0{10})[0-9a-f]{12}\b/#, with: "4f3a2b1c0d9e")
    .replacing(#/time="[^"]*" /#, with: "")
  }

  /// Runs a script as the first process of namespaces of its own: all that it starts ends with it.
  private static func run(_ script: String) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/unshare")
    process.arguments = [
      "--net", "--mount", "--pid", "--ipc", "--uts", "--propagation", "private", "--fork", "--kill-child",
      "--mount-proc",
      "timeout", "-s", "KILL", "300", "bash", "-c", script,
    ]
    process.environment = ["BIN": CNIWorld.products.path, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: text, as: UTF8.self)
  }
}
