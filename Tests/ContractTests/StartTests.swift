import ContainerNetworking
import ContainerNetworkingTestKit
import Synchronization
import TestSupport
import Testing

/// The first controller after a start of the machine, where a network cannot be restored.
@Suite(.timeLimit(.minutes(5))) struct StartTests {
  /// A host that starts anew with a record of two networks, and with a link of somebody else's where the bridge of one was.
  private struct Stage {
    let host: NetworkNamespace
    let store = MemoryStore()
    let told = Told()

    final class Told: Sendable {
      let reports = Mutex<[ReconcileReport]>([])
      var failures: [NetworkError] { reports.withLock { $0.flatMap(\.failures) } }
    }

    init(_ which: KernelUnderTest) async throws {
      let kernel = which.make()
      let first = try await NetworkController(
        host: .create(on: kernel), store: store, settings: ControllerSettings(resolvers: [], bootID: "first"))
      for (name, subnet) in [("blue", "10.1.0.0/24"), ("green", "10.2.0.0/24")] {
        try await first.createNetwork(
          name, options: NetworkOptions(subnet: try Subnet(subnet), bridge: try InterfaceName("br-\(name)")))
      }
      host = try NetworkNamespace.create(on: kernel)
      try host.links.createVeth(VethEnd(InterfaceName("br-blue")), peer: VethEnd(InterfaceName("else0")))
    }

    func open(heals: Bool) async throws -> NetworkController {
      var settings = ControllerSettings(resolvers: [], bootID: "second", heals: heals)
      settings.onHeal = { [told] report in told.reports.withLock { $0.append(report) } }
      return try await NetworkController(host: host, store: store, settings: settings)
    }

    func isBridge(_ name: String) throws -> Bool {
      try host.links.list().contains { $0.name == name && $0.kind == "bridge" }
    }

    func clear() throws { try host.links.delete(index: host.links.get("br-blue").index) }
  }

  @Test(arguments: KernelUnderTest.available) func oneNetworksFailureIsItsOwn(_ which: KernelUnderTest) async throws {
    let stage = try await Stage(which)
    let controller = try await stage.open(heals: false)
    let failures = stage.told.failures
    #expect(failures.count == 1 && failures[0].code == .conflictingOptions, "\(failures)")
    #expect(failures.first?.description.contains("make network \"blue\" again after a start of the machine") == true)
    #expect(failures.first?.description.contains("\"br-blue\" is no bridge but veth") == true, "\(failures)")
    #expect(try stage.isBridge("br-green"))
    #expect(try await controller.differences().map(\.kind) == [.bridgeMissing])
    let web = try await controller.attach("web", to: .network("green"))
    #expect(web.endpoints[0].address.description == "10.2.0.2/24")
    // The next one finds the start done.
    let second = try await stage.open(heals: false)
    #expect(stage.told.failures.count == 1)
    try stage.clear()
    #expect(try await second.reconcile().remaining == [])
    #expect(try stage.isBridge("br-blue"))
    try await second.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func itIsTriedAgain(_ which: KernelUnderTest) async throws {
    let stage = try await Stage(which)
    let controller = try await stage.open(heals: true)
    // Nothing on the host changes: the second failure is that of another attempt.
    let isTriedAgain = try await eventually { stage.told.failures.count > 1 }
    #expect(isTriedAgain)
    try stage.clear()
    let isRestored = try await eventually { try stage.isBridge("br-blue") }
    #expect(isRestored)
    let isAgreed = try await eventually { try await controller.differences().isEmpty }
    #expect(isAgreed)
    try await controller.removeAll()
  }
}
