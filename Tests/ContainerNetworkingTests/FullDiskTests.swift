import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// A record that is unwritable for a while: work begun then has no owner afterwards.
@Suite struct FullDiskTests {
  let kernel = SimulatedKernel()
  let store = HookedStore()

  private func makeController() async throws -> NetworkController {
    let controller = try await NetworkController(
      host: try NetworkNamespace.create(on: kernel), store: store, settings: ControllerSettings(resolvers: []))
    for index in 0..<2 {
      try await controller.createNetwork(
        "net\(index)", options: NetworkOptions(subnet: try Subnet("10.\(index).0.0/24")))
    }
    return controller
  }

  /// Runs a verb whose record becomes unwritable after its first change.
  private func fillAfterFirstChange(_ verb: @escaping @Sendable () async throws(NetworkError) -> Void) async throws
    -> NetworkError?
  {
    try store.closeGateAfterNextChange()
    async let error = refusal(verb)
    await store.updateAtGate()
    store.setFull(true)
    store.openGate()
    let result = await error
    store.setFull(false)
    return result
  }

  @Test func aDetachCanBeRepeated() async throws {
    let controller = try await makeController()
    let before = kernel.snapshot()
    try await controller.attach("web", to: .network("net0"))
    let error = try await fillAfterFirstChange { () throws(NetworkError) in try await controller.detach("web") }
    #expect(error?.description.contains("No space left") == true, "\(String(describing: error))")
    try await controller.detach("web")
    let after = kernel.snapshot()
    #expect(after == before)
    #expect(try await controller.inspect("net0").endpoints == [])
    try await controller.removeAll()
  }

  @Test func whatCouldNotBeAttachedCanBeDetached() async throws {
    let controller = try await makeController()
    let before = kernel.snapshot()
    let error = try await fillAfterFirstChange { () throws(NetworkError) in
      try await controller.attach("web", to: .network("net0"))
    }
    #expect(error?.description.contains("No space left") == true)
    try await controller.reconcile()
    try await controller.attach("web", to: .network("net0"))
    try await controller.detach("web")
    let after = kernel.snapshot()
    #expect(after == before)
    try await controller.removeAll()
  }

  @Test func aDisconnectCanBeRepeated() async throws {
    let controller = try await makeController()
    try await controller.attach("web", to: .network("net0"))
    try await controller.connect("web", to: "net1")
    let error = try await fillAfterFirstChange { () throws(NetworkError) in
      try await controller.disconnect("web", from: "net1")
    }
    #expect(error?.description.contains("No space left") == true)
    try await controller.disconnect("web", from: "net1")
    #expect(try await controller.inspect("net1").endpoints == [])
    try await controller.removeAll()
  }

  @Test func aNetworkCanBeRemovedAgain() async throws {
    let controller = try await makeController()
    let error = try await fillAfterFirstChange { () throws(NetworkError) in try await controller.removeNetwork("net1") }
    #expect(error?.description.contains("No space left") == true)
    try await controller.removeNetwork("net1")
    #expect(try await controller.networks().map(\.name) == ["net0"])
    try await controller.removeAll()
  }

  /// The kernel's own report is not lost for the disk's.
  @Test func theKernelsReportIsKept() async throws {
    let controller = try await makeController()
    try await controller.attach("web", to: .network("net0"))
    kernel.inject(.resourceBusy, on: RequestType.deleteLink)
    let error = try await fillAfterFirstChange { () throws(NetworkError) in try await controller.detach("web") }
    #expect(error?.description.contains("busy") == true, "\(String(describing: error))")
    try await controller.detach("web")
    try await controller.removeAll()
  }
}
