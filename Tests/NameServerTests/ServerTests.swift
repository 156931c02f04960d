import ContainerNetworking
import ContainerNetworkingDNS
import ContainerNetworkingStore
import Foundation
import MetricsTestKit
import Netlink
import Playground
import ServiceLifecycleTestKit
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// The server's start, its end, and its tolerance of misuse.
@Suite(.timeLimit(.minutes(5))) struct ServerTests {
  @Test func portsThatAreAllTakenAreSaidAndNothingIsLeft() async throws {
    let it = try await NameWorld()
    let gateway = try IPAddress("10.81.0.1")
    for transport in [TransportProtocol.udp, .tcp] {
      let ports = try #require(it.server.gatewayPorts)
      let holders = try ports.map { try it.world.host.bindSocket(to: TransportAddress(.any(.ipv4), $0, transport)) }
      try await it.create("blue", "10.81.0.0/24")
      let error = await #expect(throws: NetworkError.self) { try await it.attach("web", to: "blue") }
      #expect(error?.code == .inUse)
      let text = error?.description ?? ""
      for part in ["\(ports.upperBound)/\(transport)", "10.81.0.1", "(process \(getpid()))"] {
        #expect(text.contains(part), "\(text)")
      }
      #expect(try await it.controller.sandboxes().isEmpty)
      for holder in holders { try holder.close() }
      let web = try await it.attach("web", to: "blue")
      let asker = try it.resolver(web)
      #expect(asker.server == gateway)
      #expect(try asker.addresses("web") == web.shownAddresses)
      try await it.controller.detach("web")
      try await it.controller.removeNetwork("blue")
    }
    try await it.end()
  }

  /// The directory for other processes is created with its parents, for its owner alone.
  @Test func itsDirectoryIsMade() async throws {
    let world = try Playground()
    let root = FilePath(NSTemporaryDirectory()).appending("names-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(atPath: root.string) }
    var settings = NameServerSettings()
    settings.directory = root.appending("a").appending("names")
    let server = NameServer(host: world.host, store: MemoryStore(), settings: settings)
    try await server.start()
    for directory in [root.appending("a"), root.appending("a").appending("names")] {
      let attributes = try FileManager.default.attributesOfItem(atPath: directory.string)
      #expect(attributes[.posixPermissions] as? Int == 0o700)
    }
    await server.stop()
  }

  /// Each query is counted once, by what became of it.
  @Test func queriesAreCounted() async throws {
    let metrics = TestMetrics()
    let it = try await NameWorld(resolvers: []) { $0.metrics = metrics }
    try await it.create("blue", "10.81.0.0/24")
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    for _ in 0..<3 { #expect(try asker.addresses("web") == ["10.81.0.2"]) }
    func count(_ outcome: String) throws -> Int64 {
      try metrics.expectCounter("containernetworking_dns_queries_total", [("outcome", outcome)]).totalValue
    }
    let (answered, forwarded) = (try count("answered"), try count("forwarded"))
    #expect(answered >= 3 && forwarded == 0)
    _ = try? asker.addresses("example.org")
    #expect(try count("forwarded") + count("answered") > answered + forwarded)
    #expect(try count("ignored") == 0)
    try await it.end()
  }

  @Test func aNetworkThatGoesLetsGoOfItsPort() async throws {
    let it = try await NameWorld()
    for round in 0..<3 {
      try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
      let asker = try await it.resolver(it.attach("web", to: "blue"))
      #expect(try asker.addresses("web") == ["10.81.0.2"], "\(round)")
      let open = try Wire(asker.namespace, asker.server, .tcp)
      try await it.controller.detach("web")
      try await it.controller.removeNetwork("blue")
      open.close()
      for address in ["10.81.0.1", "fd00:81::1"] {
        for transport in [TransportProtocol.udp, .tcp] {
          try it.world.host.bindSocket(to: TransportAddress(try IPAddress(address), 61_053, transport)).close()
        }
      }
    }
    try await it.end()
  }

  @Test func aRestartFindsEveryNetworkAgain() async throws {
    let it = try await NameWorld(pins: true)
    let outside = try PlayedServer.answering(.nameError, in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    try await it.create("inner", "10.82.0.0/24") { $0.nameServing = .container }
    let web = try await it.attach("web", to: "blue", aliases: ["www"])
    let db = try await it.attach("db", to: "inner")
    let blue = try it.resolver(web)
    let inner = Resolver(namespace: db.namespace, server: try IPAddress("127.0.0.11"))
    await it.server.stop()
    #expect(throws: (any Error).self) { try blue.ask("web") }
    // No other container can be attached meanwhile; existing ones stay.
    let error = await #expect(throws: NetworkError.self) { try await it.attach("late", to: "blue") }
    #expect(error?.code == .closed)
    try await it.server.start()
    #expect(try blue.addresses("www") == ["10.81.0.2"])
    #expect(try inner.addresses("db") == ["10.82.0.2"])
    #expect(try await it.resolver(it.attach("late", to: "blue")).addresses("web") == ["10.81.0.2"])
    #expect(it.failures.all.isEmpty)
    outside.stop()
    try await it.end()
  }

  @Test func aNetworkThatCannotBeServedIsNoReasonNotToServeOthers() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    try await it.create("red", "10.82.0.0/24")
    let web = try it.resolver(try await it.attach("web", to: "blue"))
    let db = try it.resolver(try await it.attach("db", to: "red"))
    await it.server.stop()
    let holder = try it.world.host.bindSocket(to: TransportAddress(web.server, 61_053, .udp))
    try await it.server.start()
    #expect(try db.addresses("db") == ["10.82.0.2"])
    #expect(it.failures.all.map(\.code) == [.inUse])
    try holder.close()
    // The next that is put on it has it served.
    try await it.attach("other", to: "blue")
    #expect(try web.addresses("other") == ["10.81.0.3"])
    try await it.end()
  }

  @Test func oneServerServesADirectory() async throws {
    let it = try await NameWorld()
    let state = it.directory.appending("state")
    var settings = NameServerSettings()
    settings.directory = state
    let second = NameServer(host: it.world.host, store: try SQLiteStore(at: state), settings: settings)
    let error = await #expect(throws: NetworkError.self) { try await second.start() }
    #expect(error?.code == .inUse)
    let again = await #expect(throws: NetworkError.self) { try await it.server.start() }
    #expect(again?.code == .refused)
    // A process that is being started has all that is open, until it executes its program.
    let inherited = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap(Int32.init).filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))
        == state.appending("dns.lock").string
    }.map { try FileDescriptor(rawValue: $0).duplicate() }
    #expect(!inherited.isEmpty)
    await it.server.stop()
    try await second.start()
    await second.stop()
    for descriptor in inherited { try descriptor.close() }
    try await it.end()
  }

  @Test func otherProcessesReachItByItsDirectory() async throws {
    let it = try await NameWorld(pins: true)
    let state = it.directory.appending("state")
    let remote = RemoteNameService(directory: state)
    try remote.check()
    var settings = ControllerSettings()
    settings.names = remote
    settings.namespaceDirectory = it.directory.appending("pins")
    let other = try await NetworkController(
      host: it.world.host, store: try SQLiteStore(at: state), settings: settings)
    var options = NetworkOptions(subnet: try Subnet("10.81.0.0/24"))
    try await other.createNetwork("blue", options: options)
    let holders = try #require(remote.gatewayPorts).map { port in
      try it.world.host.bindSocket(to: TransportAddress(try IPAddress("10.81.0.1"), port, .tcp))
    }
    let taken = await #expect(throws: NetworkError.self) { try await other.attach("web", to: .network("blue")) }
    #expect(taken?.code == .inUse)
    #expect(taken?.description.contains("(process \(getpid()))") == true)
    for holder in holders { try holder.close() }
    let web = try await other.attach("web", to: .network("blue"))
    #expect(try it.resolver(web).addresses("web") == web.shownAddresses)
    // However many containers are given to it at once: more than a message has room for.
    let record = try #require(
      try SQLiteStore(at: state).read(since: 0).changes.lazy.compactMap { change in
        if case .save(.sandbox(let record)) = change { record } else { nil }
      }.first)
    try remote.serve(try await other.network("blue"), in: Array(repeating: record, count: 20_000))
    options.subnets = [try Subnet("10.82.0.0/24")]
    options.nameServing = .container
    try await other.createNetwork("inner", options: options)
    let db = try await other.attach("db", to: .network("inner"))
    let inside = Resolver(namespace: db.namespace, server: try IPAddress("127.0.0.11"))
    #expect(try inside.addresses("db") == ["10.82.0.2"])
    try await other.detach("web")
    try await other.detach("db")
    try await other.removeNetwork("blue")
    try await other.removeNetwork("inner")
    try it.world.host.bindSocket(to: TransportAddress(try IPAddress("10.81.0.1"), 61_053, .udp)).close()

    await it.server.stop()
    let gone = #expect(throws: NetworkError.self) { try remote.check() }
    #expect(gone?.code == .closed)
    try await it.end()
  }

  @Test func aServerThatDoesNotAnswerIsNotWaitedForLong() async throws {
    let directory = FilePath(NSTemporaryDirectory()).appending("silent-\(UUID().uuidString)")
    try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
    let socket = try UnixSocket.listen(in: directory, "dns.sock")
    let error = #expect(throws: NetworkError.self) {
      try RemoteNameService(directory: directory, timeout: .milliseconds(100)).check()
    }
    #expect(error?.code == .replyLost)
    try socket.close()
    let gone = #expect(throws: NetworkError.self) { try RemoteNameService(directory: directory).check() }
    #expect(gone?.code == .closed)
    try FileManager.default.removeItem(atPath: directory.string)
  }

  @Test func itRunsAsAServiceUntilItIsShutDown() async throws {
    let it = try await NameWorld()
    await it.server.stop()
    try await it.create("blue", "10.81.0.0/24")
    let server = it.server
    let asker = try await testGracefulShutdown { trigger in
      async let running: Void = server.run()
      // Ready when it accepts a verb's request.
      let web = try await eventualValue { try? await it.attach("web", to: "blue") }
      let asker = try it.resolver(#require(web))
      #expect(try asker.addresses("web") == web?.shownAddresses)
      trigger.triggerGracefulShutdown()
      try await running
      return asker
    }
    #expect(throws: (any Error).self) { try asker.ask("web") }
    try await it.server.start()
    try await it.end()
  }

  @Test func oneThatIsStartedIsJoinedByItsService() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    let web = try await it.attach("web", to: "blue")
    let asker = try it.resolver(web)
    let server = it.server
    try await testGracefulShutdown { trigger in
      async let running: Void = server.run()
      try await server.ready()
      #expect(try asker.addresses("web") == web.shownAddresses)
      trigger.triggerGracefulShutdown()
      try await running
    }
    #expect(throws: (any Error).self) { try asker.ask("web") }
    // Only within the group can a task simply wait for readiness.
    try await testGracefulShutdown { trigger in
      async let ready: Void = server.ready()
      async let running: Void = server.run()
      try await ready
      try await it.attach("next", to: "blue")
      #expect(try asker.addresses("next") == ["10.81.0.3"])
      trigger.triggerGracefulShutdown()
      try await running
    }
    let waiting = Task { try await server.ready() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    try await server.start()
    try await it.end()
  }

  @Test func whoWaitsForOneThatCannotBeStartedIsToldWhy() async throws {
    let it = try await NameWorld()
    let second = NameServer(host: it.world.host, store: try SQLiteStore(at: it.directory.appending("state")))
    async let ready: Void = second.ready()
    // Its directory is that of the store, where the first one serves.
    for _ in 0..<3 {
      let error = await #expect(throws: NetworkError.self) { try await second.start() }
      #expect(error?.code == .inUse)
      try await Task.sleep(for: .milliseconds(20))
    }
    await it.server.stop()
    do {
      // Whether it was heard before the last start is the scheduler's.
      try await second.start()
      try await ready
    } catch let error as NetworkError { #expect(error.code == .inUse) }
    await second.stop()
    try await it.server.start()
    try await it.end()
  }

  @Test func aSharedServerJoinsAndTakesOver() async throws {
    let it = try await NameWorld()
    let state = it.directory.appending("state")
    await it.server.stop()
    var settings = NameServerSettings()
    settings.resolverFile = it.resolverFile
    let shared = try (0..<2).map { _ in
      try SharedNameServer(host: it.world.host, store: try SQLiteStore(at: state), settings: settings)
    }
    for server in shared { try await server.start() }
    #expect(shared.map(\.isServing) == [true, false])
    try await it.create("blue", "10.81.0.0/24")
    var made: [NetworkController] = []
    for (index, server) in shared.enumerated() {
      var own = ControllerSettings()
      own.names = server
      let controller = try await NetworkController(
        host: it.world.host, store: try SQLiteStore(at: state), settings: own)
      try await controller.attach("web\(index)", to: .network("blue"))
      made.append(controller)
    }
    let controllers = made
    let web = try await controllers[0].sandbox("web0")
    let asker = try it.resolver(web)
    #expect(try asker.addresses("web1") == ["10.81.0.3"])
    #expect(try await controllers[1].differences() == [])
    // Without a verb, and with its former ports.
    await shared[0].stop()
    for _ in 0..<600 where !shared[1].isServing { try await Task.sleep(for: .milliseconds(100)) }
    #expect(shared[1].isServing)
    #expect(try asker.addresses("web1") == ["10.81.0.3"])
    let closed = await #expect(throws: NetworkError.self) {
      try await controllers[0].attach("late", to: .network("blue"))
    }
    #expect(closed?.code == .closed)
    let late = try await controllers[1].attach("late", to: .network("blue"))
    #expect(try asker.addresses("late") == late.shownAddresses)
    try await controllers[1].removeAll()
    await shared[1].stop()
    let alone = #expect(throws: NetworkError.self) {
      try SharedNameServer(host: it.world.host, store: MemoryStore())
    }
    #expect(alone?.code == .invalidValue)
    try await it.server.start()
    try await it.end()
  }
}
