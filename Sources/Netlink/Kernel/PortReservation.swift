public import NetworkPrimitives

/// A port that a socket of this process holds: no other can be bound to it while the object lives. The socket refuses
/// everybody, as where nobody has the port: it does not listen, and no datagram finds it.
public final class PortReservation: Sendable {
  /// What is held.
  public let binding: PortBinding
  /// The socket, which goes with this object; nil for a kernel that has none.
  public let descriptor: Int32?
  private let end: @Sendable () -> Void

  /// Takes over a socket.
  ///
  /// - Parameters:
  ///   - binding: What it holds.
  ///   - descriptor: The socket.
  ///   - end: Lets go of it, with the last reference.
  public init(_ binding: PortBinding, descriptor: Int32?, end: @escaping @Sendable () -> Void) {
    self.binding = binding
    self.descriptor = descriptor
    self.end = end
  }

  deinit { end() }
}

extension Kernel {
  /// For kernels without sockets: what is free is not held.
  public func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    let held = Set(try heldPorts(among: bindings, in: namespace))
    return bindings.filter { !held.contains($0) }.map { PortReservation($0, descriptor: nil) {} }
  }
}
