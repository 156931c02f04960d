import ContainerNetworking
import Dispatch
import NIOCore
import NIOPosix
import Netlink
import NetworkPrimitives
import SystemPackage

/// Serves other processes' requests to serve networks. Access is limited by the socket's directory, which is its
/// owner's alone.
final class ControlServer: Sendable {
  private let channel: any Channel
  private let directory: FilePath
  /// Held as long as the socket exists.
  private let lock: ServerLock

  /// Blocks.
  init(
    _ directory: FilePath, _ lock: ServerLock, _ context: ServerContext, _ listeners: Listeners, _ loops: ServerLoops
  ) throws(NetworkError) {
    self.directory = directory
    self.lock = lock
    let socket = try UnixSocket.listen(in: directory, ServerMessage.socketName)
    let work = ControlWork(context, listeners)
    let opened = ServerBootstrap(group: loops.any, childGroup: loops.any)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ControlHandler(work)) }
      }
      .withBoundSocket(socket.rawValue)
    do { channel = try opened.wait() } catch {
      throw NetworkError(
        .kernelRefused, operation: "listen at \(directory.appending(ServerMessage.socketName))",
        reason: "the socket cannot be used: \(error)")
    }
  }

  /// Stops to listen and removes the socket.
  func close() async {
    try? await channel.close()
    unsafe unlink(directory.appending(ServerMessage.socketName).string)
  }

  /// Releases the directory for another server.
  func release() { lock.release() }
}

/// Executes requests outside the event loops, because it waits for those.
final class ControlWork: Sendable {
  private let context: ServerContext
  private let listeners: Listeners
  private let queue = DispatchQueue(label: "ContainerNetworkingDNS.control", attributes: .concurrent)

  init(_ context: ServerContext, _ listeners: Listeners) {
    self.context = context
    self.listeners = listeners
  }

  func run(_ message: ServerMessage, on eventLoop: any EventLoop) -> EventLoopFuture<ServerMessage> {
    let promise = eventLoop.makePromise(of: ServerMessage.self)
    let texts = message.texts
    queue.async { [self] in
      do throws(NetworkError) {
        promise.succeed(try run(texts))
      } catch { promise.succeed(ServerMessage(error)) }
    }
    return promise.futureResult
  }

  private func run(_ texts: [String]) throws(NetworkError) -> ServerMessage {
    switch (texts.first, texts.count) {
    case ("check", 1): break
    case ("unserved", 1...):
      return ServerMessage(
        ["unserved"] + RunningServer.unserved(Array(texts.dropFirst()), context.directory, listeners))
    case ("serve where recorded", 2...) where texts.count % 3 == 2:
      context.directory.refresh()
      guard let network = context.directory.network(texts[1]) else {
        throw NetworkError(
          .notFound, operation: "serve names of network \(texts[1].prefix(12))",
          reason: "the server's store does not have it; use the server of the same store")
      }
      let sandboxes = stride(from: 2, to: texts.count, by: 3).map { place in
        ServedSandbox(
          id: texts[place], container: texts[place + 1],
          namespacePath: texts[place + 2].isEmpty ? nil : texts[place + 2])
      }
      try listeners.serve(network, in: sandboxes)
    case ("withdraw network", 2): listeners.withdraw(.gateway(network: texts[1]), isAwaited: true)
    case ("withdraw sandbox", 2): listeners.withdraw(.sandbox(texts[1]), isAwaited: true)
    default:
      throw NetworkError(
        .unsupported, operation: "ask the name server",
        reason: "it does not know \"\(texts.first ?? "")\"; it may be of another version: start it again")
    }
    return .done
  }
}

/// The requests of one process, one after the other.
final class ControlHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let work: ControlWork
  private var received = ByteBuffer()
  private var isBusy = false
  private var hasEnded = false

  init(_ work: ControlWork) { self.work = work }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    received.writeBuffer(&bytes)
    process(context)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard let event = event as? ChannelEvent, event == .inputClosed else { return }
    hasEnded = true
    if !isBusy { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func process(_ context: ChannelHandlerContext) {
    guard !isBusy, let length: UInt32 = received.getInteger(at: received.readerIndex) else { return }
    guard length <= ServerMessage.limit else { return context.close(promise: nil) }
    guard let body = received.getBytes(at: received.readerIndex + 4, length: Int(length)) else { return }
    received.moveReaderIndex(forwardBy: 4 + Int(length))
    received.discardReadBytes()
    guard let message = ServerMessage(body: body) else { return context.close(promise: nil) }
    isBusy = true
    work.run(message, on: context.eventLoop).assumeIsolated().whenSuccess { [self] answer in
      isBusy = false
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: answer.bytes)), promise: nil)
      if hasEnded { context.close(promise: nil) } else { process(context) }
    }
  }
}
