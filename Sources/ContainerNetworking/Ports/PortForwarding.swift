public import Netlink
public import NetworkPrimitives

/// Carries what is sent to published ports where the kernel's translation does not reach: to `::1`, and to the host's
/// addresses of a family that the container has none of.
///
/// The one that comes with this package is `PortForwarder`, of the product `ContainerNetworkingForwarder`; see
/// ``ControllerSettings/forwarder``. Calls come one at a time, from threads of the controller's, and may block; they must not
/// call the controller.
public protocol PortForwarding: Sendable {
  /// Begins to carry what comes to a port, and returns once it does.
  ///
  /// - Parameters:
  ///   - port: From where and to where.
  ///   - socket: What is bound to ``ForwardedPort/listening``: to be listened on, see `PortReservation.duplicate()`.
  ///   - host: The namespace to connect to the container from: the host's.
  /// - Throws: When it cannot; nothing is carried then.
  func forward(
    _ port: ForwardedPort, from socket: PortReservation, in host: NetworkNamespace
  ) throws(NetworkError)

  /// Ends that, and what is under way by it, and returns once nothing uses the socket any more. What was not begun is
  /// passed over.
  func stop(_ port: ForwardedPort)
}

/// A way from a port of the host to one of a container.
public struct ForwardedPort: Hashable, Sendable, CustomStringConvertible {
  /// What is listened on. It may be all addresses of a family, where only what is sent to `::1` comes in.
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
  /// What a forwarder listens at for it.
  var listeners: Set<PortBinding> { Set(ports.flatMap { forwards(of: $0) }.map(\.listening)) }

  /// Strikes out who forwards what is published no more.
  mutating func forgetForwarding() {
    guard forwarding != nil else { return }
    let places = listeners.map { " \($0)" }
    forwarding?.removeAll { entry in !places.contains { entry.hasSuffix($0) } }
    if forwarding?.isEmpty == true { forwarding = nil }
  }

  /// The ways that a port of it needs a forwarder for: to the container's address of the same family, where it has one.
  func forwards(of port: PublishedPort) -> [ForwardedPort] {
    // SCTP has no streams of bytes to carry on.
    guard port.transport != .sctp else { return [] }
    return (port.forwarded ?? []).compactMap { address in
      guard let own = (self.address(address.family) ?? addresses.first)?.address else { return nil }
      // Of the two that are held for all addresses and for `::1`, there is only the first.
      let place = port.addresses.first { $0.includes(address) } ?? address
      return ForwardedPort(
        listening: PortBinding(place, port.hostPort, port.transport),
        target: PortBinding(own, port.containerPort, port.transport))
    }
  }
}
