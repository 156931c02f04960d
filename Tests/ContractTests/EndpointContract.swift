import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// Endpoints whose links an engine moves to namespaces of its own, on both kernels.
@Suite(.timeLimit(.minutes(5))) struct EndpointContract {
  private func start(_ which: KernelUnderTest) async throws -> NetworkController {
    var settings = ControllerSettings(reservesPorts: false)
    settings.resolvers = []
    let controller = try await NetworkController(host: .create(on: which.make()), settings: settings)
    try await controller.createNetwork(
      "blue", options: NetworkOptions(subnets: [Subnet("10.1.0.0/24"), Subnet("fd00:1::/64")]))
    return controller
  }

  private func links(_ namespace: NetworkNamespace) throws -> Set<String> {
    Set(try namespace.links.list().map(\.name))
  }

  @Test(arguments: KernelUnderTest.available) func lifeOfAnEndpoint(_ which: KernelUnderTest) async throws {
    let controller = try await start(which)
    let before = try links(controller.host)
    let made = try await controller.createEndpoint(
      "e1", on: "blue", options: EndpointOptions(addresses: [IPAddress("10.1.0.77")], labels: ["by": "docker"]),
      ports: [PortMapping("8080:80")])
    #expect(made.addresses.map(\.description) == ["10.1.0.77/24", "fd00:1::2/64"])
    #expect(made.macAddress.description == "02:42:0a:01:00:4d" && made.phase == .stopped)
    #expect(try links(controller.host) == before)
    // The claim holds against others.
    let address = await #expect(throws: NetworkError.self) {
      try await controller.attach(
        "web", to: .network("blue"), options: AttachOptions(address: IPAddress("10.1.0.77")))
    }
    #expect(address?.code == .inUse)
    let port = await #expect(throws: NetworkError.self) {
      try await controller.attach("web", to: .network("blue"), options: AttachOptions(ports: [PortMapping("8080:81")]))
    }
    #expect(port?.code == .inUse)
    #expect(try await controller.differences() == [])

    let joined = try await controller.joinEndpoint("e1")
    let link = try controller.host.links.get("\(joined.interface)")
    #expect(link.macAddress == made.macAddress && !link.flags.contains(.up))
    #expect(try controller.host.addresses.list(link: link.index).isEmpty)
    #expect(
      try links(controller.host) == before.union(["\(joined.interface)", "\(try #require(joined.hostInterface))"]))
    #expect(try await controller.differences() == [])
    #expect(try await controller.check(container: "e1") == [])
    let sandbox = await #expect(throws: NetworkError.self) { try await controller.sandbox("e1") }
    #expect(sandbox?.code == .closed)
    let again = await #expect(throws: NetworkError.self) { try await controller.joinEndpoint("e1") }
    #expect(again?.code == .alreadyExists)

    // The engine takes it.
    let container = try NetworkNamespace.create(on: controller.host.kernel)
    try controller.host.links.move(link.index, to: container)
    let inside = try container.links.get("\(joined.interface)")
    #expect(inside.macAddress == made.macAddress)
    try container.links.rename(inside.index, to: InterfaceName("eth0"))
    #expect(try await controller.differences() == [])
    #expect(try await controller.publish([PortMapping("9090:90")], of: "e1").map(\.hostPort) == [9090])
    #expect(try await controller.unpublish([PortMapping("9090:90")], of: "e1").map(\.hostPort) == [9090])

    #expect(try await controller.leaveEndpoint("e1"))
    #expect(try await controller.leaveEndpoint("e1") == false)
    #expect(try links(controller.host) == before && links(container) == ["lo"])
    let kept = try await controller.inspect("blue").endpoints
    #expect(kept.map(\.addresses) == [made.addresses] && kept.map(\.labels) == [["by": "docker"]])
    #expect(kept.flatMap(\.ports).map(\.hostPort) == [8080])
    #expect(try await controller.differences() == [])
    // It can be joined once more.
    #expect(try await controller.joinEndpoint("e1").addresses == made.addresses)
    #expect(try await controller.deleteEndpoint("e1"))
    #expect(try await controller.deleteEndpoint("e1") == false)
    #expect(try await controller.inspect("blue").endpoints.isEmpty)
    #expect(try links(controller.host) == before)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func endOfTheNamespaceLeavesTheClaim(_ which: KernelUnderTest)
    async throws
  {
    let controller = try await start(which)
    try await controller.createEndpoint("e1", on: "blue")
    let joined = try await controller.joinEndpoint("e1")
    // As the kernel does with a namespace's links.
    try controller.host.links.delete(index: controller.host.links.get("\(joined.interface)").index)
    #expect(try await controller.differences().map(\.kind) == [.endpointGone])
    #expect(try await controller.check(container: "e1").map(\.kind) == [.endpointGone])
    let report = try await controller.reconcile()
    #expect(report.failures == [] && report.remaining == [])
    #expect(try await controller.inspect("blue").endpoints.map(\.addresses) == [joined.addresses])
    #expect(try await controller.leaveEndpoint("e1") == false)
    // A port of the host's end that somebody changed is put back.
    let next = try await controller.joinEndpoint("e1")
    let port = try controller.host.links.get("\(try #require(next.hostInterface))").index
    try controller.host.links.clearMaster(of: port)
    #expect(try await controller.differences().map(\.kind) == [.portSettings])
    #expect(try await controller.reconcile().remaining == [])
    #expect(try controller.host.links.get(port).master != nil)
    try await controller.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func badRequests(_ which: KernelUnderTest) async throws {
    let controller = try await start(which)
    try await controller.createNetwork(
      "inner", options: NetworkOptions(subnet: Subnet("10.2.0.0/24"), isInternal: true))
    try await controller.attach("web", to: .network("blue"))
    let cases: [(NetworkError.Code, () async throws -> Void)] = [
      (.notFound, { try await controller.createEndpoint("e1", on: "no-such") }),
      (.notFound, { try await controller.joinEndpoint("e1") }),
      (.notFound, { try await controller.leaveEndpoint("e1") }),
      (.notFound, { try await controller.joinEndpoint("web") }),
      (.refused, { try await controller.deleteEndpoint("web") }),
      (.alreadyExists, { try await controller.createEndpoint("web", on: "blue") }),
      (.invalidValue, { try await controller.createEndpoint("a b", on: "blue") }),
      (
        .conflictingOptions,
        {
          try await controller.createEndpoint(
            "e1", on: "blue", options: EndpointOptions(interface: InterfaceName("eth0")))
        }
      ),
      (.conflictingOptions, { try await controller.createEndpoint("e1", on: "inner", ports: [PortMapping("80:80")]) }),
      (
        .invalidValue,
        {
          try await controller.createEndpoint(
            "e1", on: "blue", options: EndpointOptions(addresses: [IPAddress("10.9.0.1")]))
        }
      ),
    ]
    for (index, (code, body)) in cases.enumerated() {
      let error = await #expect(throws: NetworkError.self, "\(index)") { try await body() }
      #expect(error?.code == code, "\(index): \(error?.description ?? "")")
    }
    #expect(try await controller.inspect("blue").endpoints.map(\.container) == ["web"])
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }
}
