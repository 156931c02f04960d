import Netlink
import NetworkPrimitives
import TestSupport
import Testing

/// On the real kernel, in a namespace of each test's own: written objects are read back, by us and by nft(8).
@Suite(.timeLimit(.minutes(10))) struct NftTransactionTests {
  let kernel = LinuxKernel()
  let namespace: NamespaceHandle
  let connection: NetlinkConnection
  let table = NftTable(family: .inet, name: "t")

  init() throws {
    namespace = try kernel.makeNamespace()
    connection = try NetlinkConnection(.netfilter, in: namespace, of: kernel)
  }

  /// Whether `nft list ruleset` in the namespace prints all of these.
  private func nftShows(_ lines: [String]) throws -> Bool {
    let tests = lines.map { "case \"$rules\" in *'\($0)'*) ;; *) echo \"missing: \($0) in $rules\"; exit 1;; esac" }
    let script = (["rules=$(nft list ruleset) || exit 2"] + tests).joined(separator: "\n")
    let child = try kernel.spawn(Command("sh", ["-c", script]), in: namespace)
    return try child.wait(timeout: Patience.limit) == .exited(0)
  }

  @Test func noElementsAreNoRequest() throws {
    let set = NftSet(table: table, name: "links", key: [.interfaceName])
    let elements = [NftElement(.interface(try InterfaceName("cn0")))]
    var changes = NftTransaction()
    try changes.add(table, exclusive: true)
    try changes.add(set)
    try changes.add(elements, to: set)
    try changes.commit(over: connection)
    var none = NftTransaction()
    try none.add([], to: set)
    try none.delete([], from: set)
    #expect(none.requests.isEmpty)
    try none.commit(over: connection)
    #expect(try nftShows(["elements = { \"cn0\" }"]))
  }

  @Test func setsAndMapsComeBack() throws {
    let networks = NftSet(table: table, name: "networks", key: [.ipv4Address], flags: .interval)
    let pairs = NftSet(table: table, name: "pairs", key: [.ipv4Address, .port], flags: .interval)
    let links = NftSet(table: table, name: "links", key: [.interfaceName, .ipv4Address], data: .verdict)
    let macs = NftSet(table: table, name: "macs", key: [.macAddress], data: .values([.mark]))
    let contents: [(NftSet, [NftElement])] = [
      (
        networks,
        [
          NftElement(try Subnet("10.0.0.0/8")), NftElement(.ipv4(IPv4Address(192, 168, 1, 1))),
          NftElement(try Subnet("240.0.0.0/4")),
        ]
      ),
      (
        pairs,
        [
          NftElement(
            .concatenation(.ipv4(IPv4Address(10, 0, 0, 0)), .port(80)),
            through: .concatenation(.ipv4(IPv4Address(10, 0, 0, 9)), .port(90)))
        ]
      ),
      (
        links,
        [
          NftElement(
            .concatenation(.interface(try InterfaceName("cn0")), .ipv4(.loopback)), data: .verdict(.jump("other")))
        ]
      ),
      (macs, [NftElement(.mac(try MACAddress("02:42:ac:11:00:02")), data: .value(.host(7)))]),
    ]
    var changes = NftTransaction()
    try changes.add(table, exclusive: true)
    try changes.add(NftChain(table: table, name: "other"))
    for (set, elements) in contents {
      try changes.add(set)
      try changes.add(elements, to: set)
    }
    try changes.commit(over: connection)

    let sets = try connection.dump(NftRequests.sets(of: table)).map { try NftSet($0) }
    #expect(sets.count == 4)
    for (set, elements) in contents {
      var read = try #require(sets.first { $0.name == set.name })
      read.handle = nil
      #expect(read == set)
      let found = try NftElement.list(connection.dump(NftRequests.elements(of: set)), of: set)
      #expect(Set(found) == Set(elements))
    }
    #expect(
      try nftShows([
        "10.0.0.0/8", "192.168.1.1", "type ipv4_addr . inet_service", "10.0.0.0-10.0.0.9 . 80-90",
        "\"cn0\" . 127.0.0.1 : jump other", "02:42:ac:11:00:02 : 0x00000007",
      ]))

    changes = NftTransaction()
    for (set, elements) in contents { try changes.delete(elements, from: set) }
    try changes.commit(over: connection)
    for (set, _) in contents {
      #expect(try NftElement.list(connection.dump(NftRequests.elements(of: set)), of: set).isEmpty)
    }
  }

  @Test func rulesComeBackAndPrint() throws {
    let chain = NftChain(
      table: table, name: "forward", base: NftChain.Base(.filter, hook: .forward, priority: 5, policy: .drop))
    var changes = NftTransaction()
    try changes.add(table)
    try changes.add(chain)
    let tcp = NftStatement.match(.transportProtocol, .equal(.tcp))
    try changes.add(
      NftRule(chain, comment: "web", [tcp, .match(.destinationPort, .equal(.port(80))), .counter, .verdict(.accept)]))
    try changes.add(NftRule(chain, [tcp, .reject(.tcpReset)]))
    try changes.add(
      NftRule(
        chain,
        [
          .match(.sourceIPv4, .notInSubnet(try Subnet("10.1.0.0/16"))), .match(.packetType, .equal(.number(1))),
          .setMark(5), .reject(.portUnreachable),
        ]))
    try changes.insert(NftRule(chain, [.match(.connectionDirection, .equal(.number(1))), .verdict(.return)]))
    try changes.commit(over: connection)

    let chains = try connection.dump(NftRequests.chains(.inet)).map { try NftChain($0) }
    #expect(chains.map(\.base) == [chain.base])
    let rules = try connection.dump(NftRequests.rules(of: chain)).map { try NftRuleRecord($0) }
    #expect(rules.map(\.comment) == [nil, "web", nil, nil])
    #expect(rules.map { $0.expressions.last?.name } == ["immediate", "immediate", "reject", "reject"])
    #expect(
      try nftShows([
        "type filter hook forward priority filter + 5; policy drop;", "ct direction reply return",
        "tcp dport 80 counter packets 0 bytes 0 accept comment \"web\"", "reject with tcp reset",
        "ip saddr != 10.1.0.0/16 meta pkttype broadcast meta mark set 0x00000005 reject",
      ]))

    changes = NftTransaction()
    changes.deleteRule(handle: rules[0].handle, of: chain)
    try changes.replace(handle: rules[2].handle, with: NftRule(chain, comment: "new", [.verdict(.drop)]))
    try changes.commit(over: connection)
    let left = try connection.dump(NftRequests.rules(of: table)).map { try NftRuleRecord($0).comment }
    #expect(left == ["web", "new", nil])
  }

  @Test func refusalNamesTheChangeAndUndoesAll() throws {
    var changes = NftTransaction()
    try changes.add(table, exclusive: true)
    changes.delete(NftChain(table: table, name: "missing"))
    let error = #expect(throws: NetworkError.self) { try changes.commit(over: connection) }
    #expect(error?.code == .notFound)
    #expect(error?.operation == "delete chain \"missing\" of table inet \"t\"")
    #expect(try connection.dump(NftRequests.tables()).isEmpty)
  }

  @Test func staleGenerationIsRefused() throws {
    let answer = try #require(try connection.execute(NftRequests.generation()).first)
    let generation = try NftRequests.generation(answer)
    var changes = NftTransaction()
    try changes.add(table)
    try changes.commit(over: connection, generation: generation)
    #expect(try connection.dump(NftRequests.tables(.inet)).map { try NftTable($0).name } == ["t"])
    #expect(throws: NetworkError.self) { try changes.commit(over: connection, generation: generation) }
  }

  @Test func everyFieldIsKnownToTheKernel() throws {
    let ipv4: [NftSelector] = [.sourceIPv4, .destinationIPv4]
    let others: [NftSelector] = [
      .incomingInterface, .outgoingInterface, .mark, .transportProtocol, .family, .etherType, .packetType, .sourceMAC,
      .destinationMAC, .sourceIPv6, .destinationIPv6, .sourcePort, .destinationPort, .icmpType, .connectionState,
      .connectionStatus, .connectionMark, .connectionDirection, .originalDestinationIPv4, .originalDestinationIPv6,
      .originalDestinationPort, .destinationAddressType, .sourceAddressType,
    ]
    let bridge = NftTable(family: .bridge, name: "b")
    let frames: [NftSelector] = [
      .sourceMAC, .destinationMAC, .arpSenderMAC, .arpSenderIPv4, .incomingInterface, .outgoingInterface,
    ]
    var changes = NftTransaction()
    for (table, fields) in [(table, ipv4 + others), (bridge, ipv4 + frames)] {
      let chain = NftChain(table: table, name: "c", base: NftChain.Base(.filter, hook: .forward, priority: 0))
      try changes.add(table)
      try changes.add(chain)
      for field in fields {
        let value = NftValue.bytes([UInt8](repeating: 0, count: field.type.length))
        try changes.add(NftRule(chain, [.match(field, .equal(value)), .verdict(.accept)]))
      }
    }
    try changes.commit(over: connection)
    #expect(try connection.dump(NftRequests.rules(of: table)).count == 25)
    #expect(try connection.dump(NftRequests.rules(of: bridge)).count == 8)
    #expect(
      try nftShows([
        "ct original ip daddr 0.0.0.0", "fib saddr type unspec", "ip6 daddr ::", "ether saddr 00:00:00:00:00:00",
        "arp saddr ip 0.0.0.0",
      ]))
  }

  @Test func translationsAndAnonymousSets() throws {
    let chain = NftChain(table: table, name: "n", base: NftChain.Base(.nat, hook: .prerouting, priority: -100))
    let out = NftChain(table: table, name: "o", base: NftChain.Base(.nat, hook: .postrouting, priority: 100))
    let map = NftSet(
      table: table, name: "published6", key: [.transportProtocol, .port], data: .values([.ipv6Address, .port]))
    let verdicts = NftSet(table: table, name: "decide", key: [.interfaceName], data: .verdict)
    let ports = NftSet(table: table, name: "__set%d", key: [.port], flags: [.anonymous, .constant])
    var changes = NftTransaction()
    try changes.add(table)
    for base in [chain, out] { try changes.add(base) }
    try changes.add(map)
    try changes.add(verdicts)
    let reference = try changes.add(ports)
    try changes.add([NftElement(.port(80)), NftElement(.port(443))], to: ports, reference)
    let tcp = NftStatement.match(.transportProtocol, .equal(.tcp))
    let web = NftTranslation(.destination, to: .address(.v4(IPv4Address(10, 0, 0, 9)), port: 99))
    try changes.add(NftRule(chain, [tcp, .match(.destinationPort, .inSet(reference)), .translate(web)]))
    let key: [NftSelector] = [.transportProtocol, .destinationPort]
    try changes.add(
      NftRule(
        chain,
        [.translate(NftTranslation(.destination, to: .map("published6", key: key, family: .ipv6, port: true)))]))
    let source = NftTranslation(.source, to: .address(try IPAddress("fd00::1"), port: nil), flags: .persistent)
    try changes.add(NftRule(out, [.match(.family, .equal(.number(10))), .translate(source)]))
    try changes.add(NftRule(out, [.verdictMap([.outgoingInterface], "decide")]))
    try changes.commit(over: connection)
    #expect(
      try nftShows([
        "tcp dport { 80, 443 } dnat ip to 10.0.0.9:99", "dnat ip6 to meta l4proto . th dport map @published6",
        "snat ip6 to fd00::1 persistent", "oifname vmap @decide",
      ]))
  }
}
