import Glibc
import NIOCore
import NIOPosix

/// One end of two connections that are joined. Each reads only while the other can be written to, so that no more is kept than
/// fits between the water marks; the end of one direction is the end of that direction only (RFC 9293 3.6).
final class Tube: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var partner: Tube?
  private var context: ChannelHandlerContext?
  private var isReadPending = false
  private var isOver = false
  /// What is left to be done on a channel that is not there yet.
  private var isEndPending = false

  /// Two that are joined, of channels of one event loop.
  static func pair() -> (near: Tube, far: Tube) {
    let (near, far) = (Tube(), Tube())
    near.partner = far
    far.partner = near
    return (near, far)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    // Whoever it belongs with may have gone while this one was being connected.
    if isOver { context.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    partner = nil
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    partner?.resume()
    if isEndPending { endOutput() }
  }

  func read(context: ChannelHandlerContext) {
    guard partner?.canTake == true else {
      isReadPending = true
      return
    }
    context.read()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    partner?.context?.write(NIOAny(unwrapInboundIn(data)), promise: nil)
  }

  func channelReadComplete(context: ChannelHandlerContext) { partner?.context?.flush() }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { partner?.resume() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? ChannelEvent, event == .inputClosed { partner?.endOutput() }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    partner?.abort()
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    isOver = true
    partner?.finish()
  }

  private var canTake: Bool { context?.channel.isActive == true && context?.channel.isWritable == true }

  private func resume() {
    guard isReadPending, let context else { return }
    isReadPending = false
    read(context: context)
  }

  /// Nothing more comes: said when all that came before is sent. A channel whose input is over too would be closed with
  /// what is not sent yet.
  private func endOutput() {
    guard let context, context.channel.isActive else {
      isEndPending = true
      return
    }
    let sent = context.eventLoop.makePromise(of: Void.self)
    context.writeAndFlush(NIOAny(ByteBuffer()), promise: sent)
    let channel = context.channel
    sent.futureResult.whenComplete { _ in channel.close(mode: .output, promise: nil) }
  }

  /// The other is over: so is this one, once it has sent what it has.
  private func finish() {
    guard !isOver else { return }
    isOver = true
    guard let context else { return }
    let sent = context.eventLoop.makePromise(of: Void.self)
    context.writeAndFlush(NIOAny(ByteBuffer()), promise: sent)
    let channel = context.channel
    sent.futureResult.whenComplete { _ in channel.close(promise: nil) }
  }

  /// The other has failed: whoever is at this end is told by a reset, and does not take it for the end of the data.
  func abort() {
    guard !isOver else { return }
    isOver = true
    guard let context else { return }
    let channel = context.channel
    guard let options = channel as? any SocketOptionProvider else { return context.close(promise: nil) }
    options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
  }
}
