import NIOCore
import Netlink
import NetworkPrimitives

extension TransportAddress {
  /// The peer of a datagram or connection; nil for other families, and for port 0, which cannot be answered.
  ///
  /// Unsafe code: the fields of `sockaddr_in` and `sockaddr_in6` (ip(7), ipv6(7)) are loaded within the size that NIO
  /// reports.
  init?(_ address: SocketAddress, _ transport: TransportProtocol) {
    let peer = unsafe address.withSockAddr { pointer, size -> TransportAddress? in
      let fields = unsafe UnsafeRawBufferPointer(start: pointer, count: size)
      guard size >= 16 else { return nil }
      let port = UInt16(bigEndian: unsafe fields.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
      switch address {
      case .v4:
        let number = UInt32(bigEndian: unsafe fields.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        return TransportAddress(.v4(IPv4Address(rawValue: number)), port, transport)
      case .v6 where size >= 28:
        let number = UInt128(bigEndian: unsafe fields.loadUnaligned(fromByteOffset: 8, as: UInt128.self))
        let link = unsafe fields.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
        return TransportAddress(.v6(IPv6Address(rawValue: number)), port, transport, link: link)
      default: return nil
      }
    }
    guard let peer, peer.port != 0 else { return nil }
    self = peer
  }
}
