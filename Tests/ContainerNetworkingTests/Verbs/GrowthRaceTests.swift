import ContainerNetworking
import Foundation
import Playground
import Synchronization
import SystemPackage
import Testing

/// Networks with further bridges, and concurrent changes of these. Two containers are on the first bridge, and three on
/// each further one.
@Suite(.timeLimit(.minutes(5))) struct GrowthRaceTests {
  let world: Playground
  let before: String

  init() throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
  }

  private func settings(files: FilePath? = nil) -> ControllerSettings {
    var settings = ControllerSettings(resolvers: [])
    settings.filesDirectory = files
    (settings.bridgePorts, settings.bridgeTrunks, settings.bridgePortLimit) = (4, 2, 4)
    return settings
  }

  /// The network, with so many containers c0, c1 and so on.
  private func fill(
    _ controller: NetworkController, _ count: Int, _ subnets: [String] = ["10.60.0.0/24", "fd00:60::/64"]
  ) async throws -> NetworkRecord {
    try await controller.createNetwork("net", options: NetworkOptions(subnets))
    for number in 0..<count { try await controller.attach("c\(number)", to: .network("net")) }
    return try await controller.network("net")
  }

  /// How many ports each bridge of the host has.
  private func bridges() throws -> [Int] {
    let links = try world.host.links.list()
    return links.filter { $0.kind == "bridge" }.map { bridge in links.count { $0.master == bridge.index } }
  }

  private func index(_ name: String) throws -> Int32 { try world.host.links.get(name).index }

  private static var wantingPort: AttachOptions {
    get throws { AttachOptions(ports: [try PortMapping("8080:80/udp")]) }
  }

  /// Makes another program hold the port that an attach will publish.
  private func holdPort() throws -> FileDescriptor {
    try world.host.bindSocket(to: TransportAddress(.any(.ipv4), 8_080, .udp))
  }

  private func expectNothingLeft(_ controller: NetworkController) async throws {
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  enum Leaving: CaseIterable, Sendable { case detach, disconnect, failedAttach }

  /// Each checks before the other's record is removed.
  @Test(arguments: Leaving.allCases) func theLastTwoOfABridgeLeaveTogether(_ leaving: Leaving) async throws {
    let records = MemoryStore()
    let store = HookedStore(records)
    let one = try await NetworkController(host: world.host, store: store, settings: settings())
    let other = try await NetworkController(
      host: NetworkNamespace(world.host.handle), store: records, settings: settings())
    _ = try await fill(one, leaving == .failedAttach ? 3 : 4)
    let socket = try holdPort()
    defer { try? socket.close() }
    // Of the attach it is the second update after that which writes it down: the first finds no other port.
    let awaited = leaving == .failedAttach ? 2 : 1
    let turns = Atomic(0)
    let start = records.read(since: 0).revision
    store.closeGate { known in known.revision > start && turns.add(1, ordering: .relaxed).newValue == awaited }
    let task = Task {
      switch leaving {
      case .detach: try await one.detach("c2")
      case .disconnect: try await one.disconnect("c2", from: "net")
      case .failedAttach: try await one.attach("c3", to: .network("net"), options: Self.wantingPort)
      }
    }
    await store.updateAtGate()
    try await other.detach(leaving == .failedAttach ? "c2" : "c3")
    store.openGate()
    let result = await task.result
    var failure: String?
    if case .failure(let error) = result { failure = "\(error)" }
    #expect((failure != nil) == (leaving == .failedAttach), "\(failure ?? "")")
    #expect(try bridges() == [2])
    #expect(try await other.network("net").furtherBridges == nil)
    if leaving == .disconnect { try await other.detach("c2") }
    try await expectNothingLeft(other)
  }

  @Test func theLastOfABridgeLeaveAllTogether() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings())
    _ = try await fill(controller, 2)
    for _ in 0..<40 {
      for number in 2..<5 { try await controller.attach("c\(number)", to: .network("net")) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 2..<5 { group.addTask { try await controller.detach("c\(number)") } }
        try await group.waitForAll()
      }
      #expect(try bridges() == [2])
    }
    try await expectNothingLeft(controller)
  }

  /// The last endpoint leaves a further bridge during a repair of the network, which still had it at the check.
  @Test func whatIsGoneMeanwhileIsNotRepaired() async throws {
    let kernel = GatedKernel()
    let controller = try await NetworkController(
      host: NetworkNamespace(world.host.handle, of: kernel), settings: settings())
    let network = try await fill(controller, 3)
    let first = "\(try #require(network.bridge))"
    try world.host.links.delete(index: try index(first))
    kernel.closeGate(forCreationOf: first)
    async let report = controller.reconcile()
    await kernel.requestAtGate()
    try await controller.detach("c2")
    kernel.openGate()
    // The container is reported as gone.
    _ = try await report
    #expect(try bridges() == [2])
    #expect(try await controller.network("net").furtherBridges == nil)
    try await expectNothingLeft(controller)
  }

  /// Foreign ports fill the first bridge, on which the records have room. The endpoint that then goes to a further
  /// bridge, and fails, was the last one there.
  @Test(arguments: [true, false]) func oneThatWasPutElsewhereAndFailsLeavesNoBridge(isConnect: Bool) async throws {
    let kernel = GatedKernel()
    let directory = FilePath(
      FileManager.default.temporaryDirectory.appendingPathComponent("files-\(UUID().uuidString)").path)
    try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory.string) }
    let records = MemoryStore()
    let controller = try await NetworkController(
      host: NetworkNamespace(world.host.handle, of: kernel), store: records, settings: settings(files: directory))
    let network = try await fill(controller, 3)
    try await controller.detach("c1")
    let first = try index("\(try #require(network.bridge))")
    for number in 0..<1_021 {
      try world.host.links.createVeth(
        VethEnd(try InterfaceName("d\(number)"), master: first), peer: VethEnd(try InterfaceName("e\(number)")))
    }
    if isConnect { try await controller.attach("more") }
    let known = try await controller.sandboxes().count
    kernel.closeGateForPair()
    let task = Task {
      if isConnect {
        _ = try await controller.connect("more", to: "net")
      } else {
        try await controller.attach("more", to: .network("net"))
      }
    }
    await kernel.requestAtGate()
    kernel.closeGateForPair()
    kernel.openGate()
    await kernel.requestAtGate()
    try await controller.detach("c2")
    // Where the files are to be is a file.
    try FileManager.default.removeItem(atPath: directory.string)
    try Data().write(to: URL(filePath: directory.string))
    kernel.openGate()
    let error = await #expect(throws: NetworkError.self) { try await task.value }
    #expect(error?.operation.contains("more") == true)
    try FileManager.default.removeItem(atPath: directory.string)
    #expect(try await controller.sandboxes().count == known - 1)
    #expect(try await controller.network("net").furtherBridges == nil)
    #expect(!(try world.host.links.list().contains { $0.name.hasPrefix("br-\(network.id.prefix(8))-") }))
    #expect(!(try await controller.differences().contains { $0.kind == .unfinished }))
    try await controller.removeAll()
  }

  /// A link of the user's has the name of a trunk, or of its other end.
  @Test(arguments: ["bd", "bu"]) func othersLinksAreLeftAlone(end: String) async throws {
    let controller = try await NetworkController(host: world.host, settings: settings())
    let network = try await fill(controller, 2)
    let name = "\(end)-\(network.id.prefix(8))-1"
    func make() throws -> Int32 {
      try world.host.links.createVeth(
        VethEnd(try InterfaceName(name)), peer: VethEnd(try InterfaceName("own0"))
      ).index
    }
    let own = try make()
    let error = await #expect(throws: NetworkError.self) { try await controller.attach("more", to: .network("net")) }
    #expect(error?.code == .alreadyExists && error?.description.contains("\"\(name)\" exists and is not ours") == true)
    let link = try world.host.links.get(name)
    #expect(link.index == own && link.master == nil && !link.flags.contains(.up))
    #expect(try await controller.network("net").furtherBridges == nil)
    #expect(try bridges() == [2])
    try world.host.links.delete(index: own)
    try await controller.attach("more", to: .network("net"))
    #expect(try bridges().sorted() == [2, 3])
    // In the place of ours, which is gone with its other end.
    try world.host.links.delete(index: try index(name))
    let another = try make()
    let report = try await controller.reconcile()
    #expect(report.failures.map(\.code) == [.alreadyExists] && report.remaining.map(\.kind) == [.bridgeSettings])
    try await controller.detach("more")
    #expect(try index(name) == another)
    try world.host.links.delete(index: another)
    try await expectNothingLeft(controller)
  }

  /// The ports between the bridges keep nothing to themselves that was for all.
  @Test func whatIsForAllGoesOnToAll() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings())
    let network = try await fill(controller, 3)
    for name in ["bd-\(network.id.prefix(8))-1", "bu-\(network.id.prefix(8))-1"] {
      #expect(try world.host.links.get(name).bridgePort?.suppressesNeighbors == true)
      var options = BridgePortOptions()
      options.suppressesNeighbors = false
      try world.host.links.changeBridgePort(try index(name), options)
      let report = try await controller.reconcile()
      #expect(report.found.map(\.kind) == [.bridgeSettings] && report.remaining == [] && report.failures == [])
      #expect(try world.host.links.get(name).bridgePort?.suppressesNeighbors == true)
    }
    try await expectNothingLeft(controller)
  }

  /// A recreated trunk is another link: forwarding entries of the old one are not reused.
  @Test func bridgesAreToldByATrunkThatWasMadeAnew() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings())
    let network = try await fill(controller, 4, ["10.60.0.0/24"])
    let trunk = "bd-\(network.id.prefix(8))-1"
    for number in 4...5 {
      let mac = try await controller.attach("c\(number)", to: .network("net")).endpoints[0].macAddress
      // Of IPv4 alone nothing has gone by the trunk yet that the first bridge could have learned it from.
      let known = try #require(try world.output("bridge", "fdb", "show", "dev", trunk, in: world.host))
      #expect(known.contains("\(mac) master \(try #require(network.bridge))"), "\(mac) in \(known)")
      try await controller.detach("c\(number)")
      let old = try index(trunk)
      try world.host.links.delete(index: old)
      #expect(try await controller.reconcile().remaining == [])
      #expect(try index(trunk) != old)
    }
    try await expectNothingLeft(controller)
  }

  /// While another announces itself to all, a container comes to another bridge than it was on: it is reached at once by all.
  @Test func oneMovesWhileAnotherAnnouncesItself() async throws {
    let kernel = GatedKernel()
    let controller = try await NetworkController(
      host: NetworkNamespace(world.host.handle, of: kernel), settings: settings())
    // IPv4 only, for which no unsolicited frame is sent.
    _ = try await fill(controller, 8, ["10.60.0.0/24"])
    let namespaces = try await (0..<8).asyncMap { try await controller.sandbox("c\($0)").namespace }
    let reach = { (address: String, from: [Int]) throws in
      for number in from {
        #expect(try world.pings(address, from: namespaces[number]), "c\(number) to \(address)")
      }
    }
    try reach("10.60.0.4", [0, 3, 6])
    for name in ["c2", "c4", "c7"] { try await controller.detach(name) }
    let mac = try MACAddress("02:aa:bb:cc:dd:ee")
    kernel.closeGate(forChangeTo: mac)
    let loud = AttachOptions(endpoint: EndpointOptions(addresses: [try IPAddress("10.60.0.6")], macAddress: mac))
    async let announcing = controller.attach("loud", to: .network("net"), options: loud)
    await kernel.requestAtGate()
    // It takes the place that was left, so that the next is on another bridge than it was.
    try await controller.attach("filler", to: .network("net"))
    let moved = try await controller.attach(
      "moved", to: .network("net"), options: AttachOptions(address: try IPAddress("10.60.0.4")))
    #expect(moved.endpoints[0].announcesToAll == nil)
    try reach("10.60.0.4", [0, 3, 6])
    kernel.openGate()
    _ = try await announcing
    try reach("10.60.0.6", [0, 3, 6])
    try await expectNothingLeft(controller)
  }
}

extension Sequence {
  fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async throws -> [Value] {
    var values: [Value] = []
    for element in self { values.append(try await body(element)) }
    return values
  }
}
