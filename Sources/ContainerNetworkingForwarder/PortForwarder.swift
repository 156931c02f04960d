public import ContainerNetworking
import Dispatch
public import NIOCore
import NIOPosix
import Synchronization
import SystemPackage

/// Carries what is sent to published ports where the kernel's translation does not reach: to `::1`, and to the host's
/// addresses of a family that the container has none of.
///
///     let forwarder = PortForwarder()
///     let controller = try await NetworkController(
///       host: .current(), settings: ControllerSettings(forwarder: forwarder))
///
/// All ports share one set of event loops, and there is no process, thread or buffer for one. The container sees the host's
/// address on the bridge as the caller's, for that is who calls it.
public final class PortForwarder: PortForwarding {
  /// What it takes at the most.
  public let limits: ForwarderLimits

  private let group: any EventLoopGroup
  private let ways = Mutex<[ForwardedPort: (way: any Way, socket: PortReservation)]>([:])
  /// Where sockets are made: that takes a visit of the host's namespace, which may have to wait for another's.
  private let connector = DispatchQueue(label: "ContainerNetworking.forwarder")

  /// Makes one; nothing runs until there is a port.
  ///
  /// - Parameters:
  ///   - group: The event loops; nil for those that a process's users of SwiftNIO share.
  ///   - limits: What it takes at the most.
  public init(on group: (any EventLoopGroup)? = nil, limits: ForwarderLimits = ForwarderLimits()) {
    self.group = group ?? MultiThreadedEventLoopGroup.singleton
    // Its fields may have been set below what the initializer lets pass.
    self.limits = ForwarderLimits(
      connectionsPerPort: limits.connectionsPerPort, clientsPerPort: limits.clientsPerPort,
      clientIdleTime: limits.clientIdleTime, bufferBytes: limits.bufferBytes)
  }

  deinit { stopAll() }

  /// How many ports it listens at.
  public var portCount: Int { ways.withLock { $0.count } }

  /// How many connections by TCP and clients by UDP there are.
  public var connectionCount: Int { ways.withLock { Array($0.values) }.reduce(0) { $0 + $1.way.count } }

  /// Begins to listen at a port. Not to be called on an event loop.
  ///
  /// - Parameters:
  ///   - port: From where and to where; TCP or UDP.
  ///   - socket: What is bound there.
  ///   - host: The namespace to connect to the container from.
  /// - Throws: `.alreadyExists`; `.unsupported` for SCTP, and where there is no socket, as on a simulated kernel;
  ///   `.closed` when the event loops have ended; the kernel's refusal to listen.
  public func forward(
    _ port: ForwardedPort, from socket: PortReservation, in host: NetworkNamespace
  ) throws(NetworkError) {
    let operation = "forward \(port)"
    guard port.listening.transport != .sctp else {
      throw NetworkError(.unsupported, operation: operation, reason: "SCTP cannot be carried on; publish TCP or UDP")
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
    // Whoever has stopped it meanwhile found nothing to stop.
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
        errno == nil ? .closed : .kernelRefused, operation: operation, reason: "it cannot be listened there: \(error)")
    }
  }

  /// Ends what is carried from a port, and every connection of it. On an event loop it returns before that is done, for a
  /// loop cannot wait for itself.
  ///
  /// - Parameter port: As it was given to ``forward(_:from:in:)``.
  public func stop(_ port: ForwardedPort) {
    if let entry = ways.withLock({ $0.removeValue(forKey: port) }) { Self.end([entry]) }
  }

  /// Ends all that is carried, as ``stop(_:)`` does. What is forwarded afterwards is carried again.
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

/// What a forwarder takes at the most. Whoever comes beyond waits where TCP lets it, and is lost where UDP does.
public struct ForwarderLimits: Hashable, Sendable {
  /// Connections of one port at a time; 512 by default. More wait in the kernel's queue until one ends.
  public var connectionsPerPort: Int
  /// Clients of one UDP port at a time; 1,024 by default. For one more, the one that has been silent for longest is
  /// forgotten.
  public var clientsPerPort: Int
  /// How long a UDP client is remembered after its last datagram, or the last one for it; a minute by default.
  public var clientIdleTime: Duration
  /// Bytes on their way in one direction of a connection, beside what the kernel's sockets hold; 65,536 by default.
  public var bufferBytes: Int

  /// Makes limits. A connection, a client, a second and 1,024 bytes are the least: what is below counts as that.
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

/// One port that is listened at.
protocol Way: AnyObject, Sendable {
  /// Takes over a socket that is bound, and listens on it.
  func start(_ descriptor: Int32) throws
  /// Ends it, and returns when its sockets are closed.
  func stop()
  var count: Int { get }
}

/// Makes sockets that lead to a container.
struct Connector: Sendable {
  let target: TransportAddress
  let host: NetworkNamespace
  let queue: DispatchQueue

  /// A descriptor that is connected or about to be, on the event loop.
  func connect(on loop: any EventLoop) -> EventLoopFuture<Int32> {
    let promise = loop.makePromise(of: Int32.self)
    queue.async {
      promise.completeWith(Result { try host.kernel.connectSocket(to: target, in: host.handle).rawValue })
    }
    return promise.futureResult
  }
}
