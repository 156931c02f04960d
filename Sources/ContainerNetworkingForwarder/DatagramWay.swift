import ContainerNetworking
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A forwarded UDP port: each client has a socket that is connected to the container, which separates its answers,
/// until both have been silent for a while.
final class DatagramWay: Way {
  private let relay: NIOLoopBoundBox<DatagramRelay>
  private let loop: any EventLoop
  private let clients = CounterBox()
  private let channel = Mutex<(any Channel)?>(nil)
  private let isWildcard: Bool

  init(_ connector: Connector, _ limits: ForwarderLimits, _ socket: PortReservation, _ loop: any EventLoop) {
    self.loop = loop
    isWildcard = socket.binding.address.isUnspecified
    relay = .makeBoxSendingValue(DatagramRelay(connector, limits, socket, clients), eventLoop: loop)
  }

  var count: Int { clients.value }

  func start(_ descriptor: Int32) throws {
    let channel = try DatagramBootstrap(group: loop)
      // The host address that the client has used: the answer must come from there.
      .channelOption(ChannelOptions.receivePacketInfo, value: isWildcard)
      .channelOption(ChannelOptions.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_535))
      .channelInitializer { [relay] channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(relay.value) }
      }
      .withBoundSocket(descriptor).wait()
    self.channel.withLock { $0 = channel }
  }

  func stop() {
    let channel = channel.withLock { channel in
      defer { channel = nil }
      return channel
    }
    // An ended event loop has closed it with its clients' sockets, and would not answer.
    guard let channel, channel.isActive else { return }
    try? channel.close().wait()
    try? loop.submit { [relay] in relay.value.end() }.wait()
  }
}

/// A counter that is changed on an event loop and read anywhere.
final class CounterBox: Sendable {
  private let number = Atomic(0)
  var value: Int { number.load(ordering: .relaxed) }
  func add(_ difference: Int) { number.wrappingAdd(difference, ordering: .relaxed) }
}

/// The key of a client: its address, and the host address that it used.
private struct Client: Hashable {
  var address: SocketAddress
  var called: SocketAddress?
}

