import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// nftables transactions: the same on every kernel.
@Suite struct NetfilterContract {
  private let table = NftTable(family: .inet, name: "t")
  private var chain: NftChain { NftChain(table: table, name: "c") }
  private var set: NftSet { NftSet(table: table, name: "s", key: [.port]) }

  private func open(_ kernel: KernelUnderTest) throws -> NetlinkConnection {
    let contract = try Contract(kernel)
    return try NetlinkConnection(.netfilter, in: contract.namespace, of: contract.kernel)
  }

  /// The number of read objects, by message number of nftables: 1 tables, 4 chains, 7 rules, 10 sets.
  private func count(_ message: UInt16, _ connection: NetlinkConnection) throws -> Int {
    let request = NetlinkRequest(type: 10 << 8 | message, body: [0, 0, 0, 0], name: "NFT_MSG_GET", purpose: "list")
    return try connection.dump(request).count
  }

  private func refusal(_ changes: NftTransaction, _ connection: NetlinkConnection) -> Errno? {
    let error = #expect(throws: NetworkError.self) { try changes.commit(over: connection) }
    return error?.kernel?.errno
  }

  @Test(arguments: KernelUnderTest.available) func allOrNothing(_ kernel: KernelUnderTest) throws {
    let connection = try open(kernel)
    var changes = NftTransaction()
    try changes.add(table, exclusive: true)
    try changes.add(chain)
    try changes.add(set)
    try changes.add([NftElement(.port(1)), NftElement(.port(2))], to: set)
    try changes.add(NftRule(chain, [.verdict(.accept)]))
    var faulty = changes
    try faulty.delete([NftElement(.port(3))], from: set)
    #expect(refusal(faulty, connection) == .noSuchFileOrDirectory)
    #expect(try count(1, connection) == 0)
    try changes.commit(over: connection)
    #expect(try [1, 4, 7, 10].map { try count($0, connection) } == [1, 1, 1, 1])
    #expect(refusal(changes, connection) == .fileExists)
  }

  @Test(arguments: KernelUnderTest.available) func whatIsUsedStays(_ kernel: KernelUnderTest) throws {
    let connection = try open(kernel)
    let caller = NftChain(table: table, name: "caller")
    var changes = NftTransaction()
    try changes.add(table)
    try changes.add(chain)
    try changes.add(caller)
    try changes.add(NftRule(caller, [.verdict(.jump("c"))]))
    try changes.commit(over: connection)

    var deletion = NftTransaction()
    deletion.delete(chain)
    #expect(refusal(deletion, connection) == .resourceBusy)
    var flush = NftTransaction()
    flush.flush(caller)
    flush.delete(chain)
    try flush.commit(over: connection)
    #expect(try count(4, connection) == 1)
    var last = NftTransaction()
    last.delete(table)
    try last.commit(over: connection)
    #expect(try count(4, connection) == 0)
    #expect(refusal(last, connection) == .noSuchFileOrDirectory)
  }

  @Test(arguments: KernelUnderTest.available) func elementsAreMadeOnce(_ kernel: KernelUnderTest) throws {
    let connection = try open(kernel)
    var changes = NftTransaction()
    try changes.add(table)
    try changes.add(set)
    try changes.commit(over: connection)
    var element = NftTransaction()
    try element.add([NftElement(.port(80))], to: set, exclusive: true)
    try element.commit(over: connection)
    #expect(refusal(element, connection) == .fileExists)
    var removal = NftTransaction()
    try removal.delete([NftElement(.port(80))], from: set)
    try removal.commit(over: connection)
    #expect(refusal(removal, connection) == .noSuchFileOrDirectory)
  }

  /// A table and its elements keep their comments; an element is found by its key alone.
  @Test(arguments: KernelUnderTest.available) func commentsAreKept(_ kernel: KernelUnderTest) throws {
    let connection = try open(kernel)
    let long = String(repeating: "x", count: 127)
    var changes = NftTransaction()
    try changes.add(table, comment: "mine")
    try changes.add(set)
    let elements = [
      NftElement(.port(80), comment: "the first"), NftElement(.port(81), comment: long), NftElement(.port(82)),
    ]
    try changes.add(elements, to: set, exclusive: true)
    try changes.commit(over: connection)
    let found = try NftElement.list(connection.dump(NftRequests.elements(of: set)), of: set)
    #expect(Set(found) == Set(elements))
    let tables = try connection.dump(NftRequests.tables(table.family))
    #expect(try tables.map { try NftTable.comment($0) } == ["mine"])
    let one = try connection.execute(NftRequests.element(NftElement(.port(80)), of: set))
    #expect(try NftElement.list(one, of: set) == [elements[0]])
    #expect(throws: NetworkError.self) {
      _ = try connection.execute(NftRequests.element(NftElement(.port(83)), of: set))
    }
    var tooLong = NftTransaction()
    #expect(throws: NetworkError.self) {
      try tooLong.add([NftElement(.port(83), comment: long + "x")], to: set)
    }
    #expect(tooLong.requests.isEmpty)
    // An existing one keeps its own.
    var again = NftTransaction()
    try again.add([NftElement(.port(80), comment: "another")], to: set)
    try again.commit(over: connection)
    let last = try NftElement.list(connection.dump(NftRequests.elements(of: set)), of: set)
    #expect(Set(last) == Set(elements))
  }
}
