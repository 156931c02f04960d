import ContainerNetworking
import Foundation
import Glibc
import Playground
import TestSupport
import Testing

/// `publish`, `unpublish`, `port` and `forward`.
@Suite(.timeLimit(.minutes(5))) struct PortTests {
  let tool: Tool

  init() throws { tool = try Tool() }

  private func attach(_ name: String, _ arguments: String...) throws -> NetworkNamespace {
    let theirs = try NetworkNamespace.create()
    let outcome = try tool.run("cnet", ["attach", "--name", name] + arguments + ["\(theirs.path)"])
    #expect(outcome.code == 0, "\(outcome)")
    return theirs
  }

  @Test func portsComeAndGo() throws {
    let theirs = try attach("web", "-p", "8080:80")
    let server = try tool.world.serve("hello", port: 80, in: theirs)
    defer { server.stop() }
    #expect(
      try tool.cnet("publish", "web", "8081:80", "9000-9001:53-54/udp", "127.0.0.1:8082:80").output == """
        53/udp -> 0.0.0.0:9000
        54/udp -> 0.0.0.0:9001
        80/tcp -> 0.0.0.0:8081
        80/tcp -> 127.0.0.1:8082

        """)
    #expect(try tool.world.fetch(Playground.hostAddress, 8081, from: tool.world.outside) == "hello")
    #expect(
      try tool.cnet("port", "web").output == """
        53/udp -> 0.0.0.0:9000
        54/udp -> 0.0.0.0:9001
        80/tcp -> 0.0.0.0:8080
        80/tcp -> 0.0.0.0:8081
        80/tcp -> 127.0.0.1:8082

        """)
    #expect(try tool.cnet("port", "web", "80").output == "0.0.0.0:8080\n0.0.0.0:8081\n127.0.0.1:8082\n")
    #expect(try tool.cnet("port", "web", "54/udp").output == "0.0.0.0:9001\n")
    let none = try tool.cnet("port", "web", "54")
    #expect(none.code == 1 && none.error.contains("it is not published; see cnet port web"))
    #expect(
      try tool.cnet("unpublish", "web", "8081:80", "53/udp").output
        == "53/udp -> 0.0.0.0:9000\n80/tcp -> 0.0.0.0:8081\n")
    #expect(try tool.world.fetch(Playground.hostAddress, 8081, from: tool.world.outside) == nil)
    #expect(try tool.world.fetch(Playground.hostAddress, 8080, from: tool.world.outside) == "hello")
    // All or nothing.
    let taken = try tool.cnet("publish", "web", "8083:83", "8080:84")
    #expect(taken.code == 1 && taken.error.contains("port 8080/tcp of the host is published for \"web\" already"))
    #expect(try tool.cnet("unpublish", "--all", "web").output.split(separator: "\n").count == 3)
    #expect(try tool.cnet("port", "web").output == "")
    let events = try tool.cnet("events").output.split(separator: "\n")
    #expect(events.last?.contains(" network unpublish ") == true)
    #expect(events.last?.contains("container=web, name=bridge, port=0.0.0.0:8080->80/tcp, ") == true)
    #expect(try tool.cnet("events", "--json").output.contains("\"Ports\":[\"0.0.0.0:8080->80/tcp\","))
    #expect(try tool.cnet("doctor").code == 0)
    #expect(try tool.close() == [])
  }

  /// While `forward` runs, commands publish at `::1`, too, and no other program gets their ports.
  @Test func forwardServesWhatCommandsPublish() throws {
    let theirs = try attach("web", "-p", "8080:80")
    let server = try tool.world.serve("hello", port: 80, in: theirs)
    defer { server.stop() }
    let host = tool.world.host
    #expect(try tool.world.fetch("::1", 8080, from: host) == nil)
    let forward = try tool.start("sh", ["-c", "ulimit -S -n 64; exec cnet forward"])
    #expect(waitUntil { forward.text("output") == "ready, 1 ports\n" })
    try expectAllOpenFiles(of: forward)
    #expect(try tool.world.fetch("::1", 8080, from: host) == "hello")
    #expect(try tool.cnet("publish", "web", "8081:80").output == "80/tcp -> 0.0.0.0:8081\n80/tcp -> [::]:8081\n")
    #expect(try waitUntil { try tool.world.fetch("::1", 8081, from: host) == "hello" })
    let ports = [8080, 8081].map { PortBinding(.any(.ipv4), $0, .tcp) }
    #expect(try host.kernel.heldPorts(among: ports, in: host.handle) == ports)
    // Again at once: the verb waits until the forwarder has released its ports.
    for _ in 0..<3 {
      #expect(try tool.cnet("unpublish", "web", "8081:80").code == 0)
      #expect(try tool.cnet("publish", "web", "8081:80").code == 0)
    }
    #expect(try waitUntil { try tool.world.fetch("::1", 8081, from: host) == "hello" })
    #expect(try tool.cnet("detach", "web").code == 0)
    #expect(try waitUntil { try host.kernel.heldPorts(among: ports, in: host.handle).isEmpty })
    try forward.process.signal(SIGTERM)
    #expect(try forward.end() == Tool.Outcome(code: 0, output: "ready, 1 ports\n"))
    // Without a forwarder nothing is published there.
    let again = try attach("again", "-p", "8080:80")
    #expect(try tool.cnet("port", "again").output == "80/tcp -> 0.0.0.0:8080\n")
    withExtendedLifetime(again) {}
    #expect(try tool.close() == [])
  }

  /// `run` reserves its ports itself, and hands `forward` its listening addresses, in both orders. `port` lists working
  /// ports, and `doctor` reports the rest.
  @Test(arguments: [false, true]) func forwardServesWhatRunPublishes(isForwardFirst: Bool) throws {
    let host = tool.world.host
    var forward = isForwardFirst ? try startForward(ports: 0) : nil
    let run = try tool.start(
      "cnet",
      ["run", "--name", "web", "-p", "8086:80", "--", "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"])
    #expect(try waitUntil { try tool.world.fetch("127.0.0.1", 8086, from: host) == "hello" })
    if !isForwardFirst {
      #expect(try tool.cnet("port", "web").output == "80/tcp -> 0.0.0.0:8086\n")
      forward = try startForward(ports: 1)
    }
    #expect(try tool.world.fetch("::1", 8086, from: host) == "hello")
    #expect(try tool.cnet("port", "web").output == "80/tcp -> 0.0.0.0:8086\n80/tcp -> [::]:8086\n")
    #expect(try tool.cnet("doctor").code == 0)
    // However it ends.
    let running = try #require(forward)
    try running.process.signal(SIGKILL)
    #expect(try running.end().code == -SIGKILL)
    #expect(try tool.cnet("port", "web").output == "80/tcp -> 0.0.0.0:8086\n")
    let doctor = try tool.cnet("doctor")
    #expect(
      doctor.code != 0 && (doctor.output + doctor.error).contains("[::]:8086/tcp is not forwarded to \"web\""),
      "\(doctor)")
    let binding = PortBinding(.any(.ipv6), 8086, .tcp)
    #expect(try waitUntil { try host.kernel.heldPorts(among: [binding], in: host.handle) == [binding] })
    let next = try startForward(ports: 1)
    #expect(try tool.world.fetch("::1", 8086, from: host) == "hello")
    try run.process.signal(SIGTERM)
    _ = try run.end()
    try next.process.signal(SIGTERM)
    _ = try next.end()
    #expect(try tool.close() == [])
  }

  private func startForward(ports: Int) throws -> Tool.Running {
    let forward = try tool.start("cnet", ["forward"])
    #expect(waitUntil { forward.text("output") == "ready, \(ports) ports\n" })
    return forward
  }
}
