public import Netlink
public import NetworkPrimitives
public import SystemPackage

extension NetworkNamespace {
  /// A socket inside the namespace that is bound to an address and port and, with TCP, listens. It does not block,
  /// works from any thread, and keeps the namespace until the caller closes it. The address need not exist yet
  /// (`IP_FREEBIND`, ip(7)).
  ///
  /// - Parameter binding: The address, which may be a wildcard, the port and the protocol.
  /// - Throws: `.inUse` for a port that another socket holds, with the holder's name where it can be found;
  ///   `.permissionDenied` below `net/ipv4/ip_unprivileged_port_start` without `CAP_NET_BIND_SERVICE`; `.unsupported`
  ///   for SCTP, and by the simulated kernel.
  public func bindSocket(to binding: TransportAddress) throws(NetworkError) -> FileDescriptor {
    try kernel.bindSocket(to: binding, in: handle)
  }

  /// A socket inside the namespace, on a port of the kernel's choice, that is connected or, with TCP, connecting. It
  /// does not block, works from any thread, and keeps the namespace until the caller closes it.
  ///
  /// - Parameter peer: The remote address.
  /// - Throws: `.kernelRefused` without a route; `.unsupported` for SCTP, and by the simulated kernel.
  public func connectSocket(to peer: TransportAddress) throws(NetworkError) -> FileDescriptor {
    try kernel.connectSocket(to: peer, in: handle)
  }
}
