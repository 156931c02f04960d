import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
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
        // A request whose failure is tolerated, such as a read.
        kernel.clearFaults()
        try await controller.detach("second")
      } catch {
        kernel.clearFaults()
      }
      #expect(kernel.snapshot() == before, "after request \(number) failed")
    }
  }

  @Test func aMacvlanNetworkLeavesTheHostAlone() async throws {
    let kernel = SimulatedKernel()
    let host = try NetworkNamespace.create(on: kernel)
    try host.links.createVeth(VethEnd(try InterfaceName("lan0")), peer: VethEnd(try InterfaceName("lan1")))
    let controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    let before = kernel.snapshot()
    let options = NetworkOptions(driver: .macvlan, subnet: try Subnet("10.3.0.0/24"), parent: try InterfaceName("lan0"))
    try await controller.createNetwork("lan", options: options)
    let created = kernel.snapshot()
    #expect(created == before)
    let web = try await controller.attach("web", to: .network("lan"))
    #expect(try web.namespace.links.get("eth0").kind == "macvlan")
    try web.namespace.links.delete(index: try web.namespace.links.get("eth0").index)
    let report = try await controller.reconcile()
    #expect(report.found.map(\.kind) == [.linkMissing] && report.remaining == [])
    #expect(try web.namespace.routes.list().contains { $0.gateway == web.endpoints[0].gateway })
    try await controller.removeAll()
    #expect(try web.namespace.links.list().map(\.name) == ["lo"])
    #expect(try host.links.list().map(\.name) == ["lo", "lan1", "lan0"])
  }

  @Test func aNetworkGrowsBeyondABridgesPorts() async throws {
    let kernel = SimulatedKernel()
    let host = try NetworkNamespace.create(on: kernel)
    var settings = ControllerSettings(resolvers: [])
    (settings.bridgePorts, settings.bridgeTrunks) = (20, 2)
    let controller = try await NetworkController(host: host, settings: settings)
    let network = try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.1.0.0/16")))
    let before = kernel.snapshot()
    let bridges = await controller.attach((0..<40).map { AttachRequest("c\($0)", to: .network("net")) }).map { result in
      (try? result.get())?.endpoints[0].bridge?.description ?? "first"
    }
    let further = (1...2).map { "br-\(network.id.prefix(8))-\($0)" }
    #expect(
      bridges.map { name in bridges.count { $0 == name } } == Array(repeating: 18, count: 18)
        + Array(repeating: 19, count: 19) + Array(repeating: 3, count: 3))
    #expect(try await controller.network("net").furtherBridges?.map(\.name.description) == further)
    #expect(try host.links.list().count { $0.master != nil } == 44)
    #expect(try await controller.differences() == [])
    for number in 0..<40 { try await controller.detach("c\(number)") }
    #expect(kernel.snapshot() == before)
  }

  /// A bridge that the kernel reports as full is skipped.
  @Test func othersPortsLeaveNoRoom() async throws {
    let kernel = SimulatedKernel()
    let host = try NetworkNamespace.create(on: kernel)
    var settings = ControllerSettings(resolvers: [])
    (settings.bridgePorts, settings.bridgeTrunks) = (4, 2)
    let controller = try await NetworkController(host: host, settings: settings)
    try await controller.createNetwork("net", options: NetworkOptions(subnet: try Subnet("10.1.0.0/16")))
    for name in ["a", "b", "c"] { try await controller.attach(name, to: .network("net")) }
    try await controller.detach("a")
    let before = kernel.snapshot()
    let start = kernel.requestCount
    try await controller.attach("second", to: .network("net"))
    let needed = kernel.requestCount - start
    try await controller.detach("second")
    var moved = 0
    for number in 1...needed {
      kernel.failRequest(number: number, with: Errno(rawValue: 54))
      do {
        let bridge = try await controller.attach("second", to: .network("net")).endpoints[0].bridge
        kernel.clearFaults()
        if bridge != nil { moved += 1 }
        #expect(try await controller.differences() == [])
        try await controller.detach("second")
      } catch { kernel.clearFaults() }
      #expect(kernel.snapshot() == before, "after request \(number) failed")
    }
    #expect(moved > 0)
  }

  /// A mapping that was changed after parsing is checked again, and does not trap.
  @Test func portsThatWereChangedSinceAreChecked() async throws {
    let controller = try await makeController(SimulatedKernel())
    var mapping = try PortMapping("65535:80")
    mapping.containerPorts = try PortRange("80-90")
    let ports = [mapping]
    let error = await #expect(throws: NetworkError.self) {
      try await controller.attach("web", options: AttachOptions(ports: ports))
    }
    #expect(error?.code == .invalidValue)
    #expect(try await controller.networks().isEmpty)
  }
}
