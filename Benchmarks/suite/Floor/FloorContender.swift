import BenchmarkKit
import ContainerNetworking
import Playground
import SystemPackage

/// The floor as one of the contenders: the library's requests, built beforehand and sent by C, and its records by SQLite's C
/// API.
@MainActor final class FloorContender: Contender {
  let who = Contestant.floor
  let counts: [Int]
  let rounds: Int
  let makesNetworks = true
  private let world: Playground
  private let host: FloorHost
  private var containers: [Int: Floor] = [:]
  private var networks: [Int: FloorNetwork] = [:]

  init(_ settings: Settings) async throws {
    counts = settings.counts
    rounds = settings.rounds
    world = try Playground()
    let bridge = try world.host.links.createBridge(
      try InterfaceName("floor"), macAddress: MACAddress(ipv4: IPv4Address(172, 17, 0, 1)), mtu: 1_500)
    try world.host.addresses.add(try InterfaceAddress("172.17.0.1/16"), to: bridge.index)
    try world.host.links.setUp(index: bridge.index)
    let store = try FloorStore(at: settings.directory.appending("floor.db").string, like: try await Self.rehearse())
    host = try FloorHost(world.host, bridge: "floor", store: store)
  }

  /// What the library writes down of one container.
  private static func rehearse() async throws -> any Store {
    let store = MemoryStore()
    let controller = try await NetworkController(
      host: try .create(), store: store, settings: ControllerSettings(resolvers: []))
    try await controller.attach("rehearsal", options: AttachOptions(ports: [try PortMapping("10000:80")]))
    return store
  }

  func makeContainer(_ number: Int) throws {
    let container = try Floor(number, on: host)
    try container.makeNamespace()
    containers[number] = container
  }

  func attach(_ number: Int) throws { try containers[number]?.attach() }

  /// One after the other: the kernel has one lock for all of it (`rtnl_mutex`).
  func attachAtOnce(_ numbers: [Int]) throws { for number in numbers { try attach(number) } }

  func detach(_ number: Int) throws {
    try containers[number]?.detach()
    containers[number] = nil
  }

  func createNetwork(_ number: Int) throws {
    let network = try networks[number] ?? FloorNetwork(number, on: host)
    networks[number] = network
    try network.make()
  }

  func removeNetwork(_ number: Int) throws { try networks[number]?.takeAway() }
}
