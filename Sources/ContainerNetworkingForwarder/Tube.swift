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
  /// What came for a channel that is not there yet. SwiftNIO reads without being asked when the sender has ended: all that
  /// the kernel has of it.
  private var early: [ByteBuffer] = []
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
    for bytes in early { context.write(wrapOutboundOut(bytes), promise: nil) }
    early = []
    context.flush()
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

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { partner?.take(unwrapInboundIn(data)) }

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

  private var isActive: Bool { context?.channel.isActive == true }
  private var canTake: Bool { isActive && context?.channel.isWritable == true }

  private func take(_ bytes: ByteBuffer) {
    guard !isOver else { return }
    guard let context, isActive else {
      early.append(bytes)
      return
    }
    context.write(wrapOutboundOut(bytes), promise: nil)
  }

  private func resume() {
    guard isReadPending, let context else { return }
    isReadPending = false
    read(context: context)
  }

  /// Nothing more comes: said when all that came before is sent. A channel whose input is over too would be closed with
  /// what is not sent yet.
  private func endOutput() {
    guard let context, isActive else {
      isEndPending = true
      return
    }
    let channel = context.channel
    whenSent(context) { channel.close(mode: .output, promise: nil) }
  }

  /// The other is over: so is this one, once it has sent what it has.
  private func finish() {
    guard !isOver else { return }
    isOver = true
    guard let context else { return }
    let channel = context.channel
    whenSent(context) { channel.close(promise: nil) }
  }

  private func whenSent(_ context: ChannelHandlerContext, _ body: @escaping @Sendable () -> Void) {
    let sent = context.eventLoop.makePromise(of: Void.self)
    context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: sent)
    sent.futureResult.whenComplete { _ in body() }
  }

  /// The other has failed: whoever is at this end is told by a reset, and does not take it for the end of the data.
  func abort() {
    guard !isOver else { return }
    reset()
  }

  /// Ends it at once, whatever has not been sent.
  func reset() {
    isOver = true
    early = []
    guard let context else { return }
    let channel = context.channel
    guard let options = channel as? any SocketOptionProvider else { return context.close(promise: nil) }
    options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
  }
}
