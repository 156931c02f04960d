import ContainerNetworking
import ContainerNetworkingDNS
import Foundation
import Playground
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// One container's possible harm to the server that another needs.
@Suite(.timeLimit(.minutes(5))) struct MisuseTests {
  private func query(_ name: String, id: UInt16 = 1) throws -> [UInt8] {
    Message(id: id, asking: Question(try DomainName(parsing: name), .a)).encoded()
  }

  @Test func queriesOfOneConnectionAreAnsweredTogether() async throws {
    let it = try await NameWorld { $0.queriesPerConnection = 4 }
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let link = try Wire(asker.namespace, asker.server, .tcp)
    var bytes: [UInt8] = []
    for number in 0..<500 {
      let message = try query(number % 2 == 0 ? "web" : "n\(number).example", id: UInt16(number))
      bytes += [UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message
    }
    // In pieces that are not messages.
    for start in stride(from: 0, to: bytes.count, by: 7_001) {
      try link.sendRaw(Array(bytes[start..<min(bytes.count, start + 7_001)]))
    }
    var answers: [UInt16: [String]] = [:]
    while answers.count < 500, let bytes = try link.receive(within: 20_000) {
      let answer = try Message(parsing: bytes)
      answers[answer.id] = answer.addresses
    }
    #expect(answers.count == 500)
    #expect(answers.allSatisfy { $0.value == [$0.key % 2 == 0 ? "10.81.0.2" : "192.0.2.1"] })
    link.close()
    outside.stop()
    try await it.end()
  }

  @Test func aClientThatSaysNoMoreGetsAllAnswers() async throws {
    let it = try await NameWorld { $0.queriesPerConnection = 4 }
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    for number in 1...30 { try await it.attach("db\(number)", to: "blue", aliases: ["db"]) }
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let link = try Wire(asker.namespace, asker.server, .tcp)
    // More than the path holds, with other clients' names among them.
    for number in 0..<1_000 {
      try link.send(try query(number % 9 == 0 ? "n\(number).example" : "db", id: UInt16(number)))
    }
    link.endSending()
    var answers: Set<UInt16> = []
    while let bytes = try link.receive(within: 20_000) { answers.insert(try Message(parsing: bytes).id) }
    #expect(answers.count == 1_000)
    link.close()
    outside.stop()
    try await it.end()
  }

  @Test func whatIsNoMessageEndsAConnection() async throws {
    let it = try await NameWorld { $0.idleTimeout = .seconds(1) }
    try await it.create("blue", "10.81.0.0/24")
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let good = try query("web")
    let header = [UInt8(0), UInt8(good.count)]
    // No length; one too small; one too large; then a response, which answers no question.
    var response = good
    response[2] |= 0x80
    for bad in [[0, 0], [0, 11] + Array(good[..<11]), [0xff, 0xff] + good, header + response] {
      let link = try Wire(asker.namespace, asker.server, .tcp)
      try link.sendRaw(bad)
      #expect(link.isClosed(within: 20_000), "\(bad.prefix(4))")
      link.close()
    }
    // Half a message, and then nothing; or an octet now and then.
    let half = try Wire(asker.namespace, asker.server, .tcp)
    try half.sendRaw(header + good[..<9])
    let slow = try Wire(asker.namespace, asker.server, .tcp)
    let start = ContinuousClock.now
    var isClosed = false
    while !isClosed, ContinuousClock.now - start < .seconds(60) {
      do { try slow.sendRaw([0]) } catch { isClosed = true }
      if !isClosed { isClosed = slow.isClosed(within: 300) }
    }
    #expect(isClosed)
    #expect(half.isClosed(within: 20_000))
    for link in [half, slow] { link.close() }
    // A malformed question in a complete message is answered, and the connection stays.
    let link = try Wire(asker.namespace, asker.server, .tcp)
    try link.send([0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff])
    let answer = try Message(parsing: try #require(try link.receive(within: 20_000)))
    #expect(answer.responseCode == .formatError && answer.id == 9)
    try link.send(good)
    #expect(try Message(parsing: try #require(try link.receive(within: 20_000))).addresses == ["10.81.0.2"])
    link.close()
    #expect(try asker.addresses("web") == ["10.81.0.2"])
    try await it.end()
  }

  @Test func oneContainerDoesNotTakeAllConnections() async throws {
    let it = try await NameWorld {
      $0.connectionsPerClient = 5
      $0.threadCount = 1
    }
    try await it.create("blue", "10.81.0.0/24")
    let greedy = try await it.resolver(it.attach("greedy", to: "blue"))
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let links = try (0..<20).map { _ in try Wire(greedy.namespace, greedy.server, .tcp) }
    var answered = 0
    for link in links {
      do {
        try link.send(try query("web"))
        if try link.receive(within: 20_000) != nil { answered += 1 }
      } catch { continue }
    }
    #expect(answered == 5)
    #expect(try asker.ask("web", over: .tcp)?.addresses == ["10.81.0.3"])
    for link in links { link.close() }
    // A closed connection makes room.
    #expect(waitUntil { (try? greedy.ask("web", over: .tcp)) != nil })
    try await it.end()
  }

  @Test func aClientThatDoesNotReadIsNotReadFrom() async throws {
    let it = try await NameWorld { $0.idleTimeout = .seconds(2) }
    try await it.create("blue", "10.81.0.0/24")
    for number in 1...30 { try await it.attach("db\(number)", to: "blue", aliases: ["db"]) }
    let greedy = try await it.resolver(it.attach("greedy", to: "blue"))
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let link = try Wire(greedy.namespace, greedy.server, .tcp)
    let message = try query("db")
    let chunk = (0..<500).flatMap { _ in [UInt8(0), UInt8(message.count)] + message }
    // Up to the server's limit: then the path is full, or it has closed the connection.
    var sent = 0
    let start = ContinuousClock.now
    sending: while ContinuousClock.now - start < .seconds(60) {
      do {
        let count = try unsafe chunk[(sent % chunk.count)...].withUnsafeBytes { try unsafe link.socket.write($0) }
        sent += count
      } catch Errno.resourceTemporarilyUnavailable {
        if link.isFull(for: 500) { break sending }
      } catch { break sending }
    }
    #expect(sent < 64 << 20, "it was read for ever")
    #expect(try asker.addresses("web") == ["10.81.0.33"])
    link.close()
    try await it.end()
  }

  @Test func slowServersHoldUpNobody() async throws {
    let it = try await NameWorld {
      $0.upstreamTimeout = .seconds(2)
      $0.upstreamQueriesPerClient = 10
      $0.threadCount = 1
    }
    let silent = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      query.questions[0].name.description.hasPrefix("slow")
        ? [] : [query.answer([.a(IPv4Address(192, 0, 2, 1))]).encoded()]
    }
    try await it.create("blue", "10.81.0.0/24")
    let greedy = try await it.resolver(it.attach("greedy", to: "blue"))
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let link = try Wire(greedy.namespace, greedy.server, .udp)
    for number in 0..<60 { try link.send(try query("slow\(number).example", id: UInt16(number))) }
    // Those past the bound fail at once.
    var failed = 0
    while failed < 50, let bytes = try link.receive(within: 1_500) {
      if try Message(parsing: bytes).responseCode == .serverFailure { failed += 1 }
    }
    #expect(failed == 50)
    #expect(try greedy.addresses("web") == ["10.81.0.3"])
    #expect(try asker.addresses("quick.example") == ["192.0.2.1"])
    link.close()
    silent.stop()
    try await it.end()
  }

  @Test func aFloodDoesNotDrownOthers() async throws {
    let it = try await NameWorld {
      $0.receiveBuffer = 256 << 10
      $0.threadCount = 1
    }
    try await it.create("blue", "10.81.0.0/24")
    let flooder = try await it.attach("flooder", to: "blue")
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let isOver = Flag()
    let sent = Flag()
    let server = asker.server
    let message = try query("web")
    let namespace = flooder.namespace
    let flood = Thread {
      // In any case, no wait remains.
      defer { sent.set() }
      guard let link = try? Wire(namespace, server, .udp) else { return }
      for number in 0..<3_000_000 where !isOver.isSet {
        try? link.send(message)
        if number == 20_000 { sent.set() }
      }
      link.close()
    }
    flood.start()
    #expect(waitUntil { sent.isSet })
    // Each of them is asked as resolvers do: once more where nothing came.
    var answered = 0
    for _ in 0..<100 where try asker.ask("web", within: 2_000) != nil || asker.ask("web", within: 2_000) != nil {
      answered += 1
    }
    isOver.set()
    #expect(answered >= 95)
    #expect(waitUntil { flood.isFinished })
    // It is let in again when it is over.
    let former = Resolver(namespace: namespace, server: server)
    #expect(try waitUntil { try former.ask("web", within: 1_000) != nil })
    try await it.end()
  }
}

/// Set once, seen by other threads.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}

extension Wire {
  /// Announces the end of sending.
  func endSending() { shutdown(socket.rawValue, Int32(SHUT_WR)) }

  /// Whether nothing can be sent in that time.
  func isFull(for milliseconds: Int) -> Bool {
    var descriptor = pollfd(fd: socket.rawValue, events: Int16(POLLOUT), revents: 0)
    return unsafe poll(&descriptor, 1, Int32(milliseconds)) == 0
  }
}
