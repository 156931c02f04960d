import ContainerNetworking
import ContainerNetworkingForwarder
import Playground
import SystemPackage
import TestSupport
import Testing

/// A controller with default settings that reserves its ports, and another of the same record that forwards. The second
/// forwards what the first publishes, whichever began earlier; the first reserves the ports again when the second ends.
@Suite(.timeLimit(.minutes(5))) struct HandOverTests {
  private let world: Playground
  private let store = MemoryStore()

  init() throws { world = try Playground(isDualStack: true) }

  /// A controller that does not forward, with a network of IPv4 alone and one of both families.
  private func plain(reserves: Bool = true) async throws -> NetworkController {
    let plain = try await NetworkController(
      host: world.host, store: store, settings: ControllerSettings(resolvers: [], reservesPorts: reserves))
    for (name, subnets) in [("four", ["10.71.0.0/24"]), ("dual", ["10.70.0.0/24", "fd00:70::/64"])] {
      var options = NetworkOptions()
      options.subnets = try subnets.map { try Subnet($0) }
      try await plain.createNetwork(name, options: options)
    }
    return plain
  }

  private func fetch(_ port: UInt16) throws -> String {
    let file = try Sockets.connect(.tcp, "::1", port, from: world.host)
    defer { try? file.close() }
    return String(decoding: try file.takeAll(), as: UTF8.self)
  }

  private func makeWide(_ forwarder: PortForwarder) async throws -> NetworkController {
    try await NetworkController(
      host: world.host, store: store, settings: ControllerSettings(resolvers: [], forwarder: forwarder))
  }

  /// By the family that it is forwarded to: IPv6 where the container has it.
  private func serve(_ name: String, in sandbox: Sandbox) throws -> Service {
    let family: AddressFamily = sandbox.endpoints[0].address(.ipv6) == nil ? .ipv4 : .ipv6
    return try Service(80, in: sandbox.namespace, family: family) { file in _ = try file.writeAll(name.utf8) }
  }

  /// The addresses that serve a container's ports, as the publishing controller reports them.
  private func places(_ container: String, _ controller: NetworkController) async throws -> [[String]] {
    try await controller.sandbox(container).endpoints[0].ports.map { port in port.bindings(in: .tcp).map(\.description)
    }
  }

  private func isHeld(_ port: UInt16) throws -> Bool {
    let binding = PortBinding(.any(.ipv6), port, .tcp)
    return try world.host.kernel.heldPorts(among: [binding], in: world.host.handle) == [binding]
  }

  @Test(arguments: [false, true]) func whoForwardsGetsThePorts(isForwarderFirst: Bool) async throws {
    let plain = try await plain()
    let forwarder = PortForwarder()
    var wide = isForwarderFirst ? try await makeWide(forwarder) : nil
    let four = try await plain.attach(
      "four", to: .network("four"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let dual = try await plain.attach(
      "dual", to: .network("dual"), options: AttachOptions(ports: [PortMapping("8081:80")]))
    try await plain.publish([PortMapping("8082:80")], of: "four")
    let servers = [try serve("four", in: four), try serve("dual", in: dual)]
    defer { for server in servers { server.stop() } }
    if !isForwarderFirst {
      #expect(throws: Errno.connectionRefused) { try fetch(8080) }
      #expect(try await places("four", plain) == [["0.0.0.0:8080/tcp"], ["0.0.0.0:8082/tcp"]])
      wide = try await makeWide(forwarder)
    }
    // At once, and not only after a while.
    #expect(try [8080, 8081, 8082].map { try fetch($0) } == ["four", "dual", "four"])
    #expect(
      try await places("four", plain) == [
        ["0.0.0.0:8080/tcp", "[::]:8080/tcp"], ["0.0.0.0:8082/tcp", "[::]:8082/tcp"],
      ])
    #expect(try await plain.differences() == [])
    #expect(wide != nil && forwarder.portCount == 3)

    // It ends: the ports are held again, and answer where nothing is needed for them.
    wide = nil
    #expect(try await eventually { plain.reservedPortCount == 6 })
    #expect(throws: Errno.connectionRefused) { try fetch(8080) }
    #expect(throws: Errno.connectionRefused) { try fetch(8081) }
    #expect(try isHeld(8080) && isHeld(8081) && isHeld(8082))
    #expect(try await places("four", plain) == [["0.0.0.0:8080/tcp"], ["0.0.0.0:8082/tcp"]])
    let found = try await plain.differences()
    #expect(
      found.map(\.kind) == [.portUnserved, .portUnserved, .portUnserved]
        && found.allSatisfy { $0.detail.hasSuffix("no forwarder runs") }, "\(found)")

    // Another one takes them over; a released port is free.
    let second = try await makeWide(forwarder)
    #expect(try [8080, 8081, 8082].map { try fetch($0) } == ["four", "dual", "four"])
    #expect(try await second.differences() == [])
    try await plain.unpublish([PortMapping("8080:80")], of: "four")
    #expect(try await eventually { try forwarder.portCount == 2 && !isHeld(8080) })
    try await plain.publish([PortMapping("8080:80")], of: "four")
    #expect(try fetch(8080) == "four")
    try await plain.removeAll()
    #expect(try await eventually { try forwarder.portCount == 0 && !isHeld(8081) })
    withExtendedLifetime(second) {}
  }

  /// A forwarding address held by a foreign program is reported, and taken over once it is free. A second forwarder
  /// leaves the first one's ports, and continues with them when that ends.
  @Test func whoCannotHaveItSaysSo() async throws {
    let short = try await plain(reserves: false)
    let sandbox = try await short.attach(
      "dual", to: .network("dual"), options: AttachOptions(ports: [PortMapping("[::]:8080:80")]))
    let server = try serve("dual", in: sandbox)
    defer { server.stop() }
    let foreign = try world.host.bindSocket(to: TransportAddress(.any(.ipv6), 8_080, .tcp))
    var first: NetworkController? = try await makeWide(PortForwarder())
    let told = try await short.differences()
    #expect(
      told.map(\.kind) == [.portUnserved] && told[0].detail.hasSuffix("the running forwarder could not bind it"),
      "\(told)")
    #expect(try await short.sandbox("dual").endpoints[0].ports[0].forwarded == nil)
    try foreign.close()
    #expect(try await eventually { (try? fetch(8080)) == "dual" })
    #expect(try await eventually { try await short.differences() == [] })
    let other = PortForwarder()
    let second = try await makeWide(other)
    #expect(other.portCount == 0)
    first = nil
    #expect(try await eventually { other.portCount == 1 && (try? fetch(8080)) == "dual" })
    #expect(try await eventually { try await second.differences() == [] })
    #expect(first == nil)
    try await short.removeAll()
  }
}

extension PublishedPort {
  /// The addresses at which it is taken.
  fileprivate func bindings(in transport: TransportProtocol) -> [PortBinding] {
    addresses.map { PortBinding($0, hostPort, transport) }
  }
}
