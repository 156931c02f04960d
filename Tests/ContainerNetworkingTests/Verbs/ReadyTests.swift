import ContainerNetworking
import Playground
import TestSupport
import Testing

/// Ready sandboxes: a handed-over one equals an attached one, and nothing is left of the others.
@Suite(.timeLimit(.minutes(5))) struct ReadyTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    controller = try await NetworkController(host: world.host)
  }

  private func ports() throws -> Set<String> {
    Set(try world.host.links.list().map(\.name).filter { $0.hasPrefix("veth") })
  }

  /// Waits until so many are ready.
  private func waitForReady(_ count: Int, on network: String = "bridge") async throws {
    let isReady = try await eventually { try await controller.readySandboxes(on: network).count == count }
    #expect(isReady, "\(count) on \(network)")
  }

  @Test func anAttachIsAHandOver() async throws {
    try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
    try await controller.keepReady(3, on: "dual", refillsPerSecond: 1_000)
    let before = try ports()
    #expect(before.count == 3)
    #expect(try await controller.sandboxes().isEmpty)
    #expect(try await controller.inspect("dual").endpoints.isEmpty)
    let options = AttachOptions(
      ports: [try PortMapping("8080:80")], endpoint: EndpointOptions(aliases: ["www"], gatewayPriority: 7))
    let web = try await controller.attach("web", to: .network("dual"), options: options)
    let endpoint = web.endpoints[0]
    // An existing one.
    #expect(before.contains(try #require(endpoint.hostInterface?.description)))
    #expect(endpoint.container == "web" && endpoint.aliases == ["www"] && endpoint.gatewayPriority == 7)
    #expect(endpoint.ports.map(\.hostPort) == [8080])
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == "hello")
    #expect(try world.fetch(Playground.hostIPv6Address, 8080, from: world.outside) == "hello")
    // From itself, by the host's address: the hairpin.
    #expect(try world.fetch("10.70.0.1", 8080, from: web.namespace) == "hello")
    let side = try await controller.attach("side", to: .network("dual"))
    #expect(try world.fetch("\(endpoint.address.address)", 80, from: side.namespace) == "hello")
    // The address is the container's now, by name.
    let error = await refusal {
      try await controller.attach(
        "other", to: .network("dual"), options: AttachOptions(address: endpoint.address.address))
    }
    #expect(error?.description.contains("already in use by \"web\"") == true)
    try await waitForReady(3, on: "dual")
    #expect(try await controller.differences().isEmpty)
    try await controller.detach("web")
    try await controller.detach("side")
    try await controller.removeNetwork("dual")
    #expect(try ports().isEmpty)
    // No event reports an unrequested sandbox.
    let events = try await controller.events().map(\.event)
    #expect(events.compactMap(\.container).allSatisfy { !$0.hasPrefix("~") })
    #expect(events.count { $0.action == .connect } == 2 && events.count { $0.action == .disconnect } == 2)
  }

  @Test func whatIsNotSuitedIsMadeAnew() async throws {
    try await controller.createNetwork("blue", options: try NetworkOptions(["10.71.0.0/24"]))
    try await controller.keepReady(2, on: "blue")
    let kept = try ports()
    let named = EndpointOptions(interface: try InterfaceName("wan"))
    for (name, options) in [
      ("address", AttachOptions(address: try IPAddress("10.71.0.99"))),
      ("hardware", AttachOptions(macAddress: try MACAddress("02:00:00:00:00:07"))),
      ("named", AttachOptions(endpoint: named)),
    ] {
      let sandbox = try await controller.attach(name, to: .network("blue"), options: options)
      #expect(!kept.contains(try #require(sandbox.endpoints[0].hostInterface?.description)))
    }
    let given = try await controller.attach("given", to: .network("blue"), namespace: .create())
    #expect(!kept.contains(try #require(given.endpoints[0].hostInterface?.description)))
    #expect(try await controller.readySandboxes(on: "blue").count == 2)
  }

  @Test func aRefusedHandOverLeavesNothing() async throws {
    try await controller.attach("first", options: AttachOptions(ports: [PortMapping("8080:80")]))
    try await controller.keepReady(1, refillsPerSecond: 1_000)
    let kept = try ports()
    // Of a port that is published already it is known before anything is handed over.
    let taken = AttachOptions(ports: [try PortMapping("8080:80")])
    #expect(await refusal { try await controller.attach("web", options: taken) }?.code == .inUse)
    #expect(try ports() == kept)
    #expect(try await controller.readySandboxes().count == 1)
    // With a port that a program holds, afterwards.
    let holder = try world.serve("", port: 9090, in: world.host)
    let held = AttachOptions(ports: [try PortMapping("9090:80")])
    #expect(await refusal { try await controller.attach("web", options: held) }?.code == .inUse)
    holder.stop()
    try await waitForReady(1)
    #expect(try await controller.differences().isEmpty)
    try await controller.attach("web")
    try await controller.removeAll()
    #expect(try ports().isEmpty)
    #expect(try await controller.networks().isEmpty)
  }

  /// Ready sandboxes release their addresses for a container that needs the last one.
  @Test func addressesAreGivenUp() async throws {
    try await controller.createNetwork("small", options: try NetworkOptions(["10.72.0.0/29"]))
    // Six addresses, one of them the gateway's.
    let error = await refusal { try await controller.keepReady(9, on: "small", refillsPerSecond: 1_000) }
    #expect(error?.code == .exhausted)
    let stock = try await controller.readySandboxes(on: "small")
    #expect(stock.count == 5 && stock.wanted == 9 && stock.failure?.code == .exhausted)
    let own = AttachOptions(macAddress: try MACAddress("02:00:00:00:00:07"))
    try await controller.attach("own", to: .network("small"), options: own)
    try await controller.keepReady(2, on: "small")
    #expect(try await controller.readySandboxes(on: "small").count == 2)
    try await controller.keepReady(1, on: "small")
    #expect(try ports().count == 2)
    #expect(try await controller.inspect("small").usage[0].available == 3)
    try await controller.keepReady(0, on: "small")
    #expect(try await controller.readySandboxes(on: "small") == ReadySandboxes(count: 0, wanted: 0))
    #expect(try ports().count == 1)
  }

  @Test func whatCannotBeKeptIsRefused() async throws {
    #expect(await refusal { try await controller.keepReady(-1) }?.code == .invalidValue)
    #expect(await refusal { try await controller.keepReady(1, refillsPerSecond: 0) }?.code == .invalidValue)
    #expect(await refusal { try await controller.keepReady(1, on: "nowhere") }?.code == .notFound)
    #expect(await refusal { try await controller.keepReady(1_001) }?.code == .exhausted)
    // Beside another stock, with which the sum is above what an integer holds.
    try await controller.createNetwork("second", options: NetworkOptions(["10.71.0.0/24"]))
    try await controller.keepReady(1, on: "second")
    let most = await refusal { try await controller.keepReady(.max) }
    #expect(most?.code == .exhausted && most?.description.contains("readyLimit allows") == true)
    try await controller.keepReady(0, on: "second")
    try await controller.removeNetwork("second")
    #expect(await refusal { try await controller.attach("~web") }?.code == .invalidValue)
  }

  /// Many at once: each gets one of its own, and the rest are made from scratch.
  @Test func handOversAtOnce() async throws {
    try await controller.keepReady(8, refillsPerSecond: 1_000)
    let addresses = try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<24 {
        group.addTask {
          let options = AttachOptions(ports: [try PortMapping("\(9_000 + number):80")])
          return "\(try await controller.attach("c\(number)", options: options).endpoints[0].address)"
        }
      }
      return try await group.reduce(into: [String]()) { $0.append($1) }
    }
    #expect(Set(addresses).count == 24)
    try await waitForReady(8)
    #expect(try await controller.differences().isEmpty)
    #expect(try await controller.sandboxes().count == 24)
    try await controller.removeAll()
    #expect(try ports().isEmpty)
  }
}
