import ContainerNetworking
import Foundation
import Playground
import SystemPackage
import Testing

/// Verbs that meet in the middle of each other, on the real kernel.
@Suite(.timeLimit(.minutes(5))) struct OverlapTests {
  let world: Playground
  let before: String
  let pins: FilePath

  init() throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
    pins = FilePath(FileManager.default.temporaryDirectory.appendingPathComponent("pins-\(UUID().uuidString)").path)
    try FileManager.default.createDirectory(atPath: pins.string, withIntermediateDirectories: true)
  }

  private var settings: ControllerSettings { ControllerSettings(resolvers: [], namespaceDirectory: pins) }

  private func pinned() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: pins.string).sorted()
  }

  private func expectNothingLeft(_ controller: NetworkController) async throws {
    #expect(try await controller.sandboxes().isEmpty)
    try await controller.removeAll()
    #expect(try pinned() == [])
    #expect(try world.host.contents(world) == before)
    try FileManager.default.removeItem(atPath: pins.string)
  }

  /// The donor's detach has begun, and leaves the namespace to its sharer; which is detached before the donor's is done.
  @Test func theLastTwoOfANamespaceLeaveTogether() async throws {
    let records = MemoryStore()
    let store = HookedStore(records)
    let one = try await NetworkController(host: world.host, store: store, settings: settings)
    try await one.attach("web")
    try await one.attach("side", to: .container("web"))
    let other = try await NetworkController(
      host: NetworkNamespace(world.host.handle), store: records, settings: settings)
    try store.closeGateAfterNextChange()
    async let detached: Void = one.detach("web")
    await store.updateAtGate()
    try await other.detach("side")
    store.openGate()
    try await detached
    #expect(try world.host.links.list().filter { $0.kind == "veth" && $0.master != nil } == [])
    #expect(try pinned() == [])
    #expect(try await one.inspect("bridge").endpoints == [])
    try await expectNothingLeft(one)
  }

  @Test func aContainerIsNotDetachedWhileItIsBeingConnected() async throws {
    let kernel = GatedKernel()
    let controller = try await NetworkController(
      host: NetworkNamespace(world.host.handle, of: kernel), settings: settings)
    for index in 0..<2 {
      try await controller.createNetwork("net\(index)", options: try NetworkOptions(["10.9\(index).0.0/24"]))
    }
    try await controller.attach("web", to: .network("net0"))
    kernel.closeGateForPair()
    async let connected = controller.connect("web", to: "net1")
    await kernel.requestAtGate()
    let busy = await refusal { try await controller.detach("web") }
    #expect(busy?.code == .inUse)
    #expect(busy?.description.contains("is being made") == true)
    kernel.openGate()
    let endpoint = try await connected
    #expect(try await controller.sandbox("web").endpoints.map(\.id).contains(endpoint.id))
    try await controller.detach("web")
    #expect(try await controller.inspect("net1").endpoints == [])
    try await expectNothingLeft(controller)
  }

  /// Networks that one container joins concurrently do not mistake each other's default routes for foreign ones.
  @Test func aContainerIsConnectedToManyNetworksAtOnce() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings)
    for index in 0..<6 {
      try await controller.createNetwork(
        "net\(index)", options: try NetworkOptions(["10.9\(index).0.0/24", "fd00:9\(index)::/64"]))
    }
    for round in 0..<4 {
      let sandbox = try await controller.attach("web", to: .network("net0"))
      let failures = await withTaskGroup(of: NetworkError?.self) { group in
        for index in 1..<6 {
          group.addTask {
            await failure { () throws(NetworkError) in
              try await controller.connect(
                "web", to: "net\(index)", options: EndpointOptions(gatewayPriority: (index + round) % 6))
            }
          }
        }
        return await group.reduce(into: [] as [NetworkError]) { list, error in if let error { list.append(error) } }
      }
      #expect(failures == [])
      let best = (1..<6).max { ($0 + round) % 6 < ($1 + round) % 6 } ?? 0
      let defaults = try sandbox.namespace.routes.list().filter { route in
        route.table == 254 && route.destination.prefixLength == 0 && route.kind == .unicast && route.gateway != nil
      }
      #expect(Set(defaults.map { "\($0.gateway.map { "\($0)" } ?? "")" }) == ["10.9\(best).0.1", "fd00:9\(best)::1"])
      #expect(defaults.count == 2)
      try await controller.detach("web")
    }
    try await expectNothingLeft(controller)
  }

  /// A container that comes back while its old namespace lives on in another's hands gets one of its own.
  @Test func aDonorComesBackWhileItsSharerStays() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings)
    let old = try await controller.attach("web")
    let side = try await controller.attach("side", to: .container("web"))
    try await controller.detach("web")
    let new = try await controller.attach("web")
    #expect(new.namespace.identity != old.namespace.identity)
    for sandbox in [side, new] {
      #expect(try NetworkNamespace.open(at: sandbox.namespace.path).identity == sandbox.namespace.identity)
    }
    #expect(try pinned().count == 2)
    #expect(try await controller.differences() == [])
    try await controller.detach("web")
    #expect(try NetworkNamespace.open(at: side.namespace.path).identity == side.namespace.identity)
    try await controller.detach("side")
    #expect(try pinned() == [])
    try await expectNothingLeft(controller)
  }

  /// A first attach that fails removes the default network; a concurrent one recreates it.
  @Test func theFailureOfOneAttachIsNotAnothers() async throws {
    let records = MemoryStore()
    let stores = [HookedStore(records), HookedStore(records)]
    let bad = try await NetworkController(host: world.host, store: stores[0], settings: settings)
    let good = try await NetworkController(host: world.host, store: stores[1], settings: settings)
    // The network is made, and a container about to be planned.
    stores[0].closeGate { records in
      records.changes.contains { change in
        if case .save(.network(let network)) = change { network.phase == .ready } else { false }
      }
    }
    async let failed = refusal {
      try await bad.attach("bad", options: AttachOptions(macAddress: MACAddress("01:00:00:00:00:01")))
    }
    await stores[0].updateAtGate()
    #expect(try await good.networks().map(\.phase) == [.ready])
    // The other has found it there.
    stores[1].closeGate()
    async let attached = good.attach("good")
    await stores[1].updateAtGate()
    stores[0].openGate()
    #expect(await failed?.code == .invalidValue)
    #expect(try await bad.networks().isEmpty)
    stores[1].openGate()
    #expect(try await attached.endpoints.count == 1)
    try await good.detach("good")
    try await expectNothingLeft(good)
  }

  /// The default network keeps its rules by whichever name it is called.
  @Test func theDefaultNetworkGivesNoStaticAddressByItsName() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings)
    let first = try await controller.attach("first")
    for name in ["bridge", first.endpoints[0].networkID] {
      let error = await refusal {
        try await controller.attach(
          "second", to: .network(name), options: AttachOptions(address: IPAddress("172.17.0.99")))
      }
      #expect(error?.code == .conflictingOptions)
    }
    try await controller.detach("first")
    try await expectNothingLeft(controller)
  }
}

/// The failure of a verb, if any.
private func failure<Value: Sendable>(
  _ body: () async throws(NetworkError) -> Value
) async -> NetworkError? {
  do throws(NetworkError) {
    _ = try await body()
    return nil
  } catch { return error }
}
