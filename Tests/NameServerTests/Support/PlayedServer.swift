import ContainerNetworking
import ContainerNetworkingDNS
import NIOCore
import NIOPosix
import Synchronization
import SystemPackage

/// A name server that a test plays, in a namespace, by UDP and TCP.
final class PlayedServer: Sendable {
  /// Its reaction to a query: the messages that it returns, in order; none for silence.
  typealias Script = @Sendable (_ query: Message, _ isDatagram: Bool) -> [[UInt8]]

  private let channels: [any Channel]
  private let note: Note

  init(_ address: String, in namespace: NetworkNamespace, _ script: @escaping Script) throws {
    let address = try IPAddress(address)
    let note = Note()
    let datagrams = try namespace.bindSocket(to: TransportAddress(address, 53, .udp))
    let streams = try namespace.bindSocket(to: TransportAddress(address, 53, .tcp))
    let group = MultiThreadedEventLoopGroup.singleton
    let first = try DatagramBootstrap(group: group)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4_096))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(PlayedDatagrams(note, script))
        }
      }.withBoundSocket(datagrams.rawValue).wait()
    let second = try ServerBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(PlayedStreams(note, script))
        }
      }.withBoundSocket(streams.rawValue).wait()
    channels = [first, second]
    self.note = note
  }

  /// The queries that came.
  var queries: [Message] { note.queries }

  func stop() { for channel in channels { try? channel.close().wait() } }

  /// A server that knows an address for every name.
  static func answering(
    _ address: String, timeToLive: UInt32 = 60, at own: String = NameWorld.outside, in namespace: NetworkNamespace
  ) throws -> PlayedServer {
    let data = RecordData.address(try IPAddress(address))
    return try PlayedServer(own, in: namespace) { query, _ in [query.answer([data], timeToLive: timeToLive).encoded()] }
  }

  /// A server that answers with a code only.
  static func answering(
    _ code: ResponseCode, at own: String = NameWorld.outside, in namespace: NetworkNamespace
  ) throws -> PlayedServer {
    try PlayedServer(own, in: namespace) { query, _ in [query.answer([], code: code).encoded()] }
  }
}

/// The queries to a played server.
private final class Note: Sendable {
  private let seen = Mutex<[Message]>([])
  var queries: [Message] { seen.withLock { $0 } }
  func add(_ query: Message) { seen.withLock { $0.append(query) } }
}

extension Message {
  /// A response to it.
  func answer(_ data: [RecordData], timeToLive: UInt32 = 60, code: ResponseCode = .noError) -> Message {
    var reply = Message(
      id: id, flags: [.response, .recursionDesired, .recursionAvailable], responseCode: code, questions: questions,
      edns: edns == nil ? nil : EDNS())
    if let name = questions.first?.name {
      reply.answers = data.map { ResourceRecord(name, timeToLive: timeToLive, $0) }
    }
    return reply
  }

  /// With an SOA that limits the lifetime of the negative answer.
  func without(_ code: ResponseCode, for seconds: UInt32) -> Message {
    var reply = answer([], code: code)
    let soa = StartOfAuthority(
      server: .root, mailbox: .root, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: seconds)
    reply.authorities = [ResourceRecord(.root, timeToLive: 3_600, .soa(soa))]
    return reply
  }
}

private final class PlayedDatagrams: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  typealias OutboundOut = AddressedEnvelope<ByteBuffer>
  private let note: Note
  private let script: PlayedServer.Script

  init(_ note: Note, _ script: @escaping PlayedServer.Script) {
    self.note = note
    self.script = script
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    guard let query = try? Message(parsing: Array(envelope.data.readableBytesView)) else { return }
    note.add(query)
    for reply in script(query, true) {
      let answer = AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: reply))
      context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
    }
  }
}

private final class PlayedStreams: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer
  private let note: Note
  private let script: PlayedServer.Script
  private var received = ByteBuffer()

  init(_ note: Note, _ script: @escaping PlayedServer.Script) {
    self.note = note
    self.script = script
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    received.writeBuffer(&bytes)
    guard let message = received.readLengthPrefixedSlice(as: UInt16.self),
      let query = try? Message(parsing: Array(message.readableBytesView))
    else { return }
    note.add(query)
    for reply in script(query, false) {
      var output = ByteBuffer()
      output.writeInteger(UInt16(reply.count))
      output.writeBytes(reply)
      context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }
  }
}
