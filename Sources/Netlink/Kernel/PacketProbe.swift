public import NetworkPrimitives
public import SystemPackage

/// A packet that a program in a namespace could send, to see what becomes of it.
public struct ProbePacket: Hashable, Sendable {
  /// What kind of packet.
  public enum Kind: Hashable, Sendable {
    /// The first of a TCP connection, to this port.
    case tcp(UInt16)
    /// An empty UDP datagram, to this port.
    case udp(UInt16)
    /// An ICMP or ICMPv6 echo request.
    case echo
  }

  /// What kind.
  public var kind: Kind
  /// The sender's address, of the destination's family; nil for the kernel's choice.
  public var source: IPAddress?
  /// The receiver's address.
  public var destination: IPAddress

  /// Makes one.
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

/// A socket that is to send one packet, and has its address and port already.
public protocol PacketProbe: AnyObject, Sendable {
  /// The sender's port; of an echo its identifier.
  var sourcePort: UInt16 { get }

  /// Sends the packet. TCP sends it again until it is answered or the probe is gone.
  ///
  /// - Throws: The kernel's refusal to send it at all: no route, a rule of its own host.
  func send() throws(NetworkError)

  /// Waits for what comes back; nil for nothing in that time.
  func wait(timeout: Duration) throws(NetworkError) -> ProbeAnswer?
}

/// What came back to a probe.
public enum ProbeAnswer: Hashable, Sendable {
  /// An answer: the connection is made, a datagram or an echo came.
  case answered
  /// An error; by ICMP from that router or host, or nil from the receiver's TCP or this namespace's own kernel.
  case failed(Errno, by: IPAddress?)
}

extension Kernel {
  /// For kernels whose namespaces no packet passes.
  ///
  /// - Throws: `.unsupported`.
  public func openProbe(
    _ packet: ProbePacket, in namespace: NamespaceHandle
  ) throws(NetworkError) -> any PacketProbe {
    throw NetworkError(
      .unsupported, operation: "send a packet to \(packet.destination)",
      reason: "this kernel has no packets; use LinuxKernel to see what becomes of one")
  }
}
