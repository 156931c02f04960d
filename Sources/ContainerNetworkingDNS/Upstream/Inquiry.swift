import ContainerNetworking
import NIOCore
import NIOPosix
import Netlink
import NetworkPrimitives
import SystemPackage

/// Asks server after server until one answers. Used on one event loop only.
final class Inquiry {
  private let query: Query
  private let context: ServerContext
  private let eventLoop: any EventLoop
  private let health: ServerHealth
  private let deadline: NIODeadline
  /// The servers to ask, in order; twice if nothing came the first time.
  private var servers: [(server: UpstreamServer, isSecondTry: Bool)]
  private var channel: (any Channel)?
  private var timeout: Scheduled<Void>?
  private var round = 0
  private var finish: ((UpstreamAnswer) -> Void)?

  init(
    _ query: Query, _ servers: [UpstreamServer], _ context: ServerContext, _ health: ServerHealth,
    on eventLoop: any EventLoop
  ) {
    self.query = query
    self.context = context
    self.health = health
    self.eventLoop = eventLoop
    self.servers = health.ordered(servers).map { ($0, false) }
    deadline = .now() + TimeAmount(context.settings.upstreamPatience)
  }

  /// Starts to ask; `finish` is called once, perhaps at once.
  func start(_ finish: @escaping (UpstreamAnswer) -> Void) {
    self.finish = finish
    askNext()
  }

  /// Ends it without an answer.
  func cancel() { end(.failure) }

  private func askNext() {
    guard !servers.isEmpty, NIODeadline.now() < deadline else { return end(.failure) }
    let (server, isSecondTry) = servers.removeFirst()
    ask(server, .udp, hasEDNS: true, isSecondTry: isSecondTry)
  }

  private func ask(_ server: UpstreamServer, _ transport: TransportProtocol, hasEDNS: Bool, isSecondTry: Bool) {
    let exchange = Exchange(query, hasEDNS: hasEDNS)
    run(exchange, with: server, transport) { [self] outcome in
      switch outcome {
      case .answered(let message, let bytes):
        let code = message.responseCode
        if hasEDNS, message.edns == nil, [.formatError, .notImplemented].contains(code) {
          return ask(server, transport, hasEDNS: false, isSecondTry: isSecondTry)
        }
        guard [.noError, .nameError].contains(code), !message.questions.isEmpty,
          let answer = try? UpstreamAnswer(message, bytes: bytes)
        else { return askNext() }
        health.succeeded(server)
        context.note(answerOf: server)
        end(answer)
      case .truncated: ask(server, .tcp, hasEDNS: hasEDNS, isSecondTry: isSecondTry)
      case .failed(let reason):
        health.failed(server)
        context.note(failureOf: server, reason)
        askNext()
      case .late:
        health.failed(server)
        context.note(failureOf: server, "it did not answer within \(context.settings.upstreamTimeout)")
        if !isSecondTry { servers.append((server, true)) }
        askNext()
      }
    }
  }

  /// Opens a socket on the host, and a channel on it, for one exchange. Closes the previous one.
  private func run(
    _ exchange: Exchange, with server: UpstreamServer, _ transport: TransportProtocol,
    _ completion: @escaping (Exchange.Outcome) -> Void
  ) {
    clear()
    round += 1
    let number = round
    let once = { [self] (outcome: Exchange.Outcome) in
      guard number == round, finish != nil else { return }
      // Out of the channel's own call.
      eventLoop.assumeIsolated().execute { [self] in
        guard number == round, finish != nil else { return }
        clear()
        completion(outcome)
      }
    }
    let remaining = deadline - .now()
    timeout = eventLoop.assumeIsolated().scheduleTask(
      in: min(TimeAmount(context.settings.upstreamTimeout), max(remaining, .milliseconds(1)))
    ) { once(.late) }
    do throws(NetworkError) {
      let peer = try context.peer(server, transport)
      let socket = try context.host.connectSocket(to: peer)
      let handler: any ChannelHandler
      if transport == .udp {
        let address: SocketAddress
        do {
          // Before the channel exists: it would send to the address without its zone, and close when that fails.
          _ = try socket.writeAll(exchange.message)
          address = try SocketAddress(ipAddress: server.address.description, port: Int(peer.port))
        } catch {
          try? socket.close()
          return once(.failed(Exchange.reason(error)))
        }
        handler = DatagramExchangeHandler(exchange, with: address, once)
      } else {
        handler = StreamExchangeHandler(exchange, once)
      }
      let bound = NIOLoopBound(handler, eventLoop: eventLoop)
      let opened =
        transport == .udp
        ? DatagramBootstrap(group: eventLoop)
          .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4_096))
          .channelInitializer { Self.add(bound, to: $0) }.withBoundSocket(socket.rawValue)
        : ClientBootstrap(group: eventLoop)
          .channelInitializer { Self.add(bound, to: $0) }.withConnectedSocket(socket.rawValue)
      opened.assumeIsolated().whenComplete { [self] result in
        switch result {
        case .success(let channel) where number == round && finish != nil: self.channel = channel
        case .success(let channel): channel.close(promise: nil)
        case .failure(let error): once(.failed(Exchange.reason(error)))
        }
      }
    } catch { once(.failed(Exchange.reason(error))) }
  }

  private static func add(_ handler: NIOLoopBound<any ChannelHandler>, to channel: any Channel) -> EventLoopFuture<Void>
  {
    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
  }

  private func clear() {
    timeout?.cancel()
    timeout = nil
    channel?.close(promise: nil)
    channel = nil
  }

  private func end(_ answer: UpstreamAnswer) {
    round += 1
    clear()
    let finish = finish
    self.finish = nil
    finish?(answer)
  }
}
