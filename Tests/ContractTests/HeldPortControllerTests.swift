import ContainerNetworking
import ContainerNetworkingTestKit
import SystemPackage
import Testing

/// A controller whose host has programs that hold ports; simulated, so that there can be many, and requests be counted.
@Suite struct HeldPortControllerTests {
  let kernel: SimulatedKernel
  let host: NetworkNamespace
  let controller: NetworkController

  init() async throws {
    kernel = SimulatedKernel()
    host = try NetworkNamespace.create(on: kernel)
    controller = try await NetworkController(host: host, settings: ControllerSettings(resolvers: []))
    try await controller.attach("first")
  }

  private func attach(_ ports: String...) async throws -> [String] {
    let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
    return try await controller.attach("web", options: options).endpoints[0].ports.map(\.description)
  }

  private func refusal(_ ports: String...) async -> NetworkError? {
    await #expect(throws: NetworkError.self) {
      let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
      try await controller.attach("web", options: options)
    }
  }

  @Test func byNameItIsRefusedAndNothingIsLeft() async throws {
    kernel.holdPort(8080, .tcp, at: try IPAddress("127.0.0.1"), in: host.handle)
    let before = kernel.snapshot()
    let error = await refusal("8081:81", "8080:80")
    #expect(error?.code == .inUse)
    #expect(error?.description.contains("port 8080/tcp of the host is held by another process of the host") == true)
    let after = kernel.snapshot()
    #expect(after == before)
    // The port picked beside it is free again.
    #expect(try await attach("8081:80", "8080:80/udp") == ["0.0.0.0:8080->80/udp", "0.0.0.0:8081->80/tcp"].reversed())
    kernel.releasePort(8080, .tcp, at: try IPAddress("127.0.0.1"), in: host.handle)
    try await controller.detach("web")
    #expect(try await attach("8080:80") == ["0.0.0.0:8080->80/tcp"])
  }

  /// podman's conmon has the ports of its containers while they are published.
  @Test func engineMayHoldWhatIsAskedForByName() async throws {
    let settings = ControllerSettings(resolvers: [], reservesPorts: false, engineHoldsPorts: true)
    let other = try await NetworkController(host: NetworkNamespace.create(on: kernel), settings: settings)
    for port in [UInt16(8080), 32768] { kernel.holdPort(port, in: other.host.handle) }
    let options = AttachOptions(ports: [try PortMapping("8080:80")])
    let ports = try await other.attach("web", options: options).endpoints[0].ports
    #expect(ports.map(\.description) == ["0.0.0.0:8080->80/tcp"])
    // Not of two containers, and not where one of the host's choice is wanted.
    await #expect(throws: NetworkError.self) { try await other.attach("second", options: options) }
    let picked = try await other.attach("picked", options: AttachOptions(ports: [PortMapping("80")]))
    #expect(picked.endpoints[0].ports.map(\.hostPort) == [32769])
    // An address that the host has not is nobody's.
    let nowhere = AttachOptions(ports: [try PortMapping("198.51.100.9:8081:80")])
    let refusal = await #expect(throws: NetworkError.self) { try await other.attach("nowhere", options: nowhere) }
    #expect(refusal?.description.contains("198.51.100.9") == true)
    try await other.removeAll()
  }

  /// However many in a row are held, the next free one is given; what was picked and free stays.
  @Test func picksGoOnUntilOneIsFree() async throws {
    for port in UInt16(32768)..<33000 where port != 32769 { kernel.holdPort(port, in: host.handle) }
    #expect(
      try await attach("80", "81", "82") == ["0.0.0.0:33001->80/tcp", "0.0.0.0:32769->81/tcp", "0.0.0.0:33000->82/tcp"])
    try await controller.detach("web")
    for port in UInt16(9000)..<9100 { kernel.holdPort(port, .udp, in: host.handle) }
    #expect(try await attach("9000-9100:53/udp", "9000-9100:53") == ["0.0.0.0:9100->53/tcp", "0.0.0.0:9100->53/udp"])
    // The search continues after the last pick.
    try await controller.detach("web")
    #expect(try await attach("80") == ["0.0.0.0:33002->80/tcp"])
    try await controller.detach("web")
    #expect(await refusal("9000-9099:53/udp")?.code == .inUse)
  }

  /// Both protocols and both families of a container's port have one number, where one is free for all of them.
  @Test func theSameNumberForAllOfAPort() async throws {
    func numbers(_ ports: String...) async throws -> [String] {
      let options = AttachOptions(ports: try ports.map { try PortMapping($0) })
      let published = try await controller.attach("web", options: options).endpoints[0].ports
      try await controller.detach("web")
      return published.map { "\($0.containerPort)/\($0.transport) \($0.hostPort)" }
    }
    kernel.holdPort(8082, .tcp, in: host.handle)
    let range = ["8080-8083:80", "8080-8083:81", "8080-8083:82"]
    let options = AttachOptions(ports: try (range + range.map { $0 + "/udp" }).map { try PortMapping($0) })
    let published = try await controller.attach("all", options: options).endpoints[0].ports
    #expect(published.map(\.hostPort) == [8080, 8080, 8081, 8081, 8083, 8083])
    try await controller.detach("all")
    kernel.holdPort(32768, .udp, in: host.handle)
    #expect(try await numbers("53", "53/udp") == ["53/tcp 32769", "53/udp 32769"])
    // Different ranges have some ports in common.
    #expect(try await numbers("8081-8082:53", "8080-8082:53/udp") == ["53/tcp 8081", "53/udp 8081"])
    // Where none is free for all, each has its own.
    kernel.holdPort(8081, .udp, in: host.handle)
    #expect(try await numbers("8081-8082:53", "8081-8082:53/udp") == ["53/tcp 8081", "53/udp 8082"])
  }

  /// The families too, where each is asked for by itself.
  @Test func theSameNumberForBothFamilies() async throws {
    var network = NetworkOptions()
    network.subnets = try ["10.70.0.0/24", "fd00:70::/64"].map { try Subnet($0) }
    try await controller.createNetwork("dual", options: network)
    kernel.holdPort(8080, .tcp, at: .any(.ipv6), in: host.handle)
    let texts = ["0.0.0.0:8080-8089:80", "[::]:8080-8089:80", "8080-8089:80/udp", "0.0.0.0::81", "[::]::81"]
    let options = AttachOptions(ports: try texts.map { try PortMapping($0) })
    let ports = try await controller.attach("web", to: .network("dual"), options: options).endpoints[0].ports
    #expect(ports.map(\.hostPort) == [8081, 8081, 8081, 32768, 32768])
    #expect(ports.map(\.hostAddress) == [.any(.ipv4), .any(.ipv6), nil, .any(.ipv4), .any(.ipv6)])
  }

  /// Ports that are released at once are asked for together, by as many messages as their elements need.
  @Test func toReleaseManyIsToAskTogether() async throws {
    func requests(_ count: Int) async throws -> Int {
      try await controller.attach("web")
      try await controller.publish([PortMapping("2000-\(1_999 + count):2000-\(1_999 + count)/udp")], of: "web")
      let start = kernel.requestCount
      #expect(try await controller.unpublish(of: "web").count == count)
      let needed = kernel.requestCount - start
      try await controller.detach("web")
      return needed
    }
    let counts = [try await requests(2), try await requests(500), try await requests(1_000)]
    #expect(counts[2] - counts[1] <= counts[1] - counts[0] + 1 && counts[2] < counts[0] + 40, "\(counts)")
  }

  @Test func anAddressThatTheHostLacksIsRefused() async throws {
    let before = kernel.snapshot()
    let error = await refusal("203.0.113.9:8080:80")
    #expect(error?.code == .notFound)
    let after = kernel.snapshot()
    #expect(after == before)
    #expect(try await controller.sandboxes().map(\.container) == ["first"])
  }

  /// A test of TCP ports is one call, however many there are; UDP ports add a listing of each family's flows.
  @Test func whatIsAskedOfTheKernel() async throws {
    func requests(_ ports: String...) async throws -> Int {
      let start = kernel.requestCount
      try await controller.attach("web", options: AttachOptions(ports: try ports.map { try PortMapping($0) }))
      try await controller.detach("web")
      return kernel.requestCount - start
    }
    let bare = try await requests("80")
    #expect(try await requests("80", "8000-8099:81-180") == bare)
    #expect(try await requests("80", "53:53/udp", "54:54/udp") == bare + 2)
  }

  /// The listing of flows fails like any other step: the attach is undone, the detach can be repeated.
  @Test func flowsThatCannotBeLookedAt() async throws {
    let before = kernel.snapshot()
    kernel.inject(.ioError, on: RequestType.getConnections)
    #expect(await refusal("53:53/udp")?.causes.first?.kernel?.request == "IPCTNL_MSG_CT_GET")
    let after = kernel.snapshot()
    #expect(after == before)
    #expect(try await attach("53:53/udp") == ["0.0.0.0:53->53/udp"])
    kernel.inject(.ioError, on: RequestType.getConnections)
    await #expect(throws: NetworkError.self) { try await controller.detach("web") }
    try await controller.detach("web")
    let last = kernel.snapshot()
    #expect(last == before)
  }
}
