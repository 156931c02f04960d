import ContainerNetworking
import Foundation
import Glibc
import Playground
import Synchronization
import SystemPackage

/// Sockets of this process in namespaces of the playground, for both ends of forwarded traffic.
enum Sockets {
  /// A connection from a namespace; blocking, ten seconds at the most for each call.
  static func connect(
    _ transport: TransportProtocol, _ address: String, _ port: UInt16, from namespace: NetworkNamespace
  )
    throws -> FileDescriptor
  {
    let place = TransportAddress(try IPAddress(address), port, transport)
    let descriptor = try namespace.kernel.connectSocket(to: place, in: namespace.handle).rawValue
    return prepare(descriptor)
  }

  static func prepare(_ descriptor: Int32, seconds: Int = 10) -> FileDescriptor {
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    return FileDescriptor(rawValue: descriptor)
  }
}

extension FileDescriptor {
  /// Up to so many bytes; none at the end.
  func take(_ count: Int = 65_536) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let length = try unsafe bytes.withUnsafeMutableBytes { buffer in try unsafe read(into: buffer) }
    return Array(bytes[..<length])
  }

  /// All until the end.
  func takeAll() throws -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let bytes = try take()
      if bytes.isEmpty { return all }
      all += bytes
    }
  }

  /// No more is sent by it.
  func endOutput() { shutdown(rawValue, Int32(SHUT_WR)) }
}

/// A server in a container, of this process; each connection on a thread of its own.
final class Service: Sendable {
  /// Nil once its thread has closed it; no other thread does.
  private let listener: Mutex<Int32?>
  private let reservation: PortReservation
  private let accepted = Atomic(0)

  /// The number of connections so far; with UDP, of senders.
  var count: Int { accepted.load(ordering: .acquiring) }

  /// By TCP.
  convenience init(
    _ port: UInt16, in namespace: NetworkNamespace, family: AddressFamily,
    _ serve: @escaping @Sendable (FileDescriptor) throws -> Void
  ) throws {
    try self.init(PortBinding(.any(family), port, .tcp), in: namespace)
    run { [self] listener in
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { return false }
      accepted.add(1, ordering: .releasing)
      Thread.detachNewThread {
        let file = Sockets.prepare(connection, seconds: 30)
        try? serve(file)
        try? file.close()
      }
      return true
    }
  }

  /// With UDP: answers each datagram with a function of it.
  convenience init(
    datagrams port: UInt16, in namespace: NetworkNamespace, family: AddressFamily,
    _ answer: @escaping @Sendable ([UInt8]) -> [UInt8]
  ) throws {
    try self.init(PortBinding(.any(family), port, .udp), in: namespace)
    let sources = Mutex<Set<[UInt8]>>([])
    run { [self] listener in
      var bytes = [UInt8](repeating: 0, count: 65_536)
      var from = [UInt8](repeating: 0, count: 28)
      var size = socklen_t(from.count)
      let length = unsafe from.withUnsafeMutableBytes { place in
        unsafe recvfrom(
          listener, &bytes, bytes.count, 0, place.assumingMemoryBound(to: sockaddr.self).baseAddress, &size)
      }
      // An empty datagram without a sender: the socket was shut down.
      guard length > 0 || length == 0 && size > 0 else { return false }
      if sources.withLock({ $0.insert(from).inserted }) { accepted.add(1, ordering: .releasing) }
      let reply = answer(Array(bytes[..<length]))
      _ = unsafe from.withUnsafeBytes { place in
        unsafe sendto(
          listener, reply, reply.count, 0, place.assumingMemoryBound(to: sockaddr.self).baseAddress, size)
      }
      return true
    }
  }

  private init(_ binding: PortBinding, in namespace: NetworkNamespace) throws {
    guard let reservation = try namespace.kernel.reservePorts([binding], in: namespace.handle).first,
      let descriptor = try reservation.duplicate()
    else { throw NetworkError(.inUse, operation: "serve \(binding)", reason: "it is taken") }
    self.reservation = reservation
    listener = Mutex(descriptor)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    if binding.transport == .tcp { listen(descriptor, 1_024) }
  }

  /// Serves on a thread of its own until a call returns false.
  private func run(_ serveOne: @escaping @Sendable (Int32) -> Bool) {
    guard let descriptor = listener.withLock({ $0 }) else { return }
    Thread.detachNewThread { [self] in
      while serveOne(descriptor) {}
      listener.withLock { listener in
        close(descriptor)
        listener = nil
      }
    }
  }

  /// Ends it: its thread closes the socket. Calling it again does nothing.
  func stop() { listener.withLock { if let listener = $0 { _ = shutdown(listener, Int32(SHUT_RDWR)) } } }
}
