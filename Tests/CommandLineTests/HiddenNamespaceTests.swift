import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import Testing

/// Containers whose pins are visible in one mount namespace only, as under systemd's PrivateTmp: they count as alive
/// everywhere.
@Suite struct HiddenNamespaceTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  /// Starts `cnet run` in a mount namespace of its own.
  private func run(_ name: String, _ arguments: String...) throws -> Tool.Running {
    let running = try tool.start(
      "unshare", ["-m", "cnet", "run", "--name", name] + arguments + ["--", "sleep", "600"])
    #expect(try eventually { try tool.cnet("ps", "-q").output.split(separator: "\n").contains("\(name)") })
    return running
  }

  private func end(_ running: Tool.Running, _ signal: Int32) throws {
    try running.process.signal(signal)
    _ = try running.end()
  }

  @Test func whoLivesElsewhereIsLeftAlone() throws {
    let web = try run("web", "-p", "8080:80")
    let alone = try run("alone", "--net", "none")
    // Its pin is not a namespace here.
    let pin = FilePath("\(tool.directory)/netns/web")
    #expect(throws: NetworkError.self) { try NetworkNamespace.open(at: pin) }
    #expect(try tool.cnet("doctor").output == "The record and the kernel agree.\n")
    let report = try tool.cnet("doctor", "--fix")
    #expect(report == Tool.Outcome(code: 0, output: "The record and the kernel agree.\n"))
    #expect(try tool.cnet("ps", "-q").output == "alone\nweb\n")

    // It is found through a process in it, and can be connected to networks and disconnected.
    #expect(try tool.cnet("network", "create", "--subnet", "10.77.0.0/24", "blue").code == 0)
    #expect(try tool.cnet("network", "connect", "blue", "web") == Tool.Outcome(code: 0, output: ""))
    let path = try tool.cnet("ps", "--format", "{{.Name}} {{.Namespace}}").output.split(separator: "\n")
      .first { $0.hasPrefix("web ") }?.dropFirst("web ".count)
    let namespace = try NetworkNamespace.open(at: FilePath(String(try #require(path))))
    #expect(Set(try namespace.links.list().map(\.name)) == ["lo", "eth0", "eth1"])
    #expect(try tool.cnet("network", "disconnect", "blue", "web").code == 0)
    #expect(try tool.cnet("doctor", "--fix").code == 0)
    #expect(try namespace.links.list().map(\.name).contains("eth0"))

    try end(web, SIGTERM)
    try end(alone, SIGTERM)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }

  /// A deleted link is recreated in the container's namespace; a container without a namespace is forgotten.
  @Test func whatIsLostIsMadeAgainAndWhoIsGoneIsForgotten() throws {
    let web = try run("web")
    let port = try #require(try tool.world.host.links.list().first { $0.name.hasPrefix("veth") })
    try tool.world.host.links.delete(index: port.index)
    #expect(try tool.cnet("doctor", "--fix").output.contains("veth pair"))
    #expect(try tool.cnet("doctor").output == "The record and the kernel agree.\n")
    #expect(try tool.world.host.links.list().contains { $0.name == port.name })

    try end(web, SIGKILL)
    let isSeen = try eventually { try tool.cnet("doctor").output.contains("the namespace of \"web\" is gone") }
    #expect(isSeen)
    #expect(!(try tool.cnet("doctor").output.contains("veth pair")))
    #expect(try tool.cnet("doctor", "--fix").code == 0)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }

  @Test func theHostIsNotAttached() throws {
    let outcome = try tool.cnet("attach", "--name", "self", tool.world.host.path.string)
    #expect(outcome.code == 1)
    #expect(tool.normalized(outcome.error).contains("net:[N] is the host's own namespace"))
    let resident = try tool.start("sleep", ["600"], in: tool.world.host)
    let byProcess = try tool.cnet("attach", "--pid", "\(resident.process.id)")
    #expect(byProcess.code == 1)
    #expect(tool.normalized(byProcess.error).contains("net:[N] is the host's own namespace"))
    try end(resident, SIGKILL)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }
}
