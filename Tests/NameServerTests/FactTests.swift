import ContainerNetworking
import ContainerNetworkingDNS
import Foundation
import Playground
import SystemPackage
import Testing

/// Facts that are easily misjudged; `Documentation/Facts.md` tells where they were seen.
@Suite(.timeLimit(.minutes(5))) struct FactTests {
  @Test func aConnectionTakesQuestionsOneAfterTheOther() async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering("192.0.2.1", in: it.world.outside)
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    let wire = try Wire(asker.namespace, asker.server, .tcp)
    // As the C library does after TC: the second question comes when the first is answered.
    for (name, type, addresses) in [
      ("web", RecordType.a, ["10.81.0.2"]), ("web", .aaaa, ["fd00:81::2"]), ("www.example", .a, ["192.0.2.1"]),
      ("web.blue", .a, ["10.81.0.2"]),
    ] {
      let query = Message(id: .random(in: 0...(.max)), asking: Question(try DomainName(parsing: name), type))
      try wire.send(query.encoded())
      let bytes = try #require(try wire.receive(within: Resolver.patience), "\(name) \(type)")
      let answer = try Message(parsing: bytes)
      #expect(answer.id == query.id && answer.addresses == addresses, "\(name) \(type)")
    }
    wire.close()
    outside.stop()
    try await it.end()
  }

  @Test(arguments: [true, false]) func aKnownNameIsNeverAskedForOutside(hasUpstream: Bool) async throws {
    let it = try await NameWorld()
    let outside = try PlayedServer.answering(.refused, in: it.world.outside)
    if !hasUpstream { try FileManager.default.removeItem(atPath: it.resolverFile.string) }
    try await it.create("blue", "10.81.0.0/24")
    try await it.attach("web", to: "blue", aliases: ["www"])
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    for name in ["web", "WEB", "web.blue", "WEB.BLUE.", "Www", "wWW.bLUE"] {
      for type: RecordType in [.aaaa, .mx, .https, .svcb, .srv, .txt] {
        for transport in [TransportProtocol.udp, .tcp] {
          let answer = try #require(try asker.ask(name, type, over: transport))
          #expect(answer.responseCode == .noError && answer.answers.isEmpty, "\(name) \(type) \(transport)")
        }
      }
      let all = try #require(try asker.ask(name, .any))
      #expect(all.responseCode == .noError && all.addresses == ["10.81.0.2"], "\(name)")
      #expect(try asker.addresses(name) == ["10.81.0.2"], "\(name)")
    }
    #expect(outside.queries.isEmpty)
    #expect(it.failures.all == [])
    outside.stop()
    try await it.end()
  }

  @Test func aReverseAnswerIsOfTheNameThatWasAsked() async throws {
    let it = try await NameWorld()
    try await it.create("blue", "10.81.0.0/24", "fd00:81::/64")
    try await it.attach("web", to: "blue")
    let asker = try await it.resolver(it.attach("asker", to: "blue"))
    let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.8.0.0.0.0.d.f.ip6.arpa"
    for name in ["2.0.81.10.in-addr.arpa", "2.0.81.10.IN-ADDR.Arpa.", six, six.uppercased()] {
      let asked = try DomainName(parsing: name).description
      let answer = try #require(try asker.ask(name, .ptr))
      #expect(answer.responseCode == .noError && answer.answers.map(\.name.description) == [asked], "\(name)")
      guard case .ptr(let owner)? = answer.answers.first?.data else {
        Issue.record("\(name): \(answer)")
        continue
      }
      #expect(owner.description == "web.blue")
    }
    try await it.end()
  }
}
