import Netlink
import NetworkPrimitives
import Testing

/// The fate of a hypothetical packet in the kernel's rules.
@Suite struct NftRulesetTests {
  let connection: NetlinkConnection
  let base = NftChain(
    table: NftTable(family: .ipv4, name: "filter"), name: "FORWARD",
    base: NftChain.Base(.filter, hook: .forward, priority: 0, policy: .drop))

  init() throws {
    let kernel = LinuxKernel()
    connection = try NetlinkConnection(.netfilter, in: try kernel.makeNamespace(), of: kernel)
  }

  private func isDropped(_ packet: NftPacket) throws -> (Bool, isCertain: Bool) {
    var ruleset = try NftRuleset(over: connection, without: [])
    guard case .dropped(let drop) = try ruleset.fate(of: packet, in: base) else { return (false, true) }
    return (true, drop.isCertain)
  }

  /// What iptables-nft 1.8.9 sends of `-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED`, which it has no expression of
  /// nftables for. Captured by strace -e trace=sendmsg -e write=all.
  @Test func stateByExtension() throws {
    var changes = NftTransaction()
    try changes.add(base.table)
    try changes.add(base)
    var info = [UInt8](repeating: 0, count: 168)
    info.replaceSubrange(146..<152, with: [1, 0, 0, 0, 6, 0])
    var rule = PayloadWriter()
    rule.append(contentsOf: [2, 0, 0, 0])  // struct nfgenmsg, NFPROTO_IPV4
    rule.attribute(1, string: "filter")  // NFTA_RULE_TABLE
    rule.attribute(2, string: "FORWARD")  // NFTA_RULE_CHAIN
    rule.nested(4) { list in  // NFTA_RULE_EXPRESSIONS
      list.nested(1) { element in
        element.attribute(1, string: "match")
        element.nested(2) { data in
          data.attribute(1, string: "conntrack")
          data.attribute(2, bigEndian: 3 as UInt32)
          data.attribute(3, bytes: info)
        }
      }
      list.nested(1) { element in
        element.attribute(1, string: "immediate")
        element.nested(2) { data in
          data.attribute(1, bigEndian: 0 as UInt32)
          data.nested(2) { value in value.nested(2) { $0.attribute(1, bigEndian: 1 as UInt32) } }
        }
      }
    }
    let raw = NetlinkRequest(
      type: 0xa06, flags: [.create, .append], body: rule.bytes, name: "NFT_MSG_NEWRULE", purpose: "add rule")
    try connection.transact(begin: NftTransaction.begin(), changes.requests + [raw], end: NftTransaction.end)
    #expect(try isDropped(NftPacket(.ipv4)) == (true, true))
    #expect(try isDropped(NftPacket(.ipv4, state: .established)).0 == false)
    #expect(try isDropped(NftPacket(.ipv4, state: .related)).0 == false)
  }

