import ContainerNetworking
import Playground
import Synchronization
import Testing

@testable import ContainerNetworkingDNS

/// How long answers of others are kept, by a clock that the test turns.
@Suite(.timeLimit(.minutes(5))) struct CacheTests {
  private final class Clock: Sendable {
    private let seconds = Mutex<UInt64>(1_000)
    var now: UInt64 { seconds.withLock { $0 } }
    func advance(_ count: UInt64) { seconds.withLock { $0 += count } }
  }

  private func world(_ clock: Clock) async throws -> (NameWorld, Resolver) {
    let it = try await NameWorld { $0.now = { clock.now } }
    try await it.create("blue", "10.81.0.0/24")
    return (it, try await it.resolver(it.attach("asker", to: "blue")))
  }

  @Test func answersAgeAndEnd() async throws {
    let clock = Clock()
    let (it, asker) = try await world(clock)
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      var reply = query.answer([.a(IPv4Address(192, 0, 2, 1))], timeToLive: 100)
      reply.answers += query.answer([.a(IPv4Address(192, 0, 2, 2))], timeToLive: 30).answers
      return [reply.encoded()]
    }
    #expect(try asker.ask("WWW.example")?.answers.map(\.timeToLive) == [100, 30])
    clock.advance(20)
    let kept = try #require(try asker.ask("www.EXAMPLE"))
    #expect(kept.answers.map(\.timeToLive) == [80, 10])
    #expect(kept.questions[0].name.description == "www.EXAMPLE" && kept.answers[0].name.description == "www.EXAMPLE")
    #expect(outside.queries.count == 1)
    clock.advance(10)
    #expect(try asker.ask("www.example")?.answers.map(\.timeToLive) == [100, 30], "over when the first of them is")
    #expect(outside.queries.count == 2)
    outside.stop()
    try await it.end()
  }

  @Test func thatThereIsNothingIsKeptAsItsSOASays() async throws {
    let clock = Clock()
    let (it, asker) = try await world(clock)
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      switch query.questions[0].name.description {
      case "none.example": [query.without(.nameError, for: 40).encoded()]
      case "empty.example": [query.without(.noError, for: 40).encoded()]
      default: [query.answer([], code: .nameError).encoded()]
      }
    }
    for (name, code) in [("none.example", ResponseCode.nameError), ("empty.example", .noError)] {
      let before = outside.queries.count
      for _ in 0..<2 { #expect(try asker.ask(name)?.responseCode == code) }
      #expect(outside.queries.count == before + 1)
      clock.advance(39)
      #expect(try asker.ask(name)?.authorities.map(\.timeToLive) == [3_561])
      #expect(outside.queries.count == before + 1)
      clock.advance(1)
      #expect(try asker.ask(name)?.responseCode == code)
      #expect(outside.queries.count == before + 2)
    }
    // Without an SOA the lifetime is unknown.
    let before = outside.queries.count
    for _ in 0..<2 { #expect(try asker.ask("bare.example")?.responseCode == .nameError) }
    #expect(outside.queries.count == before + 2)
    outside.stop()
    try await it.end()
  }

  @Test func failuresAndZeroAreNotKept() async throws {
    let clock = Clock()
    let (it, asker) = try await world(clock)
    let outside = try PlayedServer(NameWorld.outside, in: it.world.outside) { query, _ in
      query.questions[0].name.description == "broken.example"
        ? [query.answer([], code: .serverFailure).encoded()]
        : [query.answer([.a(IPv4Address(192, 0, 2, 1))], timeToLive: 0).encoded()]
    }
    for _ in 0..<2 { #expect(try asker.addresses("zero.example") == ["192.0.2.1"]) }
    #expect(outside.queries.count == 2)
    for _ in 0..<2 { #expect(try asker.ask("broken.example")?.responseCode == .serverFailure) }
    #expect(outside.queries.count == 3, "not asked again within a second (RFC 9520)")
    clock.advance(1)
    #expect(try asker.ask("broken.example")?.responseCode == .serverFailure)
    #expect(outside.queries.count == 4)
    outside.stop()
    try await it.end()
  }

  private func key(_ number: Int) throws -> CacheKey {
    CacheKey(Query(id: 1, question: Question(try DomainName(parsing: "n\(number)"), .a)), .host)
  }

  private func answer(_ count: Int, timeToLive: UInt32 = 60) throws -> UpstreamAnswer {
    let query = Message(id: 1, asking: Question(try DomainName(parsing: "n"), .a))
    let data = (0..<count).map { RecordData.a(IPv4Address(rawValue: UInt32($0))) }
    let message = query.answer(data, timeToLive: timeToLive)
    return try UpstreamAnswer(message, bytes: message.encoded())
  }

  @Test func theCacheStaysAsSmallAsItMust() throws {
    let clock = Clock()
    let byCount = AnswerCache(entries: 100, octets: 1 << 30, now: { clock.now })
    for number in 0..<1_000 { byCount.keep(try answer(1), for: try key(number)) }
    #expect(byCount.extent.entries == 100)
    let bySize = AnswerCache(entries: 1 << 20, octets: 100_000, now: { clock.now })
    for number in 0..<1_000 { bySize.keep(try answer(20), for: try key(number)) }
    #expect(bySize.extent.octets <= 100_000 && bySize.extent.entries > 20)
    // A frequently requested answer stays.
    let favourite = try key(0)
    byCount.keep(try answer(2), for: favourite)
    for number in 2_000..<3_000 {
      _ = byCount.answer(favourite)
      byCount.keep(try answer(1), for: try key(number))
    }
    #expect(byCount.answer(favourite)?.answer == (try answer(2)))
    // And an answer larger than the whole cache is not kept.
    let huge = try answer(2_000)
    bySize.keep(huge, for: favourite)
    #expect(bySize.answer(favourite) == nil)
  }

  @Test func answersWithAnOPTAnywhereAreUnderstood() throws {
    // OPT before another additional record that points to data after it.
    let query = Message(id: 1, asking: Question(try DomainName(parsing: "www.example"), .a), edns: EDNS())
    var message = query.answer([.a(IPv4Address(192, 0, 2, 1))])
    message.additionals = [
      ResourceRecord(try DomainName(parsing: "ns.other.test"), timeToLive: 9, .a(IPv4Address(10, 0, 2, 2))),
      ResourceRecord(try DomainName(parsing: "ns2.other.test"), timeToLive: 8, .a(IPv4Address(10, 0, 2, 3))),
    ]
    message.edns = nil
    var bytes = message.encoded()
    message.edns = EDNS()
    let option: [UInt8] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]
    // After the answer: 12 + 17 + 16 octets. The second additional's pointer moves with its target.
    bytes.insert(contentsOf: option, at: 45)
    let pointer = try #require(bytes.lastIndex(of: 0xc0))
    bytes[pointer + 1] += UInt8(option.count)
    bytes[11] += 1
    let parsed = try Message(parsing: bytes)
    #expect(parsed.edns != nil && parsed.additionals == message.additionals)
    let answer = try UpstreamAnswer(parsed, bytes: bytes)
    #expect(answer.additionalCount == 2 && answer.times.map(\.time) == [60, 9, 8])
    #expect(answer.lifetime == 8)
    var whole: [UInt8] = Array(bytes[..<29]) + answer.records
    whole[11] = 2
    #expect(try Message(parsing: whole).additionals == message.additionals)
  }
}
