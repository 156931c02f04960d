import ContainerNetworking
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A forwarded TCP port: each connection is joined to one to the container.
final class StreamWay: Way {
  private let connector: Connector
  private let limits: ForwarderLimits
  private let loop: any EventLoop
  private let group: any EventLoopGroup
  private let listener = Mutex<(any Channel)?>(nil)
  private let open = Mutex<[ObjectIdentifier: Connection]>([:])

  /// Two joined channels, on their common event loop.
  private struct Connection: Sendable {
    var loop: any EventLoop
    var ends: NIOLoopBound<(near: Tube, far: Tube)>
  }

  init(_ connector: Connector, _ limits: ForwarderLimits, _ loop: any EventLoop, _ group: any EventLoopGroup) {
    self.connector = connector
    self.limits = limits
    self.loop = loop
    self.group = group
  }

  var count: Int { open.withLock { $0.count } }

  func start(_ descriptor: Int32) throws {
    let gate = NIOLoopBoundBox.makeBoxSendingValue(AcceptGate(limit: limits.connectionsPerPort), eventLoop: loop)
    let channel = try ServerBootstrap(group: loop, childGroup: group)
      .serverChannelOption(ChannelOptions.backlog, value: 256)
      // One per read, so that the limit is exact.
      .serverChannelOption(ChannelOptions.maxMessagesPerRead, value: 1)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(gate.value) }
      }
      .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
      .childChannelOption(ChannelOptions.maxMessagesPerRead, value: 1)
      .childChannelOption(ChannelOptions.writeBufferWaterMark, value: limits.waterMark)
      .childChannelOption(ChannelOptions.recvAllocator, value: limits.allocator)
      .childChannelInitializer { [self] channel in accept(channel, gate) }
      .withBoundSocket(descriptor).wait()
    listener.withLock { $0 = channel }
  }

  func stop() {
    let channel = listener.withLock { listener in
      defer { listener = nil }
      return listener
    }
    // Ended event loops have closed it with all the others, and would not answer.
    guard let channel, channel.isActive else { return }
    try? channel.close().wait()
    for connection in open.withLock({ Array($0.values) }) {
      try? connection.loop.submit {
        connection.ends.value.near.reset()
        connection.ends.value.far.reset()
      }.wait()
    }
    // SwiftNIO closes a connection that is not established yet, since its listener is gone.
  }

  private func accept(_ channel: any Channel, _ gate: NIOLoopBoundBox<AcceptGate>) -> EventLoopFuture<Void> {
    let loop = channel.eventLoop
    let ends = NIOLoopBound(Tube.pair(), eventLoop: loop)
    let id = ObjectIdentifier(channel)
    return loop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandler(ends.value.near)
    }.map { [self] in
      open.withLock { $0[id] = Connection(loop: loop, ends: ends) }
      // A channel that closes before it was active notifies no handler.
      channel.closeFuture.whenComplete { _ in ends.value.far.abort() }
      let farEnd = join(loop, ends).flatMap(\.closeFuture).flatMapErrorThrowing { _ in ends.value.near.abort() }
      farEnd.and(channel.closeFuture).whenComplete { [self] _ in
        _ = open.withLock { $0.removeValue(forKey: id) }
        self.loop.execute { gate.value.release() }
      }
    }
  }

  /// Connects to the container. Earlier data waits in the sockets.
  private func join(
    _ loop: any EventLoop, _ ends: NIOLoopBound<(near: Tube, far: Tube)>
  ) -> EventLoopFuture<any Channel> {
    connector.connect(on: loop).flatMap { [limits] descriptor in
      ClientBootstrap(group: loop)
        .channelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
        .channelOption(ChannelOptions.maxMessagesPerRead, value: 1)
        .channelOption(ChannelOptions.writeBufferWaterMark, value: limits.waterMark)
        .channelOption(ChannelOptions.recvAllocator, value: limits.allocator)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ends.value.far) }
        }
        .withConnectedSocket(descriptor)
    }
  }
}

extension ForwarderLimits {
  var waterMark: ChannelOptions.Types.WriteBufferWaterMark {
    ChannelOptions.Types.WriteBufferWaterMark(low: bufferBytes / 4, high: bufferBytes / 2)
  }

  var allocator: any RecvByteBufferAllocator {
    let most = max(512, bufferBytes / 2)
    return AdaptiveRecvByteBufferAllocator(minimum: 512, initial: min(4_096, most), maximum: most)
  }
}

/// Accepts no connection beyond the limit: the listening socket is then not read.
final class AcceptGate: ChannelDuplexHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel
  typealias OutboundIn = Never

  private let limit: Int
  private var count = 0
  private var isReadPending = false
  private var context: ChannelHandlerContext?

  init(limit: Int) { self.limit = limit }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func read(context: ChannelHandlerContext) {
    guard count < limit else {
      isReadPending = true
      return
    }
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    count += 1
    context.fireChannelRead(data)
  }

  /// Notes the end of a connection.
  func release() {
    count -= 1
    guard isReadPending, count < limit else { return }
    isReadPending = false
    context?.read()
  }
}
