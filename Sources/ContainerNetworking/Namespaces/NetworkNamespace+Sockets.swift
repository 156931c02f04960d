public import Netlink
public import NetworkPrimitives
public import SystemPackage

extension NetworkNamespace {
  /// A socket inside that is bound to an address and port and, by TCP, listens. It does not block, works from any thread,
  /// and keeps the namespace until the caller closes it. The address need not be there yet (`IP_FREEBIND`, ip(7)).
  ///
  /// - Parameter binding: The address, which may be any of a family, the port and the protocol.
  /// - Throws: `.inUse` for a port that another holds, naming who where that can be found; `.permissionDenied` below
  ///   `net/ipv4/ip_unprivileged_port_start` without `CAP_NET_BIND_SERVICE`; `.unsupported` for SCTP, and by the
  ///   simulated kernel.
  public func bindSocket(to binding: TransportAddress) throws(NetworkError) -> FileDescriptor {
    try kernel.bindSocket(to: binding, in: handle)
  }

  /// A socket inside, with a port of the kernel's choice, that is connected or, by TCP, about to be. It does not block,
  /// works from any thread, and keeps the namespace until the caller closes it.
  ///
  /// - Parameter peer: Whom it speaks to.
  /// - Throws: `.kernelRefused` where no route leads; `.unsupported` for SCTP, and by the simulated kernel.
  public func connectSocket(to peer: TransportAddress) throws(NetworkError) -> FileDescriptor {
    try kernel.connectSocket(to: peer, in: handle)
  }
}
