import ContainerNetworkingTestKit
import Netlink
import NetworkPrimitives
import Testing

/// Texts that are longer than an attribute's length field can tell are refused before anything is sent.
@Suite struct LengthContract {
  private static let long = String(repeating: "a", count: PayloadWriter.attributeLimit)

  @Test(arguments: KernelUnderTest.available) func namesOfTables(_ which: KernelUnderTest) throws {
    let contract = try Contract(which)
    let connection = NetlinkConnection(try contract.kernel.openSocket(.netfilter, in: contract.namespace))
    let table = NftTable(family: .inet, name: Self.long)
    let chain = NftChain(table: table, name: "input")
    let set = NftSet(table: table, name: "links", key: [.interfaceName])
    let element = NftElement(.interface(try InterfaceName("eth0")))
    var deletion = NftTransaction()
    deletion.delete(table)
    var flush = NftTransaction()
    flush.flush(chain)
    var rule = NftTransaction()
    try rule.add(NftRule(chain, [.verdict(.accept)]))
    var elements = NftTransaction()
    try elements.add([element], to: set)
    var lookup = NftTransaction()
    let short = NftTable(family: .inet, name: "short")
    try lookup.add(short)
    let own = NftChain(table: short, name: "input")
    try lookup.add(own)
    let other = NftSet(table: short, name: Self.long, key: [.interfaceName])
    let member = NftCondition.member(NftSetReference(name: other.name), inverted: false)
    try lookup.add(NftRule(own, [.match([.incomingInterface], member)]))
    for (index, changes) in [deletion, flush, rule, elements, lookup].enumerated() {
      let error = #expect(throws: NetworkError.self, "\(index)") { try changes.commit(over: connection) }
      #expect(error?.code == .invalidValue && error?.reason.contains("more than the 65531 bytes") == true)
      #expect(error.map { $0.operation.utf8.count <= 200 } == true)
    }
    let listing = #expect(throws: NetworkError.self) { try connection.dump(NftRequests.rules(of: table)) }
    #expect(listing?.code == .invalidValue)
    // The connection goes on, and nothing of them was made.
    #expect(try connection.dump(NftRequests.tables()).isEmpty)
    // The longest that the wire carries is the kernel's to refuse.
    var longest = NftTransaction()
    longest.delete(NftTable(family: .inet, name: String(Self.long.dropLast())))
    let refusal = #expect(throws: NetworkError.self) { try longest.commit(over: connection) }
    #expect(refusal?.kernel != nil)
  }

  @Test(arguments: KernelUnderTest.available) func kindsOfLinks(_ which: KernelUnderTest) throws {
    let contract = try Contract(which)
    let request = LinkRequests.create(VethEnd(try InterfaceName("odd0")), kind: Self.long)
    let error = #expect(throws: NetworkError.self) { try contract.route.execute(request) }
    #expect(error?.code == .invalidValue && error?.reason.contains("more than the 65531 bytes") == true)
    #expect(try contract.links().map(\.name) == ["lo"])
  }

  /// A list of attributes, as a name: one that holds several that fit.
  @Test func aListIsAsLongAsItsParts() {
    var writer = PayloadWriter()
    writer.nested(1) { list in
      for _ in 0..<2 { list.attribute(2, bytes: [UInt8](repeating: 0, count: 32_000)) }
    }
    #expect(!writer.isTooLong)
    writer.nested(1) { list in
      for _ in 0..<3 { list.attribute(2, bytes: [UInt8](repeating: 0, count: 32_000)) }
    }
    #expect(writer.isTooLong)
  }
}
