import NIOCore
import Netlink
import NetworkPrimitives
import SystemPackage

/// Answers datagrams, in batches of one read. Responses bypass the channel, which a single failed send would close.
final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let responder: Responder
  private var floodGuard: FloodGuard
  private let socket: SocketDescriptor
  private var channel: (any Channel)?
  private var isFresh = false
  private var responses = ByteBuffer()
  private var parts: [DatagramSocket.Part] = []

  /// - Parameter socket: The channel's own descriptor, used only while the channel is active. The channel closes it on
  ///   this loop; then its number may be reused.
  init(_ responder: Responder, socket: SocketDescriptor) {
    self.responder = responder
    self.socket = socket
    floodGuard = FloodGuard(socket)
  }

  private var isOpen: Bool { channel?.isActive == true }

  func handlerAdded(context: ChannelHandlerContext) { channel = context.channel }

  func handlerRemoved(context: ChannelHandlerContext) { channel = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    guard let client = TransportAddress(envelope.remoteAddress, .udp) else { return }
    if !isFresh {
      // The whole batch arrived before this refresh, so every change made before a query was sent is included.
      responder.context.directory.refresh()
      isFresh = true
    }
    floodGuard.count(client.address)
    let start = responses.writerIndex
    let outcome = responder.respond(
      to: envelope.data.readableBytesUInt8Span, from: client.address, isDatagram: true, into: &responses)
    switch outcome {
    case .ignored: return
    case .answered: parts.append(DatagramSocket.Part(start..<responses.writerIndex, to: client))
    case .unknown(let query, let key):
      responder.forwarder.ask(query, key, for: Client(client.address, at: responder.place)) { [self] answer in
        guard isOpen else { return }
        let start = responses.writerIndex
        responder.write(answer, to: query, isDatagram: true, into: &responses)
        parts.append(DatagramSocket.Part(start..<responses.writerIndex, to: client))
        // During a read, the response is sent with the others.
        if !isFresh { flush() }
      }
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    isFresh = false
    flush()
    guard isOpen, floodGuard.shutsOut() else { return }
    responder.context.metrics.noteFlood()
    context.eventLoop.assumeIsolated().scheduleTask(in: FloodGuard.pause) { [self] in
      if isOpen { floodGuard.letIn() }
    }
  }

  /// A failure with one datagram must not close the shared socket.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {}

  private func flush() {
    guard !parts.isEmpty else { return }
    if isOpen {
      unsafe responses.withUnsafeReadableBytes { unsafe DatagramSocket.send(parts, of: $0, through: socket) }
    }
    parts.removeAll(keepingCapacity: true)
    responses.clear()
  }
}
