import NIOCore
import Netlink
import NetworkPrimitives
import SystemPackage

/// Answers datagrams, as many at once as were read at once. Responses are sent without the channel, which a single one
/// that cannot be sent would close.
final class DatagramHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let responder: Responder
  private var floodGuard: FloodGuard
  private let socket: SocketDescriptor
  private var channel: (any Channel)?
  private var isFresh = false
  private var responses = ByteBuffer()
  private var parts: [DatagramSocket.Part] = []

  /// - Parameter socket: The channel's own. The number is another's once the channel has closed it, which it does on this
  ///   loop: it is used while the channel is active.
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
      // What was read at once arrived before this, so no change is missed that was made before a query was sent.
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
        // In the midst of a read, the others are sent with it.
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

  /// What goes wrong with one datagram is no reason to close the others' socket.
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
