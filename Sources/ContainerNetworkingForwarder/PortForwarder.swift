public import ContainerNetworking
import Dispatch
public import NIOCore
import NIOPosix
import Synchronization
import SystemPackage

/// Forwards traffic to published ports at addresses that the kernel does not translate: `::1`, and the host's addresses
/// of a family that the container lacks.
///
///     let forwarder = PortForwarder()
///     let controller = try await NetworkController(
///       host: .current(), settings: ControllerSettings(forwarder: forwarder))
///
/// All ports share one set of event loops; a port has no process, thread or buffer of its own. The container sees the
/// host's address on the bridge as the client's, because the host is its peer.
public final class PortForwarder: PortForwarding {
  /// The limits of the forwarder.
  public let limits: ForwarderLimits

  private let group: any EventLoopGroup
  private let ways = Mutex<[ForwardedPort: (way: any Way, socket: PortReservation)]>([:])
  /// The queue for creating sockets: that enters the host's namespace, and may have to wait for others that do.
  private let connector = DispatchQueue(label: "ContainerNetworking.forwarder")

  /// Makes a forwarder; nothing runs until it has a port.
  ///
  /// - Parameters:
  ///   - group: The event loops; nil for those shared by all SwiftNIO users of the process.
  ///   - limits: The limits.
  public init(on group: (any EventLoopGroup)? = nil, limits: ForwarderLimits = ForwarderLimits()) {
    self.group = group ?? MultiThreadedEventLoopGroup.singleton
    // Its fields may have been set below what the initializer lets pass.
    self.limits = ForwarderLimits(
      connectionsPerPort: limits.connectionsPerPort, clientsPerPort: limits.clientsPerPort,
      clientIdleTime: limits.clientIdleTime, bufferBytes: limits.bufferBytes)
  }

  deinit { stopAll() }

  /// The number of forwarded ports.
  public var portCount: Int { ways.withLock { $0.count } }

  /// The number of TCP connections and UDP clients.
  public var connectionCount: Int { ways.withLock { Array($0.values) }.reduce(0) { $0 + $1.way.count } }

  /// Starts to listen at a port. Must not be called on an event loop.
  ///
  /// - Parameters:
  ///   - port: The source and the target; TCP or UDP.
  ///   - socket: The socket that is bound to the source.
  ///   - host: The namespace from which to connect to the container.
  /// - Throws: `.alreadyExists`; `.unsupported` for SCTP, and without a socket, as on a simulated kernel; `.closed`
  ///   when the event loops have ended; the kernel's refusal to listen.
  public func forward(
    _ port: ForwardedPort, from socket: PortReservation, in host: NetworkNamespace
  ) throws(NetworkError) {
    let operation = "forward \(port)"
    guard port.listening.transport != .sctp else {
      throw NetworkError(.unsupported, operation: operation, reason: "SCTP cannot be forwarded; publish TCP or UDP")
    }
    let target = TransportAddress(port.target.address, port.target.port, port.target.transport)
    let connect = Connector(target: target, host: host, queue: connector)
    let way: any Way =
      port.listening.transport == .tcp
      ? StreamWay(connect, limits, group.next(), group) : DatagramWay(connect, limits, socket, group.next())
    let isNew = ways.withLock { ways in
      guard ways[port] == nil else { return false }
      ways[port] = (way, socket)
      return true
    }
    guard isNew else {
      throw NetworkError(.alreadyExists, operation: operation, reason: "it is forwarded already; stop that first")
    }
    do throws(NetworkError) { try start(way, at: socket, operation) } catch {
      ways.withLock { if $0[port]?.way === way { $0[port] = nil } }
      throw error
    }
    // A concurrent stop has found nothing to stop.
    if ways.withLock({ $0[port]?.way !== way }) { Self.end([(way, socket)]) }
  }

  private func start(_ way: any Way, at socket: PortReservation, _ operation: String) throws(NetworkError) {
    guard let descriptor = try socket.duplicate() else {
      throw NetworkError(
        .unsupported, operation: operation, reason: "this kernel has no sockets; forward on LinuxKernel")
    }
    do { try way.start(descriptor) } catch {
      socket.fallSilent()
      let errno = (error as? IOError)?.errnoCode
      throw NetworkError(
        errno == nil ? .closed : .kernelRefused, operation: operation, reason: "cannot listen there: \(error)")
    }
  }

  /// Ends the forwarding of a port, and all its connections. On an event loop it returns before that is complete,
  /// because a loop cannot wait for itself.
  ///
  /// - Parameter port: The port as passed to ``forward(_:from:in:)``.
  public func stop(_ port: ForwardedPort) {
    if let entry = ways.withLock({ $0.removeValue(forKey: port) }) { Self.end([entry]) }
  }

  /// Ends all forwarding, as ``stop(_:)`` does. Later calls of `forward` work again.
  public func stopAll() {
    let all = ways.withLock { ways in
      defer { ways = [:] }
      return Array(ways.values)
    }
    Self.end(all)
  }

  private static func end(_ entries: [(way: any Way, socket: PortReservation)]) {
    let end: @Sendable () -> Void = {
      for (way, socket) in entries {
        way.stop()
        socket.fallSilent()
      }
    }
    if MultiThreadedEventLoopGroup.currentEventLoop == nil { end() } else { DispatchQueue.global().async(execute: end) }
  }
}

/// The limits of a forwarder. Beyond them, TCP clients wait, and UDP datagrams are lost.
public struct ForwarderLimits: Hashable, Sendable {
  /// The maximum number of connections of one port; 512 by default. Further ones wait in the kernel's queue until one
  /// ends.
  public var connectionsPerPort: Int
  /// The maximum number of clients of one UDP port; 1,024 by default. A further one replaces the client that has been
  /// silent for longest.
  public var clientsPerPort: Int
  /// The time for which a UDP client is remembered after its last datagram, or the last one to it; a minute by default.
  public var clientIdleTime: Duration
  /// The buffered bytes in one direction of a connection, in addition to the kernel's sockets; 65,536 by default.
  public var bufferBytes: Int

  /// Makes limits. A connection, a client, a second and 1,024 bytes are the least: lower values count as these.
  public init(
    connectionsPerPort: Int = 512, clientsPerPort: Int = 1_024, clientIdleTime: Duration = .seconds(60),
    bufferBytes: Int = 65_536
  ) {
    self.connectionsPerPort = max(1, connectionsPerPort)
    self.clientsPerPort = max(1, clientsPerPort)
    self.clientIdleTime = max(.seconds(1), clientIdleTime)
    self.bufferBytes = max(1_024, bufferBytes)
  }
}

/// One forwarded port.
protocol Way: AnyObject, Sendable {
  /// Takes over a bound socket, and listens on it.
  func start(_ descriptor: Int32) throws
  /// Ends the forwarding, and returns when its sockets are closed.
  func stop()
  var count: Int { get }
}

/// Creates sockets to a container.
struct Connector: Sendable {
  let target: TransportAddress
  let host: NetworkNamespace
  let queue: DispatchQueue

  /// A connected or connecting descriptor, delivered on the event loop.
  func connect(on loop: any EventLoop) -> EventLoopFuture<Int32> {
    let promise = loop.makePromise(of: Int32.self)
    queue.async {
      promise.completeWith(Result { try host.kernel.connectSocket(to: target, in: host.handle).rawValue })
    }
    return promise.futureResult
  }
}
