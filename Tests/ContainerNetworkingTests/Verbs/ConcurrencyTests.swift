import ContainerNetworking
import Playground
import Testing

/// Many callers at once, on the real kernel.
@Suite(.timeLimit(.minutes(5))) struct ConcurrencyTests {
  let world: Playground
  let before: String

  init() throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
  }

  /// Calls `body` with every index concurrently, and returns the results.
  private func all<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) async throws(NetworkError) -> Value
  ) async -> [Result<Value, NetworkError>] {
    await withTaskGroup(of: Result<Value, NetworkError>.self) { group in
      for index in 0..<count {
        group.addTask {
          do throws(NetworkError) { return .success(try await body(index)) } catch { return .failure(error) }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
  }

  private func failures<Value>(_ results: [Result<Value, NetworkError>]) -> [NetworkError] {
    results.compactMap { result in
      if case .failure(let error) = result { error } else { nil }
    }
  }

  @Test func oneSubnetHasOneOwner() async throws {
    let controller = try await NetworkController(host: world.host)
    let options = try NetworkOptions(["10.90.0.0/24", "fd00:90::/64"])
    let ofSubnet = failures(
      await all(100) { (index) throws(NetworkError) in
        try await controller.createNetwork("net\(index)", options: options)
      })
    #expect(ofSubnet.count == 99)
    #expect(ofSubnet.allSatisfy { $0.code == .inUse }, "\(Set(ofSubnet.map(\.code)))")
    let ofName = failures(
      await all(50) { (index) throws(NetworkError) in
        try await controller.createNetwork(
          "one", options: NetworkOptions(subnet: try Subnet("10.91.\(index).0/24")))
      })
    #expect(ofName.count == 49)
    #expect(ofName.allSatisfy { $0.code == .alreadyExists || $0.code == .inUse }, "\(Set(ofName.map(\.code)))")
    #expect(try await controller.networks().count == 2)
    #expect(try world.host.links.list().filter { $0.kind == "bridge" }.count == 2)
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// Addresses as the kernel has them, listed in every namespace.
  @Test func everyContainerHasAnAddressOfItsOwn() async throws {
    let controller = try await NetworkController(host: world.host)
    for index in 0..<4 {
      try await controller.createNetwork(
        "net\(index)", options: try NetworkOptions(["10.9\(index).0.0/26", "fd00:9\(index)::/64"]))
    }
    let attached = await all(200) { (index) throws(NetworkError) in
      try await controller.attach("c\(index)", to: .network("net\(index % 4)"))
    }
    #expect(failures(attached).isEmpty, "\(failures(attached))")
    var seen: [String] = []
    for result in attached { seen += try result.get().namespace.addresses(of: "eth0") }
    #expect(seen.count == 400)
    #expect(Set(seen).count == 400)
    #expect(try world.host.links.list().count { $0.master != nil } == 200)
    let detached = await all(200) { (index) throws(NetworkError) in try await controller.detach("c\(index)") }
    #expect(failures(detached).isEmpty, "\(failures(detached))")
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  @Test func churnLeavesNothing() async throws {
    let controller = try await NetworkController(host: world.host)
    for index in 0..<2 {
      try await controller.createNetwork(
        "net\(index)", options: try NetworkOptions(["10.9\(index).0.0/28", "fd00:9\(index)::/64"]))
    }
    let before = try world.host.contents(world)
    let results = await all(8) { (worker) throws(NetworkError) in
      for round in 0..<6 {
        let mapping = try PortMapping("\(8000 + worker):80")
        try await controller.attach(
          "c\(worker)", to: .network("net\((worker + round) % 2)"), options: AttachOptions(ports: [mapping]))
        try await controller.connect("c\(worker)", to: "net\((worker + round + 1) % 2)")
        if round % 2 == 0 { try await controller.disconnect("c\(worker)", from: "net\(worker % 2)") }
        try await controller.detach("c\(worker)")
      }
    }
    #expect(failures(results).isEmpty, "\(failures(results))")
    #expect(try world.host.contents(world) == before)
    #expect(try await controller.sandboxes().isEmpty)
    for index in 0..<2 { #expect(try await controller.inspect("net\(index)").usage.map(\.inUse) == [3, 2]) }
    try await controller.removeAll()
    #expect(try world.host.contents(world) == self.before)
  }

  /// While the kernel takes its time to delete one container's link, other calls proceed, even on the same network.
  @Test func aSlowDetachHoldsUpNobody() async throws {
    let kernel = GatedKernel()
    let controller = try await NetworkController(host: NetworkNamespace(world.host.handle, of: kernel))
    for index in 0..<2 {
      try await controller.createNetwork("net\(index)", options: try NetworkOptions(["10.9\(index).0.0/24"]))
    }
    let slow = try await controller.attach("slow", to: .network("net0"))
    kernel.closeGate(forDeletionOf: "\(try #require(slow.endpoints[0].hostInterface))")
    async let detached: Void = controller.detach("slow")
    await kernel.requestAtGate()
    // Nothing below waits for the gate, which is closed until all of it is done.
    let other = try await controller.attach("other", to: .network("net1"))
    let same = try await controller.attach("same", to: .network("net0"))
    try await controller.connect("other", to: "net0")
    try await controller.disconnect("other", from: "net0")
    try await controller.createNetwork("net2", options: try NetworkOptions(["10.92.0.0/24"]))
    try await controller.removeNetwork("net2")
    try await controller.detach("other")
    #expect(other.endpoints[0].address.description == "10.91.0.2/24")
    // The address is not given out again before its link is gone.
    #expect(same.endpoints[0].address.description == "10.90.0.3/24")
    let busy = await refusal { try await controller.attach("slow", to: .network("net1")) }
    #expect(busy?.code == .inUse)
    kernel.openGate()
    try await detached
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  @Test func aSecondPruneIsRefused() async throws {
    let kernel = GatedKernel()
    let store = MemoryStore()
    let controller = try await NetworkController(
      host: NetworkNamespace(world.host.handle, of: kernel), store: store)
    let other = try await NetworkController(host: world.host, store: store)
    let net = try await controller.createNetwork("net", options: try NetworkOptions(["10.90.0.0/24"]))
    kernel.closeGate(forDeletionOf: "\(try #require(net.bridge))")
    async let report = controller.prune()
    await kernel.requestAtGate()
    for second in [controller, other] {
      let refused = await refusal { try await second.prune() }
      #expect(refused?.code == .inUse)
      #expect(refused?.reason.contains("under way") == true)
    }
    let busy = await refusal { try await controller.attach("web", to: .network("net")) }
    #expect(busy?.code == .inUse)
    #expect(busy?.reason.contains("is being removed") == true)
    kernel.openGate()
    #expect(try await report.removed.map(\.name) == ["net"])
    #expect(try await controller.prune().removed.isEmpty)
    #expect(try await other.prune().removed.isEmpty)
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }
}
