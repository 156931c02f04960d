import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// A controller on the simulated kernel: no privilege needed, and every request can fail.
@Suite struct SimulatedControllerTests {
  private func makeController(_ kernel: SimulatedKernel) async throws -> NetworkController {
    let host = try NetworkNamespace.create(on: kernel)
    var settings = ControllerSettings()
    settings.resolvers = []
    return try await NetworkController(host: host, settings: settings)
  }

  @Test func detachTakesBackWhatAttachMade() async throws {
    let kernel = SimulatedKernel()
    let controller = try await makeController(kernel)
    try await controller.attach("first")
    let before = kernel.snapshot()
    try await controller.attach("second")
    #expect(kernel.snapshot() != before)
    try await controller.detach("second")
    #expect(kernel.snapshot() == before)
  }

  @Test func whateverFailsNothingIsLeftBehind() async throws {
    let kernel = SimulatedKernel()
    let controller = try await makeController(kernel)
    try await controller.attach("first")
    let before = kernel.snapshot()
    let start = kernel.requestCount
    try await controller.attach("second")
    let needed = kernel.requestCount - start
    try await controller.detach("second")
    #expect(needed > 3)
    for number in 1...needed {
      kernel.failRequest(number: number)
      do {
        try await controller.attach("second")
        // A request whose failure is borne, such as one that only looks.
        kernel.clearFaults()
        try await controller.detach("second")
      } catch {
        kernel.clearFaults()
      }
      #expect(kernel.snapshot() == before, "after request \(number) failed")
    }
  }
}