final class DatagramRelay: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  /// The maximum number of datagrams that wait for the socket to the container.
  private static let waitingLimit = 16
  /// The maximum number of clients' sockets being created: spoofed senders arrive faster than that.
  private static let connectingLimit = 64

  private final class Session {
    var channel: (any Channel)?
    var waiting: [ByteBuffer] = []
    var lastUse = NIODeadline.now()
  }

  private let connector: Connector
  private let limits: ForwarderLimits
  private let socket: PortReservation
  private let counter: CounterBox
  private var sessions: [Client: Session] = [:]
  private var sweep: RepeatedTask?
  private var connecting = 0

  init(_ connector: Connector, _ limits: ForwarderLimits, _ socket: PortReservation, _ counter: CounterBox) {
    self.connector = connector
    self.limits = limits
    self.socket = socket
    self.counter = counter
  }

  func channelActive(context: ChannelHandlerContext) {
    let interval = TimeAmount(limits.clientIdleTime / 4)
    let own = NIOLoopBound(self, eventLoop: context.eventLoop)
    sweep = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
      own.value.forgetIdle()
    }
  }

  func channelInactive(context: ChannelHandlerContext) { end() }

  func end() {
    sweep?.cancel()
    sweep = nil
    for client in sessions.keys { forget(client) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    let client = Client(address: envelope.remoteAddress, called: envelope.metadata?.packetInfo?.destinationAddress)
    guard
      let session = sessions[client]
        ?? begin(client, envelope.metadata?.packetInfo?.interfaceIndex ?? 0, context.eventLoop)
    else { return }
    session.lastUse = .now()
    guard let channel = session.channel else {
      if session.waiting.count < Self.waitingLimit { session.waiting.append(envelope.data) }
      return
    }
    send(envelope.data, by: channel)
  }

  /// A refusal of the container, or a removed link, does not end the session.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {}

  /// - Returns: Nil while too many are being started: the datagram is lost.
  private func begin(_ client: Client, _ link: Int, _ loop: any EventLoop) -> Session? {
    guard connecting < Self.connectingLimit else { return nil }
    if sessions.count >= limits.clientsPerPort, let idlest = sessions.min(by: { $0.value.lastUse < $1.value.lastUse }) {
      forget(idlest.key)
    }
    let session = Session()
    sessions[client] = session
    counter.add(1)
    connecting += 1
    let answers = AnswerHandler(socket, client.address, client.called, link) { session.lastUse = .now() }
    let bound = NIOLoopBound((relay: self, session: session, answers: answers), eventLoop: loop)
    connector.connect(on: loop).flatMap { descriptor in
      DatagramBootstrap(group: loop)
        .channelOption(ChannelOptions.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_535))
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(bound.value.answers)
          }
        }
        .withBoundSocket(descriptor)
    }.whenComplete { result in
      let (relay, session, _) = bound.value
      relay.connecting -= 1
      switch result {
      case .success(let channel) where relay.sessions[client] === session:
        relay.join(session, of: client, channel, bound)
      case .success(let channel): channel.close(promise: nil)
      case .failure: relay.forget(client, session)
      }
    }
    return session
  }

  private func join(
    _ session: Session, of client: Client, _ channel: any Channel,
    _ bound: NIOLoopBound<(relay: DatagramRelay, session: Session, answers: AnswerHandler)>
  ) {
    session.channel = channel
    // SwiftNIO closes it for most errors, as when the container is unreachable for a moment (EHOSTUNREACH).
    channel.closeFuture.whenComplete { _ in bound.value.relay.forget(client, bound.value.session) }
    for datagram in session.waiting { send(datagram, by: channel) }
    session.waiting = []
  }

  private func forget(_ client: Client, _ session: Session) {
    if sessions[client] === session { forget(client) }
  }

  private func send(_ datagram: ByteBuffer, by channel: any Channel) {
    // The kernel's own buffer is enough: an excess datagram is lost.
    guard channel.isWritable, let place = try? SocketAddress(connector.target) else { return }
    channel.writeAndFlush(AddressedEnvelope(remoteAddress: place, data: datagram), promise: nil)
  }

  private func forget(_ client: Client) {
    guard let session = sessions.removeValue(forKey: client) else { return }
    counter.add(-1)
    session.channel?.close(promise: nil)
  }

  private func forgetIdle() {
    let oldest = NIODeadline.now() - TimeAmount(limits.clientIdleTime)
    for client in sessions.filter({ $0.value.lastUse < oldest }).keys { forget(client) }
  }
}

/// Sends the container's answers to the client, from the address that it used.
private final class AnswerHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>

  private let socket: PortReservation
  private let client: SocketAddress
  private let source: IPAddress?
  private let link: UInt32
  private let note: () -> Void

  init(
    _ socket: PortReservation, _ client: SocketAddress, _ called: SocketAddress?, _ link: Int,
    _ note: @escaping () -> Void
  ) {
    self.socket = socket
    self.client = client
    source = called?.ipAddress.flatMap { try? IPAddress(String($0.prefix { $0 != "%" })) }
    // A link-local source address is sent through its own link.
    self.link = source?.family == .ipv6 && source?.isLinkLocal == true ? UInt32(clamping: link) : 0
    self.note = note
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    note()
    let datagram = unwrapInboundIn(data).data
    unsafe client.withSockAddr { address, size in
      unsafe datagram.withUnsafeReadableBytes { bytes in
        _ = unsafe socket.send(
          bytes, to: UnsafeRawBufferPointer(start: UnsafeRawPointer(address), count: size), from: source, link: link)
      }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

extension SocketAddress {
  init(_ place: TransportAddress) throws {
    try self.init(ipAddress: "\(place.address)", port: Int(place.port))
  }
}
