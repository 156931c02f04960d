import ContainerNetworking
import Playground
import Synchronization
import Testing

/// Each verb after the removal of an object of ours from the host: it succeeds, and a verb that needs the missing
/// object, or notices it, restores it.
@Suite(.timeLimit(.minutes(5))) struct RestoringTests {
  /// The removed object.
  enum Theft: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case ruleset, packetTable, frameTable, elements, bridge, port, bridgeDown, forwarding, loopback, announcements

    var testDescription: String { rawValue }
  }

  enum Verb: String, CaseIterable {
    case attach, several, ready, connect, publish, create, detach, stop, disconnect, unpublish, remove, prune

    /// Whether after it the record and the kernel agree.
    func restores(_ theft: Theft) -> Bool {
      switch theft {
      case .ruleset: true
      case .packetTable: true
      // Verbs without an element in the removed object do not notice.
      case .frameTable: [.attach, .several, .ready, .connect, .create, .detach, .stop, .disconnect].contains(self)
      case .elements: [.detach, .stop, .disconnect, .unpublish, .remove, .prune].contains(self)
      case .bridge, .bridgeDown, .forwarding, .loopback: [.attach, .several, .ready, .connect].contains(self)
      case .port, .announcements: false
      }
    }
  }

  private let world: Playground
  private let controller: NetworkController
  private let reports: Reports

  /// The results of automatic repairs, failed ones included.
  private final class Reports: Sendable { let all = Mutex<[ReconcileReport]>([]) }

  init() async throws {
    world = try Playground()
    var settings = ControllerSettings(resolvers: [])
    let collected = Reports()
    reports = collected
    settings.onHeal = { report in collected.all.withLock { $0.append(report) } }
    controller = try await NetworkController(host: world.host, settings: settings)
    for (name, subnet) in [("a", "10.91.0.0/24"), ("b", "10.92.0.0/24")] {
      try await controller.createNetwork(name, options: NetworkOptions(subnet: try Subnet(subnet)))
    }
    try await controller.attach(
      "web", to: .network("a"), options: AttachOptions(ports: [PortMapping("8080:80")]))
  }

  private func bridge() async throws -> String { "\(try #require(try await controller.network("a").bridge))" }

  private func nft(_ command: String) throws {
    #expect(try world.output("nft", command, in: world.host) != nil)
  }

  private func commit(_ theft: Theft) async throws {
    let name = try await bridge()
    switch theft {
    case .ruleset: try nft("flush ruleset")
    case .packetTable: try nft("delete table inet containernetworking")
    case .frameTable: try nft("delete table bridge containernetworking")
    case .elements:
      try nft("flush set inet containernetworking bridges")
      try nft("flush map inet containernetworking published4")
      try nft("flush set bridge containernetworking ports")
    case .bridge: try world.host.links.delete(index: world.host.links.get(name).index)
    case .port:
      let web = try await controller.sandbox("web")
      try world.host.links.delete(index: world.host.links.get("\(try #require(web.endpoints[0].hostInterface))").index)
    case .bridgeDown: try world.host.links.setDown(index: world.host.links.get(name).index)
    case .forwarding: try world.host.setSysctl("net/ipv4/conf/\(name)/forwarding", to: "0")
    case .loopback: try world.host.setSysctl("net/ipv4/conf/\(name)/route_localnet", to: "0")
    case .announcements: try world.host.setSysctl("net/ipv6/conf/\(name)/accept_ra", to: "2")
    }
  }

  private func prepare(_ verb: Verb) async throws {
    switch verb {
    case .connect: try await controller.attach("new", to: .network("b"))
    case .detach, .unpublish, .stop:
      try await controller.attach(
        "new", to: .network("a"), options: AttachOptions(ports: [PortMapping("8081:81")]))
    case .disconnect:
      try await controller.attach("new", to: .network("b"))
      try await controller.connect("new", to: "a")
    case .remove, .prune:
      try await controller.createNetwork("new", options: NetworkOptions(subnet: try Subnet("10.93.0.0/24")))
    case .attach, .several, .ready, .publish, .create: break
    }
  }

  private func act(_ verb: Verb) async throws {
    switch verb {
    case .attach: try await controller.attach("new", to: .network("a"))
    case .several:
      for result in await controller.attach((0..<3).map { AttachRequest("new\($0)", to: .network("a")) }) {
        _ = try result.get()
      }
    case .ready: try await controller.keepReady(1, on: "a")
    case .connect: try await controller.connect("new", to: "a")
    case .publish: try await controller.publish([PortMapping("8081:81")], of: "web")
    case .create: try await controller.createNetwork("new", options: NetworkOptions(subnet: try Subnet("10.93.0.0/24")))
    case .detach: try await controller.detach("new")
    case .stop: try await controller.stop("new")
    case .disconnect: try await controller.disconnect("new", from: "a")
    case .unpublish: try await controller.unpublish(of: "new")
    case .remove: try await controller.removeNetwork("new")
    case .prune: #expect(try await controller.prune().failures == [])
    }
  }

  private func clean(_ verb: Verb) async throws {
    switch verb {
    case .several: for number in 0..<3 { try await controller.detach("new\(number)") }
    case .ready: try await controller.keepReady(0, on: "a")
    case .publish: try await controller.unpublish([PortMapping("8081:81")], of: "web")
    case .create: try await controller.removeNetwork("new")
    case .attach, .connect, .disconnect, .unpublish: try await controller.detach("new")
    case .detach, .stop, .remove, .prune: break
    }
    if verb == .prune {
      try await controller.createNetwork("b", options: NetworkOptions(subnet: try Subnet("10.92.0.0/24")))
    }
  }

  @Test(arguments: Theft.allCases) func everyVerbAfter(_ theft: Theft) async throws {
    for verb in Verb.allCases {
      try await prepare(verb)
      try #require(try await controller.differences() == [])
      try await commit(theft)
      #expect(try await !controller.differences().isEmpty, "\(theft)")
      var failure: (any Error)?
      do { try await act(verb) } catch { failure = error }
      try #require(failure == nil, "\(verb) after \(theft): \(failure.map { "\($0)" } ?? "")")
      let left = try await controller.differences()
      if verb.restores(theft) { #expect(left == [], "\(verb) after \(theft)") }
      if !left.isEmpty { #expect(try await controller.reconcile().remaining == [], "\(verb) after \(theft)") }
      try await clean(verb)
    }
    #expect(reports.all.withLock(\.self).flatMap(\.failures) == [])
    #expect(try world.host.links.list().count { $0.name.hasPrefix("veth") } == 1)
    try await controller.removeAll()
  }

  /// Objects that are not ours to restore are named, in a verb's failure as in `differences()`.
  @Test func whatIsNotOursIsNamed() async throws {
    let lan = try world.host.links.createVeth(
      VethEnd(try InterfaceName("lan0")), peer: VethEnd(try InterfaceName("lan1")))
    try world.host.links.setUp(index: lan.index)
    var options = NetworkOptions(driver: .macvlan, parent: try InterfaceName("lan0"))
    options.subnets = [try Subnet("10.94.0.0/24")]
    try await controller.createNetwork("lan", options: options)
    try world.host.links.delete(index: lan.index)
    let error = await refusal { try await controller.attach("new", to: .network("lan")) }
    #expect(error?.code == .notFound)
    #expect(error?.reason.contains("the parent lan0 of network \"lan\" is gone") == true, "\(error as Any)")
    #expect(try await controller.sandboxes().map(\.container) == ["web"])
    try await controller.removeAll()
  }
}
