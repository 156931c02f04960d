public import NetworkPrimitives

/// What one socket at a time can be bound to: an address of the host, or all of a family's, with a port of a protocol.
public struct PortBinding: Hashable, Sendable, CustomStringConvertible {
  /// The port.
  public var port: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  // Last: with the others in its padding Swift 6.3 passes it in registers, and without optimization copies it from there by
  // an instruction that wants an alignment that it has not given it.
  /// The address; 0.0.0.0 or `::` for all of its family. `::` is IPv6 alone (`IPV6_V6ONLY`).
  public var address: IPAddress

  /// Makes one.
  public init(_ address: IPAddress, _ port: UInt16, _ transport: TransportProtocol) {
    self.address = address
    self.port = port
    self.transport = transport
  }

  /// As in `0.0.0.0:8080/tcp` and `[::]:53/udp`.
  public var description: String {
    "\(address.family == .ipv6 ? "[\(address)]" : "\(address)"):\(port)/\(transport)"
  }
}

extension PortBinding {
  /// The error for an address that the host does not have; the simulated kernel's too.
  package func absentAddress(_ report: KernelReport) -> NetworkError {
    NetworkError(
      .notFound, operation: "look whether \(self) is free",
      reason: "no link of the host has the address \(address); give it to one first, or name an address that is there",
      kernel: report)
  }
}

extension PortBinding {
  /// The error for an address that is of many at once, multicast or broadcast; the simulated kernel's too.
  package func sharedAddress() -> NetworkError {
    NetworkError(
      .invalidValue, operation: "look whether \(self) is free",
      reason: "\(address) is a \(address.isMulticast ? "multicast" : "broadcast") address, which no host has alone; "
        + "name an address of the host's own")
  }
}

extension PortBinding {
  /// The error for a protocol that the kernel does not have; the simulated kernel's too.
  package func unsupportedTransport(_ report: KernelReport) -> NetworkError {
    NetworkError(
      .unsupported, operation: "look whether \(self) is free",
      reason:
        "this kernel has no \(transport) (CONFIG_IP_SCTP, modprobe sctp), so nothing in a container could serve it; "
        + "publish another protocol", kernel: report)
  }
}
