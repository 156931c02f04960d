import ContainerNetworking
import Foundation
import Glibc
import Playground
import TestSupport
import Testing

/// `cnet trace` and `cnet graph`: their output and exit codes; they leave nothing behind.
@Suite(.timeLimit(.minutes(5))) struct TraceCommandTests {
  /// A tool with one container, `web`, which listens on port 80, published as 8080.
  private func start() throws -> (Tool, Tool.Running) {
    let tool = try Tool()
    let web = try tool.start(
      "cnet",
      ["run", "--name", "web", "-p", "8080:80", "--", "busybox", "nc", "-ll", "-p", "80", "-e", "busybox", "true"])
    #expect(try waitUntil { try tool.cnet("ps", "-q").output == "web\n" })
    #expect(
      try waitUntil {
        try tool.cnet("trace", "host", "web:80").code == 0
      })
    return (tool, web)
  }

  private func end(_ tool: Tool, _ web: Tool.Running) throws {
    try web.process.signal(SIGTERM)
    _ = try web.end()
    #expect(try tool.close() == [])
  }

  private func traceTables(_ tool: Tool) throws -> Int {
    let tables = try tool.world.output("nft", "list", "tables", in: tool.world.host) ?? ""
    return tables.matches(of: #/containernetworking-trace-/#).count
  }

  @Test func exitCodesAndForms() throws {
    let (tool, web) = try start()
    let good = try tool.cnet("trace", "web", "host:8080")
    #expect(good.code == 0)
    #expect(good.output.contains("└─ web: comes in by eth0"))
    #expect(!good.output.contains("\u{1b}["))
    let colored = try tool.cnet("trace", "--color=always", "web", "host:8080")
    #expect(colored.output.contains("\u{1b}[32maccept\u{1b}[0m"))
    let lost = try tool.cnet("trace", "web", "198.51.100.9:80", "--timeout", "2")
    #expect(lost.code == 1)
    #expect(lost.output.contains("lost: "))
    let picture = "\(tool.directory)/way.svg"
    let json = try tool.cnet("trace", "--json", "--svg", picture, "web", "host:8080")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect((object["outcome"] as? [String: Any])?["kind"] as? String == "answered")
    #expect((object["there"] as? [Any])?.count ?? 0 > 3)
    #expect(try String(contentsOfFile: picture, encoding: .utf8).contains("class=\"path\""))
    #expect(try traceTables(tool) == 0)

    let svg = try tool.cnet("graph", "--format", "svg")
    #expect(svg.output.hasPrefix("<svg "))
    #expect(try tool.cnet("graph", "--format=mermaid").output.hasPrefix("flowchart TB\n"))
    let file = "\(tool.directory)/graph.json"
    #expect(try tool.cnet("graph", "--format=json", "-o", file).output == "")
    #expect(try String(contentsOfFile: file, encoding: .utf8).contains("\"name\": \"web\""))
    let text = tool.normalized(try tool.cnet("graph").output)
    #expect(
      text == """
        eth0  203.0.113.1/24
        network bridge  bridge cn0  172.17.0.0/16 gateway 172.17.0.1
          web  eth0 ↔ veth0a1b2c3d  172.17.0.2/16  02:42:ac:11:00:02
            0.0.0.0:8080->80/tcp

        """)
    try end(tool, web)
  }

  /// However the tool ends while it waits, its tables go.
  @Test(arguments: [SIGKILL, SIGINT, SIGTERM]) func nothingIsLeftAfterASignal(signal: Int32) throws {
    let (tool, web) = try start()
    let waiting = try tool.start("cnet", ["trace", "203.0.113.99", "web:80/tcp", "--timeout", "300"])
    #expect(try waitUntil { try traceTables(tool) == 2 }, "there is no trace under way")
    try waiting.process.signal(signal)
    #expect(try waiting.end().code == -signal)
    #expect(try waitUntil { try traceTables(tool) == 0 })
    // Nor does any rule mark packets.
    #expect(try tool.world.output("nft", "list", "ruleset", in: tool.world.host)?.contains("nftrace") == false)
    try end(tool, web)
  }
}
