import ContainerNetworking
import ContainerNetworkingForwarder
import Foundation
import Glibc
import Playground
import ServiceLifecycle
import ServiceLifecycleTestKit
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Published ports where the kernel does not translate, carried in process: from the host and from outside, to containers of
/// the other family.
@Suite(.timeLimit(.minutes(5))) struct ForwarderTests {
  let world: Playground
  let forwarder: PortForwarder
  let controller: NetworkController

  init() async throws {
    world = try Playground(isDualStack: true)
    forwarder = PortForwarder(
      limits: ForwarderLimits(connectionsPerPort: 8, clientsPerPort: 4, clientIdleTime: .seconds(1)))
    controller = try await NetworkController(host: world.host, settings: ControllerSettings(forwarder: forwarder))
    for (name, subnets) in [
      ("four", ["10.71.0.0/24"]), ("six", ["fd00:72::/64"]), ("dual", ["10.70.0.0/24", "fd00:70::/64"]),
    ] {
      var options = NetworkOptions()
      options.subnets = try subnets.map { try Subnet($0) }
      options.isIPv4Enabled = name != "six"
      try await controller.createNetwork(name, options: options)
    }
  }

  /// Fields that are set below what the initializer lets pass count as the least.
  @Test func limitsHaveALeast() async throws {
    var limits = ForwarderLimits()
    (limits.connectionsPerPort, limits.clientsPerPort, limits.bufferBytes) = (0, -1, 0)
    limits.clientIdleTime = .zero
    let least = PortForwarder(limits: limits)
    #expect(
      least.limits
        == ForwarderLimits(connectionsPerPort: 1, clientsPerPort: 1, clientIdleTime: .seconds(1), bufferBytes: 1_024))
    let narrow = try await NetworkController(
      host: world.host, store: MemoryStore(), settings: ControllerSettings(resolvers: [], forwarder: least))
    try await narrow.createNetwork("narrow", options: NetworkOptions(subnet: Subnet("10.73.0.0/24")))
    let sandbox = try await narrow.attach(
      "web", to: .network("narrow"), options: AttachOptions(ports: [PortMapping("8080:80")]))
    let text = String(repeating: "long ", count: 10_000)
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { file in _ = try file.writeAll(text.utf8) }
    defer { server.stop() }
    #expect(try fetch("::1", 8080, from: world.host) == text)
    try await narrow.removeAll()
  }

  private func attach(_ network: String, _ ports: String...) async throws -> Sandbox {
    try await controller.attach(
      network, to: .network(network), options: AttachOptions(ports: try ports.map { try PortMapping($0) }))
  }

  /// The greeting of a server at an address.
  private func fetch(_ address: String, _ port: UInt16, from namespace: NetworkNamespace) throws -> String {
    let file = try Sockets.connect(.tcp, address, port, from: namespace)
    defer { try? file.close() }
    return String(decoding: try file.takeAll(), as: UTF8.self)
  }

  private static func greet(_ name: String) -> @Sendable (FileDescriptor) throws -> Void {
    { file in _ = try file.writeAll(name.utf8) }
  }

  /// From the host by `::1` and by its addresses, and from outside by those; with any families of the container.
  @Test func everyAddressIsServed() async throws {
    for (network, port, family) in [
      ("four", "8004:80", AddressFamily.ipv4), ("six", "8006:80", .ipv6), ("dual", "8046:80", .ipv6),
    ] {
      let sandbox = try await attach(network, port)
      let four = try? Service(80, in: sandbox.namespace, family: .ipv4, Self.greet(network))
      let six = try Service(80, in: sandbox.namespace, family: .ipv6, Self.greet(network))
      defer {
        four?.stop()
        six.stop()
      }
      let number = try #require(sandbox.endpoints[0].ports.first?.hostPort)
      for (address, place) in [
        ("127.0.0.1", world.host), ("::1", world.host), (Playground.hostAddress, world.host),
        (Playground.hostIPv6Address, world.host), (Playground.hostAddress, world.outside),
        (Playground.hostIPv6Address, world.outside),
      ] {
        let answer = try await eventualValue { try? fetch(address, number, from: place) }
        #expect(answer == network, "\(network) at \(address), \(family)")
      }
    }
    // Of the IPv6 one it is IPv4, and ::1.
    #expect(forwarder.portCount == 4)
    // A published port lists its serving addresses.
    let ports = try await controller.sandboxes().map { $0.endpoints[0].ports[0] }
    let loopback = IPAddress.loopback(.ipv6)
    #expect(ports.map(\.forwarded) == [[loopback], [.any(.ipv6)], [.any(.ipv4), loopback]])
    #expect(ports.map(\.translated) == [[.any(.ipv4), .any(.ipv6)], [.any(.ipv4)], [.any(.ipv6)]])
    #expect(try await eventually { forwarder.connectionCount == 0 })
    try await controller.removeAll()
    #expect(forwarder.portCount == 0)
  }

  /// Ports at `::1` alone, or at an address of a family that the container lacks, can be requested explicitly.
  @Test func addressesAreServedByName() async throws {
    let sandbox = try await attach("four", "[::1]:8080:80", "[2001:db8::1]:8081:80")
    let server = try Service(80, in: sandbox.namespace, family: .ipv4, Self.greet("hello"))
    defer { server.stop() }
    #expect(try fetch("::1", 8080, from: world.host) == "hello")
    #expect(try fetch(Playground.hostIPv6Address, 8081, from: world.outside) == "hello")
    #expect(throws: (any Error).self) { try fetch(Playground.hostIPv6Address, 8080, from: world.outside) }
    #expect(throws: (any Error).self) { try fetch("::1", 8081, from: world.host) }
    try await controller.removeAll()
  }

  /// Each direction ends by itself, and nothing that was sent before is lost.
  @Test func directionsEndByThemselves() async throws {
    let sandbox = try await attach("four", "8080:80")
    let total = 8 << 20
    // After the end of its input it prints the received amount, sends as much back, and ends.
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { file in
      let got = try file.takeAll()
      _ = try file.writeAll([UInt8](got.reversed()))
    }
    defer { server.stop() }
    let file = try Sockets.connect(.tcp, "::1", 8080, from: world.host)
    defer { try? file.close() }
    let data = (0..<total).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    _ = try file.writeAll(data)
    file.endOutput()
    let back = try file.takeAll()
    #expect(back.count == total)
    #expect(back == data.reversed())
    #expect(try await eventually { forwarder.connectionCount == 0 })
    try await controller.removeAll()
  }

  /// A client that sends everything at once and ends is served: the container is not connected to yet by then.
  @Test func whoEndsAtOnceIsHeard() async throws {
    let sandbox = try await attach("four", "8080:80")
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { file in _ = try file.writeAll(file.takeAll()) }
    defer { server.stop() }
    for round in 0..<20 {
      let file = try Sockets.connect(.tcp, "::1", 8080, from: world.host)
      defer { try? file.close() }
      let request = [UInt8](repeating: UInt8(round), count: 1 + round * 5_000)
      _ = try file.writeAll(request)
      file.endOutput()
      #expect(try file.takeAll() == request)
    }
    #expect(try await eventually { forwarder.connectionCount == 0 })
    try await controller.removeAll()
  }

  /// A connection with data that the container does not read ends with the port.
  @Test func nothingOutlivesThePort() async throws {
    let sandbox = try await attach("four", "8080:80")
    let mayEnd = DispatchSemaphore(value: 0)
    let wasReset = Atomic(false)
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { file in
      mayEnd.wait()
      do { _ = try file.takeAll() } catch { wasReset.store(error as? Errno == .connectionReset, ordering: .releasing) }
    }
    defer { server.stop() }
    let file = try Sockets.connect(.tcp, "::1", 8080, from: world.host)
    defer { try? file.close() }
    #expect(try await eventually { server.count == 1 })
    _ = fcntl(file.rawValue, F_SETFL, O_NONBLOCK)
    let block = [UInt8](repeating: 7, count: 65_536)
    var refusals = 0
    while refusals < 10 {
      do {
        _ = try unsafe block.withUnsafeBytes { bytes in try unsafe file.write(bytes) }
        refusals = 0
      } catch {
        refusals += 1
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    let port = try PortMapping("8080:80")
    try await controller.unpublish([port], of: "four")
    #expect(forwarder.connectionCount == 0)
    mayEnd.signal()
    let isTold = try await eventually { wasReset.load(ordering: .acquiring) }
    #expect(isTold)
    try await controller.removeAll()
  }

  /// In the other direction: the server ends first, and continues to read.
  @Test func theServersEndMayComeFirst() async throws {
    let sandbox = try await attach("four", "8080:80")
    let got = Mutex<[UInt8]>([])
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { file in
      _ = try file.writeAll("bye".utf8)
      file.endOutput()
      let all = try file.takeAll()
      got.withLock { $0 = all }
    }
    defer { server.stop() }
    let file = try Sockets.connect(.tcp, "::1", 8080, from: world.host)
    #expect(String(decoding: try file.takeAll(), as: UTF8.self) == "bye")
    _ = try file.writeAll("late".utf8)
    try file.close()
    #expect(try await eventually { got.withLock { $0 } == Array("late".utf8) })
    #expect(try await eventually { forwarder.connectionCount == 0 })
    try await controller.removeAll()
  }

  /// A server that does not read has the client wait: no more is kept than the buffers hold.
  @Test func whoDoesNotReadIsWaitedFor() async throws {
    let sandbox = try await attach("four", "8080:80")
    let mayRead = DispatchSemaphore(value: 0)
    let received = Atomic(0)
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { file in
      mayRead.wait()
      while true {
        let bytes = try file.take()
        if bytes.isEmpty { return }
        received.add(bytes.count, ordering: .relaxed)
      }
    }
    defer { server.stop() }
    let file = try Sockets.connect(.tcp, "::1", 8080, from: world.host)
    defer { try? file.close() }
    _ = fcntl(file.rawValue, F_SETFL, O_NONBLOCK)
    let block = [UInt8](repeating: 7, count: 65_536)
    var sent = 0
    var isFull = 0
    // Until nothing has been accepted for a second.
    while isFull < 50 {
      do {
        sent += try unsafe block.withUnsafeBytes { bytes in try unsafe file.write(bytes) }
        isFull = 0
      } catch {
        isFull += 1
        try await Task.sleep(for: .milliseconds(20))
      }
      #expect(sent < 64 << 20)
      if sent >= 64 << 20 { break }
    }
    // The kernel's buffers of four sockets, and the forwarder's own.
    let resident = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    print("a client was stopped after \(sent) bytes; pages: \(resident)")
    #expect(received.load(ordering: .relaxed) == 0)
    mayRead.signal()
    file.endOutput()
    #expect(try await eventually { received.load(ordering: .relaxed) == sent })
    try await controller.removeAll()
  }

  /// If the container does not listen, the client gets a reset.
  @Test func whoIsNotThereIsARefusal() async throws {
    _ = try await attach("four", "8080:80")
    let file = try Sockets.connect(.tcp, "::1", 8080, from: world.host)
    defer { try? file.close() }
    let error = #expect(throws: Errno.self) { try file.takeAll() }
    #expect(error == .connectionReset)
    #expect(try await eventually { forwarder.connectionCount == 0 })
    try await controller.removeAll()
  }

  /// Concurrent connections stay within the limit; the others wait for their turn.
  @Test func moreThanTheLimitWait() async throws {
    let sandbox = try await attach("four", "8080:80")
    let most = Atomic(0)
    let server = try Service(80, in: sandbox.namespace, family: .ipv4) { [forwarder] file in
      let now = forwarder.connectionCount
      if now > most.load(ordering: .relaxed) { most.store(now, ordering: .relaxed) }
      _ = try file.writeAll(try file.take())
    }
    defer { server.stop() }
    let files = try (0..<24).map { _ in try Sockets.connect(.tcp, "::1", 8080, from: world.host) }
    #expect(try await eventually { server.count == 8 })
    #expect(forwarder.connectionCount == 8)
    for (index, file) in files.enumerated() { _ = try file.writeAll([UInt8(index)]) }
    for (index, file) in files.enumerated() {
      #expect(try file.take() == [UInt8(index)])
      try file.close()
    }
    #expect(server.count == 24)
    #expect(most.load(ordering: .relaxed) <= 8)
    #expect(try await eventually { forwarder.connectionCount == 0 })
    try await controller.removeAll()
  }

  /// Each client has its own answers, from the address that it called, and is forgotten when it is silent.
  @Test func datagramsAreAnsweredToWhoSentThem() async throws {
    let sandbox = try await attach("four", "5353:53/udp")
    let server = try Service(datagrams: 53, in: sandbox.namespace, family: .ipv4) { Array("re ".utf8) + $0 }
    defer { server.stop() }
    try world.host.addresses.add(InterfaceAddress("2001:db8::9/64"), to: world.host.links.get("eth0").index)
    // Connected: an answer from any other address is not heard.
    let clients = try [
      ("::1", world.host), (Playground.hostIPv6Address, world.outside), ("2001:db8::9", world.outside),
    ]
    .map { try Sockets.connect(.udp, $0.0, 5353, from: $0.1) }
    for round in 0..<3 {
      for (index, client) in clients.enumerated() {
        _ = try client.writeAll("\(round) of \(index)".utf8)
        #expect(String(decoding: try client.take(), as: UTF8.self) == "re \(round) of \(index)")
      }
    }
    #expect(server.count == 3)
    #expect(forwarder.connectionCount == 3)
    let large = [UInt8](repeating: 9, count: 8_000)
    _ = try clients[0].writeAll(large)
    #expect(try clients[0].take().count == 8_003)
    // Four at the most: for another the idlest is forgotten.
    let more = try (0..<3).map { _ in try Sockets.connect(.udp, "::1", 5353, from: world.host) }
    for client in more {
      _ = try client.writeAll("x".utf8)
      #expect(String(decoding: try client.take(), as: UTF8.self) == "re x")
    }
    #expect(forwarder.connectionCount <= 4)
    #expect(try await eventually { forwarder.connectionCount == 0 })
    // And is recognized again.
    _ = try clients[0].writeAll("again".utf8)
    #expect(String(decoding: try clients[0].take(), as: UTF8.self) == "re again")
    for client in clients + more { try client.close() }
    try await controller.removeAll()
  }

  /// A container that is unreachable for a while is reached again by the clients of that time.
  @Test func datagramsComeThroughAgain() async throws {
    let sandbox = try await attach("four", "5353:53/udp")
    let server = try Service(datagrams: 53, in: sandbox.namespace, family: .ipv4) { Array("re ".utf8) + $0 }
    defer { server.stop() }
    let client = try Sockets.connect(.udp, "::1", 5353, from: world.host)
    defer { try? client.close() }
    _ = try client.writeAll("a".utf8)
    #expect(String(decoding: try client.take(), as: UTF8.self) == "re a")
    // As when the bridge is recreated: for a moment there is no route, which the socket to the container reports.
    let bridge = try #require(try await controller.inspect("four").network.bridge)
    let link = try world.host.links.get("\(bridge)").index
    try world.host.links.change(link, LinkChange(isUp: false))
    for _ in 0..<3 {
      _ = try client.writeAll("lost".utf8)
      try await Task.sleep(for: .milliseconds(20))
    }
    try world.host.links.change(link, LinkChange(isUp: true))
    // So often that it is never forgotten as idle.
    _ = fcntl(client.rawValue, F_SETFL, O_NONBLOCK)
    #expect(
      try await eventually {
        _ = try? client.writeAll("b".utf8)
        return (try? client.take()).map { String(decoding: $0, as: UTF8.self) } == "re b"
      })
    try await controller.removeAll()
  }

  @Test func itFollowsWhatIsPublished() async throws {
    let sandbox = try await attach("four")
    let server = try Service(80, in: sandbox.namespace, family: .ipv4, Self.greet("hello"))
    defer { server.stop() }
    #expect(forwarder.portCount == 0)
    try await controller.publish([PortMapping("8080:80"), PortMapping("8081:80")], of: "four")
    #expect(forwarder.portCount == 2)
    #expect(try fetch("::1", 8080, from: world.host) == "hello")
    try await controller.unpublish([PortMapping("8080:80")], of: "four")
    #expect(forwarder.portCount == 1)
    #expect(throws: Errno.connectionRefused) { try fetch("::1", 8080, from: world.host) }
    #expect(try fetch("::1", 8081, from: world.host) == "hello")
    // A connection ends with its port.
    let open = try Service(81, in: sandbox.namespace, family: .ipv4) { _ = try $0.takeAll() }
    defer { open.stop() }
    try await controller.publish([PortMapping("8082:81")], of: "four")
    let file = try Sockets.connect(.tcp, "::1", 8082, from: world.host)
    defer { try? file.close() }
    #expect(try await eventually { open.count == 1 })
    try await controller.detach("four")
    #expect(forwarder.portCount == 0)
    #expect(forwarder.connectionCount == 0)
    #expect((try? file.takeAll()) ?? [] == [])
    #expect(throws: Errno.connectionRefused) { try fetch("::1", 8081, from: world.host) }
    try await controller.removeAll()
  }

  /// Ports published without a forwarder are served once one exists, unless another program holds the address.
  @Test func whatIsPublishedAlreadyIsTakenUp() async throws {
    let store = MemoryStore()
    let world = try Playground(isDualStack: true)
    let plain = try await NetworkController(
      host: world.host, store: store, settings: ControllerSettings(reservesPorts: false))
    var four = NetworkOptions(subnet: try Subnet("10.71.0.0/24"))
    four.isIPv6Enabled = false
    try await plain.createNetwork("four", options: four)
    try await plain.createNetwork("dual", options: NetworkOptions(subnet: Subnet("10.70.0.0/24"), isIPv6Enabled: true))
    let web = try await plain.attach(
      "web", to: .network("four"), options: AttachOptions(ports: [PortMapping("8080:80"), PortMapping("8081:80")]))
    try await plain.attach(
      "other", to: .network("dual"), options: AttachOptions(ports: [PortMapping("[::]:8081:80")]))
    #expect(web.endpoints[0].ports.map(\.forwarded) == [nil, nil])
    let server = try Service(80, in: web.namespace, family: .ipv4, Self.greet("web"))
    defer { server.stop() }
    #expect(throws: Errno.connectionRefused) { try fetch("::1", 8080, from: world.host) }
    let forwarder = PortForwarder()
    let wide = try await NetworkController(
      host: world.host, store: store, settings: ControllerSettings(forwarder: forwarder))
    #expect(try fetch("::1", 8080, from: world.host) == "web")
    let widened = try await wide.inspect("four").endpoints[0].ports.map(\.forwarded)
    #expect(widened == [[.any(.ipv6)], nil])
    #expect(try await wide.differences() == [])
    // And later publications of others.
    try await plain.publish([PortMapping("8082:80")], of: "web")
    #expect(try await eventually { (try? fetch("::1", 8082, from: world.host)) == "web" })
    try await plain.unpublish([PortMapping("8082:80")], of: "web")
    #expect(try await eventually { forwarder.portCount == 2 })
    try await plain.removeAll()
    #expect(try await eventually { forwarder.portCount == 0 })
  }

  /// In a service group it ends with the group, and closes its connections.
  @Test func itRunsInAServiceGroup() async throws {
    let sandbox = try await attach("four", "8080:80")
    let server = try Service(80, in: sandbox.namespace, family: .ipv4, Self.greet("hello"))
    defer { server.stop() }
    try await testGracefulShutdown { trigger in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { [forwarder] in try await forwarder.run() }
        #expect(try fetch("::1", 8080, from: world.host) == "hello")
        trigger.triggerGracefulShutdown()
        try await group.waitForAll()
      }
    }
    #expect(forwarder.portCount == 0)
    // The port is held still, and answers no more.
    #expect(throws: Errno.connectionRefused) { try fetch("::1", 8080, from: world.host) }
    #expect(controller.reservedPortCount == 2)
    try await controller.removeAll()
  }

  /// Ports are not processes; the cost of each is printed, whatever else this process does meanwhile.
  @Test func manyPortsAreForwarded() async throws {
    _ = try await attach("four")
    func resident() throws -> Int {
      let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
      return (Int(pages[1]) ?? 0) * 4_096
    }
    func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
    let count = 200
    try await controller.publish([PortMapping("7000:80")], of: "four")
    let before = (try resident(), try descriptors())
    try await controller.publish([PortMapping("8000-\(8000 + count - 1):1000-\(1000 + count - 1)")], of: "four")
    let after = (try resident(), try descriptors())
    #expect(forwarder.portCount == count + 1)
    print(
      "\(count) forwarded ports: \((after.0 - before.0) / count) bytes and "
        + "\(Double(after.1 - before.1) / Double(count)) descriptors each")
    try await controller.unpublish(of: "four")
    #expect(forwarder.portCount == 0)
    try await controller.removeAll()
  }
}
