import Netlink
import NetworkPrimitives
import Testing

@Suite struct LinkTests {
  // ip link add v0 mtu 1400 address 02:00:00:00:00:01 group 7 numtxqueues 1 numrxqueues 1 type veth peer name v1
  // ip link set v0 alias hello
  // strace -e trace=recvmsg -e read=all ip link show v0; without statistics and per-family data
  static let veth = hex(
    """
    00 00 01 00 03 00 00 00  02 10 00 00 00 00 00 00
    07 00 03 00 76 30 00 00  08 00 0d 00 e8 03 00 00
    05 00 10 00 02 00 00 00  05 00 11 00 00 00 00 00
    05 00 43 00 00 00 00 00  08 00 04 00 78 05 00 00
    08 00 32 00 44 00 00 00  08 00 33 00 ff ff 00 00
    08 00 1b 00 07 00 00 00  08 00 1e 00 00 00 00 00
    08 00 3d 00 00 00 00 00  08 00 1f 00 01 00 00 00
    08 00 28 00 ff ff 00 00  08 00 29 00 00 00 01 00
    08 00 3a 00 00 00 01 00  08 00 3f 00 00 00 01 00
    08 00 40 00 00 00 01 00  08 00 3b 00 f8 ff 07 00
    08 00 3c 00 ff ff 00 00  08 00 42 00 00 00 00 00
    08 00 20 00 01 00 00 00  05 00 21 00 00 00 00 00
    0a 00 14 00 68 65 6c 6c  6f 00 00 00 08 00 23 00
    01 00 00 00 08 00 2f 00  00 00 00 00 08 00 30 00
    01 00 00 00 06 00 44 00  00 00 00 00 06 00 45 00
    00 00 00 00 05 00 27 00  00 00 00 00 0a 00 01 00
    02 00 00 00 00 01 00 00  0a 00 02 00 ff ff ff ff
    ff ff 00 00 0c 00 2b 00  05 00 02 00 00 00 00 00
    10 00 12 00 09 00 01 00  76 65 74 68 00 00 00 00
    08 00 05 00 02 00 00 00  09 00 06 00 6e 6f 6f 70
    00 00 00 00
    """)

  @Test func readsWhatTheKernelSends() throws {
    let link = try Link(NetlinkMessage(type: 16, payload: Self.veth[...]))
    #expect(link.index == 3)
    #expect(link.name == "v0")
    #expect(link.flags == [.broadcast, .multicast])
    #expect(link.kind == "veth")
    #expect(link.kindAttributes == nil)
    #expect(link.macAddress == MACAddress(bytes: [2, 0, 0, 0, 0, 1]))
    #expect(link.mtu == 1400)
    #expect(link.master == nil)
    #expect(link.peer == 2)
    #expect(link.peerNamespaceID == nil)
    #expect(link.group == 7)
    #expect(link.transmitQueues == 1)
    #expect(link.operationalState == 2)
    #expect(link.alias == "hello")
    #expect(link.alternativeNames.isEmpty)
    #expect(link.statistics == nil)
  }

  /// A link with everything nested that is read: kind, its data, alternative names, statistics.
  static var nested: [UInt8] {
    var body = PayloadWriter()
    body.append(contentsOf: veth.prefix(16))
    body.attribute(3, string: "cn0")
    body.nested(18) { info in
      info.attribute(1, string: "bridge")
      info.nested(2) { data in data.attribute(1, UInt32(1500)) }
    }
    body.nested(52) { list in
      list.attribute(53, string: "web")
      list.attribute(53, string: "bridge-of-web")
    }
    var counters = PayloadWriter()
    for counter in 1...25 as ClosedRange<UInt64> { counters.append(counter << 33) }
    body.attribute(23, bytes: counters.bytes)
    body.attribute(37, Int32(4))
    return body.bytes
  }

  @Test func readsNests() throws {
    let link = try Link(NetlinkMessage(type: 16, payload: Self.nested[...]))
    #expect(link.kind == "bridge")
    #expect(try link.kindAttributes?[type: 1]?.integer(UInt32.self) == 1500)
    #expect(link.alternativeNames == ["web", "bridge-of-web"])
    #expect(link.peerNamespaceID == 4)
    #expect(link.mtu == 0)
    let statistics = try #require(link.statistics)
    #expect(
      [
        statistics.receivedPackets, statistics.sentPackets, statistics.receivedBytes, statistics.sentBytes,
        statistics.receiveErrors, statistics.sendErrors, statistics.receiveDrops, statistics.sendDrops,
      ] == (1...8 as ClosedRange<UInt64>).map { $0 << 33 })
  }

  @Test(arguments: [veth, nested]) func damagedBytesNeverTrap(body: [UInt8]) {
    expectNoTrap(body, header: 16) { message throws(NetworkError) in try Link(message) }
  }

  @Test func kernelDescribesAVethAcrossNamespaces() throws {
    let kernel = LinuxKernel()
    let here = try kernel.makeNamespace()
    let there = try kernel.makeNamespace()
    let connection = try NetlinkConnection(.route, in: here, of: kernel)
    let bridgeName = try InterfaceName("br0")
    try connection.execute(
      LinkRequests.createBridge(bridgeName, macAddress: MACAddress(bytes: [2, 0, 0, 0, 0, 1]), mtu: 1400))
    let bridges = try connection.execute(LinkRequests.get(bridgeName))
    let bridge = try Link(#require(bridges.first))
    #expect(bridge.kind == "bridge" && bridge.mtu == 1400)
    #expect(bridge.macAddress == MACAddress(bytes: [2, 0, 0, 0, 0, 1]))
    #expect(try bridge.kindAttributes?[type: 5]?.integer(UInt32.self) == 0)

    try connection.execute(
      LinkRequests.createVeth(
        VethEnd(try InterfaceName("v0"), master: bridge.index),
        peer: VethEnd(
          try InterfaceName("eth0"), macAddress: MACAddress(bytes: [2, 0, 0, 0, 0, 3]), namespace: there.descriptor),
        mtu: 1300))
    let other = try NetlinkConnection(.route, in: there, of: kernel)
    let outers = try connection.execute(LinkRequests.get(try InterfaceName("v0")))
    let inners = try other.execute(LinkRequests.get(try InterfaceName("eth0")))
    let outer = try Link(#require(outers.first))
    let inner = try Link(#require(inners.first))
    #expect(outer.master == bridge.index && inner.master == nil)
    #expect(outer.peer == inner.index && inner.peer == outer.index)
    #expect(outer.peerNamespaceID != nil)
    #expect(outer.mtu == 1300 && inner.mtu == 1300)
    #expect(outer.transmitQueues == 1 && inner.transmitQueues == 1)
    #expect(inner.macAddress == MACAddress(bytes: [2, 0, 0, 0, 0, 3]))
    #expect(outer.statistics?.sentPackets == 0)

    try connection.execute(LinkRequests.delete(outer.index))
    let error = #expect(throws: NetworkError.self) { try other.execute(LinkRequests.get(inner.index)) }
    #expect(error?.code == .notFound)
  }
}
