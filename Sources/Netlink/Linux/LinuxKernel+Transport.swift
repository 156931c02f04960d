import CContainerNetworking
import Glibc
public import NetworkPrimitives
public import SystemPackage

extension LinuxKernel {
  /// A socket that is bound and, with TCP, listens. Throws `.inUse`, naming the process that holds the port where
  /// `/proc` shows it; `.permissionDenied` below the first unprivileged port without `CAP_NET_BIND_SERVICE`.
  public func bindSocket(
    to binding: TransportAddress, in namespace: NamespaceHandle
  ) throws(NetworkError) -> FileDescriptor {
    do throws(NetworkError) {
      return try unsafe Self.open(
        "bind a socket to \(binding)", binding, cn_namespace_bind, in: namespace,
        remedy: "ports below net/ipv4/ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: run as root")
    } catch {
      guard error.kernel?.errno == .addressInUse else { throw error }
      var error = error
      let holder = holder(of: binding, in: namespace).map { "\($0) holds it" } ?? "another socket holds it"
      error.reason =
        "port \(binding.port)/\(binding.transport) of \(binding.address) is taken: \(holder); have that listen "
        + "elsewhere"
      throw error
    }
  }

  /// A socket with a random port (`ip_local_port_range`). Throws `.kernelRefused` (`ENETUNREACH`) without a route.
  public func connectSocket(
    to peer: TransportAddress, in namespace: NamespaceHandle
  ) throws(NetworkError) -> FileDescriptor {
    try unsafe Self.open("connect a socket to \(peer)", peer, cn_namespace_connect, in: namespace)
  }

  private typealias Opening =
    @convention(c) (
      CInt, UnsafePointer<cn_peer>, UnsafeMutablePointer<UnsafePointer<CChar>?>
    ) -> CInt

  private static func open(
    _ operation: String, _ address: TransportAddress, _ open: Opening, in namespace: NamespaceHandle,
    remedy: String = ""
  ) throws(NetworkError) -> FileDescriptor {
    guard address.transport != .sctp else {
      throw NetworkError(
        .unsupported, operation: operation, reason: "sockets are made for tcp and udp; name one of them")
    }
    var peer = cn_peer(address)
    var failed: UnsafePointer<CChar>?
    let result = unsafe open(namespace.descriptor, &peer, &failed)
    let call = unsafe failed.map { unsafe String(cString: $0) } ?? "socket"
    return FileDescriptor(rawValue: try check(result, call, operation, remedy: remedy))
  }
}

extension cn_peer {
  package init(_ peer: TransportAddress) {
    self.init()
    // Avoids an array for the bytes: this runs for each datagram.
    unsafe withUnsafeMutableBytes(of: &self.address) { room in
      switch peer.address {
      case .v4(let address): unsafe room.storeBytes(of: address.rawValue.bigEndian, as: UInt32.self)
      case .v6(let address): unsafe room.storeBytes(of: address.rawValue.bigEndian, as: UInt128.self)
      }
    }
    port = peer.port
    is_ipv6 = peer.address.family == .ipv6 ? 1 : 0
    `protocol` = peer.transport.number
    link = peer.link
  }
}

/// Socket operations of a server that networking libraries do not offer.
package enum DatagramSocket {
  /// The most senders that ``shutOut(_:from:)`` takes.
  package static let shutOutLimit = Int(CN_SHUT_OUT_LIMIT)

  /// Sets the receive buffer, in bytes; with `CAP_NET_ADMIN` beyond the machine's limit (`rmem_max`, socket(7)).
  package static func setReceiveBuffer(_ bytes: Int32, of socket: FileDescriptor) {
    cn_set_receive_buffer(socket.rawValue, bytes)
  }

  /// Sends parts of some bytes, each to its own peer, without waiting. Parts that the kernel cannot take at once are
  /// lost, as datagrams may be.
  package static func send(_ parts: [Part], of bytes: UnsafeRawBufferPointer, through socket: FileDescriptor) {
    let size = bytes.count
    let datagrams = parts.filter { $0.range.upperBound <= size }.map { part in
      cn_datagram(
        peer: cn_peer(part.peer), offset: UInt32(part.range.lowerBound), length: UInt32(part.range.count))
    }
    guard !datagrams.isEmpty, let start = bytes.baseAddress else { return }
    unsafe datagrams.withUnsafeBufferPointer { list in
      guard let first = list.baseAddress else { return }
      let octets = unsafe start.assumingMemoryBound(to: UInt8.self)
      _ = unsafe cn_send_datagrams(socket.rawValue, octets, first, list.count)
    }
  }

  /// A part of some bytes that is one datagram for one peer.
  package struct Part: Sendable {
    package var peer: TransportAddress
    package var range: Range<Int>

    package init(_ range: Range<Int>, to peer: TransportAddress) {
      self.range = range
      self.peer = peer
    }
  }

  /// The used part of the receive buffer, in percent; at 100 datagrams are dropped.
  package static func queuePercent(of socket: FileDescriptor) -> Int {
    max(0, Int(cn_queue_percent(socket.rawValue)))
  }

  /// Makes the kernel drop datagrams of exactly these senders to the socket. They are of the socket's family.
  package static func shutOut(_ senders: [IPAddress], from socket: FileDescriptor) throws(NetworkError) {
    let peers = senders.map { cn_peer(TransportAddress($0, 0, .udp)) }
    let result = unsafe peers.withUnsafeBufferPointer { unsafe cn_shut_out(socket.rawValue, $0.baseAddress, $0.count) }
    try check(result, "setsockopt", "drop what \(senders.count) senders send")
  }
}
