import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// The kernel's trace. The messages are those of Linux 6.18 to nft(8) 1.0.6, for the first packet of
/// busybox nc 127.0.0.1 99, captured by unshare -n strace -e trace=recvmsg -e read=all nft monitor trace, with
/// table inet t {
///   chain other { counter; }
///   chain pre { type filter hook prerouting priority -300; iifname "lo" meta l4proto tcp meta nftrace set 1; }
///   chain in { type filter hook input priority 0; jump other; meta mark set 7 tcp dport 99 drop comment "no"; }
/// }
@Suite struct NftTraceTests {
  private static let messages = [
    "0100000008000f0000000002080004000000000308000600d9d2f659080002007072650006000100740000000c000300"
      + "00000000000000050c00050008000100ffffffff08000a000000000106000b0003040000180008004500003c5cb34000"
      + "4006e0067f0000017f00000118000900e06c006321751a3300000000a002ffd7fe300000120007000000000000000000"
      + "0000000008000000",
    "0100000008000f0000000002080004000000000308000600d9d2f659080002007072650006000100740000000c000500"
      + "08000100ffffffff",
    "0100000008000f0000000002080004000000000108000600d9d2f6590800020070726500060001007400000008001000"
      + "00000001",
    "0100000008000f0000000002080004000000000308000600d9d2f65907000200696e000006000100740000000c000300"
      + "00000000000000061800050008000100fffffffd0a0002006f7468657200000008000a000000000106000b0003040000"
      + "180008004500003c5cb340004006e0067f0000017f00000118000900e06c006321751a3300000000a002ffd7fe300000"
      + "1200070000000000000000000000000008000000",
    "0100000008000f0000000002080004000000000308000600d9d2f6590a0002006f746865720000000600010074000000"
      + "0c00030000000000000000040c00050008000100ffffffff",
    "0100000008000f0000000002080004000000000308000600d9d2f6590a0002006f746865720000000600010074000000"
      + "0c00050008000100ffffffff",
    "0100000008000f0000000002080004000000000308000600d9d2f65907000200696e000006000100740000000c000300"
      + "00000000000000070c000500080001000000000008000e0000000007",
  ]

