public import Netlink
public import NetworkPrimitives

/// Forwards traffic to published ports at addresses that the kernel does not translate: `::1`, and the host's addresses
/// of a family that the container lacks.
///
/// This package's implementation is `PortForwarder`, of the product `ContainerNetworkingForwarder`; see
/// ``ControllerSettings/forwarder``. Calls come one at a time, from threads of the controller, and may block. They must
/// not call the controller.
public protocol PortForwarding: Sendable {
  /// Starts to forward a port, and returns once it does.
  ///
  /// - Parameters:
  ///   - port: The source and the target.
  ///   - socket: The socket bound to ``ForwardedPort/listening``, for listening, see `PortReservation.duplicate()`.
  ///   - host: The namespace from which to connect to the container: the host's.
  /// - Throws: The failure; nothing is forwarded then.
  func forward(
    _ port: ForwardedPort, from socket: PortReservation, in host: NetworkNamespace
  ) throws(NetworkError)

  /// Ends the forwarding and its connections, and returns once nothing uses the socket any more. A port that was not
  /// forwarded is ignored.
  func stop(_ port: ForwardedPort)
}

/// A path from a port of the host to one of a container.
public struct ForwardedPort: Hashable, Sendable, CustomStringConvertible {
  /// The listening address. It may be a family's wildcard, which then receives only traffic to `::1`.
  public var listening: PortBinding
  /// The container's address and port.
  public var target: PortBinding

  /// Makes a way.
  public init(listening: PortBinding, target: PortBinding) {
    self.listening = listening
    self.target = target
  }

  /// As in `[::]:8080/tcp → 172.17.0.2:80/tcp`.
  public var description: String { "\(listening) → \(target)" }
}

extension Endpoint {
  /// The bindings at which a forwarder listens for it.
  var listeners: Set<PortBinding> { Set(ports.flatMap { forwards(of: $0) }.map(\.listening)) }

  /// Removes forwarders of ports that are no longer published.
  mutating func forgetForwarding() {
    guard forwarding != nil else { return }
    let places = listeners.map { " \($0)" }
    forwarding?.removeAll { entry in !places.contains { entry.hasSuffix($0) } }
    if forwarding?.isEmpty == true { forwarding = nil }
  }

  /// The paths of a port that need a forwarder: to the container's address of the same family, else its first.
  func forwards(of port: PublishedPort) -> [ForwardedPort] {
    // SCTP has no byte stream to forward.
    guard port.transport != .sctp else { return [] }
    return (port.forwarded ?? []).compactMap { address in
      guard let own = (self.address(address.family) ?? addresses.first)?.address else { return nil }
      // The wildcard's socket includes the one for `::1`.
      let place = port.addresses.first { $0.includes(address) } ?? address
      return ForwardedPort(
        listening: PortBinding(place, port.hostPort, port.transport),
        target: PortBinding(own, port.containerPort, port.transport))
    }
  }
}
