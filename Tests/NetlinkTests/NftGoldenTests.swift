import Netlink
import NetworkPrimitives
import Testing

/// What nft(8) 1.0.6 sends for the same, body for body. Captured, for a file of what each test says in its comment, by
/// unshare -n strace -e trace=sendmsg -e write=all nft -f FILE
@Suite struct NftGoldenTests {
  let table = NftTable(family: .inet, name: "t")

  private func hex(_ transaction: NftTransaction) -> [String] {
    transaction.requests.map { request in
      request.body.map { byte in
        let text = String(byte, radix: 16)
        return text.count == 1 ? "0" + text : text
      }.joined()
    }
  }

  // table inet t { chain other { } chain pre { type nat hook prerouting priority -100; policy accept; } }
  @Test func tableAndChains() throws {
    var changes = NftTransaction()
    try changes.add(table)
    try changes.add(NftChain(table: table, name: "other"))
    try changes.add(
      NftChain(table: table, name: "pre", base: NftChain.Base(.nat, hook: .prerouting, priority: -100)))
    let golden = [
      "0100000006000100740000000800020000000000",
      "0100000006000100740000000a0003006f74686572000000",
      "0100000006000100740000000800030070726500080007006e61740008000500000000011400048008000100000000000800"
        + "0200ffffff9c",
    ]
    #expect(hex(changes) == golden)
    #expect(changes.requests.map(\.type) == [0xa00, 0xa03, 0xa03])
    #expect(changes.requests.map(\.flags) == [.create, .create, .create])
    #expect(NftTransaction.begin().body == [0, 0, 0, 10])
    #expect(NftTransaction.begin().type == 0x10)
    #expect(NftTransaction.end.body == [0, 0, 0, 10])
    #expect(NftTransaction.end.type == 0x11)
  }

  // map published { type inet_proto . inet_service : ipv4_addr . inet_service;
  //                 elements = { tcp . 8080 : 172.17.0.2 . 80 }; }
  @Test func mapAndElement() throws {
    let map = NftSet(
      table: table, name: "published", key: [.transportProtocol, .port], data: .values([.ipv4Address, .port]))
    var changes = NftTransaction()
    let reference = try changes.add(map)
    let target = NftValue.concatenation(.ipv4(IPv4Address(172, 17, 0, 2)), .port(80))
    let element = NftElement(.concatenation(.tcp, .port(8080)), data: .value(target))
    try changes.add([element], to: map, reference)
    // nft adds to its user data how the types were written; that end is cut off here.
    let golden = [
      "0100000006000100740000000e0002007075626c69736865640000000800030000000008080004000000030d080005000000"
        + "000808000600000001cd080007000000000808000a000000000110000d00000400000000010400000000",
      "0100000006000100740000000e0002007075626c697368656400000008000400000000012800038024000180100001800c00"
        + "0100060000001f900000100002800c000100ac11000200500000",
    ]
    #expect(hex(changes) == golden)
  }

  // chain pre { fib daddr type local dnat ip to meta l4proto . th dport map @published comment "hi" }
  @Test func translationByMap() throws {
    let map = NftSetReference(name: "published", id: 1)
    let target = NftTranslation.Target.map(
      map, key: [.transportProtocol, .destinationPort], family: .ipv4, port: true)
    var changes = NftTransaction()
    try changes.add(
      NftRule(
        NftChain(table: table, name: "pre"), comment: "hi",
        [
          .match(.destinationAddressType, .equal(.host(2))),
          .translate(NftTranslation(.destination, to: target)),
        ]))
    let golden =
      "01000000060001007400000008000200707265001c0104802800018008000100666962001c00028008000300000000020800"
      + "02000000000308000100000000012c00018008000100636d700020000280080001000000000108000200000000000c000380"
      + "080001000200000024000180090001006d657461000000001400028008000200000000100800010000000001340001800c00"
      + "01007061796c6f6164002400028008000100000000090800020000000002080003000000000208000400000000023c000180"
      + "0b0001006c6f6f6b757000002c000280080002000000000108000300000000010e0001007075626c69736865640000000800"
      + "04000000000130000180080001006e6174002400028008000100000000010800020000000002080003000000000108000500"
      + "00000009090007000003686900000000"
    #expect(hex(changes) == [golden])
    #expect(changes.requests.map(\.flags) == [[.create, .append]])
  }

