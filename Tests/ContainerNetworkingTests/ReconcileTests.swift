import ContainerNetworking
import Playground
import Synchronization
import TestSupport
import Testing

/// Objects of ours removed by hand, and their repair; on the real kernel.
@Suite(.timeLimit(.minutes(10))) struct ReconcileTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground()
    controller = try await NetworkController(host: world.host)
  }

  /// One container on the default network, with a port, and one on a dual-stack network.
  private func populate() async throws -> (web: Sandbox, db: Sandbox) {
    let web = try await controller.attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))
    try await controller.createNetwork(
      "blue", options: NetworkOptions(subnet: try Subnet("10.9.0.0/24"), isIPv6Enabled: true))
    let db = try await controller.attach("db", to: .network("blue"))
    #expect(try await controller.differences() == [])
    return (web, db)
  }

  /// Finds exactly these kinds, repairs them, and finds nothing any more.
  private func expectRepair(
    _ kinds: Set<Difference.Kind>, _ sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let report = try await controller.reconcile()
    #expect(Set(report.found.map(\.kind)) == kinds, sourceLocation: sourceLocation)
    #expect(report.failures == [], sourceLocation: sourceLocation)
    #expect(report.remaining == [], sourceLocation: sourceLocation)
    #expect(try await controller.differences() == [], sourceLocation: sourceLocation)
  }

  private func nft(_ command: String...) throws {
    #expect(try world.output("nft", command.joined(separator: " "), in: world.host) != nil)
  }

  @Test func flushedRulesComeBackWhole() async throws {
    let (web, _) = try await populate()
    let before = try world.output("nft", "-s", "list", "ruleset", in: world.host)
    try nft("flush ruleset")
    try await expectRepair([.rules])
    #expect(try world.output("nft", "-s", "list", "ruleset", in: world.host) == before)

    try nft("flush chain inet containernetworking forward")
    try await expectRepair([.rules])
    try nft("delete element inet containernetworking published4 { 6 . 8080 }")
    try await expectRepair([.rules])
    try nft("add element inet containernetworking bridges { evil0 }")
    try await expectRepair([.rules])
    let port = try #require(web.endpoints[0].hostInterface)
    for command in [
      "delete table bridge containernetworking", "delete table inet containernetworking",
      "flush chain bridge containernetworking source", "flush set bridge containernetworking ports",
      "delete element bridge containernetworking port_addresses4 { \(port) . 172.17.0.2 }",
      "add element bridge containernetworking port_addresses4 { \(port) . 172.17.0.9 }",
    ] {
      try nft(command)
      try await expectRepair([.rules])
    }
    #expect(try world.output("nft", "-s", "list", "ruleset", in: world.host) == before)

    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }
    #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == "hello")
    try await controller.removeAll()
  }

  @Test func deletedBridgeComesBackWithItsPorts() async throws {
    let (web, db) = try await populate()
    _ = try await controller.attach("db2", to: .network("blue"))
    for name in ["cn0", db.endpoints[0].networkID] {
      let bridge = try await controller.networks().first { $0.bridge?.description == name || $0.id == name }
      let index = try world.host.links.get("\(try #require(bridge?.bridge))").index
      try world.host.links.delete(index: index)
      try await expectRepair([.bridgeMissing, .portSettings])
    }
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))
    #expect(try world.pings("10.9.0.3", from: db.namespace, within: 4))
    #expect(try world.pings("10.9.0.1", from: db.namespace, within: 4))
    try await controller.removeAll()
    #expect(try world.host.links.list().map(\.name) == ["lo", "eth0"])
  }

  @Test func whatIsMissingIsAdded() async throws {
    let (web, db) = try await populate()
    let cn0 = try world.host.links.get("cn0").index
    try world.host.addresses.remove(try InterfaceAddress("172.17.0.1/16"), from: cn0)
    try await expectRepair([.bridgeSettings])
    try world.host.links.setDown(index: cn0)
    try await expectRepair([.bridgeSettings])
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))

    let port = try world.host.links.get("\(try #require(web.endpoints[0].hostInterface))").index
    var free = LinkChange(isUp: false)
    free.master = 0
    try world.host.links.change(port, free)
    try await expectRepair([.portSettings])
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))

    try world.host.links.delete(index: port)
    try await expectRepair([.linkMissing])
    #expect(try world.pings(Playground.outsideAddress, from: web.namespace, within: 4))

    let eth0 = try db.namespace.links.get("eth0").index
    try db.namespace.addresses.remove(db.endpoints[0].address, from: eth0)
    try await expectRepair([.containerSettings])
    #expect(try world.pings("10.9.0.1", from: db.namespace, within: 4))

    try world.host.setSysctl("net/ipv4/conf/eth0/forwarding", to: "0")
    try await expectRepair([.forwarding])
    try await controller.removeAll()
  }

  @Test func onlyOursIsTouched() async throws {
    _ = try await populate()
    let cn0 = try world.host.links.get("cn0").index
    // Named like ours and on our bridge, but unrecorded; and two foreign ones.
    for (name, master) in [("vethdeadbeef", cn0), ("vm0", cn0), ("vethfeedface", 0)] {
      try world.host.links.createVeth(
        VethEnd(try InterfaceName(name), master: master == 0 ? nil : master),
        peer: VethEnd(try InterfaceName("p-\(name.suffix(8))")))
    }
    try nft("add table inet theirs { chain c { } ; }")
    try await expectRepair([.strayPort])
    let names = Set(try world.host.links.list().map(\.name))
    #expect(!names.contains("vethdeadbeef"))
    #expect(names.isSuperset(of: ["vm0", "vethfeedface"]))
    try nft("flush table inet containernetworking")
    try await expectRepair([.rules])
    try await controller.removeAll()
    #expect(try world.output("nft", "list", "tables", in: world.host) == "table inet theirs\n")
  }

  @Test func healsByItself() async throws {
    let reports = Mutex<[ReconcileReport]>([])
    var settings = ControllerSettings(heals: true)
    settings.onHeal = { report in reports.withLock { $0.append(report) } }
    let watching = try await NetworkController(host: world.host, settings: settings)
    let web = try await watching.attach("web", options: AttachOptions(ports: [PortMapping("8080:80")]))
    let server = try world.serve("hello", port: 80, in: web.namespace)
    defer { server.stop() }

    func expectHealed(_ count: Int, _ what: String) async throws {
      let isTold = try await eventually { reports.withLock { $0.count } >= count }
      #expect(isTold, "\(what)")
      let isWhole = try await eventually { try await watching.differences().isEmpty }
      #expect(isWhole, "\(what)")
      #expect(try world.fetch(Playground.hostAddress, 8080, from: world.outside) == "hello", "\(what)")
    }
    try nft("flush ruleset")
    try await expectHealed(1, "flushed ruleset")
    try nft("delete table bridge containernetworking")
    try await expectHealed(2, "deleted table")
    try world.host.links.delete(index: try world.host.links.get("cn0").index)
    try await expectHealed(3, "deleted bridge")
    // Our own changes do not trigger a repair.
    let before = reports.withLock { $0.count }
    for name in ["a", "b", "c"] { try await watching.attach(name) }
    for name in ["a", "b", "c"] { try await watching.detach(name) }
    let since = reports.withLock { $0.dropFirst(before).flatMap(\.found) }
    #expect(since == [])
    try await watching.removeAll()
  }
}
