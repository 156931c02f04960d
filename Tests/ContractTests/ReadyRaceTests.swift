import ContainerNetworking
import ContainerNetworkingTestKit
import Glibc
import Synchronization
import TestSupport
import Testing

/// Ready sandboxes whose network's stock is ended and begun again while a replacement is being made.
@Suite(.timeLimit(.minutes(5))) struct ReadyRaceTests {
  /// Counts the namespaces that are made, and holds one of them back.
  private final class HoldingKernel: ForwardingKernel {
    let base: any Kernel
    private struct State {
      var made = 0
      var holdsNext = false
      var isHeld = false
    }
    private let state = Mutex(State())

    init(_ base: any Kernel) { self.base = base }

    var made: Int { state.withLock(\.made) }
    var isHeld: Bool { state.withLock(\.isHeld) }
    func holdNext() { state.withLock { $0.holdsNext = true } }
    func release() { state.withLock { $0.isHeld = false } }

    func makeNamespace() throws(NetworkError) -> NamespaceHandle {
      state.withLock { state in
        state.made += 1
        if state.holdsNext { (state.holdsNext, state.isHeld) = (false, true) } else { return }
      }
      for _ in 0..<60_000 where isHeld { usleep(1_000) }
      return try base.makeNamespace()
    }
  }

  @Test(arguments: KernelUnderTest.available) func anEndedStockLeavesTheNextAlone(_ which: KernelUnderTest) async throws
  {
    let kernel = HoldingKernel(which.make())
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    try await controller.keepReady(1, on: "blue", refillsPerSecond: 1_000)
    kernel.holdNext()
    try await controller.attach("web", to: .network("blue"))
    let isHeld = try await eventually { kernel.isHeld }
    #expect(isHeld)
    // The replacement of the first stock is under way when the second begins.
    try await controller.keepReady(0, on: "blue")
    try await controller.keepReady(1, on: "blue", refillsPerSecond: 1_000)
    let before = kernel.made
    kernel.release()
    func ports() throws -> Int { try host.links.list().count { $0.name.hasPrefix("veth") } }
    // It may be on its way in: then it is on its way out.
    try await controller.attach("side", to: .network("blue"))
    let isSettled = try await eventually {
      try await controller.readySandboxes(on: "blue").count == 1 && ports() == 3
    }
    #expect(isSettled)
    #expect(kernel.made == before + 1)
    // Nothing is being made, so nothing is missing or too many.
    try await controller.keepReady(1, on: "blue", refillsPerSecond: 1_000)
    #expect(kernel.made == before + 1)
    try await controller.keepReady(3, on: "blue", refillsPerSecond: 1_000)
    #expect(kernel.made == before + 3)
    #expect(try await controller.readySandboxes(on: "blue") == ReadySandboxes(count: 3, wanted: 3))
    #expect(try ports() == 5)
    try await controller.removeAll()
    #expect(try ports() == 0)
  }
}
