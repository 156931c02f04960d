import ContainerNetworking
import Playground
import Testing

/// The kernel deletes an element of a map by its key, whatever its value: a running release would delete the element of
/// a new publication of the port. A port therefore stays taken until the kernel no longer has it.
@Suite(.timeLimit(.minutes(5))) struct PortRaceTests {
  enum Leaving: CaseIterable, Sendable { case unpublish, detach, disconnect, stop }

  @Test(arguments: Leaving.allCases) func aPortIsTakenUntilItIsReleased(_ leaving: Leaving) async throws {
    let world = try Playground()
    let kernel = GatedKernel()
    let host = NetworkNamespace(world.host.handle, of: kernel)
    let store = MemoryStore()
    let settings = ControllerSettings(resolvers: [], reservesPorts: false)
    let controller = try await NetworkController(host: host, store: store, settings: settings)
    let other = try await NetworkController(host: world.host, store: store, settings: settings)
    try await controller.createNetwork("net", options: try NetworkOptions(["10.60.0.0/24"]))
    let port = try PortMapping("8080:80")
    try await controller.attach("old", to: .network("net"), options: AttachOptions(ports: [port]))
    let new = try await other.attach("new", to: .network("net"))
    let server = try world.serve("new", port: 80, in: new.namespace)
    defer { server.stop() }

    kernel.closeGateForElementDeletion()
    let release = Task {
      switch leaving {
      case .unpublish: try await controller.unpublish([port], of: "old")
      case .detach: try await controller.detach("old")
      case .disconnect: try await controller.disconnect("old", from: "net")
      case .stop: try await controller.stop("old")
      }
    }
    await kernel.requestAtGate()
    let error = await refusal { try await other.publish([port], of: "new") }
    #expect(error?.code == .inUse)
    #expect(error?.description.contains("published for \"old\"") == true, "\(error as Any)")
    kernel.openGate()
    _ = try await release.value
    try await other.publish([port], of: "new")
    await world.check([.fetch(("outside", world.outside), ("new", Playground.hostAddress), 8080, "new", true)])
    #expect(try await other.differences() == [])
    try await other.removeAll()
  }
}
