public import NetworkPrimitives

/// A port held by a socket of this process: no other socket can bind it while the object lives. The socket refuses all
/// traffic, as an unused port does: it does not listen, and receives no datagram.
public final class PortReservation: Sendable {
  /// The reserved binding.
  public let binding: PortBinding
  /// The socket, which this object closes; nil for a kernel without sockets.
  public let descriptor: Int32?
  private let end: @Sendable () -> Void

  /// Takes over a socket.
  ///
  /// - Parameters:
  ///   - binding: The reserved binding.
  ///   - descriptor: The socket.
  ///   - end: Called with the last reference, to close the socket.
  public init(_ binding: PortBinding, descriptor: Int32?, end: @escaping @Sendable () -> Void) {
    self.binding = binding
    self.descriptor = descriptor
    self.end = end
  }

  deinit { end() }
}

extension Kernel {
  /// For kernels without sockets: reports free ports without holding them.
  public func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    let held = Set(try heldPorts(among: bindings, in: namespace))
    return bindings.filter { !held.contains($0) }.map { PortReservation($0, descriptor: nil) {} }
  }
}
