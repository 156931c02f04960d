import ContainerNetworking
import ContainerNetworkingForwarder
import NIOCore
import NIOPosix
import Playground
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Event loops are the user's own: they may be where a controller is let go of, and end when they like.
@Suite(.timeLimit(.minutes(5))) struct EventLoopTests {
  let world: Playground
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
  let forwarder: PortForwarder

  init() throws {
    world = try Playground(isDualStack: true)
    forwarder = PortForwarder(on: group)
  }

  /// A controller of a container with a port of TCP and one of UDP, both forwarded.
  private func publish() async throws -> NetworkController {
    let controller = try await NetworkController(
      host: world.host, settings: ControllerSettings(forwarder: forwarder))
    var options = NetworkOptions(subnet: try Subnet("10.71.0.0/24"))
    options.isIPv6Enabled = false
    try await controller.createNetwork("four", options: options)
    try await controller.attach(
      "web", to: .network("four"), options: AttachOptions(ports: [PortMapping("8080:80"), PortMapping("53:53/udp")]))
    #expect(forwarder.portCount == 2)
    return controller
  }

  private func isHeld() throws -> Bool {
    let port = PortBinding(.loopback(.ipv6), 8080, .tcp)
    return try !world.host.kernel.heldPorts(among: [port], in: world.host.handle).isEmpty
  }

  @Test func aControllerIsLetGoOfOnOne() async throws {
    let last = Mutex<NetworkController?>(try await publish())
    #expect(try isHeld())
    try await group.next().submit { last.withLock { $0 = nil } }.get()
    // A loop cannot wait for itself: it is done a moment later.
    #expect(try await eventually { try forwarder.portCount == 0 && !isHeld() })
    try await group.shutdownGracefully()
  }

  @Test func theyEndFirst() async throws {
    let controller = try await publish()
    try await group.shutdownGracefully()
    try await controller.detach("web")
    #expect(forwarder.portCount == 0)
    #expect(try !isHeld())
    try await controller.removeAll()
  }
}
