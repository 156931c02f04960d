import ContainerNetworking
import ContainerNetworkingTestKit
import Playground
import SystemPackage
import TestSupport
import Testing

/// Published ports that this process holds: no other program of the host gets them, and none is answered by them.
@Suite(.timeLimit(.minutes(5))) struct ReservationTests {
  let world: Playground

  init() throws { world = try Playground(isDualStack: true) }

  private func controller(
    reserves: Bool = true, store: any Store = MemoryStore()
  ) async throws -> NetworkController {
    let controller = try await NetworkController(
      host: world.host, store: store, settings: ControllerSettings(reservesPorts: reserves))
    if try await !controller.networks().contains(where: { $0.name == "dual" }) {
      try await controller.createNetwork("dual", options: try NetworkOptions(["10.70.0.0/24", "fd00:70::/64"]))
      try await controller.createNetwork("four", options: try NetworkOptions(["10.71.0.0/24"]))
    }
    return controller
  }

  private func attach(
    _ controller: NetworkController, _ container: String, _ ports: String..., to network: String = "dual"
  ) async throws {
    try await controller.attach(
      container, to: .network(network), options: AttachOptions(ports: try ports.map { try PortMapping($0) }))
  }

  /// Whether a program of the host, which sets `SO_REUSEADDR`, can be bound.
  private func isFree(_ transport: TransportProtocol, _ address: String, _ port: UInt16) -> Bool {
    guard let helper = try? PortHelper.hold(transport, address, port, in: world.host) else { return false }
    helper.stop()
    return true
  }

  /// The published port, a program's binding, and whether that succeeds.
  static let asked: [(String, TransportProtocol, String, UInt16, Bool)] = [
    ("8080:80", .tcp, "0.0.0.0", 8080, false), ("8080:80", .tcp, "::", 8080, false),
    ("8080:80", .tcp, "*", 8080, false), ("8080:80", .tcp, "127.0.0.1", 8080, false),
    ("8080:80", .tcp, "::1", 8080, false), ("8080:80", .tcp, "203.0.113.1", 8080, false),
    ("8080:80", .udp, "0.0.0.0", 8080, true), ("8080:80", .tcp, "*", 8081, true),
    ("203.0.113.1:8080:80", .tcp, "203.0.113.1", 8080, false), ("203.0.113.1:8080:80", .tcp, "0.0.0.0", 8080, false),
    ("203.0.113.1:8080:80", .tcp, "127.0.0.1", 8080, true), ("203.0.113.1:8080:80", .tcp, "::", 8080, true),
    ("[2001:db8::1]:8080:80", .tcp, "2001:db8::1", 8080, false), ("[2001:db8::1]:8080:80", .tcp, "::", 8080, false),
    ("[2001:db8::1]:8080:80", .tcp, "0.0.0.0", 8080, true),
    ("8080:80/udp", .udp, "0.0.0.0", 8080, false), ("8080:80/udp", .udp, "::", 8080, false),
    ("8080:80/udp", .udp, "*", 8080, false), ("8080:80/udp", .udp, "127.0.0.1", 8080, false),
    ("8080:80/udp", .tcp, "*", 8080, true), ("127.0.0.1:8080:80/udp", .udp, "127.0.0.1", 8080, false),
    ("127.0.0.1:8080:80/udp", .udp, "203.0.113.1", 8080, true),
    ("8080:80/udp", .udp, "0.0.0.0%eth0", 8080, false), ("8080:80", .tcp, "::%eth0", 8080, false),
    // The program first binds to a link; see set_link in Sources/CContainerNetworking/ports.c.
    ("8080:80/udp", .udp, "::%eth0", 8080, true),
  ]

  @Test func othersDoNotGetThem() async throws {
    let controller = try await controller()
    for (ports, transport, address, port, isFree) in Self.asked {
      try await attach(controller, "web", ports)
      #expect(self.isFree(transport, address, port) == isFree, "\(ports): \(transport) \(address) \(port)")
      try await controller.detach("web")
      #expect(self.isFree(transport, address, port), "after \(ports)")
    }
    // A network without IPv6 takes no IPv6 port.
    try await attach(controller, "web", "8080:80", to: "four")
    #expect(controller.reservedPortCount == 1)
    #expect(!isFree(.tcp, "0.0.0.0", 8080))
    #expect(isFree(.tcp, "::", 8080))
    try await attach(controller, "other", "[::]:8080:80")
    try await controller.removeAll()
    #expect(controller.reservedPortCount == 0)
  }

  /// Every way of removing a port releases exactly that port.
  @Test func theyGoWithTheirPorts() async throws {
    let controller = try await controller()
    try await attach(controller, "web", "8080:80", "8081:81", "8082:82/udp")
    #expect(controller.reservedPortCount == 6)
    try await controller.publish([PortMapping("8083:83")], of: "web")
    #expect(controller.reservedPortCount == 8)
    try await controller.unpublish([PortMapping("81")], of: "web")
    #expect(isFree(.tcp, "*", 8081))
    #expect(!isFree(.tcp, "*", 8080) && !isFree(.udp, "*", 8082) && !isFree(.tcp, "*", 8083))
    // A publish that fails keeps nothing.
    let holder = try PortHelper.hold(.tcp, "::1", 9001, in: world.host)
    defer { holder.stop() }
    let error = await refusal {
      try await controller.publish([PortMapping("9000:90"), PortMapping("9001:91")], of: "web")
    }
    #expect(error?.code == .inUse)
    #expect(isFree(.tcp, "*", 9000))
    let second = await refusal { try await attach(controller, "other", "9000:90", "9001:91") }
    #expect(second?.code == .inUse)
    #expect(isFree(.tcp, "*", 9000))
    #expect(controller.reservedPortCount == 6)
    try await controller.stop("web")
    #expect(isFree(.tcp, "*", 8080) && isFree(.udp, "*", 8082))
    #expect(controller.reservedPortCount == 0)
    try await controller.removeAll()
  }

  /// A connection that is over at that port does not keep it from being held, against programs with `SO_REUSEADDR` too.
  @Test func besideConnectionsThatAreOver() async throws {
    let server = try world.serve("bye", port: 80, in: world.outside)
    defer { server.stop() }
    var own: UInt16?
    for _ in 0..<50 where own == nil {
      #expect(try world.fetch(Playground.outsideAddress, 80, from: world.host) == "bye")
      let lines = try world.output("ss", "-Htan", "state", "time-wait", in: world.host) ?? ""
      let place = lines.split { $0.isWhitespace }.first { $0.hasPrefix("\(Playground.hostAddress):") }
      own = place?.split(separator: ":").last.flatMap { UInt16($0) }
    }
    let port = try #require(own)
    let controller = try await controller()
    try await attach(controller, "web", "\(port):80")
    #expect(controller.reservedPortCount == 2)
    for address in ["0.0.0.0", "*", "127.0.0.1", "::"] { #expect(!isFree(.tcp, address, port), "\(address)") }
    try await controller.detach("web")
    #expect(isFree(.tcp, "*", port))
    try await controller.removeAll()
  }

  /// At `::1`, which nothing translates, a connection and a datagram are refused at once, and nothing is kept.
  @Test func theyRefuseEverybody() async throws {
    let controller = try await controller()
    try await attach(controller, "web", "8080:80", "8081:81/udp")
    let sandbox = try await controller.sandbox("web")
    let server = try world.serve("hello", port: 80, in: sandbox.namespace)
    defer { server.stop() }
    await world.check([.fetch(("host", world.host), ("web", "127.0.0.1"), 8080, "hello", true)])
    let refused = try world.run(
      Command("busybox", ["nc", "-w", "5", "::1", "8080"]), in: world.host, includesErrors: true)
    #expect(refused.output.contains("Connection refused"), "\(refused)")
    let client = try PortHelper.client(of: "::1", 8081, in: world.host)
    defer { client.stop() }
    for _ in 0..<3 { #expect(try client.ask() == nil) }
    let loopback = IPAddress.loopback(.ipv6)
    let probe = try world.host.kernel.openProbe(ProbePacket(.udp(8081), to: loopback), in: world.host.handle)
    try probe.send()
    #expect(try probe.wait(timeout: .seconds(10)) == .failed(.connectionRefused, by: loopback))
    let sockets = try world.output("ss", "-Huan", "sport", "=", ":8081", in: world.host) ?? ""
    let queues = sockets.split(separator: "\n").map { $0.split(separator: " ")[1] }
    #expect(queues == ["0", "0"], "\(sockets)")
    #expect(try world.output("ss", "-Hltn", "sport", "=", ":8080", in: world.host) == "")
    try await controller.removeAll()
  }

  /// The surviving process reserves published ports; one that does not reserve leaves them to others.
  @Test func theNextProcessTakesThemUp() async throws {
    let store = MemoryStore()
    var short: NetworkController? = try await controller(reserves: false, store: store)
    try await attach(#require(short), "web", "8080:80")
    #expect(short?.reservedPortCount == 0)
    #expect(isFree(.tcp, "*", 8080))
    let long = try await controller(store: store)
    #expect(long.reservedPortCount == 2)
    #expect(!isFree(.tcp, "0.0.0.0", 8080))
    // The short-lived process's releases and publications are followed, and never conflict with a reservation.
    for round in 0..<5 {
      try await short?.detach("web")
      try await attach(#require(short), "web", "8080:80", "\(9000 + round):90")
    }
    var ports: Set<UInt16> = []
    let isFollowed = try await eventually {
      ports = Set((UInt16(9000)...9004).filter { !isFree(.tcp, "*", $0) })
      return ports == [9004]
    }
    #expect(isFollowed, "\(ports)")
    #expect(!isFree(.tcp, "*", 8080))
    // Another that holds ports finds them held by the first one, and has them when that is gone.
    let third = try await controller(store: store)
    #expect(third.reservedPortCount == 0)
    try await third.publish([PortMapping("9100:91")], of: "web")
    #expect(third.reservedPortCount == 2)
    short = nil
    try await third.removeAll()
    #expect(isFree(.tcp, "*", 9100))
  }

  /// A kept socket costs the same as a tested one: the fastest of many turns, a port of both families.
  @Test func toHoldCostsWhatToTryDoes() throws {
    let (kernel, host) = (LinuxKernel(), world.host.handle)
    var fastest = (tried: Duration.seconds(1), held: Duration.seconds(1))
    for port in UInt16(20_000)..<20_500 {
      let bindings = AddressFamily.allCases.map { PortBinding(.any($0), port, .tcp) }
      let tried = try ContinuousClock().measure { _ = try kernel.heldPorts(among: bindings, in: host) }
      var sockets: [PortReservation] = []
      let held = try ContinuousClock().measure { sockets = try kernel.reservePorts(bindings, in: host) }
      #expect(sockets.count == 2)
      fastest = (min(fastest.tried, tried), min(fastest.held, held))
    }
    print("a port of both families: tried in \(fastest.tried), held in \(fastest.held)")
    #expect(fastest.held < fastest.tried * 2)
  }

  /// Simulated: a process without free descriptors gets the remedy, and nothing is left.
  @Test func withoutDescriptorsNothingIsPublished() async throws {
    let kernel = SimulatedKernel()
    let host = try NetworkNamespace.create(on: kernel)
    let controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    try await controller.attach("web")
    let before = kernel.snapshot()
    kernel.inject(.tooManyOpenFiles, onCall: "bind")
    let error = await refusal { try await controller.publish([PortMapping("8080:80")], of: "web") }
    #expect(error?.causes.first?.kernel?.errno == .tooManyOpenFiles)
    let after = kernel.snapshot()
    #expect(after == before)
    #expect(try await controller.publish([PortMapping("8080:80")], of: "web").count == 1)
    #expect(controller.reservedPortCount == 1)
  }
}
