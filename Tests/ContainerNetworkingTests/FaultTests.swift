import ContainerNetworking
import ContainerNetworkingTestKit
import Playground
import Synchronization
import SystemPackage
import Testing

/// The real kernel, but for one request that it is made to refuse, by a message type that it does not know.
final class FaultyKernel: ForwardingKernel {
  let base: any Kernel = LinuxKernel()
  private let countdown: Mutex<Int>

  /// Spoils the `request`-th netlink message from now.
  init(failing request: Int) { countdown = Mutex(request) }

  /// Whether the request has come and was spoilt.
  var hasFailed: Bool { countdown.withLock { $0 <= 0 } }

  /// Spoils the `request`-th netlink message from now instead.
  func arm(failing request: Int) { countdown.withLock { $0 = request } }

  func disarm() { countdown.withLock { $0 = .max } }

  func spoil(_ datagram: [UInt8], of family: NetlinkFamily) throws(NetworkError) -> [UInt8] {
    var result = PayloadWriter()
    for message in try NetlinkMessage.parse(datagram[...]) {
      var message = message
      // The end of a batch (NFNL_MSG_BATCH_END) is not a request: no kernel refuses it.
      if family == .netfilter, message.type == 17 {
        message.encode(into: &result)
        continue
      }
      let isTurn = countdown.withLock { count in
        count -= 1
        return count == 0
      }
      if isTurn { message.type = 0xfff0 }
      message.encode(into: &result)
    }
    return result.bytes
  }

  func openSocket(
    _ family: NetlinkFamily, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any NetlinkSocket {
    InterceptingSocket(try base.openSocket(family, in: namespace)) { (datagram) throws(NetworkError) in
      try self.spoil(datagram, of: family)
    }
  }
}

@Suite struct FaultTests {
  /// Fails each request of an attach in turn, the default network's creation included.
  @Test func attachThatFailsHalfwayLeavesNothing() async throws {
    let options = AttachOptions(ports: [try PortMapping("8080:80"), try PortMapping("127.0.0.1:53:53/udp")])
    var points = 0
    while true {
      let world = try Playground()
      let kernel = FaultyKernel(failing: points + 1)
      let told = Mutex(0)
      let controller = try await NetworkController(
        host: NetworkNamespace(world.host.handle, of: kernel),
        settings: ControllerSettings(onHeal: { _ in told.withLock { $0 += 1 } }))
      do {
        _ = try await controller.attach("web", options: options)
        // Success means that the fault lies behind the last request, or in the look for links that came to the host later:
        // the container is there then, and the controller tells of it.
        let hasFailed = kernel.hasFailed
        #expect(!hasFailed || told.withLock { $0 } > 0, "request \(points + 1) failed, and the attach did not")
        kernel.disarm()
        try await controller.removeAll()
        guard hasFailed else { break }
        points += 1
        continue
      } catch {
        #expect(kernel.hasFailed)
        #expect(error.reason == "nothing was changed", "request \(points + 1): \(error)")
      }
      #expect(try world.host.links.list().map(\.name) == ["lo", "eth0"], "after request \(points + 1)")
      #expect(try world.host.sysctl("net/ipv4/conf/eth0/forwarding") == "0")
      #expect(try await controller.sandboxes().isEmpty)
      #expect(try await controller.networks().isEmpty)

      // Any remainder, of a table, an element, an address or a port, would conflict with the second attempt.
      let second = try await controller.attach("web", options: options)
      #expect(second.endpoints.first?.address.description == "172.17.0.2/16")
      #expect(second.endpoints.first?.ports.count == 2)
      try await controller.removeAll()
      points += 1
    }
    #expect(points >= 40)
    print("attach was failed at each of its \(points) requests")
  }
}

@Suite struct RefusalTests {
  let world: Playground
  let controller: NetworkController

  init() async throws {
    world = try Playground()
    controller = try await NetworkController(host: world.host)
  }

  private func refusal<Value: Sendable>(
    _ body: () async throws -> Value
  ) async -> NetworkError? {
    await #expect(throws: NetworkError.self) { _ = try await body() }
  }

  @Test func illegalCombinationsSayBothHalves() async throws {
    let address = AttachOptions(address: try IPAddress("10.0.0.2"))
    let ports = AttachOptions(ports: [try PortMapping("80")])
    try await controller.attach("donor", to: .none)
    let cases: [(NetworkMode, AttachOptions, String)] = [
      (.bridge, address, "static address 10.0.0.2"), (.host, address, "static address"),
      (.none, address, "static address"), (.container("donor"), address, "static address"),
      (.container("donor"), ports, "publishing ports"), (.container("web"), AttachOptions(), "itself"),
    ]
    for (mode, options, text) in cases {
      let error = await refusal { try await controller.attach("web", to: mode, options: options) }
      #expect(error?.code == .conflictingOptions)
      #expect(error?.reason.contains(text) == true)
      #expect(error?.reason.contains("mode \"\(mode)\"") == true)
    }
    let stopped = await refusal { try await controller.attach("web", to: .container("gone")) }
    #expect(stopped?.code == .notFound)
    #expect(stopped?.reason.contains("\"gone\" is not running") == true)
  }

  @Test func networksAreRefusedWithReasons() async throws {
    for name in ["bridge", "host", "none"] {
      #expect(await refusal { try await controller.createNetwork(name) }?.code == .refused)
    }
    #expect(await refusal { try await controller.createNetwork("a b") }?.code == .invalidValue)
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.1.0.0/24")))
    #expect(await refusal { try await controller.createNetwork("blue") }?.code == .alreadyExists)
    let overlap = await refusal {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("10.1.0.128/25")))
    }
    #expect(overlap?.description.contains("blue") == true)
    let route = await refusal {
      try await controller.createNetwork("red", options: NetworkOptions(subnet: try Subnet("203.0.113.0/24")))
    }
    #expect(route?.description.contains("203.0.113.1/24 of eth0 of the host") == true)
    #expect(await refusal { try await controller.attach("web", to: .network("green")) }?.code == .notFound)
    #expect(await refusal { try await controller.removeNetwork("green") }?.code == .notFound)
    #expect(await refusal { try await controller.detach("web") }?.code == .notFound)
    try await controller.removeAll()
  }

  @Test func addressesAndPortsHaveOneOwner() async throws {
    try await controller.createNetwork("blue", options: NetworkOptions(subnet: try Subnet("10.1.0.0/30")))
    try await controller.attach(
      "one", to: .network("blue"),
      options: AttachOptions(ports: [try PortMapping("8080:80")], address: try IPAddress("10.1.0.2")))
    let taken = await refusal {
      try await controller.attach(
        "two", to: .network("blue"), options: AttachOptions(address: try IPAddress("10.1.0.2")))
    }
    #expect(taken?.code == .inUse)
    #expect(taken?.description.contains("one") == true)
    #expect(await refusal { try await controller.attach("two", to: .network("blue")) }?.code == .exhausted)
    let port = await refusal {
      try await controller.attach("two", options: AttachOptions(ports: [try PortMapping("8080:8080")]))
    }
    #expect(port?.code == .inUse)
    #expect(port?.description.contains("\"one\"") == true)
    #expect(await refusal { try await controller.attach("one") }?.code == .alreadyExists)
    try await controller.removeAll()
  }
}
