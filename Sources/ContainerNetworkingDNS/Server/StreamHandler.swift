import NIOCore
import Netlink
import NetworkPrimitives

/// Answers the queries of one TCP connection, in order of arrival or of completion (RFC 7766). It pauses reading at the
/// limit of concurrent queries, and while the client does not read. It ends a connection whose next complete query
/// takes too long.
final class StreamHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let responder: Responder
  private let connections: Connections
  private var client: TransportAddress?
  private var received = ByteBuffer()
  private var underWay = 0
  private var lastQuery = NIODeadline.now()
  private var hasEnded = false
  private var isReading = false
  private var idleCheck: Scheduled<Void>?

  /// The longest query; none needs more.
  private static let longestQuery = 4_096

  init(_ responder: Responder, _ connections: Connections) {
    self.responder = responder
    self.connections = connections
  }

  func channelActive(context: ChannelHandlerContext) {
    guard let address = context.remoteAddress, let client = TransportAddress(address, .tcp),
      connections.add(context.channel, of: Client(client.address, at: responder.place))
    else { return context.close(promise: nil) }
    self.client = client
    checkIdle(context)
    read(context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    idleCheck?.cancel()
    if let client { connections.remove(context.channel, of: Client(client.address, at: responder.place)) }
    client = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    received.writeBuffer(&bytes)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    process(context)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) { process(context) }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard let event = event as? ChannelEvent, event == .inputClosed else { return }
    hasEnded = true
    process(context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  /// Answers pending queries within the limit, and reads more.
  private func process(_ context: ChannelHandlerContext) {
    guard let client else { return }
    var output = ByteBuffer()
    var isFresh = false
    while underWay < responder.context.settings.queriesPerConnection, context.channel.isWritable,
      let length: UInt16 = received.getInteger(at: received.readerIndex)
    {
      guard Message.Header.size...Self.longestQuery ~= Int(length) else { return context.close(promise: nil) }
      guard received.readableBytes >= 2 + Int(length) else { break }
      received.moveReaderIndex(forwardBy: 2)
      guard let message = received.readSlice(length: Int(length)) else { break }
      lastQuery = .now()
      if !isFresh { responder.context.directory.refresh() }
      isFresh = true
      guard answer(message, of: client, context, &output) else { return context.close(promise: nil) }
      if output.readableBytes > 1 << 16 {
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        output = ByteBuffer()
      }
    }
    received.discardReadBytes()
    if output.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(output), promise: nil) }
    if hasEnded, underWay == 0, context.channel.isWritable { return closeBehindAnswers(context) }
    read(context)
  }

  /// Ends the connection after all answers are sent; closing at once would discard pending ones.
  private func closeBehindAnswers(_ context: ChannelHandlerContext) {
    let last = context.eventLoop.makePromise(of: Void.self)
    last.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: last)
  }

  /// - Returns: Whether the client is answered.
  private func answer(
    _ message: ByteBuffer, of client: TransportAddress, _ context: ChannelHandlerContext, _ output: inout ByteBuffer
  ) -> Bool {
    let start = output.writerIndex
    output.writeInteger(UInt16(0))
    let outcome = responder.respond(
      to: message.readableBytesUInt8Span, from: client.address, isDatagram: false, into: &output)
    switch outcome {
    case .ignored: return false
    case .answered: output.setInteger(UInt16(output.writerIndex - start - 2), at: start)
    case .unknown(let query, let key):
      output.moveWriterIndex(to: start)
      underWay += 1
      // Deferred: the answer may come at once, while there is more to read.
      context.eventLoop.assumeIsolated().execute { [self] in ask(query, key, client, context) }
    }
    return true
  }

  private func ask(_ query: Query, _ key: CacheKey, _ client: TransportAddress, _ context: ChannelHandlerContext) {
    responder.forwarder.ask(query, key, for: Client(client.address, at: responder.place)) { [self] answer in
      underWay -= 1
      guard self.client != nil else { return }
      var output = ByteBuffer()
      output.writeInteger(UInt16(0))
      responder.write(answer, to: query, isDatagram: false, into: &output)
      output.setInteger(UInt16(output.writerIndex - 2), at: 0)
      context.writeAndFlush(wrapOutboundOut(output), promise: nil)
      process(context)
    }
  }

  /// Reads more within the limit; one read bounds the pending data.
  private func read(_ context: ChannelHandlerContext) {
    guard !isReading, !hasEnded, underWay < responder.context.settings.queriesPerConnection, context.channel.isWritable
    else { return }
    isReading = true
    context.read()
  }

  private func checkIdle(_ context: ChannelHandlerContext) {
    let limit = TimeAmount(responder.context.settings.idleTimeout)
    let deadline = lastQuery + limit
    let now = NIODeadline.now()
    if now >= deadline, underWay == 0 || !context.channel.isWritable { return context.close(promise: nil) }
    idleCheck = context.eventLoop.assumeIsolated().scheduleTask(in: now < deadline ? deadline - now : limit) { [self] in
      if client != nil { checkIdle(context) }
    }
  }
}
