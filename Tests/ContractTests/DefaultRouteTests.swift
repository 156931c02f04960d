import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// A container that is to have no default route by a network, on both kernels.
@Suite(.timeLimit(.minutes(5))) struct DefaultRouteTests {
  private func start(_ which: KernelUnderTest) async throws -> NetworkController {
    var settings = ControllerSettings(reservesPorts: false)
    settings.resolvers = []
    let controller = try await NetworkController(host: .create(on: which.make()), settings: settings)
    for (name, subnets) in [("one", ["10.1.0.0/24", "fd00:1::/64"]), ("two", ["10.2.0.0/24"])] {
      try await controller.createNetwork(name, options: NetworkOptions(subnets: subnets.map { try Subnet($0) }))
    }
    return controller
  }

  private func gateways(_ sandbox: Sandbox) throws -> [String] {
    try sandbox.namespace.routes.list().filter { $0.destination.prefixLength == 0 && $0.table == 254 }
      .compactMap { $0.gateway?.description }.sorted()
  }

  @Test(arguments: KernelUnderTest.available) func networkWithoutItReachesItsOwnAlone(
    kernel: KernelUnderTest
  ) async throws {
    let controller = try await start(kernel)
    let none = EndpointOptions(takesDefaultRoute: false)
    let web = try await controller.attach("web", to: .network("one"), options: AttachOptions(endpoint: none))
    #expect(web.endpoints[0].gateways == [] && web.endpoints[0].addresses.count == 2)
    #expect(try gateways(web) == [])
    #expect(try await controller.differences() == [])
    // By another network it has one, whatever the priority of the first.
    try await controller.connect("web", to: "two", options: EndpointOptions(gatewayPriority: -5))
    #expect(try gateways(web) == ["10.2.0.1"])
    try await controller.disconnect("web", from: "two")
    #expect(try gateways(web) == [])
    #expect(try await controller.reconcile().found.isEmpty)
    // It is said anew, each time.
    try await controller.disconnect("web", from: "one")
    try await controller.connect("web", to: "one")
    #expect(try gateways(web) == ["10.1.0.1", "fd00:1::1"])
    try await controller.removeAll()
  }
}
