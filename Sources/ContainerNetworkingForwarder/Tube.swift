import Glibc
import NIOCore
import NIOPosix

/// One end of two joined connections. Each reads only while the other is writable, so that the water marks bound the
/// buffered data. The end of one direction leaves the other open (RFC 9293 3.6).
final class Tube: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var partner: Tube?
  private var context: ChannelHandlerContext?
  private var isReadPending = false
  private var isOver = false
  /// Data for a channel that is not active yet. SwiftNIO reads without a request when the sender has ended: everything
  /// that the kernel has.
  private var early: [ByteBuffer] = []
  /// A pending end of output, for a channel that is not active yet.
  private var isEndPending = false

  /// Two joined ends, of channels of one event loop.
  static func pair() -> (near: Tube, far: Tube) {
    let (near, far) = (Tube(), Tube())
    near.partner = far
    far.partner = near
    return (near, far)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    // The other end may have closed while this one was connecting.
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

  /// Ends the output once all earlier data is sent. SwiftNIO would close a channel whose input has also ended, and
  /// discard unsent data.
  private func endOutput() {
    guard let context, isActive else {
      isEndPending = true
      return
    }
    let channel = context.channel
    whenSent(context) { channel.close(mode: .output, promise: nil) }
  }

  /// The other end has finished: this one finishes, too, once its data is sent.
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

  /// The other end has failed: this one sends a reset, so that its peer does not take it for the end of the data.
  func abort() {
    guard !isOver else { return }
    reset()
  }

  /// Closes at once and discards unsent data.
  func reset() {
    isOver = true
    early = []
    guard let context else { return }
    let channel = context.channel
    guard let options = channel as? any SocketOptionProvider else { return context.close(promise: nil) }
    options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
  }
}
