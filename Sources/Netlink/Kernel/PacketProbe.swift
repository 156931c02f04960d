public import NetworkPrimitives
public import SystemPackage

/// A packet that a program in a namespace could send, for testing reachability.
public struct ProbePacket: Hashable, Sendable {
  /// The kind of packet.
  public enum Kind: Hashable, Sendable {
    /// The first packet of a TCP connection, to this port.
    case tcp(UInt16)
    /// An empty UDP datagram, to this port.
    case udp(UInt16)
    /// An ICMP or ICMPv6 echo request.
    case echo
  }

  /// The kind of packet.
  public var kind: Kind
  /// The sender's address, of the destination's family; nil for the kernel's choice.
  public var source: IPAddress?
  /// The receiver's address.
  public var destination: IPAddress

  /// Makes a packet.
  public init(_ kind: Kind, from source: IPAddress? = nil, to destination: IPAddress) {
    self.kind = kind
    self.source = source
    self.destination = destination
  }

  /// The number of the protocol above IP.
  public var transport: UInt8 {
    switch kind {
    case .tcp: 6
    case .udp: 17
    case .echo: destination.family == .ipv4 ? 1 : 58
    }
  }

  /// The receiver's port; nil for an echo.
  public var port: UInt16? {
    switch kind {
    case .tcp(let port), .udp(let port): port
    case .echo: nil
    }
  }
}

/// A socket for sending one packet; its address and port are already bound.
public protocol PacketProbe: AnyObject, Sendable {
  /// The sender's port; the identifier of an echo.
  var sourcePort: UInt16 { get }

  /// Sends the packet. TCP retransmits it until it is answered or the probe is released.
  ///
  /// - Throws: The kernel's refusal to send it: no route, or a firewall rule of the sending namespace.
  func send() throws(NetworkError)

  /// Waits for the answer; nil if none came within the timeout.
  func wait(timeout: Duration) throws(NetworkError) -> ProbeAnswer?
}

/// The answer to a probe.
public enum ProbeAnswer: Hashable, Sendable {
  /// A positive answer: the connection is made, or a datagram or an echo reply came.
  case answered
  /// An error: by ICMP from that router or host, or nil from the receiver's TCP or this namespace's own kernel.
  case failed(Errno, by: IPAddress?)
}

extension Kernel {
  /// For kernels that carry no packets.
  ///
  /// - Throws: `.unsupported`.
  public func openProbe(
    _ packet: ProbePacket, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any PacketProbe {
    throw NetworkError(
      .unsupported, operation: "send a packet to \(packet.destination)",
      reason: "this kernel has no packets; send them on LinuxKernel")
  }
}
