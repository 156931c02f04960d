import CBenchmarkFloor
import ContainerNetworking

/// Requests as one datagram, with an acknowledgement of the last; errors come without being asked for.
struct Datagram {
  private var bytes: [UInt8]
  private let last: UInt32

  init(_ requests: [NetlinkRequest]) { self.init(requests, acknowledging: requests.count) }

  init(_ changes: NftTransaction) {
    self.init(
      [NftTransaction.begin()] + changes.requests + [NftTransaction.end], acknowledging: changes.requests.count + 1)
  }

  private init(_ requests: [NetlinkRequest], acknowledging last: Int) {
    var datagram = PayloadWriter()
    for (number, request) in zip(1..., requests) {
      var flags = request.flags.subtracting(.echo).union(.request)
      if number == last { flags.insert(.acknowledge) }
      NetlinkMessage(type: request.type, flags: flags, sequence: UInt32(number), payload: request.body[...])
        .encode(into: &datagram)
    }
    bytes = datagram.bytes
    self.last = UInt32(last)
  }

  func exchange(over socket: Int32) throws { try check(unsafe floor_exchange(socket, bytes, bytes.count, last)) }
}
