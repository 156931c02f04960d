import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// The events of networks as they happen, on the simulated kernel and a store that two controllers share.
@Suite(.timeLimit(.minutes(10))) struct EventStreamTests {
  @Test func tellsInOrderWhatAnotherDoes() async throws {
    let host = try NetworkNamespace.create(on: SimulatedKernel())
    let store = MemoryStore()
    let settings = ControllerSettings(resolvers: [])
    let reader = try await NetworkController(host: host, store: store, settings: settings)
    let writer = try await NetworkController(host: host, store: store, settings: settings)
    try await writer.createNetwork("before")
    let stream = try await reader.eventStream()
    let reading = Task {
      var seen: [String] = []
      for try await element in stream {
        seen.append("\(element.event.action.rawValue) \(element.event.network) \(element.event.container ?? "-")")
        if element.event.action == .prune { break }
      }
      return seen
    }
    try await writer.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    try await writer.attach("web", to: .network("blue"))
    try await writer.connect("web", to: "before")
    try await writer.disconnect("web", from: "before")
    try await writer.detach("web")
    try await writer.removeNetwork("blue")
    try await writer.prune()
    #expect(
      try await reading.value == [
        "create blue -", "connect blue web", "connect before web", "disconnect before web", "disconnect blue web",
        "destroy blue -", "destroy before -", "prune  -",
      ])
    #expect(try await reader.events().first?.event.network == "before")
  }

  @Test func endsWithItsTask() async throws {
    let host = try NetworkNamespace.create(on: SimulatedKernel())
    let controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    let stream = try await controller.eventStream()
    let reading = Task {
      var count = 0
      for try await _ in stream { count += 1 }
      return count
    }
    try await Task.sleep(for: .milliseconds(20))
    reading.cancel()
    #expect(try await reading.value == 0)
  }
}
