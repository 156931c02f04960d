import CContainerNetworking
import Glibc
public import NetworkPrimitives
import SystemPackage

extension LinuxKernel {
  /// Binds each for a moment. Throws `.permissionDenied` below the first unprivileged port without
  /// `CAP_NET_BIND_SERVICE`.
  ///
  /// The link of a link-local address is unknown here, so the wildcard is tested instead.
  public func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    var held: [PortBinding] = []
    for (binding, port) in zip(bindings, try bind(bindings, in: namespace, keeps: false))
    where try !isBound(binding, port.result) { held.append(binding) }
    return held
  }

  /// Binds each until released: with TCP and SCTP on sockets that do not listen, with UDP on sockets that receive no
  /// datagram. They have no `SO_REUSEADDR`, so that others with it are refused, too.
  ///
  /// Without IPv6 in the kernel no socket is made; nobody else could take the port either.
  public func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    let ports = try bind(bindings, in: namespace, keeps: true)
    var failure: NetworkError?
    var reservations: [PortReservation] = []
    for (binding, port) in zip(bindings, ports) {
      // Examines every result, even after a failure, so that no socket stays open.
      do throws(NetworkError) {
        guard try isBound(binding, port.result) else { continue }
        let descriptor = port.result >= 0 ? port.result : nil
        reservations.append(
          PortReservation(binding, descriptor: descriptor) { if let descriptor { close(descriptor) } })
      } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
    return reservations
  }

  private func bind(
    _ bindings: [PortBinding], in namespace: NamespaceHandle, keeps: Bool
  ) throws(NetworkError) -> [cn_port] {
    guard !bindings.isEmpty else { return [] }
    var ports = bindings.map { binding in
      let isScoped = binding.address.family == .ipv6 && binding.address.isLinkLocal
      return cn_port(
        isScoped ? .any(.ipv6) : binding.address, binding.port, number: binding.transport.number)
    }
    let visited = unsafe ports.withUnsafeMutableBufferPointer { buffer in
      guard let first = buffer.baseAddress else { return CInt(0) }
      return unsafe cn_namespace_bind_ports(namespace.descriptor, namespace.cookie, first, buffer.count, keeps ? 1 : 0)
    }
    try check(visited, "setns", "list held ports")
    return ports
  }

  /// Whether a port was free; false when another socket holds it.
  private func isBound(_ binding: PortBinding, _ result: Int32) throws(NetworkError) -> Bool {
    guard result < 0 else { return true }
    let errno = Errno(rawValue: -result)
    switch errno {
    case .addressInUse: return false
    case .protocolNotSupported where binding.transport == .sctp,
      .socketTypeNotSupported where binding.transport == .sctp:
      throw binding.unsupportedTransport(KernelReport(errno: errno, request: "socket"))
    // A kernel that cannot make such sockets has none that hold ports.
    case .protocolNotSupported, .addressFamilyNotSupported, .socketTypeNotSupported: return true
    case .addressNotAvailable: throw binding.absentAddress(KernelReport(errno: errno, request: "bind"))
    case .addressRequired: throw binding.sharedAddress()
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
      throw NetworkError(
        .exhausted, operation: "hold \(binding)",
        reason:
          "the limit of open files of this process is reached; raise it (RLIMIT_NOFILE, setrlimit(2)), or have ports "
          + "not held", kernel: KernelReport(errno: errno, request: "socket"))
    default:
      throw systemError(
        errno, "bind", "check whether \(binding) is free",
        remedy: "ports below net/ipv4/ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: run as root")
    }
  }
}

extension PortReservation {
  /// Makes the socket receive, which it has not done until now, and returns a duplicate descriptor, which the caller
  /// closes. Nil without a socket.
  public func duplicate() throws(NetworkError) -> Int32? {
    guard let descriptor else { return nil }
    try check(cn_port_silence(descriptor, 0), "setsockopt", "receive at \(binding)")
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    return try check(copy < 0 ? -errno : copy, "fcntl", "receive at \(binding)")
  }

  /// Makes the socket silent again: it accepts no connection and keeps no datagram.
  public func fallSilent() { if let descriptor { _ = cn_port_silence(descriptor, 1) } }

  /// Sends a datagram from the socket, without waiting.
  ///
  /// - Parameters:
  ///   - datagram: The bytes to send.
  ///   - place: A `struct sockaddr` of the receiver.
  ///   - source: The address to send from, one of the socket's; nil for the kernel's choice.
  ///   - link: The link to send by, for addresses of that link alone; 0 for the kernel's choice.
  /// - Returns: Whether it was sent; a datagram for which the kernel has no room is lost, as datagrams may be.
  @discardableResult
  package func send(
    _ datagram: UnsafeRawBufferPointer, to place: UnsafeRawBufferPointer, from source: IPAddress?, link: UInt32
  ) -> Bool {
    // An empty datagram is one, too.
    guard let descriptor, let whom = place.baseAddress else { return false }
    let bytes = unsafe datagram.baseAddress ?? whom
    return unsafe (source?.bytes ?? []).withUnsafeBytes { own in
      unsafe cn_datagram_send(
        descriptor, bytes, datagram.count, whom, place.count, own.baseAddress, own.count, link) >= 0
    }
  }
}
