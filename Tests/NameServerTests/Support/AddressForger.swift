import ContainerNetworking
import ContainerNetworkingDNS
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage

/// Sees the queries to a server and answers them at once from another address: the best possible attack.
final class AddressForger: Sendable {
  private let channels: [any Channel]
  private let sent = Counter()

  init(_ own: String, asks address: String, in namespace: NetworkNamespace) throws {
    let group = MultiThreadedEventLoopGroup.singleton
    let loop = group.next()
    let other = try DatagramBootstrap(group: loop)
      .withBoundSocket(try namespace.bindSocket(to: TransportAddress(try IPAddress(own), 53, .udp)).rawValue).wait()
    let sent = sent
    let seen = try DatagramBootstrap(group: loop).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(ForgingHandler(other, sent))
      }
    }.withBoundSocket(try namespace.bindSocket(to: TransportAddress(try IPAddress(address), 53, .udp)).rawValue).wait()
    channels = [other, seen]
  }

  /// How many answers it sent.
  var count: Int { sent.value }

  func stop() { for channel in channels { try? channel.close().wait() } }
}

private final class Counter: Sendable {
  private let number = Mutex(0)
  var value: Int { number.withLock { $0 } }
  func add() { number.withLock { $0 += 1 } }
}

private final class ForgingHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  private let other: any Channel
  private let sent: Counter

  init(_ other: any Channel, _ sent: Counter) {
    self.other = other
    self.sent = sent
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    guard let query = try? Message(parsing: Array(envelope.data.readableBytesView)) else { return }
    let reply = query.answer([.a(IPv4Address(6, 6, 6, 6))]).encoded()
    other.writeAndFlush(
      AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: reply)), promise: nil)
    sent.add()
  }
}
