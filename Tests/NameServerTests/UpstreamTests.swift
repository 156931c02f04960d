import ContainerNetworking
import ContainerNetworkingDNS
import Foundation
import Playground
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Queries to upstream servers, which the tests play in the outside.
@Suite(.timeLimit(.minutes(5))) struct UpstreamTests {
  private func world(
    resolvers: [String] = [NameWorld.outside], change: (inout NameServerSettings) -> Void = { _ in }
  ) async throws -> (NameWorld, Resolver) {
    let it = try await NameWorld(resolvers: resolvers, change: change)
    try await it.create("blue", "10.81.0.0/24")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    return (it, asker)
  }

  /// Gives the outside more addresses, for more servers.
  private func addServers(_ it: NameWorld, _ addresses: String...) throws {
    let link = try it.world.outside.links.get("eth0")
    for address in addresses {
      try it.world.outside.addresses.add(try InterfaceAddress("\(address)/24"), to: link.index)
    }
  }

  @Test func unknownNamesAreAskedForByUDPAndTCP() async throws {
    let (it, asker) = try await world()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    #expect(try asker.ask("Www.Example.ORG")?.addresses == ["192.0.2.1"])
    #expect(try asker.ask("example.org", over: .tcp)?.addresses == ["192.0.2.1"])
    #expect(try asker.ask("nobody")?.addresses == ["192.0.2.1"], "one label is as good")
    let query = try #require(outside.queries.first)
    #expect(query.questions[0].name.description == "Www.Example.ORG")
    #expect(query.edns != nil && query.flags.contains(.recursionDesired))
    let answer = try #require(try asker.ask("www.example.org"))
    #expect(!answer.flags.contains(.authoritativeAnswer) && answer.edns == nil)
    outside.stop()
    try await it.end()
  }

  @Test func numbersAndPortsAreRandom() async throws {
    let (it, asker) = try await world()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    for number in 0..<50 { #expect(try asker.addresses("n\(number).example") == ["192.0.2.1"]) }
    #expect(Set(outside.queries.map(\.id)).count > 45)
    outside.stop()
    try await it.end()
  }

  @Test func nameErrorsPassAndFailuresGoToTheNextServer() async throws {
    let (it, asker) = try await world(resolvers: ["203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"])
    try addServers(it, "203.0.113.3", "203.0.113.4", "203.0.113.5")
    let first = try PlayedServer.answering(.serverFailure, at: "203.0.113.2", in: it.world.outside)
    let second = try PlayedServer.answering(.refused, at: "203.0.113.3", in: it.world.outside)
    let third = try PlayedServer("203.0.113.4", in: it.world.outside) { query, _ in
      [query.without(.nameError, for: 60).encoded()]
    }
    let fourth = try PlayedServer.answering("192.0.2.1", at: "203.0.113.5", in: it.world.outside)
    let answer = try #require(try asker.ask("nobody.example"))
    #expect(answer.responseCode == .nameError && answer.authorities.count == 1)
    #expect([first, second, third, fourth].map(\.queries.count) == [1, 1, 1, 0])
    third.stop()
    // The kernel reports a closed port, and the next server is asked at once.
    #expect(try asker.addresses("other.example") == ["192.0.2.1"])
    fourth.stop()
    #expect(try asker.ask("third.example")?.responseCode == .serverFailure)
    for server in [first, second] { server.stop() }
    try await it.end()
  }

  @Test func aServerThatIsSilentIsNotAskedFirstAgain() async throws {
    let (it, asker) = try await world(resolvers: ["203.0.113.2", "203.0.113.3"]) {
      $0.upstreamTimeout = .milliseconds(400)
    }
    try addServers(it, "203.0.113.3")
    let silent = try PlayedServer("203.0.113.2", in: it.world.outside) { _, _ in [] }
    let other = try PlayedServer.answering("192.0.2.1", at: "203.0.113.3", in: it.world.outside)
    #expect(try asker.addresses("one.example") == ["192.0.2.1"])
    #expect(silent.queries.count == 1)
    #expect(try asker.addresses("two.example") == ["192.0.2.1"])
    #expect(silent.queries.count == 1)
    other.stop()
    // Without an alternative it is asked again, and once more for a lost datagram.
    #expect(try asker.ask("three.example")?.responseCode == .serverFailure)
    #expect(silent.queries.count == 3)
    silent.stop()
    try await it.end()
  }

  @Test func theResolverFileIsFollowed() async throws {
    let (it, asker) = try await world(resolvers: [])
    try addServers(it, "203.0.113.3")
    let first = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    let second = try PlayedServer.answering("192.0.2.2", at: "203.0.113.3", in: it.world.outside)
    #expect(try asker.ask("a.example")?.responseCode == .serverFailure, "there is nobody to ask")
    try it.setResolvers("203.0.113.2")
    #expect(try asker.addresses("b.example") == ["192.0.2.1"])
    try it.setResolvers("203.0.113.3")
    #expect(try asker.addresses("c.example") == ["192.0.2.2"])
    try FileManager.default.removeItem(atPath: it.resolverFile.string)
    #expect(try asker.ask("d.example")?.responseCode == .serverFailure)
    first.stop()
    second.stop()
    try await it.end()
  }

  @Test func aResolverOnTheHostsLoopbackIsAskedThere() async throws {
    let (it, asker) = try await world(resolvers: ["127.0.0.53"])
    let local = try PlayedServer.answering("192.0.2.1", at: "127.0.0.53", in: it.world.host)
    #expect(try asker.addresses("www.example") == ["192.0.2.1"])
    local.stop()
    try await it.end()
  }

  @Test func containersAndNetworksHaveServersOfTheirOwn() async throws {
    let it = try await NameWorld()
    try addServers(it, "203.0.113.3", "203.0.113.4")
    let servers = try ["203.0.113.2", "203.0.113.3", "203.0.113.4"].enumerated().map { number, address in
      try PlayedServer.answering("192.0.2.\(number)", at: address, in: it.world.outside)
    }
    try await it.create("blue", "10.81.0.0/24")
    try await it.create("red", "10.82.0.0/24") { $0.dnsServers = [.v4(IPv4Address(203, 0, 113, 3))] }
    let own = NameOptions(dns: [try IPAddress("203.0.113.4")])
    let host = try await it.resolver(it.attach("one", to: "blue"))
    let network = try await it.resolver(it.attach("two", to: "red"))
    let container = try await it.resolver(it.attach("three", to: "red", names: own))
    // One client's answer is not given to another with other upstream servers.
    for _ in 0..<2 {
      #expect(try host.addresses("www.example") == ["192.0.2.0"])
      #expect(try network.addresses("www.example") == ["192.0.2.1"])
      #expect(try container.addresses("www.example") == ["192.0.2.2"])
    }
    #expect(servers.map(\.queries.count) == [1, 1, 1])
    for server in servers { server.stop() }
    try await it.end()
  }

  @Test func theServerDoesNotAskItself() async throws {
    let (it, asker) = try await world(resolvers: ["10.81.0.1"])
    #expect(try asker.ask("www.example")?.responseCode == .serverFailure)
    try it.setResolvers("10.81.0.1", "203.0.113.2")
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    #expect(try asker.addresses("other.example") == ["192.0.2.1"])
    outside.stop()
    try await it.end()
  }

  @Test func whatDoesNotFitIsAskedForByTCP() async throws {
    let (it, asker) = try await world()
    let many = (1...200).map { RecordData.a(IPv4Address(198, 18, 0, UInt8($0))) }
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, isDatagram in
      [query.answer(many).encoded(limit: isDatagram ? 512 : 65_535)]
    }
    let cut = try #require(try asker.ask("many.example"))
    #expect(cut.flags.contains(.truncated) && cut.encoded().count <= 512 && cut.answers.count > 20)
    let whole = try #require(try asker.ask("many.example", over: .tcp))
    #expect(whole.answers.count == 200 && !whole.flags.contains(.truncated))
    #expect(outside.queries.count == 2, "once by each way; the rest came from the cache")
    outside.stop()
    try await it.end()
  }

  @Test func onlyTheAnswerToTheQuestionCounts() async throws {
    let (it, asker) = try await world()
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      let wrong = RecordData.a(IPv4Address(6, 6, 6, 6))
      var otherID = query.answer([wrong])
      otherID.id &+= 1
      var otherName = query.answer([wrong])
      otherName.questions[0].name = DomainName("www.exampla")!
      var otherCase = query.answer([wrong])
      otherCase.questions[0].name = DomainName("wWw.example")!
      var otherType = query.answer([wrong])
      otherType.questions[0].type = .aaaa
      var noResponse = query.answer([wrong])
      noResponse.flags.remove(.response)
      let right = query.answer([.a(IPv4Address(192, 0, 2, 1))])
      return [otherID, otherName, otherCase, otherType, noResponse, right].map { $0.encoded() } + [[1, 2, 3]]
    }
    #expect(try asker.addresses("www.example") == ["192.0.2.1"])
    outside.stop()
    try await it.end()
  }

  @Test func answersFromElsewhereDoNotCount() async throws {
    // Another address of the same machine answers, correct except for its source; the server itself never does.
    let (it, asker) = try await world { $0.upstreamTimeout = .seconds(1) }
    try addServers(it, "203.0.113.66")
    let forger = try AddressForger("203.0.113.66", asks: NameWorld.outside, in: it.world.outside)
    #expect(try asker.ask("www.example")?.responseCode == .serverFailure)
    #expect(forger.count > 0)
    forger.stop()
    try await it.end()
  }

  @Test func theSameQuestionIsAskedOnce() async throws {
    let (it, asker) = try await world { $0.upstreamTimeout = .seconds(5) }
    let isOpen = Mutex(false)
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      guard waitUntil({ isOpen.withLock { $0 } }) else { return [] }
      return [query.answer([.a(IPv4Address(192, 0, 2, 1))]).encoded()]
    }
    let links = try (0..<20).map { _ in try Wire(asker.namespace, asker.server, .udp) }
    for (number, link) in links.enumerated() {
      let name = number % 2 == 0 ? "www.example" : "WWW.example"
      try link.send(Message(id: UInt16(number), asking: Question(try DomainName(parsing: name), .a)).encoded())
    }
    #expect(waitUntil { !outside.queries.isEmpty })
    // The last of them has arrived when a later one is answered.
    #expect(try asker.addresses("asker") == ["10.81.0.2"])
    isOpen.withLock { $0 = true }
    for (number, link) in links.enumerated() {
      let answer = try Message(parsing: try #require(try link.receive(within: 20_000)))
      #expect(answer.id == UInt16(number) && answer.addresses == ["192.0.2.1"])
      let name = number % 2 == 0 ? "www.example" : "WWW.example"
      #expect(answer.questions[0].name.description == name, "each gets its own letters back")
      link.close()
    }
    #expect(outside.queries.count == 1)
    outside.stop()
    try await it.end()
  }

  @Test func whoDoesNotWantRecursionGetsWhatIsKnown() async throws {
    let (it, asker) = try await world()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    #expect(try asker.ask("www.example", flags: [])?.responseCode == .refused)
    #expect(try asker.ask("asker", flags: [])?.addresses == ["10.81.0.2"])
    #expect(try asker.addresses("www.example") == ["192.0.2.1"])
    #expect(try asker.ask("www.example", flags: [])?.addresses == ["192.0.2.1"])
    outside.stop()
    try await it.end()
  }

  @Test func ancientServersAreAskedWithoutEDNS() async throws {
    let (it, asker) = try await world()
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      guard query.edns == nil else {
        return [Message(id: query.id, flags: .response, responseCode: .formatError).encoded()]
      }
      return [query.answer([.a(IPv4Address(192, 0, 2, 1))]).encoded()]
    }
    #expect(try asker.addresses("www.example") == ["192.0.2.1"])
    #expect(outside.queries.count == 2)
    outside.stop()
    try await it.end()
  }

  @Test func aServerOfALinkIsAskedByThatLink() async throws {
    let (it, asker) = try await world()
    let link = try it.world.outside.links.get("eth0")
    let address = try #require(
      try it.world.outside.addresses.list(link: link.index).map(\.address.address).first { address in
        address.family == .ipv6 && address.isLinkLocal
      })
    let outside = try PlayedServer.answering("192.0.2.1", at: "::", in: it.world.outside)
    let own = try it.world.host.links.get("eth0")
    // Until the link may use its own address (RFC 4862, 5.4).
    try it.setResolvers("\(address)%eth0")
    for number in 0..<600 {
      if try asker.addresses("up\(number).example") != nil { break }
      try await Task.sleep(for: .milliseconds(100))
    }
    let before = it.failures.all
    // By its name, by its number, and by TCP.
    for (number, zone) in ["eth0", "\(own.index)"].enumerated() {
      try it.setResolvers("\(address)%\(zone)")
      #expect(try asker.addresses("n\(number).example") == ["192.0.2.1"], "\(zone)")
    }
    outside.stop()
    let large = try PlayedServer("::", in: it.world.outside) { query, isDatagram in
      var answer = query.answer([.address(.v4(IPv4Address(192, 0, 2, 2)))])
      if isDatagram { answer.flags.insert(.truncated) }
      return [answer.encoded()]
    }
    #expect(try asker.addresses("large.example") == ["192.0.2.2"])
    #expect(it.failures.all == before)
    large.stop()
    try await it.end()
  }

  @Test func whatIsAmissWithAServerIsToldOnce() async throws {
    let (it, asker) = try await world(resolvers: ["fe80::1%none"]) { $0.upstreamTimeout = .milliseconds(200) }
    let cases = [
      ("fe80::1%none", "none"), ("fe80::1", " "), ("203.0.113.2", "refused"), ("203.0.113.77", " "),
    ]
    for (number, (server, reason)) in cases.enumerated() {
      try it.setResolvers(server)
      for part in ["a", "b"] {
        #expect(try asker.ask("\(part)\(number).example")?.responseCode == .serverFailure, "\(server)")
      }
      #expect(it.failures.all.count == number + 1, "\(server): \(it.failures.all)")
      let text = (it.failures.all.last?.description ?? "").lowercased()
      #expect(text.contains("name server \(server)") && text.contains(reason), "\(text)")
    }
    // A server that answers and then fails again is reported again.
    try it.setResolvers("203.0.113.2")
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    #expect(try asker.addresses("up.example") == ["192.0.2.1"])
    outside.stop()
    #expect(try asker.ask("down.example")?.responseCode == .serverFailure)
    #expect(it.failures.all.count == cases.count + 1)
    try await it.end()
  }

  @Test func withoutAResolverFileContainersNamesAreAllThatResolves() async throws {
    let (it, asker) = try await world()
    try FileManager.default.removeItem(atPath: it.resolverFile.string)
    for _ in 0..<2 { #expect(try asker.ask("www.example")?.responseCode == .serverFailure) }
    #expect(try asker.addresses("asker") == ["10.81.0.2"])
    #expect(it.failures.all.map(\.code) == [.notFound])
    #expect(it.failures.all.first?.reason.contains("only containers' names resolve") == true)
    try await it.end()
  }
}
