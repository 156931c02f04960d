public import NetworkPrimitives

/// Whom a socket speaks to.
public struct Peer: Hashable, Sendable, CustomStringConvertible {
  /// Its address.
  public var address: IPAddress
  /// Its port.
  public var port: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  /// Index of the link that a link-local address is reached by; 0 for any other address.
  public var link: UInt32

  /// Makes one.
  public init(_ address: IPAddress, _ port: UInt16, _ transport: TransportProtocol, link: UInt32 = 0) {
    self.address = address
    self.port = port
    self.transport = transport
    self.link = link
  }

  /// As in `192.0.2.53:53/udp`.
  public var description: String { PortBinding(address, port, transport).description }
}
