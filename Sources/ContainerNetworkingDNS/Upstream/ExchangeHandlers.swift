import NIOCore
import NetworkPrimitives
import SystemPackage

/// Waits for a UDP answer on a single-use socket that is connected to the server and has sent the question. It receives
/// no other peer's datagrams.
final class DatagramExchangeHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let exchange: Exchange
  private let server: SocketAddress
  private var finish: ((Exchange.Outcome) -> Void)?
  private var strays = 0

  /// The number of wrong answers that suggests guessing; then the question is repeated with another id and port.
  private static let strayLimit = 16

  init(_ exchange: Exchange, with server: SocketAddress, _ finish: @escaping (Exchange.Outcome) -> Void) {
    self.exchange = exchange
    self.server = server
    self.finish = finish
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    guard Self.isSame(envelope.remoteAddress, server) else { return }
    guard let outcome = exchange.outcome(of: Array(envelope.data.readableBytesView)) else {
      strays += 1
      if strays >= Self.strayLimit { end(.late) }
      return
    }
    end(outcome)
  }

  /// The kernel reports a closed port this way (ECONNREFUSED).
  func errorCaught(context: ChannelHandlerContext, error: any Error) { end(.failed(Exchange.reason(error))) }

  func channelInactive(context: ChannelHandlerContext) { end(.failed("its socket was closed")) }

  private func end(_ outcome: Exchange.Outcome) {
    let finish = finish
    self.finish = nil
    finish?(outcome)
  }

  /// Ignores the zone of a link-local address, which may be missing.
  private static func isSame(_ left: SocketAddress, _ right: SocketAddress) -> Bool {
    left.port == right.port && left.ipAddress == right.ipAddress
  }
}

/// Asks by TCP, with a length before each message (RFC 1035, section 4.2.2).
final class StreamExchangeHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let exchange: Exchange
  private var finish: ((Exchange.Outcome) -> Void)?
  private var received = ByteBuffer()

  init(_ exchange: Exchange, _ finish: @escaping (Exchange.Outcome) -> Void) {
    self.exchange = exchange
    self.finish = finish
  }

  func channelActive(context: ChannelHandlerContext) {
    var message = context.channel.allocator.buffer(capacity: exchange.message.count + 2)
    message.writeInteger(UInt16(exchange.message.count))
    message.writeBytes(exchange.message)
    let written = context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenFailure { [self] error in end(.failed(Exchange.reason(error))) }
    context.writeAndFlush(wrapOutboundOut(message), promise: written)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    received.writeBuffer(&bytes)
    guard let length: UInt16 = received.getInteger(at: received.readerIndex),
      let reply = received.getBytes(at: received.readerIndex + 2, length: Int(length))
    else { return }
    switch exchange.outcome(of: reply) {
    // Over TCP every answer fits, and nobody else can answer.
    case nil, .truncated: end(.failed("it answered something else"))
    case let outcome?: end(outcome)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { end(.failed(Exchange.reason(error))) }

  func channelInactive(context: ChannelHandlerContext) { end(.failed("it ended the connection")) }

  private func end(_ outcome: Exchange.Outcome) {
    let finish = finish
    self.finish = nil
    finish?(outcome)
  }
}

extension Exchange {
  /// The reason why a socket cannot be used.
  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as NetworkError: error.description
    case let error as Errno: "\(error)"
    case let error as IOError: "\(Errno(rawValue: error.errnoCode))"
    default: "\(error)"
    }
  }
}