  /// Each condition on a packet of which all that it asks for is known, and on one of which it is not.
  @Test func conditions() throws {
    let to = IPAddress.v4(IPv4Address(10, 1, 2, 3))
    let packet = NftPacket(
      .ipv4, from: .named("br-7"), to: .named("eth0"), destination: to, transport: .tcp, destinationPort: 80)
    let blank = NftPacket(.ipv4, from: .unknown, to: .unknown)
    let names = NftSet(table: base.table, name: "names", key: [.interfaceName])
    let ports = NftSet(table: base.table, name: "ports", key: [.port], flags: .interval)
    let pairs = NftSet(table: base.table, name: "pairs", key: [.ipv4Address, .port])
    let name = NftValue.interface(try InterfaceName("br-7"))
    let rows: [(String, [NftStatement], Bool)] = [
      ("name", [.match(.incomingInterface, .equal(name))], true),
      ("another name", [.match(.outgoingInterface, .equal(name))], false),
      ("not a name", [.match(.outgoingInterface, .notEqual(name))], true),
      ("beginning of a name", [.match(.incomingInterface, .prefix(name, bits: 24, inverted: false))], true),
      ("subnet", [.match(.destinationIPv4, .inSubnet(try Subnet("10.1.0.0/16")))], true),
      ("another subnet", [.match(.destinationIPv4, .inSubnet(try Subnet("10.2.0.0/16")))], false),
      ("port range", [.match(.destinationPort, .range(.port(79), .port(81), inverted: false))], true),
      ("not a port range", [.match(.destinationPort, .range(.port(79), .port(81), inverted: true))], false),
      ("port below", [.match(.destinationPort, .compare(.less, .port(80)))], false),
      ("port at most", [.match(.destinationPort, .compare(.lessOrEqual, .port(80)))], true),
      ("set of names", [.match(.incomingInterface, .inSet("names"))], true),
      ("not in the set", [.match(.incomingInterface, .notInSet("names"))], false),
      ("set of ranges", [.match(.destinationPort, .inSet("ports"))], true),
      ("set of pairs", [.match([.destinationIPv4, .destinationPort], .inSet("pairs"))], true),
    ]
    for (what, match, isExpected) in rows {
      var changes = NftTransaction()
      try changes.add(base.table)
      changes.delete(base.table)
      try changes.add(base.table)
      try changes.add(base)
      for set in [names, ports, pairs] { try changes.add(set) }
      try changes.add([NftElement(name)], to: names)
      try changes.add([NftElement(.port(70), through: .port(90))], to: ports)
      try changes.add([NftElement(.concatenation(.address(to), .port(80)))], to: pairs)
      try changes.add(NftRule(base, match + [.counter, .verdict(.accept)]))
      try changes.commit(over: connection)
      let (isDropped, _) = try isDropped(packet)
      #expect(isDropped == !isExpected, "\(what)")
      let unknown = try self.isDropped(blank)
      #expect(unknown == (true, false), "\(what), of a packet that is not known")
    }
  }

  /// Jumps, returns, verdict maps; and a rule that is not understood.
  @Test func chains() throws {
    let other = NftChain(table: base.table, name: "other")
    let verdicts = NftSet(table: base.table, name: "verdicts", key: [.interfaceName], data: .verdict)
    let name = { (text: String) throws in NftValue.interface(try InterfaceName(text)) }
    var changes = NftTransaction()
    try changes.add(base.table)
    for chain in [base, other] { try changes.add(chain) }
    try changes.add(verdicts)
    try changes.add(
      [
        NftElement(try name("a"), data: .verdict(.accept)), NftElement(try name("b"), data: .verdict(.jump("other"))),
        NftElement(try name("c"), data: .verdict(.goto("other"))), NftElement(try name("d"), data: .verdict(.drop)),
      ], to: verdicts)
    try changes.add(NftRule(other, [.match(.outgoingInterface, .equal(try name("back"))), .verdict(.return)]))
    try changes.add(NftRule(other, [.match(.outgoingInterface, .equal(try name("no"))), .reject(.portUnreachable)]))
    try changes.add(NftRule(base, [.verdictMap([.incomingInterface], "verdicts")]))
    try changes.add(NftRule(base, [.match(.outgoingInterface, .equal(try name("back"))), .verdict(.accept)]))
    try changes.commit(over: connection)
    let rows: [(String, String, Bool)] = [
      ("a", "x", false), ("b", "back", false), ("b", "no", true), ("b", "x", true), ("c", "back", true),
      ("d", "back", true), ("e", "back", false), ("e", "x", true),
    ]
    for (from, to, isExpected) in rows {
      let (isDropped, isCertain) = try isDropped(NftPacket(.ipv4, from: .named(from), to: .named(to)))
      #expect(isDropped == isExpected && isCertain, "\(from) → \(to)")
    }
    changes = NftTransaction()
    try changes.insert(NftRule(base, [.match(.sourceAddressType, .equal(.host(1))), .verdict(.accept)]))
    try changes.commit(over: connection)
    #expect(try isDropped(NftPacket(.ipv4, from: .named("e"), to: .named("x"))) == (true, false))
  }
}
