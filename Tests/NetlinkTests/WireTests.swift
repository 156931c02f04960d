import Netlink
import NetworkPrimitives
import SystemPackage
import TestSupport
import Testing

@Suite struct WireTests {
  @Test func attributesRoundTrip() throws {
    var writer = PayloadWriter()
    writer.attribute(3, string: "eth0")
    writer.attribute(4, UInt32(1500))
    writer.attribute(5, bigEndian: UInt16(443))
    writer.nested(18) { nest in nest.attribute(1, UInt8(7)) }
    writer.attribute(flag: 9)
    #expect(writer.bytes.count % 4 == 0)

    let attributes = try Attributes(writer.bytes[...])
    #expect(attributes.map(\.type) == [3, 4, 5, 18, 9])
    #expect(attributes[type: 3]?.string == "eth0")
    #expect(try attributes[type: 4]?.integer(UInt32.self) == 1500)
    #expect(attributes[type: 5].map { Array($0.payload) } == [1, 187])
    #expect(try attributes[type: 18]?.nested()[type: 1]?.integer(UInt8.self) == 7)
    #expect(attributes[type: 9]?.payload.isEmpty == true)
  }

  // strace -e trace=sendto -e write=all ip link set dev lo mtu 1500, without the header's sequence
  @Test func encodesAsIproute2Does() {
    var body = PayloadWriter()
    body.append(UInt8(0))
    body.append(UInt8(0))
    body.append(UInt16(0))
    body.append(Int32(1))
    body.appendZeros(8)
    body.attribute(4, UInt32(1500))
    var datagram = PayloadWriter()
    NetlinkMessage(type: 16, flags: [.request, .acknowledge], sequence: 1, payload: body.bytes[...])
      .encode(into: &datagram)
    #expect(
      datagram.bytes == [
        0x28, 0, 0, 0, 0x10, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0,  // header
        0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // ifinfomsg
        8, 0, 4, 0, 0xdc, 5, 0, 0,  // IFLA_MTU
      ])
  }

  @Test func acknowledgementRoundTrips() throws {
    let request = NetlinkMessage(type: 16, sequence: 9, portID: 4, payload: [0, 0, 0, 0])
    let sent = Acknowledgement(errno: .fileExists, message: "name taken", offset: 32, missingAttribute: 7)
    let message = sent.encode(for: request, portID: 4)
    #expect(message.sequence == 9)
    #expect(try Acknowledgement(error: message) == sent)
  }

  @Test(
    arguments: [
      [3, 0, 1, 0], [0, 0, 1, 0], [9, 0, 1, 0, 0, 0, 0, 0], [0xff, 0xff, 1, 0],
    ] as [[UInt8]])
  func badAttributeLengthIsAnError(bytes: [UInt8]) {
    #expect(throws: NetworkError.self) { try Attributes(bytes[...]) }
  }

  @Test func randomBytesNeverTrapOrLoop() {
    var generator = SeededGenerator()
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 0...96, using: &generator)).map { _ in
        Bool.random(using: &generator)
          ? UInt8.random(in: 0...20, using: &generator) : .random(in: .min ... .max, using: &generator)
      }
      let messages = (try? NetlinkMessage.parse(bytes[...])) ?? []
      #expect(messages.count * 16 <= bytes.count)
      for message in messages { _ = try? Acknowledgement(error: message) }
      let attributes = try? Attributes(bytes[...])
      #expect((attributes?.count ?? 0) * 4 <= bytes.count + 3)
    }
  }
}
