import NIOCore
import NIOPosix

/// The event loops of a running server, each with its own exclusive parts.
final class ServerLoops: Sendable {
  /// The parts of one loop.
  struct Parts {
    let forwarder: Forwarder
    let connections: Connections
  }

  private let group: MultiThreadedEventLoopGroup
  private let loops: [(loop: any EventLoop, parts: NIOLoopBound<Parts>)]

  /// Starts the threads. Blocks for a moment.
  init(_ context: ServerContext) {
    group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, context.settings.threadCount))
    loops = Array(group.makeIterator()).map { loop in
      let made = loop.submit {
        let parts = Parts(forwarder: Forwarder(context, on: loop), connections: Connections(context.settings))
        return NIOLoopBound(parts, eventLoop: loop)
      }
      guard let parts = try? made.wait() else { fatalError("an event loop that was just made does not run") }
      return (loop, parts)
    }
  }

  /// The loop of a place; always the same one.
  func loop(for place: ListeningPlace) -> (loop: any EventLoop, parts: NIOLoopBound<Parts>) {
    loops[Int(UInt(bitPattern: place.hashValue) % UInt(loops.count))]
  }

  /// Any loop.
  var any: any EventLoop { loops[0].loop }

  /// Starts to end the connections of a place.
  func closeConnections(at place: ListeningPlace) {
    let (loop, parts) = loop(for: place)
    loop.execute { parts.value.connections.close(at: place) }
  }

  /// Ends the threads of unused loops. Blocks.
  func abandon() { try? group.syncShutdownGracefully() }

  /// Ends everything, and the threads.
  func close() async {
    for (loop, parts) in loops {
      try? await loop.submit { parts.value.forwarder.close() }.get()
    }
    try? await group.shutdownGracefully()
  }
}
