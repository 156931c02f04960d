import ContainerNetworking
import Playground
import SystemPackage
import Testing

/// The holders of addresses, and the length of their leases.
@Suite struct AddressLifeTests {
  let world: Playground
  let controller: NetworkController
  let before: String

  init() async throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("a", options: try NetworkOptions(["10.95.0.0/29", "fd00:95::/64"]))
    try await controller.createNetwork("b", options: try NetworkOptions(["10.96.0.0/29"]))
  }

  private func removeAll() async throws {
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  private func attach(_ container: String, _ addresses: String..., to network: String = "a") async throws -> [String] {
    let options = AttachOptions(endpoint: EndpointOptions(addresses: try addresses.map { try IPAddress($0) }))
    return try await controller.attach(container, to: .network(network), options: options).endpoints
      .flatMap(\.addresses).map { "\($0.address)" }
  }

  private func inUse(_ network: String) async throws -> [Int] {
    try await controller.inspect(network).usage.map(\.inUse)
  }

  @Test func aStaticAddressOutlivesAStop() async throws {
    #expect(try await attach("web", "10.95.0.4", "fd00:95::99") == ["10.95.0.4", "fd00:95::99"])
    try await controller.connect("web", to: "b", options: EndpointOptions(addresses: [IPAddress("10.96.0.5")]))
    try await controller.stop("web")
    #expect(await refusal { try await controller.sandbox("web") }?.code == .notFound)
    #expect(await refusal { try await controller.stop("web") }?.code == .notFound)
    #expect(await refusal { try await controller.connect("web", to: "b") }?.code == .notFound)
    #expect(try world.host.links.list().allSatisfy { $0.master == nil })
    #expect(try await controller.inspect("a").endpoints.map(\.phase) == [.stopped])
    for address in ["10.95.0.4", "fd00:95::99"] {
      let error = await refusal { try await attach("other", address) }
      #expect(error?.code == .inUse)
      #expect(error?.description.contains("already in use by") == true)
      #expect(error?.description.contains("web") == true)
    }
    #expect(try await attach("other") == ["10.95.0.2", "fd00:95::2"])
    // It gets them back without asking, on each network that it joins again.
    #expect(try await attach("web") == ["10.95.0.4", "fd00:95::99"])
    #expect(try await controller.sandbox("web").endpoints.map(\.networkName) == ["a"])
    #expect(try await controller.connect("web", to: "b").address.description == "10.96.0.5/29")
    try await controller.detach("web")
    #expect(try await attach("third", "10.95.0.4") == ["10.95.0.4", "fd00:95::3"])
    try await removeAll()
  }

  /// Kept settings on a network to which it does not return are released with the rest.
  @Test func whatWasKeptIsGivenBackByDetach() async throws {
    _ = try await attach("web", "10.95.0.4")
    try await controller.connect("web", to: "b", options: EndpointOptions(addresses: [IPAddress("10.96.0.5")]))
    try await controller.stop("web")
    #expect(try await attach("web") == ["10.95.0.4", "fd00:95::3"])
    try await controller.detach("web")
    #expect(try await inUse("a") == [3, 2])
    #expect(try await inUse("b") == [3])
    // Nor are addresses kept for a container that returns in another's namespace.
    _ = try await attach("web", "10.95.0.4")
    try await controller.stop("web")
    try await controller.attach("web", to: .host)
    try await controller.detach("web")
    #expect(try await inUse("a") == [3, 2])
    _ = try await attach("web", "10.95.0.4")
    try await controller.stop("web")
    try await controller.detach("web")
    #expect(try await inUse("a") == [3, 2])
    try await removeAll()
  }

  /// An attach that fails leaves a stopped container as it was.
  @Test func aStoppedContainerStaysStoppedWhenItCannotStart() async throws {
    _ = try await attach("web", "10.95.0.4", "fd00:95::99")
    _ = try await controller.attach("busy", to: .network("b"), options: AttachOptions(ports: [PortMapping("80:80")]))
    try await controller.stop("web")
    let error = await refusal {
      try await controller.attach(
        "web", to: .network("a"), options: AttachOptions(ports: [try PortMapping("80:80")]))
    }
    #expect(error?.code == .inUse)
    // And a failure in the kernel: a default route exists.
    let given = try NetworkNamespace.create()
    let own = try given.links.createVeth(VethEnd(InterfaceName("own0")), peer: VethEnd(InterfaceName("own1")))
    try given.addresses.add(InterfaceAddress("192.0.2.1/24"), to: own.index)
    for link in try given.links.list() { try given.links.setUp(index: link.index) }
    try given.routes.add(Route(to: .all(.ipv4), via: IPAddress("192.0.2.2"), link: own.index))
    let failed = await refusal { try await controller.attach("web", to: .network("a"), namespace: given) }
    #expect(failed?.reason == "nothing was changed", "\(failed as Any)")
    #expect(failed?.causes.first?.kernel?.errno == .fileExists)
    #expect(try given.links.list().map(\.name).sorted() == ["lo", "own0", "own1"])
    #expect(try await controller.inspect("a").endpoints.map(\.phase) == [.stopped])
    #expect(await refusal { try await attach("other", "10.95.0.4") }?.code == .inUse)
    #expect(try await attach("web") == ["10.95.0.4", "fd00:95::99"])
    try await removeAll()
  }

  @Test func addressesAreGivenInTurn() async throws {
    let v4 = { (container: String) async throws in try await attach(container, to: "b")[0] }
    #expect(try await v4("one") == "10.96.0.2")
    #expect(try await v4("two") == "10.96.0.3")
    try await controller.detach("one")
    #expect(try await v4("three") == "10.96.0.4")
    try await controller.detach("three")
    #expect(try await v4("four") == "10.96.0.5")
    #expect(try await v4("five") == "10.96.0.6")
    // All free addresses were released: the one that has rested longest comes first, the last released last.
    #expect(try await v4("six") == "10.96.0.2")
    #expect(try await v4("seven") == "10.96.0.4")
    let full = await refusal { try await v4("eight") }
    #expect(full?.code == .exhausted)
    let counts = "of 10.96.0.0/29 is free, of 8: 5 leased, 1 the gateway's, 2 reserved (network, broadcast)"
    #expect(full?.description.contains(counts) == true, "\(full as Any)")
    try await controller.detach("four")
    #expect(try await v4("eight") == "10.96.0.5")
    let outside = await refusal { try await attach("nine", "10.99.0.1", to: "b") }
    #expect(outside?.code == .invalidValue)
    #expect(outside?.description.contains("10.96.0.0/29") == true)
    let otherFamily = await refusal { try await attach("nine", "fd00::1", to: "b") }
    #expect(otherFamily?.reason.contains("they are 10.96.0.0/29") == true)
    for (address, part) in [("10.96.0.0", "network"), ("10.96.0.7", "broadcast"), ("10.96.0.1", "gateway")] {
      let error = await refusal { try await attach("nine", address, to: "b") }
      #expect(error?.description.contains(part) == true, "\(error as Any)")
    }
    try await removeAll()
  }
}
