import ContainerNetworking
import FoundationEssentials
import NetworkPrimitives
import StoreSamples
import Testing

@testable import ContainerNetworkingStore

/// Records as JSON: Foundation's decoder reads back the written value, and its encoder writes the same object.
@Suite struct RecordEncoderTests {
  private func expectSame<Value: Codable & Equatable>(_ value: Value) throws {
    let text = try RecordEncoder.text(value)
    #expect(try JSONDecoder().decode(Value.self, from: Data(text.utf8)) == value, "\(text)")
    // Without order, which the two choose differently: each key and text is as long as in the other's.
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.withoutEscapingSlashes]
    let theirs = try encoder.encode(value)
    #expect(text.utf8.sorted() == theirs.sorted(), "\(text)")
  }

  @Test func recordsOfEveryKind() throws {
    try expectSame(try Samples.endpoint(1))
    try expectSame(try Samples.host(7))
    try expectSame(try Samples.network("blue"))
    try expectSame(try Samples.sandbox("web"))
    try expectSame(try Samples.pool())
    try expectSame(NetworkEvent(.connect, networkID: "a", network: "b", container: "c"))
    var guest = try Samples.sandbox("side")
    guest.mode = .container("web")
    guest.warnings = [.portDiscarded(try PortMapping("8080-8081:80-81/udp"), "host")]
    guest.keepsAddresses = true
    guest.namespacePath = nil
    try expectSame(guest)
  }

  /// Resting addresses were an array once.
  @Test func poolsOfBothForms() throws {
    var pool = try Samples.pool()
    #expect(pool.resting == [try IPAddress("fd00::5")])
    pool.resting = [try IPAddress("fd00::5"), try IPAddress("fd00::1:9")]
    #expect(try RecordEncoder.text(pool).contains("\"resting\":\"fd00::5 fd00::1:9\""))
    try expectSame(pool)
    pool.resting = []
    try expectSame(pool)
    let damaged = #"{"networkID": "a", "family": 2, "resting": "10.0.0.1 x"}"#
    #expect(throws: (any Error).self) { try JSONDecoder().decode(PoolRecord.self, from: Data(damaged.utf8)) }
  }

  @Test func textsOfEveryCharacter() throws {
    let texts = ["", "\"\\/", "ä€😀", "\u{7f}\u{2028}", String((0..<32).map { Character(Unicode.Scalar($0)) })]
    let read = try JSONDecoder().decode([String].self, from: Data(RecordEncoder.text(texts).utf8))
    #expect(read == texts)
  }

  @Test func nestsOfEveryDepth() throws {
    try expectSame([[[Int]]]([[[], [1]], [], [[-2, 3], []]]))
    try expectSame(["a": ["b": [true, false]], "c": [:]])
    try expectSame([UInt64.max])
    try expectSame([Int64.min])
    struct Sparse: Codable, Equatable {
      var first: Int?
      var second: [Int?]
      var third: [String: Int]?
    }
    try expectSame(Sparse(second: [1, nil], third: ["x": 1]))
    try expectSame([Sparse(second: []), Sparse(first: 1, second: [])])
  }

  @Test func fractionsAreRefused() {
    #expect(throws: EncodingError.self) { try RecordEncoder.text([1.5]) }
    #expect(throws: EncodingError.self) { try RecordEncoder.text(["a": Float(1)]) }
  }
}
