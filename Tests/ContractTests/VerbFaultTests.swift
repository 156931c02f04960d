import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// Every verb, with every one of its requests refused in turn, in four ways. It reports the refusal and leaves the
/// kernel as it was; a removing verb may instead be completed by a second call.
@Suite struct VerbFaultTests {
  /// A verb, its preparation, and its call.
  struct Verb: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// Whether it removes: then the objects of `prepare` are gone after it.
    var takesAway: Bool
    var prepare: @Sendable (NetworkController) async throws -> Void
    var act: @Sendable (NetworkController) async throws -> Void
    /// Undoes its effect.
    var takeBack: @Sendable (NetworkController) async throws -> Void
    /// How many ports a bridge has, one of a network's first kept for another bridge; nil for as many as the kernel gives.
    var ports: Int?

    /// Whether it is about an ipvlan network.
    var usesWire: Bool { testDescription.contains("ipvlan") }
  }

  private static let ports = try? [PortMapping("8080:80"), PortMapping("127.0.0.1:53:53/udp"), PortMapping("90")]

  private static func options(_ subnets: String...) throws -> NetworkOptions {
    var options = NetworkOptions()
    options.subnets = try subnets.map { try Subnet($0) }
    return options
  }

  private static func macvlan(_ parent: String, _ subnets: String...) throws -> NetworkOptions {
    var options = NetworkOptions(driver: .macvlan, parent: try InterfaceName(parent))
    options.subnets = try subnets.map { try Subnet($0) }
    return options
  }

  private static func ipvlan(_ parent: String, _ mode: IpvlanMode, _ subnets: String...) throws -> NetworkOptions {
    var options = NetworkOptions(driver: .ipvlan, parent: try InterfaceName(parent))
    options.subnets = try subnets.map { try Subnet($0) }
    options.ipvlanMode = mode
    return options
  }

  private static func staticEndpoint() throws -> AttachOptions {
    AttachOptions(
      ports: try #require(ports), endpoint: EndpointOptions(addresses: [try IPAddress("10.1.0.9")], gatewayPriority: 1))
  }

  private static func createEndpoint(_ controller: NetworkController) async throws {
    try await controller.createEndpoint(
      "new", on: "a", options: EndpointOptions(addresses: [try IPAddress("10.1.0.9")]), ports: try #require(ports))
  }

  /// Verbs after which addresses stay claimed.
  private static let claiming: Set<String> = ["stop", "leave an endpoint"]

  static let verbs: [Verb] = [
    Verb(
      testDescription: "create", takesAway: false, prepare: { _ in },
      act: { try await $0.createNetwork("new", options: try options("10.9.0.0/24", "fd00:9::/64")) },
      takeBack: { try await $0.removeNetwork("new") }),
    Verb(
      testDescription: "attach", takesAway: false, prepare: { _ in },
      act: { try await $0.attach("new", to: .network("a"), options: try staticEndpoint()) },
      takeBack: { try await $0.detach("new") }),
    Verb(
      testDescription: "attach several", takesAway: false, prepare: { _ in },
      act: { controller in
        let names = ["several0", "several1", "several2"]
        let options = AttachOptions(ports: [try PortMapping("8080:80")])
        let results = await controller.attach(
          [AttachRequest(names[0], to: .network("a"), options: options)]
            + names.dropFirst().map { AttachRequest($0, to: .network("b")) })
        let failure = results.compactMap { result in if case .failure(let error) = result { error } else { nil } }.first
        guard let failure else { return }
        // Of the others each is whole.
        for (name, result) in zip(names, results) {
          if (try? result.get()) != nil { try await controller.detach(name) }
        }
        throw failure
      },
      takeBack: { for number in 0..<3 { try await $0.detach("several\(number)") } }),
    Verb(
      testDescription: "attach from what is ready", takesAway: false, prepare: { _ in },
      act: { controller in
        do {
          try await controller.keepReady(1, on: "a", refillsPerSecond: 0.000_1)
          try await controller.attach(
            "new", to: .network("a"), options: AttachOptions(ports: [try PortMapping("8080:80")]))
        } catch {
          try await controller.keepReady(0, on: "a")
          throw error
        }
        try await controller.keepReady(0, on: "a")
      },
      takeBack: { try await $0.detach("new") }),
    Verb(
      testDescription: "connect", takesAway: false, prepare: { _ in },
      act: { try await $0.connect("web", to: "b", options: EndpointOptions(gatewayPriority: 1)) },
      takeBack: { try await $0.disconnect("web", from: "b") }),
    Verb(
      testDescription: "publish", takesAway: false, prepare: { _ in },
      act: { try await $0.publish(try #require(ports), of: "web") },
      takeBack: { try await $0.unpublish(of: "web") }),
    Verb(
      testDescription: "unpublish", takesAway: true,
      prepare: { try await $0.publish(try #require(ports), of: "web") },
      act: { try await $0.unpublish(of: "web") }, takeBack: { _ in }),
    Verb(
      testDescription: "rm", takesAway: true,
      prepare: { try await $0.createNetwork("new", options: try options("10.9.0.0/24", "fd00:9::/64")) },
      act: { try await $0.removeNetwork("new") }, takeBack: { _ in }),
    Verb(
      testDescription: "disconnect", takesAway: true,
      prepare: { try await $0.connect("web", to: "b", options: EndpointOptions(gatewayPriority: 1)) },
      act: { try await $0.disconnect("web", from: "b") }, takeBack: { _ in }),
    Verb(
      testDescription: "detach", takesAway: true,
      prepare: {
        try await $0.attach("new", to: .network("a"), options: try staticEndpoint())
        try await $0.connect("new", to: "b")
      },
      act: { try await $0.detach("new") }, takeBack: { _ in }),
    Verb(
      testDescription: "stop", takesAway: true,
      prepare: { try await $0.attach("new", to: .network("a"), options: try staticEndpoint()) },
      act: { try await $0.stop("new") }, takeBack: { _ in }),
    Verb(
      testDescription: "ensure a network", takesAway: false, prepare: { _ in },
      act: { try await $0.ensureNetwork("new", options: try options("10.9.0.0/24", "fd00:9::/64")) },
      takeBack: { try await $0.removeNetwork("new") }),
    Verb(
      testDescription: "ensure that one network is left", takesAway: true,
      prepare: { try await $0.connect("web", to: "b", options: EndpointOptions(gatewayPriority: 1)) },
      act: { try await $0.ensureDetached("web", from: ["b"]) }, takeBack: { _ in }),
    Verb(
      testDescription: "keep only one", takesAway: true,
      prepare: {
        try await $0.attach("new", to: .network("a"), options: try staticEndpoint())
        try await $0.connect("web", to: "b")
      },
      act: { controller in
        let report = try await controller.keepOnly([AttachedInterface("web", try InterfaceName("eth0"))])
        if let failure = report.failures.first { throw failure }
      }, takeBack: { _ in }),
    Verb(
      testDescription: "join an endpoint", takesAway: false,
      prepare: { try await createEndpoint($0) },
      act: { try await $0.joinEndpoint("new") }, takeBack: { try await $0.deleteEndpoint("new") }),
    Verb(
      testDescription: "leave an endpoint", takesAway: true,
      prepare: {
        try await createEndpoint($0)
        try await $0.joinEndpoint("new")
      },
      act: { try await $0.leaveEndpoint("new") }, takeBack: { try await $0.deleteEndpoint("new") }),
    Verb(
      testDescription: "delete an endpoint", takesAway: true,
      prepare: {
        try await createEndpoint($0)
        try await $0.joinEndpoint("new")
      },
      act: { try await $0.deleteEndpoint("new") }, takeBack: { _ in }),
    Verb(
      testDescription: "join an endpoint on a further bridge", takesAway: false,
      prepare: { try await createEndpoint($0) },
      act: { try await $0.joinEndpoint("new") }, takeBack: { try await $0.deleteEndpoint("new") }, ports: 2),
    Verb(
      testDescription: "attach to a further bridge", takesAway: false, prepare: { _ in },
      act: { try await $0.attach("new", to: .network("a"), options: try staticEndpoint()) },
      takeBack: { try await $0.detach("new") }, ports: 2),
    Verb(
      testDescription: "attach several to a further bridge", takesAway: false, prepare: { _ in },
      act: { controller in
        let names = ["several0", "several1", "several2"]
        let results = await controller.attach(names.map { AttachRequest($0, to: .network("a")) })
        let failure = results.compactMap { result in if case .failure(let error) = result { error } else { nil } }.first
        guard let failure else { return }
        for (name, result) in zip(names, results) {
          if (try? result.get()) != nil { try await controller.detach(name) }
        }
        throw failure
      },
      takeBack: { for number in 0..<3 { try await $0.detach("several\(number)") } }, ports: 3),
    Verb(
      testDescription: "connect to a further bridge", takesAway: false,
      prepare: { try await $0.attach("other", to: .network("b")) },
      act: { try await $0.connect("web", to: "b", options: EndpointOptions(gatewayPriority: 1)) },
      takeBack: {
        try await $0.disconnect("web", from: "b")
        try await $0.detach("other")
      }, ports: 2),
    Verb(
      testDescription: "disconnect from a further bridge", takesAway: true,
      prepare: {
        try await $0.attach("other", to: .network("b"))
        try await $0.connect("web", to: "b")
        try await $0.detach("other")
      },
      act: { try await $0.disconnect("web", from: "b") }, takeBack: { _ in }, ports: 2),
    Verb(
      testDescription: "detach from a further bridge", takesAway: true,
      prepare: { try await $0.attach("new", to: .network("a"), options: try staticEndpoint()) },
      act: { try await $0.detach("new") }, takeBack: { _ in }, ports: 2),
    Verb(
      testDescription: "create a macvlan network", takesAway: false, prepare: { _ in },
      act: { try await $0.createNetwork("new", options: try macvlan("lan1", "10.9.0.0/24", "fd00:9::/64")) },
      takeBack: { try await $0.removeNetwork("new") }),
    Verb(
      testDescription: "attach to a macvlan network", takesAway: false, prepare: { _ in },
      act: { try await $0.attach("new", to: .network("lan")) }, takeBack: { try await $0.detach("new") }),
    Verb(
      testDescription: "connect to a macvlan network", takesAway: false, prepare: { _ in },
      act: { try await $0.connect("web", to: "lan", options: EndpointOptions(gatewayPriority: 1)) },
      takeBack: { try await $0.disconnect("web", from: "lan") }),
    Verb(
      testDescription: "disconnect from a macvlan network", takesAway: true,
      prepare: { try await $0.connect("web", to: "lan", options: EndpointOptions(gatewayPriority: 1)) },
      act: { try await $0.disconnect("web", from: "lan") }, takeBack: { _ in }),
    Verb(
      testDescription: "detach from a macvlan network", takesAway: true,
      prepare: {
        try await $0.attach("new", to: .network("lan"))
        try await $0.connect("new", to: "b")
      },
      act: { try await $0.detach("new") }, takeBack: { _ in }),
    Verb(
      testDescription: "create an ipvlan network", takesAway: false, prepare: { _ in },
      act: { try await $0.createNetwork("new", options: try ipvlan("lan1", .l3, "10.9.0.0/24", "fd00:9::/64")) },
      takeBack: { try await $0.removeNetwork("new") }),
    Verb(
      testDescription: "attach to an ipvlan network", takesAway: false, prepare: { _ in },
      act: { try await $0.attach("new", to: .network("wire")) }, takeBack: { try await $0.detach("new") }),
    Verb(
      testDescription: "connect to an ipvlan network", takesAway: false, prepare: { _ in },
      act: { try await $0.connect("web", to: "wire", options: EndpointOptions(gatewayPriority: 1)) },
      takeBack: { try await $0.disconnect("web", from: "wire") }),
    Verb(
      testDescription: "disconnect from an ipvlan network", takesAway: true,
      prepare: { try await $0.connect("web", to: "wire", options: EndpointOptions(gatewayPriority: 1)) },
      act: { try await $0.disconnect("web", from: "wire") }, takeBack: { _ in }),
    Verb(
      testDescription: "detach from an ipvlan network", takesAway: true,
      prepare: {
        try await $0.attach("new", to: .network("wire"))
        try await $0.connect("new", to: "b")
      },
      act: { try await $0.detach("new") }, takeBack: { _ in }),
    Verb(
      testDescription: "attach several to an ipvlan network", takesAway: false, prepare: { _ in },
      act: { controller in
        let names = ["several0", "several1"]
        let results = await controller.attach(names.map { AttachRequest($0, to: .network("wire")) })
        let failure = results.compactMap { result in if case .failure(let error) = result { error } else { nil } }.first
        guard let failure else { return }
        for (name, result) in zip(names, results) {
          if (try? result.get()) != nil { try await controller.detach(name) }
        }
        throw failure
      },
      takeBack: { for number in 0..<2 { try await $0.detach("several\(number)") } }),
  ]

  /// A host with two bridge networks, a macvlan one and an ipvlan one, and a container on one of them.
  private func makeController(_ kernel: SimulatedKernel, _ verb: Verb) async throws -> NetworkController {
    let host = try NetworkNamespace.create(on: kernel)
    let lan = try host.links.createVeth(VethEnd(try InterfaceName("lan0")), peer: VethEnd(try InterfaceName("lan1")))
    for index in [lan.index, try #require(lan.peer)] { try host.links.setUp(index: index) }
    var settings = ControllerSettings(resolvers: [])
    if let ports = verb.ports { (settings.bridgePorts, settings.bridgeTrunks) = (ports, 1) }
    let controller = try await NetworkController(host: host, settings: settings)
    try await controller.createNetwork("lan", options: try Self.macvlan("lan0", "10.3.0.0/24", "fd00:3::/64"))
    if verb.usesWire {
      let wire = try host.links.createVeth(
        VethEnd(try InterfaceName("wire0")), peer: VethEnd(try InterfaceName("wire1")))
      for index in [wire.index, try #require(wire.peer)] { try host.links.setUp(index: index) }
      try await controller.createNetwork(
        "wire", options: try Self.ipvlan("wire0", .l2, "10.4.0.0/24", "fd00:4::/64"))
    }
    try await controller.createNetwork("a", options: try Self.options("10.1.0.0/24", "fd00:1::/64"))
    try await controller.createNetwork("b", options: try Self.options("10.2.0.0/24", "fd00:2::/64"))
    try await controller.attach("web", to: .network("a"))
    // Once there and back: lasting effects, such as a setting's value, are present from the start.
    try await controller.connect("web", to: "b")
    try await controller.disconnect("web", from: "b")
    try await controller.connect("web", to: "lan")
    try await controller.disconnect("web", from: "lan")
    if verb.usesWire {
      try await controller.connect("web", to: "wire")
      try await controller.disconnect("web", from: "wire")
    }
    return controller
  }

  /// The controller's records.
  private func records(_ controller: NetworkController) async throws -> [String] {
    var lines: [String] = []
    for network in try await controller.networks() {
      lines.append("\(network.name) \(network.phase) \(try await controller.inspect(network.id).usage)")
    }
    for sandbox in try await controller.sandboxes() {
      lines.append("\(sandbox.container) \(sandbox.endpoints.map { "\($0.networkName) \($0.phase) \($0.ports)" })")
    }
    return lines
  }

  /// The kernel's contents, without the order of routes, which only shows the order of creation.
  private func contents(_ kernel: SimulatedKernel) -> [String] {
    let lines = kernel.snapshot().split(separator: "\n").map(String.init)
    var result: [String] = []
    var routes: [String] = []
    for line in lines + [""] {
      if line.hasPrefix("  route") {
        routes.append(line)
      } else {
        result += routes.sorted() + [line]
        routes = []
      }
    }
    return result
  }

  private func expectSame(_ now: [String], _ then: [String], _ what: Comment) {
    let difference = now.difference(from: then).map { change in
      switch change {
      case .insert(_, let line, _): "+\(line)"
      case .remove(_, let line, _): "-\(line)"
      }
    }
    #expect(difference == [], what)
  }

  private func holds(_ error: NetworkError, _ errno: Errno) -> Bool {
    error.kernel?.errno == errno || error.causes.contains { holds($0, errno) }
  }

  @Test(arguments: verbs)
  func everyRequestOf(_ verb: Verb) async throws {
    var points = 0
    for errno in [105, 1, 17, 19].map({ Errno(rawValue: $0) }) {
      var number = 0
      while true {
        number += 1
        let kernel = SimulatedKernel()
        let controller = try await makeController(kernel, verb)
        let empty = (text: contents(kernel), records: try await records(controller))
        try await verb.prepare(controller)
        let before = (text: contents(kernel), records: try await records(controller))
        kernel.failRequest(number: number, with: errno)
        var failure: NetworkError?
        do { try await verb.act(controller) } catch let error as NetworkError { failure = error }
        if kernel.isFaultPending {
          kernel.clearFaults()
          break
        }
        points += 1
        let what: Comment = "\(errno) for request \(number): \(failure?.description ?? "borne")"
        // If the kernel reports an object to be removed as missing, that is believed.
        let isBelieved = verb.takesAway && errno.rawValue == 19
        if let failure, !isBelieved { #expect(holds(failure, errno), what) }
        if verb.takesAway {
          if isBelieved, failure == nil { continue }
          if failure != nil { try await verb.act(controller) }
          let now = (text: contents(kernel), records: try await records(controller))
          expectSame(now.text, empty.text, what)
          if !Self.claiming.contains(verb.testDescription) { #expect(now.records == empty.records, what) }
        } else if failure != nil {
          let now = (text: contents(kernel), records: try await records(controller))
          expectSame(now.text, before.text, what)
          #expect(now.records == before.records, what)
          try await verb.act(controller)
        }
        // And the whole can be done once more.
        try await verb.takeBack(controller)
        expectSame(contents(kernel), empty.text, what)
      }
      #expect(number > 3)
    }
    print("\(verb.testDescription) was failed at \(points) points")
  }

  /// The change of each datagram is made, and its answer is lost: the same holds.
  @Test(arguments: verbs)
  func everyAnswerOf(_ verb: Verb) async throws {
    var number = 0
    while true {
      number += 1
      let kernel = SimulatedKernel()
      let controller = try await makeController(kernel, verb)
      let empty = (text: contents(kernel), records: try await records(controller))
      try await verb.prepare(controller)
      let before = (text: contents(kernel), records: try await records(controller))
      kernel.loseAnswer(number: number)
      var failure: NetworkError?
      do { try await verb.act(controller) } catch let error as NetworkError { failure = error }
      if kernel.isFaultPending {
        kernel.clearFaults()
        break
      }
      let what: Comment = "answer \(number) was lost: \(failure?.description ?? "borne")"
      if verb.takesAway {
        if failure != nil { try await verb.act(controller) }
        expectSame(contents(kernel), empty.text, what)
        if !Self.claiming.contains(verb.testDescription) {
          #expect(try await records(controller) == empty.records, what)
        }
      } else if failure != nil {
        expectSame(contents(kernel), before.text, what)
        #expect(try await records(controller) == before.records, what)
        try await verb.act(controller)
      }
      try await verb.takeBack(controller)
      expectSame(contents(kernel), empty.text, what)
    }
    #expect(number > 2)
    print("of \(verb.testDescription) each of \(number - 1) answers was lost")
  }
}