  // chain pre { ct state established,related accept
  //             meta l4proto tcp tcp dport != 1000-2000 jump other }
  @Test func matchesAndVerdicts() throws {
    let chain = NftChain(table: table, name: "pre")
    var changes = NftTransaction()
    try changes.add(
      NftRule(chain, [.match(.connectionState, .state([.established, .related])), .verdict(.accept)]))
    try changes.add(
      NftRule(
        chain,
        [
          .match(.transportProtocol, .equal(.tcp)),
          .match(.destinationPort, .range(.port(1000), .port(2000), inverted: true)), .verdict(.jump("other")),
        ]))
    let golden = [
      "0100000006000100740000000800020070726500c40004802000018007000100637400001400028008000200000000000800"
        + "010000000001440001800c000100626974776973650034000280080001000000000108000200000000010800030000000004"
        + "0c00048008000100060000000c00058008000100000000002c00018008000100636d70002000028008000100000000010800"
        + "0200000000010c0003800800010000000000300001800e000100696d6d6564696174650000001c0002800800010000000000"
        + "100002800c0002800800010000000001",
      "01000000060001007400000008000200707265000001048024000180090001006d6574610000000014000280080002000000"
        + "001008000100000000012c00018008000100636d700020000280080001000000000108000200000000000c00038005000100"
        + "06000000340001800c0001007061796c6f616400240002800800010000000001080002000000000208000300000000020800"
        + "0400000000023c0001800a00010072616e67650000002c000280080001000000000108000200000000010c00038006000100"
        + "03e800000c0004800600010007d000003c0001800e000100696d6d6564696174650000002800028008000100000000001c00"
        + "02801800028008000100fffffffd0a0002006f74686572000000",
    ]
    #expect(hex(changes) == golden)
  }

  // table bridge t { chain c { ether saddr set 06:63:6e:65:74:00; } }
  @Test func rewrittenSourceMAC() throws {
    var changes = NftTransaction()
    let chain = NftChain(table: NftTable(family: .bridge, name: "t"), name: "c")
    try changes.add(NftRule(chain, [.setSourceMAC(try MACAddress("06:63:6e:65:74:00"))]))
    let golden =
      "070000000600010074000000060002006300000068000480300001800e000100696d6d6564696174650000001c0002800800"
      + "01000000000110000280"
      + "0a00010006636e6574000000340001800c0001007061796c6f6164002400028008000500000000010800020000000000"
      + "08000300000000060800040000000006"
    #expect(hex(changes) == [golden])
  }

  // chain post { ip6 saddr fd00::1 oifname != "cn0" counter masquerade fully-random }
  @Test func familyCheckCounterAndMasquerade() throws {
    var changes = NftTransaction()
    try changes.add(
      NftRule(
        NftChain(table: table, name: "post"),
        [
          .match(.sourceIPv6, .equal(.ipv6(IPv6Address("fd00::1")))),
          .match(.outgoingInterface, .notEqual(.interface(InterfaceName("cn0")))), .counter,
          .masquerade(.fullyRandom),
        ]))
    let golden =
      "01000000060001007400000009000200706f7374000000004c01048024000180090001006d65746100000000140002800800"
      + "02000000000f08000100000000012c00018008000100636d700020000280080001000000000108000200000000000c000380"
      + "050001000a000000340001800c0001007061796c6f6164002400028008000100000000010800020000000001080003000000"
      + "000808000400000000103800018008000100636d70002c000280080001000000000108000200000000001800038014000100"
      + "fd00000000000000000000000000000124000180090001006d65746100000000140002800800020000000007080001000000"
      + "00013800018008000100636d70002c000280080001000000000108000200000000011800038014000100636e300000000000"
      + "0000000000000000140001800c000100636f756e74657200040002801c000180090001006d617371000000000c0002800800"
      + "010000000010"
    #expect(hex(changes) == [golden])
  }
}
