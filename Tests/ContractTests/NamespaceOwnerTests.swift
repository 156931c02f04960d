import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// A namespace with an owner is not given to a container: not the host's, and not another container's.
@Suite struct NamespaceOwnerTests {
  private struct Stage {
    let host: NetworkNamespace
    let controller: NetworkController

    init(_ which: KernelUnderTest) async throws {
      host = try NetworkNamespace.create(on: which.make())
      controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
      for (name, subnet) in [("blue", "10.1.0.0/24"), ("green", "10.2.0.0/24")] {
        var options = NetworkOptions(subnet: try Subnet(subnet))
        options.isInternal = true
        try await controller.createNetwork(name, options: options)
      }
    }

    /// The host's namespace, opened once more.
    func hostAgain() -> NetworkNamespace { NetworkNamespace(host.handle, of: host.kernel) }

    func refusal(_ body: () async throws -> Void) async -> NetworkError? {
      do { try await body() } catch { return error as? NetworkError }
      return nil
    }
  }

  @Test(arguments: KernelUnderTest.available) func theHostIsNoContainer(_ which: KernelUnderTest) async throws {
    let stage = try await Stage(which)
    let controller = stage.controller
    for mode in [NetworkMode.network("blue"), .bridge, .none] {
      let error = await stage.refusal { try await controller.attach("web", to: mode, namespace: stage.hostAgain()) }
      #expect(error?.code == .refused)
      #expect(error?.reason.contains("\(stage.host.identity) is the host's own namespace") == true)
    }
    let others = try (0..<2).map { _ in try NetworkNamespace.create(on: stage.host.kernel) }
    let results = await controller.attach([
      AttachRequest("one", to: .network("blue"), namespace: others[0]),
      AttachRequest("host", to: .network("blue"), namespace: stage.hostAgain()),
      AttachRequest("two", to: .network("blue"), namespace: others[1]),
      AttachRequest("three", to: .network("blue"), namespace: others[1]),
    ])
    let codes: [NetworkError.Code?] = results.map { result in
      if case .failure(let error) = result { error.code } else { nil }
    }
    #expect(codes == [nil, .refused, nil, .inUse])
    // A stopped container returns in a namespace of its own, or not at all.
    try await controller.attach(
      "web", to: .network("blue"), options: AttachOptions(address: try IPAddress("10.1.0.99")))
    try await controller.stop("web")
    let again = await stage.refusal {
      try await controller.attach("web", to: .network("blue"), namespace: stage.hostAgain())
    }
    #expect(again?.code == .refused)
    #expect(try await controller.sandboxes().map(\.container) == ["one", "two"])
    // Nothing of the host was changed.
    #expect(try stage.host.routes.list().allSatisfy { $0.destination.prefixLength > 0 })
    try await controller.removeAll()
  }

  @Test(arguments: KernelUnderTest.available) func anothersIsNamed(_ which: KernelUnderTest) async throws {
    let stage = try await Stage(which)
    let controller = stage.controller
    let given = try NetworkNamespace.create(on: stage.host.kernel)
    try await controller.attach("web", to: .network("blue"), namespace: given)
    for mode in [NetworkMode.network("green"), .network("blue"), .none] {
      let error = await stage.refusal {
        try await controller.attach("side", to: mode, namespace: NetworkNamespace(given.handle, of: given.kernel))
      }
      #expect(error?.code == .inUse)
      #expect(error?.reason.contains("is the namespace of \"web\"") == true)
    }
    try await controller.attach("guest", to: .container("web"))
    let made = try await controller.attach("own", to: .network("green"))
    let error = await stage.refusal {
      try await controller.attach("side", to: .network("green"), namespace: made.namespace)
    }
    #expect(error?.reason.contains("is the namespace of \"own\"") == true)
    // While a guest is in it, it is not free; then it is.
    try await controller.detach("web")
    let guests = await stage.refusal { try await controller.attach("side", to: .network("green"), namespace: given) }
    #expect(guests?.reason.contains("is the namespace of \"guest\"") == true)
    try await controller.detach("guest")
    try await controller.attach("side", to: .network("green"), namespace: given)
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  /// A record from before the host's namespace was refused: told of with what to do, and nothing is made in there.
  @Test(arguments: KernelUnderTest.available) func anOldRecordOfTheHostIsListed(_ which: KernelUnderTest) async throws {
    let host = try NetworkNamespace.create(on: which.make())
    let store = MemoryStore()
    let controller = try await NetworkController(host: host, store: store, settings: ControllerSettings(resolvers: []))
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    let web = try await controller.attach("web", to: .network("blue"))
    let old = try #require(
      store.read(since: 0).changes.lazy.compactMap { change in
        if case .save(.sandbox(let record)) = change { record } else { nil }
      }.first)
    _ = try store.update(since: 0, .process) { (_) throws(NetworkError) in
      var record = old
      record.namespaceInode = host.identity.inode
      return ((), [.save(.sandbox(record))])
    }
    // Its cable is gone, and not missed.
    try host.links.delete(index: host.links.get("\(try #require(web.endpoints[0].hostInterface))").index)
    let links = try host.links.list().map(\.name)
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.hostNamespace])
    #expect(found.map(\.container) == ["web"])
    #expect(
      found.map(\.detail) == [
        "\"web\" is recorded as being in the host's own namespace, where it has eth0 with 10.1.0.2/24"
      ])
    #expect(found.first?.remedy.contains("detach the container") == true)
    let report = try await controller.reconcile()
    #expect(report.remaining == found && report.failures == [])
    #expect(try host.links.list().map(\.name) == links)
    try await controller.detach("web")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }
}
