import AdapterSupport
import ContainerNetworking
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import SystemPackage

/// Docker's plugin protocol: JSON by HTTP POST over a unix socket.
struct DriverServer {
  private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

  let driver: NetworkDriverPlugin
  let socket: FilePath

  /// More than any request of Docker's.
  private static let limit = 1 << 20
  private static let contentType = "application/vnd.docker.plugins.v1.1+json"

  /// Answers until the task is cancelled; then the socket is removed.
  ///
  /// - Throws: `.inUse` when another driver answers there; `.kernelRefused`.
  func run() async throws {
    try await checkIsFree()
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup).bind(
      unixDomainSocketPath: socket.string, cleanupExistingSocketFile: true
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
        return try Connection(wrappingChannelSynchronously: channel)
      }
    }
    // Whoever reaches the socket changes the host's network.
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: socket.string)
    defer { try? FileManager.default.removeItem(atPath: socket.string) }
    try await withThrowingDiscardingTaskGroup { group in
      try await server.executeThenClose { connections in
        for try await connection in connections {
          group.addTask { await serve(connection) }
        }
      }
    }
  }

  private func checkIsFree() async throws {
    let directory = socket.removingLastComponent()
    try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
    guard FileManager.default.fileExists(atPath: socket.string) else { return }
    let other = try? await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .connect(unixDomainSocketPath: socket.string).get()
    guard let other else { return }
    try? await other.close()
    throw NetworkError(
      .inUse, operation: "listen at \(socket)", reason: "another driver answers there; end it, or name another socket")
  }

  /// The requests of one connection, one after the other. A connection that breaks ends alone.
  private func serve(_ connection: Connection) async {
    try? await connection.executeThenClose { inbound, outbound in
      var path = ""
      var isKept = true
      var body: [UInt8] = []
      var refusal: DriverError?
      for try await part in inbound {
        switch part {
        case .head(let head):
          (path, isKept, body, refusal) = (head.uri, head.isKeepAlive, [], nil)
          if head.method != .POST {
            refusal = DriverError(.methodNotAllowed, "\(head.method) \(path): Docker says POST")
          }
        case .body(let buffer):
          if body.count + buffer.readableBytes > Self.limit {
            refusal = DriverError(.payloadTooLarge, "\(path): the body has more than \(Self.limit) bytes")
          } else {
            body += buffer.readableBytesView
          }
        case .end:
          let (status, text) = await answer(path, body, refusal)
          var headers = HTTPHeaders([("Content-Type", Self.contentType), ("Content-Length", "\(text.utf8.count)")])
          if !isKept { headers.add(name: "Connection", value: "close") }
          try await outbound.write(
            .head(
              HTTPResponseHead(
                version: .http1_1, status: HTTPResponseStatus(statusCode: status.rawValue), headers: headers)))
          try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text))))
          try await outbound.write(.end(nil))
          if !isKept { return }
        }
      }
    }
  }

  private func answer(
    _ path: String, _ body: [UInt8], _ refusal: DriverError?
  ) async -> (status: DriverError.Status, text: String) {
    do throws(DriverError) {
      if let refusal { throw refusal }
      return (.ok, Self.line(try await driver.answer(path, body)))
    } catch { return (error.status, Self.line(error.json)) }
  }

  private static func line(_ json: JSON) -> String { ((try? JSON.line(json)) ?? "{}") + "\n" }
}
