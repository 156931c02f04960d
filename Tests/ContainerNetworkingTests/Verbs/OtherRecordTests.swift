import Foundation
import Netlink
import Playground
import SystemPackage
import Testing

@testable import ContainerNetworking

/// Several records on one host: none changes another's objects, and all respect them.
@Suite(.timeLimit(.minutes(5))) struct OtherRecordTests {
  let world: Playground
  let before: String

  init() throws {
    world = try Playground(isDualStack: true)
    before = try world.host.contents(world)
  }

  private func open(
    _ store: MemoryStore = MemoryStore(), heals: Bool = false
  ) async throws -> NetworkController {
    // No sockets reserve ports: only the kernel's tables show them.
    try await NetworkController(
      host: world.host, store: store,
      settings: ControllerSettings(resolvers: [], heals: heals, reservesPorts: false))
  }

  private func rules() throws -> String { try world.output("nft", "list", "ruleset", in: world.host) ?? "" }

  /// Both have a network, a container and a port; either repairs and ends, and the other's works on.
  @Test func whatIsOnesIsNotTouchedByTheOther() async throws {
    let (one, other) = (try await open(), try await open())
    #expect(one.recordID != other.recordID)
    try await one.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let web = try await one.attach(
      "web", to: .network("net"), options: AttachOptions(ports: [try PortMapping("8080:80")]))
    try await other.createNetwork("net", options: NetworkOptions(["10.61.0.0/24", "fd00:61::/64"]))
    let db = try await other.attach(
      "db", to: .network("net"), options: AttachOptions(ports: [try PortMapping("8081:80")]))
    let servers = [
      try world.serve("web", port: 80, in: web.namespace), try world.serve("db", port: 80, in: db.namespace),
    ]
    defer { for server in servers { server.stop() } }
    func rows(_ hasWeb: Bool = true, _ hasDB: Bool = true) -> [Reach] {
      let outside = ("outside", world.outside)
      return [
        .fetch(outside, ("web", Playground.hostAddress), 8080, "web", hasWeb),
        .fetch(outside, ("db", Playground.hostAddress), 8081, "db", hasDB),
        .ping(("web", web.namespace), ("outside", Playground.outsideAddress), hasWeb),
        .ping(("db", db.namespace), ("outside", Playground.outsideIPv6Address), hasDB),
      ]
        // Between networks of different records as between those of one.
        + (hasWeb && hasDB
          ? [
            .ping(("web", web.namespace), ("db", "10.61.0.2"), false),
            .ping(("db", db.namespace), ("web", "10.60.0.2"), false),
            .fetch(("web", web.namespace), ("db", Playground.hostAddress), 8081, "db", true),
          ] : [])
    }
    await world.check(rows())
    for controller in [one, other] {
      #expect(try await controller.differences() == [])
      #expect(try await controller.reconcileRules().found == [])
    }
    let seen = try await one.otherRecords()
    #expect(seen.map(\.id) == [other.recordID] && seen.first?.endpoints == 1 && seen.first?.publishedPorts == 2)
    #expect(seen.first?.bridges == [try #require(try await other.network("net").bridge?.description)])
    #expect(try await other.otherRecords().map(\.id) == [one.recordID])

    // Everything of ours is lost, and one puts its own back: the other's comes back with the other.
    #expect(try world.output("nft", "flush", "ruleset", in: world.host) == "")
    #expect(try await one.reconcileRules().remaining == [])
    #expect(try await other.differences().map(\.kind) == [.rules])
    #expect(try await other.reconcile().remaining == [])
    for controller in [one, other] { #expect(try await controller.differences() == []) }
    await world.check(rows())

    // A damaged table is recreated with the other record's elements.
    #expect(try world.output("nft", "flush", "chain", "inet", "containernetworking", "forward", in: world.host) == "")
    #expect(try await other.reconcileRules().remaining == [])
    for controller in [one, other] { #expect(try await controller.differences() == []) }
    await world.check(rows())

    try await other.removeAll()
    await world.check(rows(true, false))
    #expect(try await one.differences() == [])
    #expect(try await one.otherRecords() == [])
    try await one.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// The last record to leave restores the host, in any order of joining and leaving; a killed owner does not prevent
  /// it.
  @Test(arguments: [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) func theLastSwitchesForwardingOff(order: [Int]) async throws {
    var controllers: [NetworkController] = []
    for number in 0..<3 {
      let controller = try await open()
      try await controller.createNetwork(
        "net", options: NetworkOptions(["10.6\(number).0.0/24", "fd00:6\(number)::/64"]))
      controllers.append(controller)
    }
    // Not for an internal network.
    let inside = try await open()
    try await inside.createNetwork("inside", options: NetworkOptions(["10.63.0.0/24"], isInternal: true))
    for (step, number) in order.enumerated() {
      let names = ["net/ipv4/conf/eth0/forwarding", "net/ipv6/conf/eth0/force_forwarding"]
      for name in names where (try? world.host.sysctl(name)) != nil {
        #expect(try world.host.sysctl(name) == "1", "step \(step)")
      }
      for controller in controllers + [inside] { #expect(try await controller.differences() == [], "step \(step)") }
      try await controllers[number].removeAll()
    }
    #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "0")
    #expect(try await inside.differences() == [])
    try await inside.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// A port that another record publishes is refused by name, and stepped over in a range.
  @Test func portsOfAnotherAreInUse() async throws {
    let (one, other) = (try await open(), try await open())
    try await one.createNetwork("net", options: NetworkOptions(["10.60.0.0/24"]))
    try await other.createNetwork("net", options: NetworkOptions(["10.61.0.0/24"]))
    func attach(_ name: String, _ port: String, by controller: NetworkController) async throws -> [PublishedPort] {
      let options = AttachOptions(ports: [try PortMapping(port)])
      return try await controller.attach(name, to: .network("net"), options: options).endpoints[0].ports
    }
    _ = try await attach("all", "8080:80", by: one)
    _ = try await attach("single", "\(Playground.hostAddress):9090:80", by: one)
    let ruleset = try rules()
    for port in ["8080:80", "\(Playground.hostAddress):8080:80", "9090:80", "0.0.0.0:8080:80"] {
      let error = try #require(await refusal { try await attach("web", port, by: other) })
      let text = "\(error)"
      #expect(
        error.code == .inUse && text.contains("in use by another record (\(one.recordID)) on this host"), "\(text)")
      #expect(try rules() == ruleset, "\(port)")
    }
    #expect(try await attach("range", "8080-8082:80", by: other).map(\.hostPort) == [8081])
    _ = try await attach("beside", "127.0.0.1:9090:80", by: other)
    let error = try #require(await refusal { try await other.publish([PortMapping("8080:81")], of: "range") })
    #expect("\(error)".contains("another record"))

    // A record that took the port while the first one's element was lost keeps it; the first detaches without it.
    #expect(try world.output("nft", "flush", "ruleset", in: world.host) == "")
    try await other.reconcileRules()
    _ = try await attach("taken", "8080:80", by: other)
    let found = try await one.reconcile()
    #expect(
      found.remaining.map(\.detail).contains { $0.contains("elements of another record on this host") }, "\(found)")
    try await one.detach("all")
    #expect(try rules().contains("8080 comment \"record \(other.recordID)\" :"))
    for controller in [one, other] { #expect(try await controller.differences() == []) }
    try await one.removeAll()
    try await other.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// The default network's bridge of the second record has the next name; a bridge that another has is not adopted.
  @Test func bridgesOfAnotherAreInUse() async throws {
    let (one, other) = (try await open(), try await open())
    try await one.attach("web")
    try await other.attach("db")
    #expect(try await one.network("bridge").bridge?.description == "cn0")
    #expect(try await other.network("bridge").bridge?.description == "cn1")
    let subnets = [try await one.network("bridge").subnet, try await other.network("bridge").subnet]
    #expect(!subnets[0].contains(subnets[1]) && !subnets[1].contains(subnets[0]))
    let error = try #require(
      await refusal {
        try await other.createNetwork("net", options: NetworkOptions(bridge: try InterfaceName("cn0")))
      })
    #expect("\(error)".contains("in use by another record (\(one.recordID)) on this host"), "\(error)")
    // Nor is its subnet, whole or in part.
    for subnet in ["\(subnets[0])", "\(subnets[0].first)/28"] {
      let error = try #require(
        await refusal { try await other.createNetwork("net", options: NetworkOptions([subnet])) })
      #expect("\(error)".contains("in use by another record, \(one.recordID), on this host"), "\(error)")
    }
    for controller in [one, other] { #expect(try await controller.differences() == []) }
    try await one.removeAll()
    #expect(try await other.differences() == [])
    try await other.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// Records that create networks concurrently get separate pools.
  @Test func noTwoRecordsHaveOnePool() async throws {
    var controllers: [NetworkController] = []
    for _ in 0..<3 { controllers.append(try await open()) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for controller in controllers {
        group.addTask {
          for number in 0..<4 { try await controller.createNetwork("net\(number)") }
        }
      }
      try await group.waitForAll()
    }
    var subnets: [Subnet] = []
    for controller in controllers { subnets += try await controller.networks().map(\.subnet) }
    #expect(subnets.count == 12)
    for (index, subnet) in subnets.enumerated() {
      #expect(subnets.dropFirst(index + 1).allSatisfy { !$0.overlaps(subnet) }, "\(subnet)")
    }
    for controller in controllers { #expect(try await controller.differences() == []) }
    for controller in controllers { try await controller.removeAll() }
    #expect(try world.host.contents(world) == before)
  }

  /// A lost record's objects are removed by its id, and no other record's.
  @Test(arguments: [true, false]) func aLostRecordIsForgotten(hasNetworks: Bool) async throws {
    var lost: NetworkController? = try await open()
    let kept = try await open()
    let id = try #require(lost?.recordID)
    try await lost?.createNetwork("net", options: NetworkOptions(["10.60.0.0/24", "fd00:60::/64"]))
    let adopted = try world.host.links.createBridge(InterfaceName("mine0")).index
    try world.host.addresses.add(InterfaceAddress("10.62.0.1/24"), to: adopted)
    try await lost?.createNetwork("adopted", options: NetworkOptions(bridge: InterfaceName("mine0")))
    var sandbox = try await lost?.attach("web", options: AttachOptions(ports: [try PortMapping("8080:80")]))
    #expect(sandbox != nil)
    var db: Sandbox?
    if hasNetworks {
      try await kept.createNetwork("net", options: NetworkOptions(["10.61.0.0/24"]))
      db = try await kept.attach("db", to: .network("net"))
    }
    (lost, sandbox) = (nil, nil)
    let unknown = try #require(await refusal { try await kept.forgetRecord("12345678") })
    #expect(unknown.code == .notFound && "\(unknown)".contains(id))
    #expect(await refusal { try await kept.forgetRecord(kept.recordID) }?.code == .refused)
    #expect(try await kept.forgetRecord(id) == ["mine0"])
    #expect(!(try rules().contains(id)))
    #expect(try await kept.otherRecords() == [])
    #expect(try await kept.differences() == [])
    if let db {
      await world.check([.ping(("db", db.namespace), ("outside", Playground.outsideAddress), true)])
      #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "1")
    }
    try await kept.removeAll()
    try world.host.links.delete(index: adopted)
    #expect(try world.host.contents(world) == before)
  }

  /// The record keeps its id: for all of its users, over openings, and where a version that does not know it has struck it out.
  @Test func theRecordKeepsItsID() async throws {
    let store = MemoryStore()
    let first = try await open(store)
    try await first.createNetwork("net", options: NetworkOptions(["10.60.0.0/24"]))
    #expect(try await open(store).recordID == first.recordID)
    _ = try store.update(since: 0, .process) { (delta) throws(NetworkError) in
      for case .save(.host(var host)) in delta.changes {
        host.id = nil
        return ((), [.save(.host(host))])
      }
      return ((), [])
    }
    let third = try await open(store)
    #expect(third.recordID == first.recordID)
    #expect(try await third.differences() == [])
    try await third.removeAll()
    #expect(try world.host.contents(world) == before)
  }

  /// Tables of a version without owners: each record claims its own elements only.
  @Test func tablesWithoutOwnersAreClaimed() async throws {
    let stores = [MemoryStore(), MemoryStore()]
    // Their containers' namespaces live as long as they.
    var old: [NetworkController] = []
    defer { withExtendedLifetime(old) {} }
    for (number, store) in stores.enumerated() {
      let controller = try await open(store)
      old.append(controller)
      try await controller.createNetwork("net", options: NetworkOptions(["10.6\(number).0.0/24"]))
      try await controller.attach(
        "web", to: .network("net"), options: AttachOptions(ports: [try PortMapping("808\(number):80")]))
    }
    // The form of version 1: no comments, no sets of records, and uplinks by name.
    var text = try rules()
    text.replace(#/ comment "[^"]*"/#, with: "")
    text.replace(#/(?m)^\tcomment .*\n/#, with: "")
    text.replace(#/\tset (records|forwarding[46]) \{\n(\t\t.*\n)*\t\}\n/#, with: "")
    // Which nft(8) prints and does not read.
    text.replace(#/(?m)^.*@th,64,128.*\n/#, with: "")
    text.replace("iif @uplinks", with: "iifname @uplinks")
    text.replace("type iface_index", with: "type ifname")
    let file = try world.makeFilesDirectory().appending("old.nft")
    #expect(FileManager.default.createFile(atPath: file.string, contents: Data("flush ruleset\n\(text)".utf8)))
    #expect(try world.output("nft", "-f", file.string, in: world.host) == "")
    for store in stores {
      _ = try store.update(since: 0, .process) { (delta) throws(NetworkError) in
        for case .save(.host(var host)) in delta.changes {
          (host.rulesVersion, host.id) = (1, nil)
          host.uplinks = host.uplinks.map { Uplink(name: $0.name, family: $0.family, index: nil) }
          for uplink in host.uplinks { host.sysctls["net/ipv4/conf/\(uplink.name)/forwarding"] = "0" }
          return ((), [.save(.host(host))])
        }
        return ((), [])
      }
    }
    let first = try await open(stores[0])
    let found = try await first.differences()
    #expect(found == [])
    #expect(try await first.otherRecords().map(\.id) == ["00000000"])
    // Unclaimed elements stay as they were.
    for element in ["10.61.0.2 . 80", "8081"] { #expect(try rules().contains(element)) }
    let second = try await open(stores[1])
    for controller in [first, second] { #expect(try await controller.differences() == []) }
    #expect(try await first.otherRecords().map(\.id) == [second.recordID])
    #expect(!(try rules().contains("record 00000000")))
    try await first.removeAll()
    #expect(try await second.differences() == [])
    try await second.removeAll()
    #expect(try world.host.contents(world) == before)
  }
}
