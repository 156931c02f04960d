import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// The page with the kernel's own view of an attach is the tools' current output.
@Suite struct RulesetDocumentTests {
  @Test func documentIsWhatTheKernelHas() async throws {
    let world = try Playground()
    let controller = try await NetworkController(host: world.host)
    try await controller.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    let ruleset = try #require(try world.output("nft", "-n", "list", "ruleset", in: world.host))
    let link = try #require(try world.output("ip", "-d", "link", "show", "cn0", in: world.host))
    try await controller.removeAll()
    let left = try world.output("nft", "list", "ruleset", in: world.host)
    #expect(left == "")

    let page = """
      # The kernel's view of one container

      The host's namespace after `attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))`, by the tools
      that an operator has. A test makes this page and compares it.

      `nft -n list ruleset`:

      ```
      \(Self.stable(ruleset))
      ```

      The bridge, by the first two lines of `ip -d link show cn0`:

      ```
      \(Self.stable(link.split(separator: "\n").prefix(2).joined(separator: "\n")))
      ```

      """
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Documentation/Kernel.md")
    if ProcessInfo.processInfo.environment["UPDATE_DOCUMENTS"] != nil {
      try Data(page.utf8).write(to: path)
    }
    let written = try String(contentsOf: path, encoding: .utf8)
    #expect(written == page, "the page differs; run UPDATE_DOCUMENTS=1 swift test --filter RulesetDocumentTests")
  }

  /// Removes the parts that differ between runs and machines: indices, names of ports, counters, qdisc.
  private static func stable(_ text: String) -> String {
    var text = text
    // The id of the record.
    if let id = text.firstMatch(of: #/comment "record ([0-9a-f]{8})"/#)?.output.1 {
      text.replace(String(id), with: "1a2b3c4d")
    }
    text.replace(#/packets \d+ bytes \d+/#, with: "packets 0 bytes 0")
    text.replace(#/(?m)^\d+: /#, with: "N: ")
    text.replace(#/"veth[0-9a-f]{8}"/#, with: "\"veth01234567\"")
    text.replace(#/ qdisc \w+/#, with: "")
    while text.hasSuffix("\n") { text.removeLast() }
    return text
  }
}
