import ContainerNetworking
import Playground
import Testing

/// Every verb on the real kernel, with every one of its requests refused in turn.
@Suite struct VerbFaultTests {
  enum Verb: String, CaseIterable, Sendable {
    case create, attach, connect, rm, disconnect, detach, stop

    var takesAway: Bool { [.rm, .disconnect, .detach, .stop].contains(self) }

    func prepare(_ controller: NetworkController) async throws {
      switch self {
      case .create, .attach, .connect: break
      case .rm: try await Verb.create.act(controller)
      case .disconnect: try await Verb.connect.act(controller)
      case .detach, .stop: try await Verb.attach.act(controller)
      }
    }

    func act(_ controller: NetworkController) async throws {
      switch self {
      case .create:
        try await controller.createNetwork("new", options: try NetworkOptions(["10.9.0.0/24", "fd00:9::/64"]))
      case .attach:
        let options = AttachOptions(
          ports: [try PortMapping("8080:80"), try PortMapping("203.0.113.1:53:53/udp")],
          address: try IPAddress("10.1.0.9"))
        try await controller.attach("new", to: .network("a"), options: options)
      case .connect: try await controller.connect("web", to: "b", options: EndpointOptions(gatewayPriority: 1))
      case .rm: try await controller.removeNetwork("new")
      case .disconnect: try await controller.disconnect("web", from: "b")
      case .detach: try await controller.detach("new")
      case .stop: try await controller.stop("new")
      }
    }

    func takeBack(_ controller: NetworkController) async throws {
      switch self {
      case .create: try await Verb.rm.act(controller)
      case .attach: try await Verb.detach.act(controller)
      case .connect: try await Verb.disconnect.act(controller)
      case .rm, .disconnect, .detach, .stop: break
      }
    }
  }

  @Test(arguments: Verb.allCases)
  func everyRequestOf(_ verb: Verb) async throws {
    // One world for all: that each point leaves it as it was is what is tested.
    let world = try Playground(isDualStack: true)
    let untouched = try world.host.contents(world)
    let kernel = FaultyKernel(failing: .max)
    let controller = try await NetworkController(host: NetworkNamespace(world.host.handle, of: kernel))
    try await controller.createNetwork("a", options: try NetworkOptions(["10.1.0.0/24", "fd00:1::/64"]))
    try await controller.createNetwork("b", options: try NetworkOptions(["10.2.0.0/24", "fd00:2::/64"]))
    let web = try await controller.attach("web", to: .network("a"))
    let contents = { try world.host.contents(world) + web.namespace.contents(world) }
    let empty = try contents()
    var points = 0
    while true {
      try await verb.prepare(controller)
      let before = try contents()
      kernel.arm(failing: points + 1)
      var failure: NetworkError?
      do { try await verb.act(controller) } catch let error as NetworkError { failure = error }
      let isPast = !kernel.hasFailed
      kernel.disarm()
      if isPast {
        #expect(failure == nil)
        try await verb.takeBack(controller)
        break
      }
      points += 1
      let what: Comment = "request \(points): \(failure?.description ?? "borne")"
      // Where the table is there already, create is refused it by its first request, whatever the others are.
      if verb != .create { #expect(failure != nil, what) }
      if failure != nil {
        if !verb.takesAway { #expect(try contents() == before, what) }
        try await verb.act(controller)
      }
      try await verb.takeBack(controller)
      #expect(try contents() == empty, what)
    }
    #expect(points >= 3)
    print("\(verb) was failed at each of its \(points) requests")
    try await controller.removeAll()
    #expect(try world.host.contents(world) == untouched)
  }
}