  private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { UInt8($0 < 0x61 ? $0 - 0x30 : $0 - 0x57) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  private func hex(_ bytes: some Collection<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private func message(_ hex: String) -> NetlinkMessage { NetlinkMessage(type: 0xa11, payload: bytes(hex)[...]) }

  /// As nft(8) prints them: pre: rule (continue), end of the rules (continue), policy accept; in: rule (jump other); other:
  /// rule (continue), end; in: rule (drop).
  @Test func stepsOfAPacket() throws {
    let steps = try Self.messages.map { try NftTrace(message($0)) }
    let table = NftTable(family: .inet, name: "t")
    #expect(steps.map(\.table) == Array(repeating: table, count: 7))
    #expect(steps.map(\.chain) == ["pre", "pre", "pre", "in", "other", "other", "in"])
    #expect(steps.map(\.kind) == [.rule(5), .rule(0), .policy, .rule(6), .rule(4), .rule(0), .rule(7)])
    #expect(
      steps.map(\.decision) == [
        .verdict(.continue), .verdict(.continue), .verdict(.accept), .verdict(.jump("other")), .verdict(.continue),
        .verdict(.continue), .verdict(.drop),
      ])
    #expect(Set(steps.map(\.packetID)) == [0xd9d2_f659])
    #expect(steps.map(\.incomingLink) == [1, nil, nil, 1, nil, nil, nil])
    #expect(steps.map(\.mark) == [nil, nil, nil, nil, nil, nil, 7])
    #expect(steps.map { $0.packet != nil } == [true, false, false, true, false, false, false])
    let packet = try #require(steps[0].packet)
    #expect(steps[3].packet == packet)
    #expect((packet.source, packet.destination) == (try IPAddress("127.0.0.1"), try IPAddress("127.0.0.1")))
    #expect((packet.transport, packet.sourcePort, packet.destinationPort, packet.flags) == (6, 57452, 99, 2))
  }

  @Test func aMessageThatIsCutIsMalformed() throws {
    let whole = bytes(Self.messages[0])
    for count in 0..<whole.count {
      let message = NetlinkMessage(type: 0xa11, payload: whole[..<count])
      do { _ = try NftTrace(message) } catch { #expect(error.code == .malformedMessage) }
    }
    let other = NetlinkMessage(type: 0xa06, payload: whole[...])
    #expect(throws: NetworkError.self) { try NftTrace(other) }
  }

  @Test func headersOfEachProtocol() throws {
    func packet(_ network: String, _ transport: String) -> TracedPacket {
      TracedPacket(link: [], network: bytes(network)[...], transport: bytes(transport)[...])
    }
    let v4 = { (number: String) in "4500001c0000000040\(number)0000c0000201c0000202" }
    let v6 = { (next: String) in
      "6000000000089940".replacing("99", with: next) + "20010db8000000000000000000000001"
        + "20010db8000000000000000000000002"
    }
    let udp = packet(v4("11"), "0035303900080000")
    #expect((udp.transport, udp.sourcePort, udp.destinationPort) == (17, 53, 12345))
    let echo = packet(v4("01"), "0800f7fd00020001")
    #expect((echo.icmpType, echo.sourcePort, echo.destinationPort) == (8, 2, 2))
    let error = packet(v4("01"), "0303000000000000")
    #expect((error.icmpType, error.sourcePort) == (3, nil))
    let echo6 = packet(v6("3a"), "8100000000070001")
    #expect((echo6.source?.description, echo6.icmpType, echo6.sourcePort) == ("2001:db8::1", 129, 7))
    // Questions for a neighbour.
    let arp = packet("00010800060400010242ac110002ac110002000000000000ac110003", "")
    #expect((arp.source?.description, arp.destination?.description) == ("172.17.0.2", "172.17.0.3"))
    #expect(arp.asksForNeighbor && packet(v6("3a"), "8700000000000000").asksForNeighbor)
    #expect(!echo6.asksForNeighbor)
    // Behind extension headers the transport is not known; nor of a packet that is cut, or is none.
    #expect(packet(v6("00"), "8100000000070001").transport == nil)
    #expect(packet(v4("06"), "0050").sourcePort == nil)
    #expect(packet("45", "").source == nil)
    #expect(packet("", "").transport == nil)
    // A translation changes addresses and ports, but not the packet's signature.
    let before = packet(v4("06"), "e06c006321751a3300000000a002ffd7fe300000")
    let after = packet(v4("06"), "1111222221751a3300000000a002ffd7abcd0000")
    #expect(before.signature == after.signature)
    #expect(before.sourcePort != after.sourcePort)
  }

  // nft -f: table inet o { chain pre { type filter hook prerouting priority -450; meta nftrace set 1; } }
  @Test func ruleThatTraces() throws {
    let chain = NftChain(table: NftTable(family: .inet, name: "o"), name: "pre")
    var changes = NftTransaction()
    try changes.add(NftRule(chain, [.trace]))
    #expect(
      changes.requests.map { hex($0.body) } == [
        "01000000060001006f0000000800020070726500540004802c0001800e000100696d6d6564696174650000001800028008000100"
          + "000000010c000280050001000100000024000180090001006d6574610000000014000280080002000000000c0800030000000001"
      ])
  }

  /// `NFT_TABLE_F_OWNER`.
  @Test func tableThatBelongsToItsSocket() throws {
    var changes = NftTransaction()
    try changes.add(NftTable(family: .inet, name: "o"), isOwned: true)
    #expect(changes.requests.map { hex($0.body) } == ["01000000060001006f0000000800020000000002"])
  }

  // ip route get 10.0.0.1 from 10.0.0.7 iif v0 mark 5; ip route get fd00::1 from fd00::7 iif v0
  @Test func routeOfAPacketThatCameIn() throws {
    let request = RouteRequests.get(to: try IPAddress("10.0.0.1"), from: try IPAddress("10.0.0.7"), by: 3, mark: 5)
    #expect(request.type == 26)
    #expect(
      hex(request.body)
        == "022020000000000000100000080001000a000001080002000a00000708000300030000000800100005000000")
    let ipv6 = RouteRequests.get(to: try IPAddress("fd00::1"), from: try IPAddress("fd00::7"), by: 3)
    #expect(
      hex(ipv6.body)
        == "0a808000000000000000000014000100fd000000000000000000000000000001"
        + "14000200fd0000000000000000000000000000070800030003000000")
  }

  /// On the real kernel: after an overflow of steps, the received ones are returned, and the next are complete again.
  @Test(.timeLimit(.minutes(5))) func moreStepsThanThereIsRoomFor() throws {
    let kernel = LinuxKernel()
    let namespace = try kernel.makeNamespace()
    let route = try NetlinkConnection(.route, in: namespace, of: kernel)
    try route.execute(LinkRequests.change(1, LinkChange(isUp: true)))
    let chain = NftChain(
      table: NftTable(family: .inet, name: "t"), name: "out",
      base: NftChain.Base(.filter, hook: .output, priority: 0))
    var changes = NftTransaction()
    try changes.add(chain.table)
    try changes.add(chain)
    try changes.add(NftRule(chain, [.match(.transportProtocol, .equal(.udp)), .trace]))
    try changes.commit(over: NetlinkConnection(.netfilter, in: namespace, of: kernel))
    let reader = try NftTraceReader(kernel.openSocket(.netfilter, in: namespace))
    let socket = try kernel.connectSocket(to: TransportAddress(IPAddress("127.0.0.1"), 9, .udp), in: namespace)
    defer { try? socket.close() }
    // Every other one is refused with the error of the one before.
    func send(_ count: Int) { for _ in 0..<count { _ = try? socket.writeAll([1]) } }
    send(200_000)
    let many = try reader.take()
    #expect(many.isLossy)
    #expect(many.steps.count > 1_000)
    send(2)
    let few = try reader.take()
    #expect(!few.isLossy)
    #expect((1...10).contains(few.steps.count))
  }
}
