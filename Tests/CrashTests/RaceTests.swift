import ContainerNetworking
import ContainerNetworkingStore
import Foundation
import Playground
import SystemPackage
import Testing

/// Many processes at one state.
@Suite(.timeLimit(.minutes(40))) struct RaceTests {
  /// Eight processes attach and detach two hundred times each, while a ninth looks: no address, no port and no veth is ever
  /// two containers', by what the kernel has.
  @Test func eightProcessesShareOneState() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    let controller = try await crash.open()
    try await controller.attach("keeper")
    let processes = try (0..<8).map { number in try crash.start(["churn", "p\(number)", "200"]) }
    var looks = 0
    while processes.contains(where: \.isRunning) {
      let addresses = try await elementsOfTheKernel(world, "set", "endpoints4")
      #expect(Set(addresses).count == addresses.count)
      let ports = try await elementsOfTheKernel(world, "map", "published4")
      #expect(Set(ports).count == ports.count)
      looks += 1
      try await Task.sleep(for: .milliseconds(50))
    }
    for process in processes {
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
    #expect(looks > 0)
    print("eight processes made 1600 attachments, looked at \(looks) times")
    #expect(try await controller.sandboxes().map(\.container) == ["keeper"])
    try await controller.detach("keeper")
    try await crash.expectClean("after the race")
    try await crash.end()
  }

  /// The addresses, or protocols and ports, that our sets hold, as nft(8) prints them.
  private func elementsOfTheKernel(_ world: Playground, _ kind: String, _ name: String) async throws -> [String] {
    let text = try #require(
      try world.output("nft", "list", kind, "inet", "containernetworking", name, in: world.host))
    guard let elements = text.firstRange(of: "elements = {") else { return [] }
    return text[elements.upperBound...].prefix { $0 != "}" }.split(separator: ",").map { element in
      // The key's first part: `172.17.0.2 . "cn0"`, `tcp . 32768 : …`.
      element.split(separator: ":")[0].trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }

  @Test func ofManyProcessesThatCreateOneSubnetOneSucceeds() async throws {
    let world = try Playground()
    let crash = try Crash(world)
    let processes = try (0..<20).map { number in
      try crash.start(["create", "n\(number)", "10.8.0.0/24"])
    }
    var succeeded = 0
    for process in processes {
      process.waitUntilExit()
      if process.terminationStatus == 0 { succeeded += 1 }
    }
    #expect(succeeded == 1)
    #expect(try await crash.open().networks().count == 1)
    try await crash.expectClean("after the race")
    try await crash.end()
  }
}

/// Another start of the machine.
@Suite struct RebootTests {
  @Test func leasesAreReleasedAndNetworksComeBack() async throws {
    let old = try Playground()
    let crash = try Crash(old)
    let path = crash.directory.appending("netns")
    var settings = ControllerSettings(resolvers: [], namespaceDirectory: path, bootID: "first")
    do {
      let controller = try await NetworkController(
        host: old.host, store: SQLiteStore(at: crash.directory), settings: settings)
      try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.6.0.0/29")))
      try await controller.attach(
        "db", to: .network("blue"), options: AttachOptions(address: try IPAddress("10.6.0.5")))
      try await controller.attach("web", to: .network("blue"))
      let lan = NetworkOptions(
        driver: .macvlan, subnet: try Subnet("203.0.113.0/24"), gateway: try IPAddress(Playground.outsideAddress),
        parent: try InterfaceName("eth0"))
      try await controller.createNetwork("lan", options: lan)
      try await controller.attach("direct", to: .network("lan"))
      try await controller.attach("cache", options: AttachOptions(ports: [PortMapping("8080:80")]))
    }
    // The same boot, but another host namespace: the records do not apply to it.
    let new = try Playground()
    let mistake = await #expect(throws: NetworkError.self) {
      try await NetworkController(host: new.host, store: SQLiteStore(at: crash.directory), settings: settings)
    }
    #expect(mistake?.code == .refused)

    settings.bootID = "second"
    let controller = try await NetworkController(
      host: new.host, store: SQLiteStore(at: crash.directory), settings: settings)
    #expect(try await controller.networks().map(\.name) == ["blue", "bridge", "lan"])
    #expect(try await controller.sandboxes().isEmpty)
    #expect(try await controller.differences() == [])
    #expect(try new.pings("10.6.0.1", from: new.host, within: 4))

    // The static address is its container's still; the others are anybody's.
    let taken = await #expect(throws: NetworkError.self) {
      try await controller.attach(
        "thief", to: .network("blue"), options: AttachOptions(address: try IPAddress("10.6.0.5")))
    }
    #expect(taken?.code == .inUse)
    #expect(taken?.description.contains("\"db\"") == true)
    let usage = try await controller.inspect("blue").usage[0]
    #expect(usage.inUse == 4)  // network, broadcast, gateway, db
    let db = try await controller.attach("db", to: .network("blue"))
    #expect(db.endpoints[0].address.description == "10.6.0.5/29")
    #expect(try new.pings("10.6.0.1", from: db.namespace, within: 4))
    let cache = try await controller.attach("cache", options: AttachOptions(ports: [PortMapping("8080:80")]))
    #expect(try new.pings(Playground.outsideAddress, from: cache.namespace, within: 4))
    let direct = try await controller.attach("direct", to: .network("lan"))
    #expect(try new.pings(Playground.outsideAddress, from: direct.namespace, within: 4))
    try await controller.removeAll()

    // The old boot's objects are gone with its namespaces; here they are really removed.
    for name in ["db", "web", "cache", "direct"] {
      try? LinuxKernel().unpinNamespace(at: path.appending(name))
    }
    try FileManager.default.removeItem(atPath: crash.directory.string)
  }
}
