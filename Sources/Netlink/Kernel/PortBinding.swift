public import NetworkPrimitives

/// An exclusive binding: an address of the host, or a family's wildcard, with a port of a protocol.
public struct PortBinding: Hashable, Sendable, CustomStringConvertible {
  /// The port.
  public var port: UInt16
  /// The protocol.
  public var transport: TransportProtocol
  // Keep this property last. In the padding of the others Swift 6.3 passes the struct in registers, and without
  // optimization copies it with an instruction whose alignment it does not provide.
  /// The address; 0.0.0.0 or `::` for the wildcard of the family. `::` is IPv6 alone (`IPV6_V6ONLY`).
  public var address: IPAddress

  /// Makes a binding.
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
  /// The error for an address that the host does not have; the simulated kernel uses it too.
  package func absentAddress(_ report: KernelReport) -> NetworkError {
    NetworkError(
      .notFound, operation: "check whether \(self) is free",
      reason: "no link of the host has the address \(address); give it to one first, or name an address that is there",
      kernel: report)
  }
}

extension PortBinding {
  /// The error for a multicast or broadcast address; the simulated kernel uses it too.
  package func sharedAddress() -> NetworkError {
    NetworkError(
      .invalidValue, operation: "check whether \(self) is free",
      reason:
        "\(address) is a \(address.isMulticast ? "multicast" : "broadcast") address, which is not one of a single "
        + "host; name an address of the host's own")
  }
}

extension PortBinding {
  /// The error for a protocol that the kernel does not have; the simulated kernel uses it too.
  package func unsupportedTransport(_ report: KernelReport) -> NetworkError {
    NetworkError(
      .unsupported, operation: "check whether \(self) is free",
      reason:
        "this kernel has no \(transport) (CONFIG_IP_SCTP, modprobe sctp), so nothing in a container could serve it; "
        + "publish another protocol", kernel: report)
  }
}
