import ContainerNetworking
import NIOCore
import NIOPosix
import NetworkPrimitives
import SystemPackage

/// The sockets that serve a network or a namespace.
struct Listener: Sendable {
  let addresses: [IPAddress]
  let port: UInt16
  /// The namespace that they are in.
  let namespace: NamespaceIdentity
  private let channels: [any Channel]

  /// The port of name servers (RFC 1035, section 4.2).
  static let port: UInt16 = 53
  /// The range of ports for listening on a gateway, where other programs may hold port 53. It is above Linux's
  /// ephemeral ports (ip(7)), and not assigned to any service.
  static let gatewayPorts: ClosedRange<UInt16> = 61_053...61_084
  /// The number of datagrams in one read, and the maximum length of a query.
  private static let readCount = 32
  private static let readSize = 2_048

  /// Opens the sockets: queries are answered when it returns. Blocks; must not be called on an event loop's thread.
  ///
  /// - Throws: `.inUse`, naming the holder of the port; the kernel's refusals. Then no socket stays open.
  static func open(
    _ place: ListeningPlace, at addresses: [IPAddress], _ port: UInt16, in namespace: NetworkNamespace,
    _ context: ServerContext, _ loops: ServerLoops
  ) throws(NetworkError) -> Listener {
    var channels: [any Channel] = []
    do throws(NetworkError) {
      for address in addresses {
        // TCP first: a holder of the port listens there, and can be found.
        for transport in [TransportProtocol.tcp, .udp] {
          let socket = try namespace.bindSocket(to: TransportAddress(address, port, transport))
          let opening =
            transport == .udp
            ? openDatagrams(socket, place, context, loops) : openStreams(socket, place, context, loops)
          do { channels.append(try opening.wait()) } catch {
            throw NetworkError(
              .kernelRefused, operation: "serve names at \(address)", reason: "the socket cannot be used: \(error)")
          }
        }
      }
    } catch {
      for channel in channels { try? channel.close().wait() }
      throw error
    }
    return Listener(addresses: addresses, port: port, namespace: namespace.identity, channels: channels)
  }

  private static func openDatagrams(
    _ socket: SocketDescriptor, _ place: ListeningPlace, _ context: ServerContext, _ loops: ServerLoops
  ) -> EventLoopFuture<any Channel> {
    DatagramSocket.setReceiveBuffer(context.settings.receiveBuffer, of: socket)
    let (loop, parts) = loops.loop(for: place)
    return DatagramBootstrap(group: loop)
      .channelOption(.datagramVectorReadMessageCount, value: readCount)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readCount * readSize))
      // One read between two reads of the store.
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let responder = Responder(context, parts.value.forwarder, at: place)
          try channel.pipeline.syncOperations.addHandler(DatagramHandler(responder, socket: socket))
        }
      }
      .withBoundSocket(socket.rawValue)
  }

  private static func openStreams(
    _ socket: SocketDescriptor, _ place: ListeningPlace, _ context: ServerContext, _ loops: ServerLoops
  ) -> EventLoopFuture<any Channel> {
    let (loop, parts) = loops.loop(for: place)
    return ServerBootstrap(group: loop, childGroup: loop)
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(.writeBufferWaterMark, value: .init(low: 1 << 15, high: 1 << 17))
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let responder = Responder(context, parts.value.forwarder, at: place)
          try channel.pipeline.syncOperations.addHandler(StreamHandler(responder, parts.value.connections))
        }
      }
      .withBoundSocket(socket.rawValue)
  }

  /// Whether its sockets are open.
  var isOpen: Bool { channels.allSatisfy(\.isActive) }

  /// Closes the sockets.
  func close() -> [EventLoopFuture<Void>] { channels.map { $0.close() } }
}
