import ContainerNetworking
import Playground
import Testing

/// Every verb on the real kernel, with every one of its requests refused in turn.
@Suite struct VerbFaultTests {
  enum Verb: String, CaseIterable, Sendable {
    case create, attach, connect, rm, disconnect, detach, stop

    var takesAway: Bool { [.rm, .disconnect, .detach, .stop].contains(self) }

    func prepare(_ stage: Stage) async throws {
      switch self {
      case .create, .attach, .connect: break
      case .rm: try await Verb.create.act(stage)
      case .disconnect: try await Verb.connect.act(stage)
      case .detach, .stop: try await Verb.attach.act(stage)
      }
    }

    func act(_ stage: Stage) async throws {
      let controller = stage.controller
      switch self {
      case .create:
        try await controller.createNetwork("new", options: try stage.options("lan2", "10.9.0.0/24", "fd00:9::/64"))
      case .attach:
        let options = AttachOptions(
          ports: [try PortMapping("8080:80"), try PortMapping("203.0.113.1:53:53/udp")],
          address: try IPAddress("10.1.0.9"))
        try await controller.attach("new", to: .network("a"), options: options, namespace: stage.namespace)
      case .connect: try await controller.connect("web", to: "b", options: EndpointOptions(gatewayPriority: 1))
      case .rm: try await controller.removeNetwork("new")
      case .disconnect: try await controller.disconnect("web", from: "b")
      case .detach: try await controller.detach("new")
      case .stop: try await controller.stop("new")
      }
    }

    func takeBack(_ stage: Stage) async throws {
      switch self {
      case .create: try await Verb.rm.act(stage)
      case .attach: try await Verb.detach.act(stage)
      case .connect: try await Verb.disconnect.act(stage)
      case .rm, .disconnect, .detach, .stop: break
      }
    }
  }

  /// Where the verbs are done.
  struct Stage: Sendable {
    var controller: NetworkController
    /// Links of the host that macvlans can be made on; none for bridges.
    var parents: [String]
    /// The namespace that a container is attached with; nil for one of its own.
    var namespace: NetworkNamespace?

    func options(_ parent: String, _ subnets: String...) throws -> NetworkOptions {
      var options = try NetworkOptions(subnets)
      guard parents.contains(parent) else { return options }
      options.driver = .macvlan
      options.parent = try InterfaceName(parent)
      return options
    }
  }

  /// To remove a macvlan network asks nothing of the kernel.
  static let cases =
    Verb.allCases.map { ($0, NetworkDriver.bridge) }
    + Verb.allCases.filter { $0 != .rm }.map { ($0, NetworkDriver.macvlan) }

  @Test(arguments: cases)
  func everyRequestOf(_ verb: Verb, _ driver: NetworkDriver) async throws {
    // One world for all: the test checks that each fault leaves it unchanged.
    let world = try Playground(isDualStack: true)
    let parents = driver == .macvlan ? ["lan0", "lan1", "lan2"] : []
    for name in parents {
      let parent = try world.host.links.createVeth(
        VethEnd(try InterfaceName(name)), peer: VethEnd(try InterfaceName("\(name)p")))
      try world.host.links.setUp(index: parent.index)
    }
    let untouched = try world.host.contents(world)
    let kernel = FaultyKernel(failing: .max)
    let controller = try await NetworkController(host: NetworkNamespace(world.host.handle, of: kernel))
    let stage = Stage(
      controller: controller, parents: parents,
      // The remains of a macvlan show in the container only.
      namespace: parents.isEmpty ? nil : try .create(on: kernel))
    try await controller.createNetwork("a", options: try stage.options("lan0", "10.1.0.0/24", "fd00:1::/64"))
    try await controller.createNetwork("b", options: try stage.options("lan1", "10.2.0.0/24", "fd00:2::/64"))
    let web = try await controller.attach("web", to: .network("a"))
    let namespaces = [world.host, web.namespace] + (stage.namespace.map { [$0] } ?? [])
    let contents = { try namespaces.map { try $0.contents(world) } }
    let empty = try contents()
    var points = 0
    while true {
      try await verb.prepare(stage)
      let before = try contents()
      kernel.arm(failing: points + 1)
      var failure: NetworkError?
      do { try await verb.act(stage) } catch let error as NetworkError { failure = error }
      let isPast = !kernel.hasFailed
      kernel.disarm()
      if isPast {
        #expect(failure == nil)
        try await verb.takeBack(stage)
        break
      }
      points += 1
      let what: Comment = "request \(points): \(failure?.description ?? "borne")"
      // With an existing table, the first request refuses create, whatever the others do.
      if verb != .create { #expect(failure != nil, what) }
      if failure != nil {
        if !verb.takesAway { #expect(try contents() == before, what) }
        try await verb.act(stage)
      }
      try await verb.takeBack(stage)
      #expect(try contents() == empty, what)
    }
    // A macvlan is looked for and deleted.
    #expect(points >= (driver == .macvlan ? 2 : 3))
    print("\(verb) on a \(driver) was failed at each of its \(points) requests")
    try await controller.removeAll()
    #expect(try world.host.contents(world) == untouched)
  }
}
