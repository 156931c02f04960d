public import Netlink
public import NetworkPrimitives
import Synchronization
import SystemPackage

extension SimulatedKernel {
  /// Makes a fictitious program hold a port, until ``releasePort(_:_:at:in:)``.
  ///
  /// - Parameters:
  ///   - port: The port.
  ///   - transport: Its protocol.
  ///   - address: The bound address; nil for the wildcards of both families.
  ///   - namespace: The namespace; by default the machine's own.
  public func holdPort(
    _ port: UInt16, _ transport: TransportProtocol = .tcp, at address: IPAddress? = nil,
    in namespace: NamespaceHandle? = nil
  ) {
    changeHeldPorts(in: namespace) { $0.formUnion(Self.bindings(port, transport, address)) }
  }

  /// Makes the program release the port.
  public func releasePort(
    _ port: UInt16, _ transport: TransportProtocol = .tcp, at address: IPAddress? = nil,
    in namespace: NamespaceHandle? = nil
  ) {
    changeHeldPorts(in: namespace) { $0.subtract(Self.bindings(port, transport, address)) }
  }

  private static func bindings(
    _ port: UInt16, _ transport: TransportProtocol, _ address: IPAddress?
  ) -> [PortBinding] {
    let addresses = address.map { [$0] } ?? AddressFamily.allCases.map { .any($0) }
    return addresses.map { PortBinding($0, port, transport) }
  }

  private func changeHeldPorts(in namespace: NamespaceHandle?, _ change: (inout Set<PortBinding>) -> Void) {
    let inode = namespace?.identity.inode ?? SimulatedState.initialNamespace
    state.withLock { state in
      guard var ports = state.namespaces[inode]?.heldPorts else { return }
      change(&ports)
      state.namespaces[inode]?.heldPorts = ports
    }
  }

  /// The bindings that conflict with ``holdPort(_:_:at:in:)``, reserved ones, and VXLANs that are up.
  ///
  /// - Throws: `.notFound` (`EADDRNOTAVAIL`) for an address that the namespace does not have; `.unsupported` for SCTP
  ///   if ``hasSCTP`` is false.
  public func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    guard !bindings.isEmpty else { return [] }
    return try state.withLock { (state) throws(NetworkError) in
      let content = try Self.visit(namespace, for: bindings, hasSCTP, &state)
      let tunnels = state.tunnelPorts(in: namespace.identity.inode)
      return bindings.filter { content.isHeld($0, besides: tunnels) }
    }
  }

  /// Reserves the free bindings; the sockets are simulated descriptors.
  ///
  /// - Throws: As ``heldPorts(among:in:)``.
  public func reservePorts(
    _ bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortReservation] {
    guard !bindings.isEmpty else { return [] }
    let inode = namespace.identity.inode
    return try state.withLock { (state) throws(NetworkError) in
      var content = try Self.visit(namespace, for: bindings, hasSCTP, &state)
      defer { state.namespaces[inode] = content }
      let tunnels = state.tunnelPorts(in: inode)
      var reservations: [PortReservation] = []
      for binding in bindings where !content.isHeld(binding, besides: tunnels) {
        content.heldPorts.insert(binding)
        reservations.append(
          PortReservation(binding, descriptor: nil) { [self] in
            self.state.withLock { _ = $0.namespaces[inode]?.heldPorts.remove(binding) }
          })
      }
      return reservations
    }
  }

  private static func visit(
    _ namespace: NamespaceHandle, for bindings: [PortBinding], _ hasSCTP: Bool, _ state: inout SimulatedState
  ) throws(NetworkError) -> SimulatedNamespace {
    let operation = "list held ports"
    if let errno = state.faults.next(name: "bind") { throw systemError(errno, "bind", operation) }
    guard let content = state.namespaces[namespace.identity.inode] else {
      throw systemError(.badFileDescriptor, "setns", operation)
    }
    for binding in bindings {
      if binding.transport == .sctp, !hasSCTP {
        throw binding.unsupportedTransport(KernelReport(errno: .protocolNotSupported, request: "socket"))
      }
      if content.isOfMany(binding.address) { throw binding.sharedAddress() }
      guard content.canBind(to: binding.address) else {
        throw binding.absentAddress(KernelReport(errno: .addressAbsent, request: "bind"))
      }
    }
    return content
  }
}

extension SimulatedNamespace {
  func isHeld(_ wanted: PortBinding, besides tunnels: Set<PortBinding> = []) -> Bool {
    // A specific address conflicts with itself and the wildcard; the wildcard with every address.
    if !wanted.address.isUnspecified {
      let wildcard = PortBinding(.any(wanted.address.family), wanted.port, wanted.transport)
      return heldPorts.contains(wanted) || heldPorts.contains(wildcard) || tunnels.contains(wildcard)
    }
    return heldPorts.contains(wanted) || tunnels.contains(wanted) || heldPorts.contains { wanted.collides(with: $0) }
  }
}

extension SimulatedNamespace {
  /// Whether it is a multicast or broadcast address, of all links or of one.
  fileprivate func isOfMany(_ address: IPAddress) -> Bool {
    if address.isMulticast { return true }
    guard let wanted = address.v4, !address.isLoopback else { return false }
    return wanted.rawValue == .max
      || links.values.contains { link in
        link.isUp
          && link.addresses.contains { own in
            guard !own.isIPv6, own.prefixLength < 31 else { return false }
            let raw = own.bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return raw | .max >> UInt32(own.prefixLength) == wanted.rawValue && raw != wanted.rawValue
          }
      }
  }

  fileprivate func canBind(to address: IPAddress) -> Bool {
    guard !address.isUnspecified, !(address.family == .ipv6 && address.isLinkLocal) else {
      return true
    }
    let setting = address.family == .ipv4 ? "net/ipv4/ip_nonlocal_bind" : "net/ipv6/ip_nonlocal_bind"
    return sysctl(setting) == "1"
      || links.values.contains { link in
        link.addresses.contains { own in
          own.bytes == address.bytes || address.family == .ipv4 && address.isLoopback && own.bytes.first == 127
        }
      }
  }
}

extension PortBinding {
  fileprivate func collides(with other: PortBinding) -> Bool {
    port == other.port && transport == other.transport && address.family == other.address.family
      && (address == other.address || address.isUnspecified || other.address.isUnspecified)
  }
}
