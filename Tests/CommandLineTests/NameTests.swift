import ContainerNetworking
import Foundation
import Glibc
import Playground
import SystemPackage
import TestSupport
import Testing

/// Names on custom networks, at the prompt: by a server that the first verb starts, by a running one, and without one.
@Suite(.timeLimit(.minutes(5))) struct NameTests {
  let tool: Tool
  private let auto = ["CNET_NAME_SERVER=auto"]

  init() throws { tool = try Tool() }

  /// The servers of the tool's state directory that run.
  private func servers() throws -> [Int32] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter { id in
      let line = (try? Data(contentsOf: URL(filePath: "/proc/\(id)/cmdline"))) ?? Data()
      let words = String(decoding: line, as: UTF8.self).split(separator: "\0")
      return words.dropFirst().first == "dns" && words.contains { $0 == tool.directory }
    }
  }

  private func start(_ name: String, _ options: String...) throws -> Tool.Running {
    let running = try tool.start(
      "cnet", ["run", "--name", name] + options + ["--", "sleep", "60"], extra: auto)
    let isUp = try waitUntil { try tool.cnet("events").output.contains("container=\(name)") }
    #expect(isUp, "\(running.text("error"))")
    return running
  }

  private func end(_ containers: [Tool.Running]) throws {
    for container in containers {
      try container.process.signal(SIGTERM)
      let end = try container.end()
      #expect(end.code == 128 + SIGTERM && end.error == "")
    }
  }

  /// A new user's commands: nothing is started by hand, and nothing is left.
  @Test func containersFindEachOtherByNameAtOnce() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let web = try start("web", "--net", "one", "--alias", "front", "--hostname", "web-1")
    for name in ["web", "front", "web-1", "web.one", "WEB"] {
      let ping = try tool.run(
        "cnet", ["run", "--net", "one", "--", "busybox", "ping", "-c", "1", "-W", "4", name], extra: auto)
      #expect(ping.code == 0 && ping.output.contains("(10.1.0.2)"), "\(name): \(ping)")
    }
    let running = try servers()
    #expect(running.count == 1)
    #expect(running.allSatisfy { getsid($0) == $0 })
    for id in running {
      let name = try String(contentsOfFile: "/proc/\(id)/comm", encoding: .utf8)
      let line = try String(contentsOfFile: "/proc/\(id)/cmdline", encoding: .utf8)
      #expect(name == "cnet dns\n" && line.hasPrefix("cnet\0dns\0"), "\(name) \(line)")
    }
    let reverse = try tool.run(
      "cnet", ["run", "--net", "one", "--", "getent", "hosts", "10.1.0.2"], extra: auto)
    #expect(reverse.output.contains("web.one"))
    try end([web])
    #expect(try waitUntil { try servers().isEmpty })
    #expect(try tool.close() == [])
  }

  @Test func aServerThatWasKilledIsReplacedByTheNextVerb() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let web = try start("web", "--net", "one")
    for id in try servers() { kill(id, SIGKILL) }
    #expect(try waitUntil { try servers().isEmpty })
    let again = try tool.run(
      "cnet", ["run", "--net", "one", "--", "busybox", "ping", "-c", "1", "-W", "4", "web"], extra: auto)
    #expect(again.code == 0, "\(again)")

    // Or by a check of the whole host.
    for id in try servers() { kill(id, SIGKILL) }
    #expect(try waitUntil { try servers().isEmpty })
    let sick = try tool.run("cnet", ["doctor"], extra: auto)
    #expect(sick.code == 1 && sick.output.hasPrefix("found: no name server answers for network \"one\"\n"))
    #expect(try tool.run("cnet", ["doctor", "--fix"], extra: auto).code == 0)
    let own = try tool.run("cnet", ["run", "--net", "container:web", "--", "busybox", "nslookup", "web.one"])
    #expect(own.code == 0, "\(own)")
    try end([web])
    #expect(try waitUntil { try servers().isEmpty })
    #expect(try tool.close() == [])
  }

  @Test func manyAtOnceShareOneServer() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let names = (0..<6).map { "web\($0)" }
    let containers = try names.map { name in
      try tool.start("cnet", ["run", "--name", name, "--net", "one", "--", "sleep", "600"], extra: auto)
    }
    for (name, container) in zip(names, containers) {
      let isUp = try waitUntil { try tool.cnet("events").output.contains("container=\(name)") }
      #expect(isUp, "\(name): \(container.text("error"))")
    }
    #expect(try servers().count == 1)
    let lookUps = names.map { "getent hosts \($0) >/dev/null || exit 1" }.joined(separator: "; ")
    let all = try tool.run("cnet", ["run", "--net", "one", "--", "sh", "-c", lookUps], extra: auto)
    #expect(all.code == 0, "\(all)")
    try end(containers)
    #expect(try waitUntil { try servers().isEmpty })
    #expect(try tool.close() == [])
  }

  @Test func namesAreServedInsideWhereTheBridgeHasNoAddress() throws {
    let create = try tool.cnet(
      "network", "create", "--subnet", "10.1.0.0/24", "--internal", "--opt", "gateway-mode-ipv4=isolated", "one")
    #expect(create.code == 0)
    let web = try start("web", "--net", "one")
    let ping = try tool.run(
      "cnet",
      ["run", "--net", "one", "--", "sh", "-c", "grep ^nameserver /etc/resolv.conf; busybox ping -c 1 -W 4 web"],
      extra: auto)
    #expect(ping.code == 0 && ping.output.hasPrefix("nameserver 127.0.0.11\n"), "\(ping)")
    try end([web])
    #expect(try waitUntil { try servers().isEmpty })
    #expect(try tool.close() == [])
  }

  @Test func aServerThatSomebodyRunsIsUsed() throws {
    let running = ["CNET_NAME_SERVER=running"]
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let refused = try tool.run("cnet", ["run", "--net", "one", "--", "true"], extra: running)
    #expect(refused.code == 125 && refused.error.contains("no name server serves"), "\(refused)")
    let server = try tool.start("sh", ["-c", "ulimit -S -n 64; exec cnet dns"])
    #expect(waitUntil { server.text("output") == "serving\n" })
    try expectAllOpenFiles(of: server)
    let second = try tool.cnet("dns")
    #expect(second.code == 75 && second.error.contains("another name server serves this directory"))
    let own = try tool.run(
      "cnet", ["run", "--name", "me", "--net", "one", "--", "busybox", "nslookup", "me.one"], extra: running)
    #expect(own.code == 0 && own.output.contains("10.1.0."), "\(own)")
    try server.process.signal(SIGTERM)
    #expect(try server.end() == Tool.Outcome(code: 0, output: "serving\n"))
    #expect(!FileManager.default.fileExists(atPath: "\(tool.directory)/dns.sock"))
    #expect(try tool.close() == [])
  }

  @Test func withoutAServerOthersAreAsked() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "--dns", "192.0.2.7", "one").code == 0)
    #expect(try tool.cnet("network", "inspect", "-f", "{{json .NameServers}}", "one").output == "[\"192.0.2.7\"]\n")
    let outcome = try tool.cnet("run", "--net", "one", "--", "grep", "^nameserver", "/etc/resolv.conf")
    #expect(outcome == Tool.Outcome(code: 0, output: "nameserver 192.0.2.7\n"))
    let plain = try tool.cnet("run", "--", "grep", "^nameserver", "/etc/resolv.conf")
    #expect(plain == Tool.Outcome(code: 0, output: "nameserver 192.0.2.53\n"))
    #expect(try servers().isEmpty)
    let odd = try tool.run("cnet", ["ps"], extra: ["CNET_NAME_SERVER=maybe"])
    #expect(odd.code == 1 && odd.error.contains("not auto, running or none"))
    #expect(try tool.close() == [])
  }

  @Test func whoHoldsPort53OfTheHostIsNotInTheWay() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let holder = try tool.world.serve("mine", port: 53, in: tool.world.host)
    let own = try tool.run(
      "cnet", ["run", "--name", "me", "--net", "one", "--", "busybox", "nslookup", "me.one"], extra: auto)
    #expect(own.code == 0 && own.output.contains("10.1.0."), "\(own)")
    let places = try tool.cnet("network", "inspect", "-f", "{{json .NamesAnsweredAt}}", "one")
    #expect(places == Tool.Outcome(code: 0, output: "[\"10.1.0.1:61053\"]\n"))
    holder.stop()
    #expect(try waitUntil { try servers().isEmpty })
    #expect(try tool.close() == [])
  }

  @Test func aPublishedPort53AndNamesGoTogether() throws {
    #expect(try tool.cnet("network", "create", "--subnet", "10.1.0.0/24", "one").code == 0)
    let web = try start("web", "--net", "one")
    let publish = try tool.run("cnet", ["publish", "web", "8443:443", "53:53/udp"], extra: auto)
    #expect(publish.code == 0, "\(publish)")
    let other = try start("other", "--net", "one", "-p", "53:53/tcp")
    let ping = try tool.run(
      "cnet", ["run", "--net", "one", "--", "busybox", "ping", "-c", "1", "-W", "4", "web"], extra: auto)
    #expect(ping.code == 0, "\(ping)")
    try end([web, other])
    #expect(try eventually { try servers().isEmpty })
    #expect(try tool.close() == [])
  }
}
