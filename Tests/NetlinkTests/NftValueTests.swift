import Netlink
import NetworkPrimitives
import TestSupport
import Testing

/// Unencodable values are refused by name, and no bytes make the readers trap.
@Suite struct NftValueTests {
  let chain = NftChain(table: NftTable(family: .ipv4, name: "t"), name: "c")

  @Test func refusesWhatDoesNotFit() throws {
    var changes = NftTransaction()
    let bad: [[NftStatement]] = [
      [.match(.destinationPort, .equal(.ipv4(.loopback)))],
      [.match(.sourceIPv6, .equal(.ipv6(.loopback)))],
      [.match([.sourcePort, .destinationPort], .equal(.port(1)))],
      [.match([], .inSet("s"))],
      [.match([NftSelector](repeating: .incomingInterface, count: 5), .inSet("s"))],
      [.match(.sourceIPv4, .prefix(.ipv4(.loopback), bits: 33, inverted: false))],
      [.verdict(.jump(""))],
      [.translate(NftTranslation(.source, to: .address(.v6(.loopback), port: nil)))],
      [NftStatement](repeating: .counter, count: 129),
    ]
    for statements in bad {
      let error = #expect(throws: NetworkError.self) { try changes.add(NftRule(chain, statements)) }
      #expect(error?.code == .invalidValue)
    }
    for name in ["", "1", "a b", String(repeating: "x", count: 256), "-a"] {
      #expect(throws: NetworkError.self) { try changes.add(NftTable(family: .inet, name: name)) }
    }
    let set = NftSet(table: chain.table, name: "s", key: [.port])
    let elements = [
      NftElement(.number(1)), NftElement(.port(1), through: .port(2)), NftElement(.port(1), data: .verdict(.drop)),
    ]
    for element in elements { #expect(throws: NetworkError.self) { try changes.add([element], to: set) } }
    #expect(throws: NetworkError.self) {
      try changes.add(NftRule(chain, comment: String(repeating: "x", count: 128), []))
    }
    #expect(changes.requests.isEmpty)
  }

  @Test func manyElementsAreSplit() throws {
    let set = NftSet(table: chain.table, name: "s", key: [.ipv4Address, .port])
    var changes = NftTransaction()
    let elements = (0..<20_000).map { number in
      NftElement(.concatenation(.ipv4(IPv4Address(rawValue: UInt32(number))), .port(1)))
    }
    try changes.add(elements, to: set)
    #expect(changes.requests.count > 1)
    #expect(changes.requests.allSatisfy { $0.body.count < 40 << 10 })
    let messages = changes.requests.map { NetlinkMessage(type: $0.type, payload: $0.body[...]) }
    #expect(try NftElement.list(messages, of: set) == elements)
  }

  @Test func randomBytesNeverTrap() throws {
    var generator = SeededGenerator()
    let set = NftSet(
      table: chain.table, name: "s", key: [.ipv4Address], data: .values([.port]), flags: .interval)
    var changes = NftTransaction()
    try changes.add(chain.table)
    try changes.add(NftChain(table: chain.table, name: "c", base: NftChain.Base(.nat, hook: .output, priority: 1)))
    try changes.add(NftRule(chain, comment: "x", [.match(.sourcePort, .equal(.port(1))), .verdict(.jump("a"))]))
    try changes.add(set)
    try changes.add([NftElement(.ipv4(.loopback), data: .value(.port(1)))], to: set)
    var refused = 0
    for _ in 0..<5_000 {
      for request in changes.requests {
        var body = request.body
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          body[Int.random(in: body.indices, using: &generator)] = UInt8.random(in: .min ... .max, using: &generator)
        }
        let message = NetlinkMessage(
          type: request.type, payload: body.prefix(Int.random(in: 0...body.count, using: &generator)))
        do {
          switch request.type & 0xff {
          case 0: _ = try NftTable(message)
          case 3: _ = try NftChain(message)
          case 6: _ = try NftRuleRecord(message)
          case 9: _ = try NftSet(message)
          default: _ = try NftElement.list([message], of: set)
          }
        } catch {
          #expect(error.code == .malformedMessage)
          refused += 1
        }
      }
    }
    #expect(refused > 0)
  }
}
