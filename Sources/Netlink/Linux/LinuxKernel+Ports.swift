import CContainerNetworking
public import NetworkPrimitives
import SystemPackage

extension LinuxKernel {
  /// Binds each, for a moment. Throws `.permissionDenied` below the first unprivileged port without
  /// `CAP_NET_BIND_SERVICE`.
  ///
  /// Of a link-local address the link is not known, so all addresses are asked about.
  public func heldPorts(
    among bindings: [PortBinding], in namespace: NamespaceHandle
  ) throws(NetworkError) -> [PortBinding] {
    guard !bindings.isEmpty else { return [] }
    var ports = bindings.map { binding in
      let isScoped = binding.address.family == .ipv6 && binding.address.isLinkLocal
      return cn_port(isScoped ? .any(.ipv6) : binding.address, binding.port, binding.transport)
    }
    let visited = unsafe ports.withUnsafeMutableBufferPointer { buffer in
      guard let first = buffer.baseAddress else { return CInt(0) }
      return unsafe cn_namespace_try_ports(namespace.descriptor, first, buffer.count)
    }
    try check(visited, "setns", "look for held ports")
    var held: [PortBinding] = []
    for (binding, port) in zip(bindings, ports) where port.result < 0 {
      let errno = Errno(rawValue: -port.result)
      switch errno {
      case .addressInUse: held.append(binding)
      // A kernel that cannot make such sockets has none that hold ports.
      case .protocolNotSupported, .addressFamilyNotSupported, .socketTypeNotSupported: continue
      case .addressNotAvailable: throw binding.absentAddress(KernelReport(errno: errno, request: "bind"))
      default:
        throw systemError(
          errno, "bind", "look whether \(binding) is free",
          remedy: "ports below net/ipv4/ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: run as root")
      }
    }
    return held
  }
}

extension cn_port {
  fileprivate init(_ address: IPAddress, _ port: UInt16, _ transport: TransportProtocol) {
    self.init()
    unsafe withUnsafeMutableBytes(of: &self.address) { room in
      for (index, byte) in address.bytes.enumerated() { unsafe room[index] = byte }
    }
    self.port = port
    is_ipv6 = address.family == .ipv6 ? 1 : 0
    `protocol` = transport.number
  }
}
