import ContainerNetworking
import Foundation
import Glibc
import Playground
import Testing

/// Examples with `--host`, where the machine is the host of a playground: they leave it as they found it.
@Suite(.timeLimit(.minutes(10))) struct ExampleHostTests {
  let world: Playground

  init() throws { world = try .still() }

  @Test(arguments: Example.inOneMode) func theMachineIsAsBefore(example: String) throws {
    let before = try world.state()
    let run = try ExampleRun(example, ["--host"], on: world.host)
    let end = try run.end()
    #expect(end.status == .exited(0), "\(end.output)")
    let changes = try world.changes(since: before)
    #expect(changes == [])
    let survivors = try run.survivors()
    #expect(survivors == [])
  }

  @Test(arguments: Example.inOneMode, [SIGINT, SIGTERM])
  func theMachineIsAsBeforeAnInterruption(example: String, signal: Int32) throws {
    let before = try world.state()
    for delay: UInt32 in [40, 80, 160] {
      let run = try ExampleRun(example, ["--host"], on: world.host)
      usleep(delay * 1000)
      try run.process.signal(signal)
      let end = try run.end()
      // Before the trap is set the signal ends it, with nothing made; and it may have been done before the signal came.
      #expect(
        [.exited(128 + signal), .signaled(signal), .exited(0)].contains(end.status), "\(end.status) \(end.output)")
      let changes = try world.changes(since: before)
      #expect(changes == [])
      let survivors = try run.survivors()
      #expect(survivors == [])
    }
  }

  @Test(arguments: ["bridge-mode": "cn0", "container-mode": "cn0", "none-mode": "byhand0"])
  func whatIsInTheWayIsNamedAndStays(example: String, link: String) throws {
    // No bridge, which would be adopted.
    try world.host.links.createVeth(VethEnd(InterfaceName(link)), peer: VethEnd(InterfaceName("other0")))
    let before = try world.state()
    let run = try ExampleRun(example, ["--host"], on: world.host)
    let end = try run.end()
    #expect(end.status == .exited(1))
    #expect(end.output.contains("failed: "), "\(end.output)")
    #expect(end.output.contains(link), "\(end.output)")
    let changes = try world.changes(since: before)
    #expect(changes == [])
  }

  /// Another record's objects on the machine stay, whichever program ends.
  @Test(arguments: ["bridge-mode", "container-mode", "custom-network"])
  func whatAnotherRecordHasStays(example: String) async throws {
    let other = try await NetworkController(
      host: world.host, settings: ControllerSettings(defaultBridge: "other0", reservesPorts: false))
    let theirs = try await other.attach("theirs", options: AttachOptions(ports: [PortMapping("8099:80")]))
    let server = try world.serve("theirs", port: 80, in: theirs.namespace)
    let run = try ExampleRun(example, ["--host"], on: world.host)
    let end = try run.end()
    #expect(end.status == .exited(0), "\(end.output)")
    #expect(try await other.differences() == [])
    #expect(try world.fetch(Playground.hostAddress, 8099, from: world.outside) == "theirs")
    server.stop()
    try await other.removeAll()
  }
}
