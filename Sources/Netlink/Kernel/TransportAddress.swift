public import NetworkPrimitives

/// The address that a socket is bound or connected to.
public struct TransportAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address.
  public var address: IPAddress
  /// The port.
  public var port: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  /// Index of a link-local address's link; 0 for any other address.
  public var link: UInt32
  /// Pads the value to more than four words, so that it is passed in memory. Swift 6.3 without optimization spills a
  /// 128-bit value from registers to an unaligned place, and traps when it loads it.
  private var width: UInt64 = 0

  /// Makes an address.
  public init(_ address: IPAddress, _ port: UInt16, _ transport: TransportProtocol, link: UInt32 = 0) {
    self.address = address
    self.port = port
    self.transport = transport
    self.link = link
  }

  /// As in `192.0.2.53:53/udp`.
  public var description: String {
    "\(address.family == .ipv6 ? "[\(address)]" : "\(address)"):\(port)/\(transport)"
  }
}
