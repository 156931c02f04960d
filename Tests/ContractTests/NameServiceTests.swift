import ContainerNetworking
import ContainerNetworkingTestKit
import Testing

/// The calls of the name service, and the undo after its refusals.
@Suite struct NameServiceTests {
  let world: NamedWorld
  var names: NotedNames { world.names }
  var controller: NetworkController { world.controller }

  init() async throws {
    world = try await NamedWorld(hasService: true)
    try await world.controller.createNetwork("blue", options: NetworkOptions(subnet: Subnet("10.7.0.0/24")))
    for (name, subnet, serving) in [("inner", "10.8.0.0/24", NameServing.container), ("plain", "10.9.0.0/24", .off)] {
      var options = NetworkOptions(subnet: try Subnet(subnet))
      options.nameServing = serving
      try await world.controller.createNetwork(name, options: options)
    }
  }

  @Test func everyVerbThatGivesAContainerToANetworkAsks() async throws {
    try await controller.attach("web", to: .network("blue"))
    #expect(names.take() == ["serve blue in web"])
    try await controller.connect("web", to: "inner")
    #expect(names.take() == ["serve inner in web"])
    try await controller.connect("web", to: "plain")
    try await controller.attach("other")
    try await controller.attach("alone", to: .none)
    try await controller.attach("side", to: .container("web"))
    try await controller.attach("machine", to: .host)
    #expect(names.take() == [])
    try await controller.disconnect("web", from: "inner")
    #expect(names.take() == ["withdraw sandbox web"])
    try await controller.connect("web", to: "inner")
    try await controller.detach("web")
    #expect(names.take() == ["serve inner in web"])
    // The last in the namespace takes it along.
    try await controller.detach("side")
    #expect(names.take() == ["withdraw sandbox side"])
    try await controller.removeNetwork("blue")
    try await controller.removeNetwork("plain")
    #expect(names.take() == ["withdraw network blue"])
    #expect(try await world.close() == [])
  }

  @Test func aRefusalUndoesTheVerb() async throws {
    try await controller.attach("web")
    _ = names.take()
    let before = world.kernel.snapshot()
    let taken = NetworkError(.inUse, operation: "listen on 10.7.0.1:53", reason: "another program does")
    names.refuse(taken)
    let attach = await #expect(throws: NetworkError.self) {
      try await controller.attach("two", to: .network("blue"))
    }
    #expect(attach?.code == .inUse && attach?.causes == [taken] && attach?.reason == "nothing was changed")
    let connect = await #expect(throws: NetworkError.self) { try await controller.connect("web", to: "inner") }
    #expect(connect?.code == .inUse && connect?.causes == [taken])
    #expect(names.take() == ["serve blue in two", "serve inner in web", "withdraw sandbox web"])
    let after = world.kernel.snapshot()
    #expect(after == before)
    #expect(try world.containers().count == 1)
    let web = try await controller.sandbox("web")
    #expect(try lines(#require(web.files).hosts).filter { $0.contains("web") }.count == 1)
    names.refuse(nil)
    try await controller.connect("web", to: "inner")
    #expect(try await world.close() == [])
  }

  @Test func whatIsRepairedIsServedAgain() async throws {
    try await controller.attach("web", to: .network("blue"))
    _ = names.take()
    let bridge = try #require(try await controller.network("blue").bridge)
    try controller.host.links.delete(index: try controller.host.links.get("\(bridge)").index)
    #expect(try await controller.reconcile().remaining == [])
    #expect(names.take() == ["serve blue in web"])
    #expect(try await world.close() == [])
  }

  @Test func aServiceThatIsGoneIsADifference() async throws {
    try await controller.attach("other", to: .network("plain"))
    names.setDown(true)
    #expect(try await controller.differences() == [])
    try await controller.attach("web", to: .network("blue"))
    #expect(try await controller.differences() == [])
    names.setDown(true)
    _ = names.take()
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.namesUnserved] && found.map(\.network) == ["blue"])
    let report = try await controller.reconcile()
    #expect(report.found == found && report.remaining == [] && report.failures.isEmpty)
    #expect(names.take() == ["serve blue in web"])
    #expect(try await world.close() == [])
  }

  @Test func rulesLeadFromPort53ToOneThatIsFree() async throws {
    names.listen(at: 61_053...61_056, without: [61_053, 61_054])
    // A network from before the service had ports of its own, and one from after.
    try await controller.createNetwork("green", options: NetworkOptions(subnet: Subnet("10.10.0.0/24")))
    #expect(try await controller.network("blue").nameServer == nil)
    #expect(try await controller.network("green").nameServer?.port == 61_053)
    for (network, asked) in [("blue", 3), ("green", 3)] {
      try await controller.attach("on-\(network)", to: .network(network))
      #expect(names.take() == Array(repeating: "serve \(network) in on-\(network)", count: asked))
      let place = try await controller.network(network).nameServer
      #expect(place?.port == 61_055 && place?.phase == .ready)
      // The next finds it so.
      try await controller.attach("next-\(network)", to: .network(network))
      #expect(names.take() == ["serve \(network) in next-\(network)"])
    }
    #expect(try await controller.differences() == [])
    // Removed rules are restored with them.
    try await controller.connect("on-blue", to: "green")
    #expect(try await controller.differences() == [])
    // Without a free port the verb is undone, and the network keeps working.
    names.listen(at: 61_053...61_056, without: [61_053, 61_054, 61_055, 61_056])
    let error = await #expect(throws: NetworkError.self) {
      try await controller.attach("late", to: .network("blue"))
    }
    #expect(error?.code == .inUse)
    #expect(try await controller.differences() == [])
    for network in ["blue", "green"] {
      for container in ["on-\(network)", "next-\(network)"] { try await controller.detach(container) }
      try await controller.removeNetwork(network)
    }
    #expect(try await world.close() == [])
  }
}
