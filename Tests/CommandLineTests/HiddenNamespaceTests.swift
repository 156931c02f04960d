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

  /// Attaches namespaces that are pinned in a mount namespace of their own, to no network and to a macvlan network: their host
  /// has no end of a pair to tell of them. Their creator ends; a program keeps the mount namespace.
  private func attachElsewhere() throws -> Tool.Running {
    #expect(
      try tool.cnet("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet", "203.0.113.0/24", "lan").code
        == 0)
    let script = """
      mount -t tmpfs none /run/netns && ip netns add hidden-alone && ip netns add 'hidden wire' &&
      cnet attach --name alone --net none hidden-alone && cnet attach --name wire --net lan 'hidden wire' &&
      echo attached && exec sleep 600
      """
    let running = try tool.start("unshare", ["-m", "sh", "-c", script])
    let isThere = eventually { running.text("output").contains("attached") }
    #expect(isThere, "\(running.text("error"))")
    #expect(!FileManager.default.fileExists(atPath: "/run/netns/hidden-alone"))
    return running
  }

  /// A namespace without a process and without a pair on the host is known by its pin, in whichever mount namespace that is.
  @Test func aPinElsewhereIsFound() throws {
    let keeper = try attachElsewhere()
    let agreed = Tool.Outcome(code: 0, output: "The record and the kernel agree.\n")
    #expect(try tool.cnet("doctor") == agreed)
    #expect(try tool.cnet("doctor", "--fix") == agreed)
    #expect(try tool.cnet("network", "prune", "-f").output == "")
    #expect(try tool.cnet("ps", "-q").output == "alone\nwire\n")
    let path = try tool.cnet("ps", "--format", "{{.Name}} {{.Namespace}}").output.split(separator: "\n")
      .first { $0.hasPrefix("wire ") }?.dropFirst("wire ".count)
    let wire = try NetworkNamespace.open(at: FilePath(String(try #require(path))))
    #expect(Set(try wire.links.list().map(\.name)) == ["lo", "eth0"])

    // It is at the verbs of another process, and what is lost in it is made again.
    #expect(try tool.cnet("network", "create", "--subnet", "10.77.0.0/24", "blue").code == 0)
    for verb in ["connect", "disconnect"] {
      #expect(try tool.cnet("network", verb, "blue", "wire") == Tool.Outcome(code: 0, output: ""))
    }
    try wire.links.delete(index: wire.links.get("eth0").index)
    #expect(try tool.cnet("doctor", "--fix").output.contains("eth0 of \"wire\" is gone"))
    #expect(Set(try wire.links.list().map(\.name)) == ["lo", "eth0"])
    #expect(try tool.cnet("detach", "wire").code == 0)
    #expect(try wire.links.list().map(\.name) == ["lo"])

    // With its mount namespace it is gone.
    try end(keeper, SIGKILL)
    let isSeen = try eventually { try tool.cnet("doctor").output.contains("the namespace of \"alone\" is gone") }
    #expect(isSeen)
    #expect(try tool.cnet("doctor", "--fix").code == 0)
    #expect(try tool.cnet("doctor") == agreed)
    #expect(try tool.close() == [])
  }

  /// Among other processes there is no telling: nothing is taken away, until somebody looks who sees.
  @Test func whoCannotBeSeenIsLeftAlone() throws {
    let keeper = try attachElsewhere()
    /// As seen in a PID namespace of its own.
    func fromAfar(_ arguments: String) throws -> Tool.Outcome {
      try tool.run(
        "sh",
        [
          "-c",
          "exec 9<\(tool.world.host.path); "
            + "exec unshare -mpf --mount-proc env CNET_HOST_NAMESPACE=/proc/self/fd/9 cnet \(arguments)",
        ])
    }
    for arguments in ["doctor", "doctor --fix"] {
      let outcome = try fromAfar(arguments)
      #expect(outcome.code == 1 && outcome.error == "")
      for name in ["alone", "wire"] {
        #expect(outcome.output.contains("found: the namespace of \"\(name)\" cannot be seen from here"), "\(outcome)")
      }
      #expect(outcome.output.contains("look from where it was attached"))
    }
    #expect(try fromAfar("network prune -f").output == "")
    let refused = try fromAfar("network disconnect lan wire")
    #expect(refused.code == 1 && refused.error.contains("cannot be seen from here"), "\(refused)")
    #expect(try tool.cnet("ps", "-q").output == "alone\nwire\n")
    #expect(try tool.cnet("doctor").code == 0)
    try end(keeper, SIGKILL)
    let isGone = try eventually { try tool.cnet("doctor", "--fix").output.contains("\"alone\" is gone") }
    #expect(isGone)
    let isAgreed = try eventually { try tool.cnet("doctor", "--fix").output.contains("agree") }
    #expect(isAgreed)
    #expect(try tool.cnet("ps", "-q").output == "")
    #expect(try tool.close() == [])
  }

  @Test func whoIsGoneWithoutAPairIsForgotten() throws {
    #expect(
      try tool.cnet("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet", "203.0.113.0/24", "lan").code
        == 0)
    let all = try [run("alone", "--net", "none"), run("wire", "--net", "lan")]
    #expect(try tool.cnet("doctor").output == "The record and the kernel agree.\n")
    for running in all { try end(running, SIGKILL) }
    let isSeen = try eventually {
      let output = try tool.cnet("doctor").output
      return ["alone", "wire"].allSatisfy { output.contains("the namespace of \"\($0)\" is gone") }
    }
    #expect(isSeen)
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
