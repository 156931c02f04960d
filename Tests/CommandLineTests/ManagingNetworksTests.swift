import Foundation
import Glibc
import Playground
import Testing

/// The page on managing networks shows the output of its commands.
@Suite(.timeLimit(.minutes(10))) struct ManagingNetworksTests {
  @Test func pageIsWhatTheCommandsPrint() throws {
    let tool = try Tool()
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Documentation/ManagingNetworks.md")
    let page = try String(contentsOf: file, encoding: .utf8)
    let blocks = page.matches(of: #/```console\n([\s\S]*?)```/#).map { String($0.output.1) }
    let commands = blocks.map {
      $0.split(separator: "\n").filter { $0.hasPrefix("$ ") }.map { String($0.dropFirst(2)) }
    }
    #expect(commands.joined().count > 20)

    // One shell for the page, as one person has; in the host's namespace, with default options.
    var script = "exec 2>&1; unset CNET_HOST_NAMESPACE CNET_NAME_SERVER\n"
    for command in commands.joined() {
      script += "echo '\(Self.mark)'; \(command)\n"
      // A person types slower than a container starts.
      if let name = command.firstMatch(of: #/--name (\w+) .*&$/#)?.output.1 {
        script += "for i in $(seq 1200); do cnet events | grep -q container=\(name) && break; sleep 0.05; done\n"
      }
    }
    let outcome = try tool.run("bash", ["-c", "set -m; \(script)"], in: tool.world.host)
    var outputs = outcome.output.components(separatedBy: Self.mark + "\n").dropFirst().map(Self.stable(tool))[...]
    #expect(outputs.count == commands.joined().count)

    var shown = page
    for (block, lines) in zip(blocks, commands) {
      let text = lines.map { "$ \($0)\n" + (outputs.popFirst() ?? "") }.joined()
      shown = shown.replacing("```console\n\(block)```", with: "```console\n\(text)```", maxReplacements: 1)
    }
    if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil { try Data(shown.utf8).write(to: file) }
    #expect(
      try String(contentsOf: file, encoding: .utf8) == shown,
      "the page differs; run UPDATE_DOCUMENTS=1 swift test --filter ManagingNetworksTests")
    #expect(try tool.close() == [])
  }

  private static let mark = "-- next command --"

  /// Ids in the page's form, the same in each run.
  private static func stable(_ tool: Tool) -> (String) -> String {
    { text in
      tool.normalized(text)
        .replacing("ID0123456789", with: "4f3a2b1c0d9e")
        .replacing(#/\bID\b/#, with: "4f3a2b1c0d9e" + String(repeating: "0", count: 52))
        .replacing("NETWORK 4f3a2b1c0d9e" + String(repeating: "0", count: 52), with: "NETWORK ID")
        .replacing("TIME", with: "2026-01-31T12:00:00.000000000Z")
    }
  }
}
