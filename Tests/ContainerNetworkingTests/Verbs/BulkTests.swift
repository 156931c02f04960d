import ContainerNetworking
import Playground
import Testing

/// Many containers attached at once: each as if it were alone, whatever happens to the others.
@Suite(.timeLimit(.minutes(5))) struct BulkTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
    try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
  }

  private func code(_ result: Result<Sandbox, NetworkError>) -> NetworkError.Code? {
    if case .failure(let error) = result { error.code } else { nil }
  }

  @Test func thirtyAtOnce() async throws {
    // The first one makes the default network, the others are made together.
    try await controller.attach("first")
    let requests = try (0..<30).map { number in
      AttachRequest(
        "c\(number)", to: number % 2 == 0 ? .bridge : .network("dual"),
        options: AttachOptions(ports: [try PortMapping("\(9_000 + number):80")]))
    }
    let sandboxes = try await controller.attach(requests).map { try $0.get() }
    #expect(sandboxes.map(\.container) == requests.map(\.container))
    #expect(Set(sandboxes.map { "\($0.endpoints[0].address)" }).count == 30)
    #expect(try await controller.differences().isEmpty)
    for number in [0, 1, 28, 29] {
      let server = try world.serve("c\(number)", port: 80, in: sandboxes[number].namespace)
      defer { server.stop() }
      #expect(try world.fetch(Playground.hostAddress, UInt16(9_000 + number), from: world.outside) == "c\(number)")
    }
    #expect(try world.pings("172.17.0.1", from: sandboxes[0].namespace, within: 5))
    for sandbox in sandboxes { try await controller.detach(sandbox.container) }
    try await controller.removeAll()
    #expect(try world.host.links.list().map(\.name).sorted() == ["eth0", "lo"])
  }

  @Test func eachHasAResultOfItsOwn() async throws {
    try await controller.attach("there", options: AttachOptions(ports: [PortMapping("9000:80")]))
    let holder = try world.serve("", port: 9_090, in: world.host)
    let given = try NetworkNamespace.create()
    try given.links.createVeth(VethEnd(try InterfaceName("eth0")), peer: VethEnd(try InterfaceName("other")))
    let results = await controller.attach([
      AttachRequest("good"),
      AttachRequest("port", options: AttachOptions(ports: [try PortMapping("9000:80")])),
      AttachRequest("held", options: AttachOptions(ports: [try PortMapping("9090:80")])),
      AttachRequest("there"),
      AttachRequest("good"),
      AttachRequest("lost", to: .network("nowhere")),
      AttachRequest("not/a/name"),
      AttachRequest("guest", to: .container("good")),
      AttachRequest("alone", to: .none),
      AttachRequest("address", to: .network("dual"), options: AttachOptions(address: try IPAddress("10.99.0.1"))),
      AttachRequest("given", to: .network("dual"), namespace: given),
      AttachRequest("ephemeral", options: AttachOptions(ports: [try PortMapping("80")])),
      AttachRequest("dual", to: .network("dual"), options: AttachOptions(address: try IPAddress("10.70.0.77"))),
    ])
    holder.stop()
    #expect(
      results.map(code) == [
        nil, .inUse, .inUse, .alreadyExists, .alreadyExists, .notFound, .invalidValue, nil, nil, .invalidValue, nil,
        nil,
        nil,
      ])
    #expect(try results[10].get().endpoints[0].interface.description == "eth1")
    #expect(try results[12].get().endpoints[0].address.description == "10.70.0.77/24")
    #expect(try await controller.differences().isEmpty)
    #expect(
      try await controller.sandboxes().map(\.container).sorted() == [
        "alone", "dual", "ephemeral", "given", "good", "guest", "there",
      ])
    // A refused container has released its port and its name.
    try await controller.attach("held", options: AttachOptions(ports: [PortMapping("9090:80")]))
    try await controller.attach("port", options: AttachOptions(ports: [PortMapping("9001:80")]))
  }

  @Test func aFullNetworkTakesAsManyAsItHasAddresses() async throws {
    try await controller.createNetwork("small", options: try NetworkOptions(["10.72.0.0/29"]))
    let results = await controller.attach((0..<8).map { AttachRequest("c\($0)", to: .network("small")) })
    #expect(results.map(code) == [nil, nil, nil, nil, nil, .exhausted, .exhausted, .exhausted])
    #expect(await controller.attach([]).isEmpty)
    #expect(try await controller.differences().isEmpty)
  }
}
