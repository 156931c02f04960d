import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// A container's kept settings on a network that it leaves for a while, on both kernels.
@Suite(.timeLimit(.minutes(5))) struct KeptEndpointTests {
  private func start(_ which: KernelUnderTest) async throws -> NetworkController {
    var settings = ControllerSettings(reservesPorts: false)
    settings.resolvers = []
    let controller = try await NetworkController(host: .create(on: which.make()), settings: settings)
    for (name, subnet) in [("one", "10.1.0.0/24"), ("two", "10.2.0.0/24")] {
      try await controller.createNetwork(name, options: NetworkOptions(subnet: try Subnet(subnet)))
    }
    var endpoint = EndpointOptions(aliases: ["db"], gatewayPriority: 5)
    endpoint.interface = try InterfaceName("lan0")
    try await controller.attach(
      "web", to: .network("one"), options: AttachOptions(ports: [PortMapping("8080:80")], endpoint: endpoint))
    try await controller.connect("web", to: "two")
    return controller
  }

  @Test(arguments: KernelUnderTest.available) func whatIsKeptComesBack(kernel: KernelUnderTest) async throws {
    let controller = try await start(kernel)
    let left = try await controller.disconnect("web", from: "one", keepsSettings: true)
    #expect(left.ports.map(\.description) == ["0.0.0.0:8080->80/tcp"] && left.aliases == ["db"])
    #expect(try await controller.sandbox("web").endpoints.map(\.networkName) == ["two"])
    #expect(try await controller.differences() == [])
    // It stays its own: address, port and network.
    let other = try await controller.attach("other", to: .network("one"))
    #expect(other.endpoints.first?.address.description == "10.1.0.3/24")
    await #expect(throws: NetworkError.self) {
      try await controller.publish([PortMapping("8080:81")], of: "other", on: nil)
    }
    try await controller.detach("other")
    await #expect(throws: NetworkError.self) { try await controller.removeNetwork("one") }
    let back = try await controller.connect("web", to: "one")
    #expect(back.address.description == "10.1.0.2/24" && back.aliases == ["db"] && back.gatewayPriority == 5)
    #expect(back.interface.description == "lan0" && back.ports.map(\.description) == ["0.0.0.0:8080->80/tcp"])
    #expect(try await controller.sandbox("web").endpoints.first { $0.networkName == "one" }?.ports == back.ports)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func whatIsNotKeptIsGone(kernel: KernelUnderTest) async throws {
    let controller = try await start(kernel)
    try await controller.disconnect("web", from: "one")
    let again = try await controller.connect("web", to: "one")
    #expect(again.aliases == [] && again.ports == [] && again.interface.description == "eth1")
    // Kept, and given up by a second disconnect.
    try await controller.disconnect("web", from: "one", keepsSettings: true)
    try await controller.disconnect("web", from: "one")
    try await controller.removeNetwork("one")
    // A detached container releases its kept settings.
    try await controller.disconnect("web", from: "two", keepsSettings: true)
    try await controller.detach("web")
    try await controller.removeNetwork("two")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  /// If the port is taken meanwhile, nothing is changed, and the kept settings stay.
  @Test(arguments: KernelUnderTest.available) func aPortThatAProgramTookKeepsItFromComingBack(
    kernel: KernelUnderTest
  ) async throws {
    let controller = try await start(kernel)
    try await controller.disconnect("web", from: "one", keepsSettings: true)
    let host = controller.host
    var holders: [PortReservation] = []
    if let simulated = host.kernel as? SimulatedKernel {
      simulated.holdPort(8080, in: host.handle)
    } else {
      holders = try host.kernel.reservePorts([PortBinding(.any(.ipv4), 8080, .tcp)], in: host.handle)
    }
    let error = await #expect(throws: NetworkError.self) { try await controller.connect("web", to: "one") }
    #expect(error?.code == .inUse, "\(error as Any)")
    #expect(try await controller.sandbox("web").endpoints.map(\.networkName) == ["two"])
    #expect(try await controller.differences() == [])
    withExtendedLifetime(holders) {}
    try await controller.removeAll()
  }
}
