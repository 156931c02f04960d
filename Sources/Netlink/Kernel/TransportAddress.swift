public import NetworkPrimitives

/// What a socket is bound or connected to.
public struct TransportAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address.
  public var address: IPAddress
  /// The port.
  public var port: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  /// Index of the link that a link-local address is on; 0 for any other address.
  public var link: UInt32
  /// A value of more than four words is passed in memory. One that has 128 bits and comes in registers is put, by
  /// Swift 6.3 without optimization, where it is not aligned, and traps when it is loaded.
  private var width: UInt64 = 0

  /// Makes one.
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
