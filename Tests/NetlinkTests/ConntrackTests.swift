import Netlink
import NetworkPrimitives
import SystemPackage
import Testing

/// Connection tracking's messages. The bytes are those of conntrack(8) 1.4.7 and of Linux 6.18, captured by
/// unshare -n strace -e trace=sendto,recvmsg -e write=all -e read=all conntrack …
@Suite struct ConntrackTests {
  private func hex(_ bytes: some Collection<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private func entry(
    _ source: String, _ sourcePort: UInt16, _ destination: String, _ port: UInt16, zone: UInt16 = 0
  ) throws -> ConntrackEntry {
    let (source, destination) = (try IPAddress(source), try IPAddress(destination))
    return ConntrackEntry(
      original: ConntrackTuple(.udp, from: source, sourcePort, to: destination, port),
      reply: ConntrackTuple(.udp, from: destination, port, to: source, sourcePort), zone: zone)
  }

  // conntrack -D -p udp --orig-port-dst 5353. It sends the answering tuple, state and timeout along, which the kernel
  // does not read; the header and the tuple that it finds the connection by are these.
  @Test func deletion() throws {
    let request = ConntrackRequests.delete(try entry("127.0.0.1", 34555, "127.0.0.1", 5353))
    #expect(request.type == 0x0102)
    #expect(request.flags == [])
    #expect(
      hex(request.body)
        == "020000003400018014000180080001007f000001080002007f0000011c0002800500010011000000"
        + "0600020086fb00000600030014e90000")
  }

  // conntrack -D -f ipv6 -p udp --orig-port-dst 5354
  @Test func deletionByIPv6() throws {
    let request = ConntrackRequests.delete(try entry("::1", 47785, "::1", 5354))
    #expect(
      hex(request.body)
        == "0a0000004c0001802c0001801400030000000000000000000000000000000001"
        + "14000400000000000000000000000000000000011c000280050001001100000006000200baa900000600030014ea0000")
  }

  /// The kernel's message, of a connection in zone 5 (conntrack -L -p udp).
  private let message: [UInt8] = [
    0x02, 0x00, 0x00, 0x00, 0x34, 0x00, 0x01, 0x80, 0x14, 0x00, 0x01, 0x80, 0x08, 0x00, 0x01, 0x00,
    0x7f, 0x00, 0x00, 0x01, 0x08, 0x00, 0x02, 0x00, 0x7f, 0x00, 0x00, 0x01, 0x1c, 0x00, 0x02, 0x80,
    0x05, 0x00, 0x01, 0x00, 0x11, 0x00, 0x00, 0x00, 0x06, 0x00, 0x02, 0x00, 0xe1, 0xaf, 0x00, 0x00,
    0x06, 0x00, 0x03, 0x00, 0x00, 0x07, 0x00, 0x00, 0x34, 0x00, 0x02, 0x80, 0x14, 0x00, 0x01, 0x80,
    0x08, 0x00, 0x01, 0x00, 0x7f, 0x00, 0x00, 0x01, 0x08, 0x00, 0x02, 0x00, 0x7f, 0x00, 0x00, 0x01,
    0x1c, 0x00, 0x02, 0x80, 0x05, 0x00, 0x01, 0x00, 0x11, 0x00, 0x00, 0x00, 0x06, 0x00, 0x02, 0x00,
    0x00, 0x07, 0x00, 0x00, 0x06, 0x00, 0x03, 0x00, 0xe1, 0xaf, 0x00, 0x00, 0x06, 0x00, 0x12, 0x00,
    0x00, 0x05, 0x00, 0x00, 0x08, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x08, 0x08, 0x00, 0x08, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x0c, 0x00, 0x4f, 0xe6, 0x33, 0x91, 0x08, 0x00, 0x0b, 0x00,
    0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x1d,
  ]

  @Test func readingAndNamingTheSame() throws {
    let read = try #require(try ConntrackEntry(NetlinkMessage(type: 0x0100, payload: message[...])))
    #expect(read.original.description == "udp src=127.0.0.1 dst=127.0.0.1 sport=57775 dport=7")
    #expect(read.reply.description == "udp src=127.0.0.1 dst=127.0.0.1 sport=7 dport=57775")
    #expect(read.zone == 5)
    // It is deleted by its tuple, as the kernel wrote it, in its zone, and only if it is that very one.
    let request = ConntrackRequests.delete(read)
    #expect(
      request.body == Array(message[..<56]) + [0x06, 0, 0x12, 0, 0, 5, 0, 0, 0x08, 0, 0x0c, 0, 0x4f, 0xe6, 0x33, 0x91])
  }

  @Test func aProtocolWithoutPortsIsPassedOver() throws {
    var icmp = message
    icmp[36] = 1
    icmp[88] = 1
    #expect(try ConntrackEntry(NetlinkMessage(type: 0x0100, payload: icmp[...])) == nil)
  }

  @Test func whateverIsCutOffIsAnErrorOrRead() throws {
    for length in 0..<message.count {
      do throws(NetworkError) {
        let read = try ConntrackEntry(NetlinkMessage(type: 0x0100, payload: message[..<length]))
        #expect(length >= 108 && read != nil, "\(length)")
      } catch { #expect(error.code == .malformedMessage, "\(length)") }
    }
    #expect(throws: NetworkError.self) { try ConntrackEntry(NetlinkMessage(type: 0x0102, payload: message[...])) }
  }
}
