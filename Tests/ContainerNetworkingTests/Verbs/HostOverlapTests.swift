import Foundation
import Playground
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import ContainerNetworking

/// Subnets that the host itself lives in: its link is eth0 with 203.0.113.1/24 and 2001:db8::1/64.
@Suite(.timeLimit(.minutes(5))) struct HostOverlapTests {
  let world: Playground

  init() throws { world = try Playground(isDualStack: true) }

  private func settings(_ resolvers: String...) throws -> ControllerSettings {
    ControllerSettings(resolvers: try resolvers.map { try IPAddress($0) })
  }

  private func route(_ destination: String, via gateway: String? = Playground.outsideAddress) throws {
    try world.host.routes.add(
      Route(
        to: try Subnet(destination), via: try gateway.map { try IPAddress($0) },
        link: world.host.links.get("eth0").index))
  }

  /// The requested subnet, the overlapped object, and the suggested block; nil for none.
  @Test func whatTheHostReachesIsRefused() async throws {
    try route("0.0.0.0/0")
    try route("172.30.0.0/16")
    try route("10.200.7.0/24")
    try world.host.addresses.add(try InterfaceAddress("10.50.0.1/32"), to: 1)
    let controller = try await NetworkController(host: world.host, settings: settings("198.51.100.53", "fd00:53::53"))
    let before = try world.host.contents(world)
    let cases: [(String, String, String)] = [
      ("203.0.113.0/25", "the address 203.0.113.1/24 of eth0 and the router 203.0.113.2", "203.0.114.0/25"),
      ("203.0.112.0/23", "the address 203.0.113.1/24 of eth0", "203.0.114.0/23"),
      ("172.30.5.0/24", "the route 172.30.0.0/16 via 203.0.113.2 by eth0", "172.31.0.0/24"),
      ("10.0.0.0/8", "the address 10.50.0.1/32 of lo", ""),
      ("10.200.0.0/16", "the route 10.200.7.0/24", "10.201.0.0/16"),
      ("198.51.100.0/24", "the resolver 198.51.100.53", "198.51.101.0/24"),
      ("2001:db8::/80", "the address 2001:db8::1/64 of eth0", "2001:db8:0:1::/80"),
      ("2001:db8::/32", "the address 2001:db8::1/64 of eth0", "2001:db9::/32"),
      ("fd00:53::/64", "the resolver fd00:53::53", "fd00:53:0:1::/64"),
    ]
    for isInternal in [false, true] {
      for (subnet, what, free) in cases {
        let options = try NetworkOptions([subnet], isInternal: isInternal)
        let error = await refusal { try await controller.createNetwork("net", options: options) }
        #expect(error?.code == .inUse)
        let text = error?.description ?? ""
        #expect(text.contains("\(subnet) overlaps \(what)"), "\(text)")
        #expect(text.contains("host-overlap=true"))
        #expect(text.contains(free.isEmpty ? "use another block" : "use \(free), the free block"), "\(text)")
      }
    }
    // The suggested block is free.
    for (subnet, _, free) in cases where !free.isEmpty {
      let network = try await controller.createNetwork("net", options: try NetworkOptions([free]))
      #expect(network.subnets.contains { $0.subnet.description == free }, "for \(subnet)")
      try await controller.removeNetwork("net")
    }
    #expect(try world.host.contents(world) == before)
    try await controller.removeAll()
  }

  @Test(
    arguments: [
      "169.254.0.0/16", "169.254.9.0/24", "240.0.0.0/4", "250.1.0.0/16", "224.0.0.0/24", "127.9.0.0/16", "0.7.0.0/16",
      "fe80::/64", "ff02::/64",
    ]) func whatNoNetworkCanHaveIsRefused(_ subnet: String) async throws
  {
    let controller = try await NetworkController(host: world.host, settings: settings())
    for driver in [NetworkDriver.bridge, .macvlan] {
      var options = try NetworkOptions([subnet])
      options.allowsHostOverlap = true
      options.driver = driver
      if driver == .macvlan { options.parent = try InterfaceName("eth0") }
      let error = await refusal { try await controller.createNetwork("net", options: options) }
      #expect(error?.code == .invalidValue && error?.description.contains("which is for") == true, "\(error as Any)")
    }
    #expect(try await controller.networks().isEmpty)
  }

  @Test func whatIsMeantIsMadeWithoutTheHostsAddresses() async throws {
    try route("172.30.0.0/16", via: "203.0.113.2")
    let controller = try await NetworkController(host: world.host, settings: settings("172.30.0.2"))
    var options = try NetworkOptions(["172.30.0.0/24"])
    try options.setDriverOption("host-overlap", "true")
    let network = try await controller.createNetwork("vpn", options: options)
    #expect(network.allowsHostOverlap == true)
    #expect(network.subnets[0].auxiliaryAddresses.values.map(\.description) == ["172.30.0.2"])
    #expect(try await controller.attach("web", to: .network("vpn")).endpoints[0].address.description == "172.30.0.3/24")
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  /// A macvlan's subnet is that of its parent's wire; but not that of another link's.
  @Test func aMacvlanIsOnItsParentsWire() async throws {
    try route("0.0.0.0/0", via: "203.0.113.3")
    let other = try world.host.links.createBridge(try InterfaceName("br9"))
    try world.host.links.setUp(index: other.index)
    try world.host.addresses.add(try InterfaceAddress("10.9.0.1/24"), to: other.index)
    let controller = try await NetworkController(host: world.host, settings: settings("203.0.113.5"))
    func options(_ subnet: String) throws -> NetworkOptions {
      NetworkOptions(driver: .macvlan, subnet: try Subnet(subnet), parent: try InterfaceName("eth0"))
    }
    let wrong = await refusal { try await controller.createNetwork("lan", options: try options("10.9.0.0/25")) }
    #expect(wrong?.code == .inUse && wrong?.description.contains("10.9.0.1/24 of br9") == true, "\(wrong as Any)")
    let network = try await controller.createNetwork("lan", options: try options("203.0.113.0/24"))
    // No gateway is guessed, and no container gets the host's, the router's or the resolver's address.
    #expect(network.subnets[0].gateway == nil)
    var given: [String] = []
    for name in ["a", "b", "c"] {
      let sandbox = try await controller.attach(name, to: .network("lan"))
      given.append(sandbox.endpoints[0].address.address.description)
      #expect(try sandbox.namespace.defaultRoutes() == [])
    }
    #expect(given == ["203.0.113.2", "203.0.113.4", "203.0.113.6"])
    #expect(try await controller.differences() == [])
    try await controller.removeAll()
  }

  @Test func whatComesLaterIsListed() async throws {
    let controller = try await NetworkController(host: world.host, settings: settings())
    let blue = try await controller.createNetwork(
      "blue", options: try NetworkOptions(["10.70.0.0/16", "fd00:70::/64"]))
    let bridge = "\(try #require(blue.bridge))"
    let web = try await controller.attach("web", to: .network("blue"))
    // A route of the host's through a container is the network's own.
    try world.host.routes.add(
      Route(
        to: try Subnet("10.70.9.0/24"), via: web.endpoints[0].address.address,
        link: world.host.links.get(bridge).index))
    #expect(try await controller.differences() == [])
    try route("10.70.3.0/24")
    let eth0 = try world.host.links.get("eth0").index
    try world.host.addresses.add(try InterfaceAddress("fd00:70::7/48"), to: eth0)
    let found = try await controller.differences()
    #expect(found.map(\.kind) == [.hostOverlap, .hostOverlap])
    #expect(
      found.map(\.detail).sorted() == [
        "10.70.0.0/16 of network \"blue\" overlaps the route 10.70.3.0/24 via 203.0.113.2 by eth0 of the host",
        "fd00:70::/64 of network \"blue\" overlaps the address fd00:70::7/48 of eth0 of the host",
      ])
    // The network works on.
    #expect(try world.pings(web.endpoints[0].address.address.description, from: world.host, within: 4))
    let report = try await controller.reconcile()
    #expect(report.failures == [] && report.remaining == found)
    // Once its bridge is gone, it is not made again where the host lives.
    try world.host.links.delete(index: world.host.links.get(bridge).index)
    let refused = try await controller.reconcile()
    #expect(refused.failures.contains { $0.code == .inUse && $0.reason.contains("10.70.3.0/24") }, "\(refused)")
    #expect(refused.remaining.contains { $0.kind == .bridgeMissing })
    try world.host.addresses.remove(try InterfaceAddress("fd00:70::7/48"), from: eth0)
    try world.host.routes.delete(Route(to: try Subnet("10.70.3.0/24")))
    #expect(try await controller.reconcile().remaining == [])
    #expect(try world.pings(web.endpoints[0].address.address.description, from: world.host, within: 4))
    try await controller.removeAll()
  }

  /// Somebody who watches tells of it once, and again when it comes back; as an event, too.
  @Test func whatComesLaterIsToldOnce() async throws {
    let heard = Mutex<[ReconcileReport]>([])
    var settings = try self.settings()
    settings.heals = true
    settings.onHeal = { report in heard.withLock { $0.append(report) } }
    let controller = try await NetworkController(host: world.host, settings: settings)
    try await controller.createNetwork("blue", options: try NetworkOptions(["10.70.0.0/16", "fd00:70::/64"]))
    try await controller.attach("web", to: .network("blue"))
    func told() -> [String] {
      heard.withLock { $0.flatMap(\.remaining).filter { $0.kind == .hostOverlap }.map(\.detail) }
    }
    let what = "10.70.0.0/16 of network \"blue\" overlaps the route 10.70.3.0/24 via 203.0.113.2 by eth0 of the host"
    let eth0 = try world.host.links.get("eth0").index
    for round in 1...2 {
      try route("10.70.3.0/24")
      let isTold = try await eventually { told().count == round }
      #expect(isTold && told() == Array(repeating: what, count: round), "\(told())")
      // What is no news, and what is elsewhere.
      try route("10.80.\(round).0/24")
      try world.host.routes.delete(Route(to: try Subnet("10.70.3.0/24")))
      try world.host.addresses.add(try InterfaceAddress("fd00:\(round)::7/64"), to: eth0)
      try world.host.addresses.remove(try InterfaceAddress("fd00:\(round)::7/64"), from: eth0)
      let isForgotten = try await eventually { try await controller.differences().isEmpty }
      #expect(isForgotten)
      // An address that is told of behind the route's end, so that the end was heard of.
      try world.host.addresses.add(try InterfaceAddress("fd00:70::a\(round)/128"), to: eth0)
      let isNext = try await eventually {
        told().contains { $0.contains("fd00:70::/64") && $0.contains("fd00:70::a\(round)/128") }
      }
      #expect(isNext, "\(told())")
      try world.host.addresses.remove(try InterfaceAddress("fd00:70::a\(round)/128"), from: eth0)
      heard.withLock { $0.removeAll { $0.remaining.contains { $0.detail.contains("fd00:70::/64") } } }
    }
    let events = try await controller.events(after: 0).map { $0.event }.filter { $0.action == .overlap }
    #expect(events.count == 4 && events.allSatisfy { $0.network == "blue" }, "\(events)")
    try await controller.removeAll()
  }

  @Test func whoBeginsToWatchIsTold() async throws {
    let store = MemoryStore()
    let first = try await NetworkController(host: world.host, store: store, settings: settings())
    try await first.createNetwork("blue", options: try NetworkOptions(["10.70.0.0/16"]))
    try route("10.70.3.0/24")
    let heard = Mutex<[ReconcileReport]>([])
    var settings = try self.settings()
    settings.heals = true
    settings.onHeal = { report in heard.withLock { $0.append(report) } }
    let second = try await NetworkController(host: world.host, store: store, settings: settings)
    let isTold = try await eventually { heard.withLock { $0.flatMap(\.remaining).map(\.kind) } == [.hostOverlap] }
    #expect(isTold)
    try await second.removeAll()
  }

  @Test func aStartLeavesOutWhatTheHostLivesIn() async throws {
    let store = MemoryStore()
    var settings = try self.settings()
    settings.bootID = "first"
    let first = try await NetworkController(host: world.host, store: store, settings: settings)
    try await first.attach("web")
    for (name, subnet) in [("blue", "10.71.0.0/16"), ("green", "10.72.0.0/16")] {
      try await first.createNetwork(name, options: try NetworkOptions([subnet]))
    }
    let bridges = try await first.networks().compactMap(\.bridge)

    let next = try Playground(isDualStack: true)
    let eth0 = try next.host.links.get("eth0").index
    try next.host.addresses.add(try InterfaceAddress("10.71.4.1/24"), to: eth0)
    try next.host.addresses.add(try InterfaceAddress("172.17.4.1/24"), to: eth0)
    let heard = Mutex<[ReconcileReport]>([])
    settings.bootID = "second"
    settings.onHeal = { report in heard.withLock { $0.append(report) } }
    let second = try await NetworkController(host: next.host, store: store, settings: settings)
    let failures = heard.withLock { $0.flatMap(\.failures) }
    #expect(failures.count == 2 && failures.allSatisfy { $0.code == .inUse }, "\(failures)")
    #expect(failures.contains { $0.description.contains("10.71.0.0/16 overlaps the address 10.71.4.1/24 of eth0") })
    let events = try await second.events(after: 0).map { $0.event }
    #expect(Set(events.filter { $0.action == .overlap }.map(\.network)) == ["blue", "bridge"])
    let green = try #require(try await second.network("green").bridge)
    #expect(
      try next.host.links.list().map(\.name).filter { name in bridges.contains { "\($0)" == name } } == ["\(green)"])
    let blue = try await second.differences().filter { $0.network == "blue" }
    #expect(Set(blue.map(\.kind)) == [.hostOverlap, .bridgeMissing])
    // The default network is recreated in a free block.
    #expect(try await second.attach("web").endpoints[0].address.description == "172.18.0.2/16")
    try await second.removeAll()
  }

  /// What a network may overlap when it is made is no difference afterwards: an adopted bridge's own subnet, with the host's
  /// resolver at its gateway or at another address of that bridge, as of a DHCP and DNS server, or beyond it on that wire.
  @Test func anAdoptedBridgeDoesNotOverlapItself() async throws {
    let index = try world.host.links.createBridge(InterfaceName("lan0")).index
    for address in ["10.5.0.1/24", "10.5.0.2/24"] {
      try world.host.addresses.add(try InterfaceAddress(address), to: index)
    }
    try world.host.links.setUp(index: index)
    let controller = try await NetworkController(
      host: world.host, settings: settings("10.5.0.1", "10.5.0.2", "10.5.0.53"))
    let options = NetworkOptions(
      subnet: try Subnet("10.5.0.0/24"), gateway: try IPAddress("10.5.0.1"), bridge: try InterfaceName("lan0"))
    try await controller.createNetwork("lan", options: options)
    let found = try await controller.differences()
    #expect(found.isEmpty, "\(found)")
    // No container gets an address that the host or its resolver has.
    #expect(try await controller.attach("web", to: .network("lan")).endpoints[0].address.description == "10.5.0.3/24")
    // Another link's route into it is one.
    try route("10.5.0.128/25")
    #expect(try await controller.differences().map(\.kind) == [.hostOverlap])
    try world.host.routes.delete(Route(to: try Subnet("10.5.0.128/25")))
    #expect(try await controller.differences().isEmpty)
    try await controller.removeAll()
  }

  /// A host that asks the name server of a network, at the gateway of a bridge of ours.
  @Test func aNetworksOwnNameServerIsNoOverlap() async throws {
    let store = MemoryStore()
    let first = try await NetworkController(host: world.host, store: store, settings: settings())
    let blue = try await first.createNetwork("blue", options: try NetworkOptions(["10.71.0.0/16", "fd00:71::/64"]))
    var asking = try settings("10.71.0.1", "fd00:71::1")
    let second = try await NetworkController(host: world.host, store: store, settings: asking)
    let found = try await second.differences()
    #expect(found.isEmpty, "\(found)")
    // It is made again where it is lost, and after a start of the machine.
    let bridge = "\(try #require(blue.bridge))"
    try world.host.links.delete(index: world.host.links.get(bridge).index)
    let report = try await second.reconcile()
    #expect(report.failures == [] && report.remaining == [], "\(report)")
    asking.bootID = "second"
    let next = try Playground(isDualStack: true)
    let third = try await NetworkController(host: next.host, store: store, settings: asking)
    #expect(try next.host.links.list().contains { $0.name == bridge })
    #expect(try await third.differences().isEmpty)
    try await third.removeAll()
  }
}
