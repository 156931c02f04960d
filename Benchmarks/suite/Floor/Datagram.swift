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

  /// The datagram of a transaction that somebody sent, without the generation of rules that it was based on; nil for what is no
  /// transaction.
  init?(batch datagram: [UInt8]) {
    let number = { (place: Int) in datagram[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) } }
    // struct nlmsghdr: length, type, flags, sequence; the first message is NFNL_MSG_BATCH_BEGIN, with a struct nfgenmsg.
    guard datagram.count >= 20, number(4) & 0xffff == 0x10 else { return nil }
    bytes = [20, 0, 0, 0] + datagram[4..<20] + datagram[((Int(number(0)) + 3) & ~3)...]
    var (place, last) = (0, UInt32(0))
    while place + 16 <= datagram.count {
      // NLM_F_ACK
      if number(place + 4) >> 16 & 4 != 0 { last = number(place + 8) }
      place += max(16, (Int(number(place)) + 3) & ~3)
    }
    self.last = last
  }

  /// How many bytes it has.
  var count: Int { bytes.count }

  func exchange(over socket: Int32) throws { try check(unsafe floor_exchange(socket, bytes, bytes.count, last)) }
}
