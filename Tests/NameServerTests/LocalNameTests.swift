import ContainerNetworking
import ContainerNetworkingDNS
import Playground
import Testing

/// Containers' names for each other, asked from inside them.
@Suite(.timeLimit(.minutes(5))) struct LocalNameTests {
  @Test func everyNameOfAContainerIsKnown() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    let web = try await it.attach("Web", to: "blue", aliases: ["www"], names: NameOptions(hostname: "host-of-web"))
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    let id = String(web.endpoints[0].sandboxID.prefix(12))
    for name in ["Web", "web", "WEB.", "www", "host-of-web", id, "web.blue", "WWW.Blue", "\(id).blue"] {
      #expect(try asker.addresses(name) == ["10.81.0.2"], "\(name)")
      #expect(try asker.addresses(name, .aaaa) == ["fd00:81::2"], "\(name)")
    }
    // By IPv6, and by TCP, it is the same server.
    let six = Resolver(namespace: asker.namespace, server: try IPAddress("fd00:81::1"))
    #expect(try six.addresses("web") == ["10.81.0.2"])
    #expect(try six.ask("web", over: .tcp)?.addresses == ["10.81.0.2"])
    // A name of its own it knows too.
    #expect(try asker.addresses("asker") == ["10.81.0.3"])
    try await it.end()
  }

  @Test func theCaseOfTheQuestionIsReturned() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    let answer = try #require(try asker.ask("wEb.BLue"))
    #expect(answer.questions[0].name.description == "wEb.BLue")
    #expect(answer.answers[0].name.description == "wEb.BLue")
    #expect(answer.flags.isSuperset(of: [.response, .authoritativeAnswer, .recursionAvailable, .recursionDesired]))
    try await it.end()
  }

  @Test func aKnownNameWithoutSuchRecordsIsThereButEmpty() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    try await it.attach("web", to: "blue", aliases: ["*.apps"])
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    for type: RecordType in [.aaaa, .mx, .txt, .srv, .https, .ns, .cname, .soa, .ptr] {
      for name in ["web", "a.apps"] {
        let answer = try #require(try asker.ask(name, type))
        #expect(answer.responseCode == .noError && answer.answers.isEmpty, "\(name) \(type)")
        guard case .soa(let soa)? = answer.authorities.first?.data else {
          Issue.record("\(name) \(type): no SOA")
          continue
        }
        #expect(soa.minimum == 5 && answer.authorities[0].name == answer.questions[0].name)
      }
    }
    #expect(outside.queries.isEmpty)
    let all = try #require(try asker.ask("web", .any))
    #expect(all.addresses == ["10.81.0.2"])
    outside.stop()
    try await it.end()
  }

  @Test func anAddressHasItsContainersName() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering(.nameError, in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    try await it.attach("Web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    for address in ["10.81.0.2", "fd00:81::2"] {
      let name = DomainName(reverse: try IPAddress(address)).description
      let answer = try #require(try asker.ask(name, .ptr))
      #expect(answer.answers.map(\.data) == [.ptr(try DomainName(parsing: "Web.blue"))])
      let other = try #require(try asker.ask(name, .a))
      #expect(other.responseCode == .noError && other.answers.isEmpty)
    }
    // Addresses that no container has are others' business.
    let foreign = DomainName(reverse: try IPAddress("192.0.2.7")).description
    #expect(try asker.ask(foreign, .ptr)?.responseCode == .nameError)
    outside.stop()
    try await it.end()
  }

  @Test func allOwnersOfANameAreAnswered() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    for number in 2...5 { try await it.attach("db\(number)", to: "blue", aliases: ["db"]) }
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    var firsts: Set<String> = []
    for _ in 0..<200 where firsts.count < 4 {
      let answer = try #require(try asker.ask("db"))
      #expect(answer.addresses == (2...5).map { "10.81.0.\($0)" })
      if case .a(let first)? = answer.answers.first?.data { firsts.insert(first.description) }
    }
    #expect(firsts.count == 4, "each comes first sometimes")
    try await it.end()
  }

  @Test func aStarStandsForEveryNameBelow() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    try await it.attach("proxy", to: "blue", aliases: ["*.apps", "*.Test.apps"])
    try await it.attach("own", to: "blue", aliases: ["one.apps", "*.test.apps"])
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    #expect(try asker.addresses("two.apps") == ["10.81.0.2"])
    #expect(try asker.addresses("a.b.APPS") == ["10.81.0.2"])
    #expect(try asker.addresses("two.apps.blue") == ["10.81.0.2"])
    #expect(try asker.addresses("one.apps") == ["10.81.0.3"], "a name of its own comes first")
    #expect(try asker.addresses("x.test.apps") == ["10.81.0.2", "10.81.0.3"], "the closest, with all owners")
    #expect(try asker.addresses("apps") == ["192.0.2.1"], "not the name itself")
    outside.stop()
    try await it.end()
  }

  @Test func onlyThoseWhoShareANetworkSeeEachOther() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering(.nameError, in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    try await it.create("red", "10.82.0.0/24")
    let web = try await it.attach("web", to: "blue")
    let db = try await it.attach("db", to: "red")
    let fromWeb = try it.resolver(web)
    let fromDB = try it.resolver(db)
    #expect(try fromWeb.ask("db")?.responseCode == .nameError)
    #expect(try fromWeb.ask("db.red")?.responseCode == .nameError)
    #expect(
      try fromWeb.ask(DomainName(reverse: try IPAddress("10.82.0.2")).description, .ptr)?.responseCode == .nameError)

    // On both networks it sees and is seen by both, at either gateway.
    let both = try await it.attach("both", to: "blue")
    try await it.controller.connect("both", to: "red")
    let fromBoth = try it.resolver(both)
    #expect(try fromBoth.addresses("web") == ["10.81.0.2"])
    #expect(try fromBoth.addresses("db") == ["10.82.0.2"])
    #expect(try fromBoth.addresses("db.red") == ["10.82.0.2"])
    let atRed = Resolver(namespace: both.namespace, server: try IPAddress("10.82.0.1"))
    #expect(try atRed.addresses("web") == ["10.81.0.2"])
    #expect(try fromWeb.addresses("both") == ["10.81.0.3"])
    #expect(try fromDB.addresses("both") == ["10.82.0.3"])
    outside.stop()
    try await it.end()
  }

  @Test func strangersAreNotAnswered() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    try await it.create("red", "10.82.0.0/24")
    try await it.attach("web", to: "blue")
    let db = try await it.attach("db", to: "red")
    // The host accepts packets for its own addresses from any side; the server checks the side.
    let askers = [db.namespace, it.world.outside]
    try it.world.outside.routes.add(Route(to: try Subnet("10.81.0.0/24"), via: try IPAddress("203.0.113.1")))
    for namespace in askers {
      let stranger = Resolver(namespace: namespace, server: try IPAddress("10.81.0.1"))
      #expect(try stranger.ask("web", within: 500) == nil)
      let broken = try Wire(namespace, try IPAddress("10.81.0.1"), .udp)
      try broken.sendRaw([0, 1, 1, 0, 0, 9, 0, 0, 0, 0, 0, 0])
      #expect(try broken.receive(within: 500) == nil)
      broken.close()
      let stream = try Wire(namespace, try IPAddress("10.81.0.1"), .tcp)
      try? stream.send(Message(id: 1, asking: Question(try DomainName(parsing: "web"), .a)).encoded())
      #expect(stream.isClosed(within: 20_000))
      stream.close()
    }
    // The host itself may ask, by the gateway's address.
    let host = Resolver(namespace: it.world.host, server: try IPAddress("10.81.0.1"))
    #expect(try host.addresses("web") == ["10.81.0.2"])
    try await it.end()
  }

  @Test func aChangeIsInTheNextAnswer() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering(.nameError, in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24")
    try await it.create("red", "10.82.0.0/24")
    let web = try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "red"))
    for round in 0..<20 {
      #expect(try asker.ask("web")?.responseCode == .nameError)
      try await it.controller.connect(
        "web", to: "red", options: EndpointOptions(aliases: ["round\(round)"]))
      let address = try #require(try await it.controller.sandbox("web").endpoints.last?.address.address.description)
      #expect(try asker.addresses("web") == [address])
      #expect(try asker.addresses("round\(round)") == [address])
      try await it.controller.disconnect("web", from: "red")
    }
    #expect(try asker.ask("round3")?.responseCode == .nameError)
    _ = web
    outside.stop()
    try await it.end()
  }

  @Test func withoutAWayOutNothingIsForwarded() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("shut", "10.81.0.0/24") { options in
      options.isInternal = true
      options.dnsServers = [.v4(IPv4Address(203, 0, 113, 2))]
    }
    try await it.attach("web", to: "shut")
    let asker = try await it.resolver(it.attach("asker", to: "shut"))
    #expect(try asker.addresses("web") == ["10.81.0.2"])
    let single = try #require(try asker.ask("nobody"))
    #expect(single.responseCode == .nameError)
    #expect(single.authorities.count == 1)
    #expect(try asker.ask("www.example.org")?.responseCode == .serverFailure)
    #expect(try asker.ask("nobody.shut")?.responseCode == .serverFailure)
    #expect(outside.queries.isEmpty)
    outside.stop()
    try await it.end()
  }

  @Test func manyAnswersAreCutByUDPAndWholeByTCP() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    for number in 1...40 { try await it.attach("db\(number)", to: "blue", aliases: ["db"]) }
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    let cut = try #require(try asker.ask("db"))
    #expect(cut.flags.contains(.truncated) && cut.encoded().count <= 512 && cut.answers.count > 20)
    let larger = try #require(try asker.ask("db", edns: EDNS(payloadSize: 1_232)))
    #expect(!larger.flags.contains(.truncated) && larger.answers.count == 40 && larger.edns != nil)
    let whole = try #require(try asker.ask("db", over: .tcp))
    #expect(!whole.flags.contains(.truncated) && whole.answers.count == 40 && whole.edns == nil)
    try await it.end()
  }

  @Test func whatIsNoPlainQueryHasItsOwnCode() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24")
    let asker = try await it.resolver(it.attach("web", to: "blue"))
    let question = Question(try DomainName(parsing: "web"), .a)
    var notify = Message(id: 7, asking: question)
    notify.opcode = .notify
    #expect(try asker.ask(notify)?.responseCode == .notImplemented)
    #expect(try asker.ask(notify)?.opcode == .notify)
    #expect(try asker.ask("web", edns: EDNS(version: 1))?.responseCode == .badVersion)
    #expect(try asker.ask("web", .axfr, over: .tcp)?.responseCode == .refused)
    let chaos = Message(id: 8, asking: Question(try DomainName(parsing: "version.bind"), .txt, class: .chaos))
    #expect(try asker.ask(chaos)?.responseCode == .refused)
    // Two questions, of which only the header is understood.
    var two = Message(id: 9, asking: question)
    two.questions.append(question)
    #expect(try asker.ask(two)?.responseCode == .formatError)
    // Responses are never answered.
    var response = Message(id: 10, asking: question)
    response.flags.insert(.response)
    #expect(try asker.ask(response, within: 500) == nil)
    try await it.end()
  }

  @Test func namesAreServedInsideContainersThatWantIt() async throws {
    let it = try await NameWorld(pins: true)
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24") { $0.nameServing = .container }
    let web = try await it.attach("web", to: "blue")
    let asker = try await it.attach("asker", to: "blue")
    let inside = Resolver(namespace: asker.namespace, server: try IPAddress("127.0.0.11"))
    #expect(try inside.addresses("web") == ["10.81.0.2"])
    #expect(try inside.ask("asker.blue", over: .tcp)?.addresses == ["10.81.0.3"])
    #expect(try inside.addresses("www.example.org") == ["192.0.2.1"])
    // Then no server listens on the host.
    let gateway = Resolver(namespace: asker.namespace, server: try IPAddress("10.81.0.1"))
    #expect(throws: (any Error).self) { try gateway.ask("web") }
    // A container that goes takes its namespace with it: no socket holds it.
    try await it.controller.detach("web")
    #expect(try inside.ask("web")?.addresses == ["192.0.2.1"])
    _ = web
    outside.stop()
    try await it.end()
  }
}
