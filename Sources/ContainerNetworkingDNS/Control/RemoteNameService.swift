public import ContainerNetworking
import Netlink
public import NetworkPrimitives
public import SystemPackage

/// A client of the name server of another process, through the socket in the served directory. Each call is one
/// exchange, and blocks until the server has completed it.
///
///     var settings = ControllerSettings()
///     settings.names = RemoteNameService(directory: "/var/lib/containernetworking")
public struct RemoteNameService: NameService {
  private let directory: FilePath
  private let timeout: Int32

  /// A client; it connects for each call.
  ///
  /// - Parameters:
  ///   - directory: The server's ``NameServerSettings/directory``: that of the store.
  ///   - timeout: The limit for the server's answer; at least a millisecond.
  public init(directory: FilePath, timeout: Duration = .seconds(10)) {
    self.directory = directory
    self.timeout = Int32(clamping: max(1, Int64(timeout / .milliseconds(1))))
  }

  /// The same, with the time in milliseconds.
  @available(*, deprecated, renamed: "init(directory:timeout:)")
  public init(directory: FilePath, timeoutMilliseconds: Int32) {
    self.init(directory: directory, timeout: .milliseconds(timeoutMilliseconds))
  }

  /// Makes the server answer the names of the network.
  ///
  /// - Parameters:
  ///   - network: The network; the server reads it in the store.
  ///   - sandboxes: The containers to serve inside, if the network is served there.
  /// - Throws: `.closed` when no server serves the directory; `.replyLost` when it does not answer in time; its
  ///   refusals, such as `.inUse` for a port 53 that is taken.
  public func serve(_ network: NetworkRecord, in sandboxes: [SandboxRecord]) throws(NetworkError) {
    var rest = sandboxes[...]
    repeat {
      let places = rest.prefix(Self.sandboxesAtOnce).flatMap { [$0.sandboxID, $0.container, $0.namespacePath ?? ""] }
      try ask(
        ServerMessage(["serve where recorded", network.id] + places), "serve names of network \"\(network.name)\"")
      rest = rest.dropFirst(Self.sandboxesAtOnce)
    } while !rest.isEmpty
  }

  /// A number of sandboxes that fits a message, whatever their paths.
  private static let sandboxesAtOnce = 200

  /// Makes the server close the network's sockets. Without a server there are none.
  ///
  /// - Parameter network: The network.
  public func withdraw(_ network: NetworkRecord) {
    _ = try? ask(ServerMessage(["withdraw network", network.id]), "withdraw names of network \"\(network.name)\"")
  }

  /// Makes the server close the sockets inside a sandbox. Without a server there are none.
  ///
  /// - Parameter sandbox: The container whose namespace it is.
  public func withdraw(_ sandbox: SandboxRecord) {
    _ = try? ask(ServerMessage(["withdraw sandbox", sandbox.sandboxID]), "withdraw names in \"\(sandbox.container)\"")
  }

  /// Returns if a server serves the directory and answers.
  ///
  /// - Throws: `.closed` without a server; `.replyLost` when it does not answer in time.
  public func check() throws(NetworkError) { try ask(ServerMessage(["check"]), "find a name server") }

  /// The networks whose names the server does not answer.
  ///
  /// - Parameter networks: The networks.
  /// - Throws: `.closed` when no server serves the directory; `.replyLost` when it does not answer in time.
  public func unserved(_ networks: [NetworkRecord]) throws(NetworkError) -> [NetworkRecord] {
    let message = ServerMessage(["unserved"] + networks.map(\.id))
    let unserved = Set(try ask(message, "find a name server").texts.dropFirst())
    return networks.filter { unserved.contains($0.id) }
  }

  /// The range of the server's listening ports on a gateway.
  public var gatewayPorts: ClosedRange<UInt16>? { Listener.gatewayPorts }

  @discardableResult
  private func ask(_ message: ServerMessage, _ operation: String) throws(NetworkError) -> ServerMessage {
    let socket: FileDescriptor
    do throws(NetworkError) {
      socket = try UnixSocket.connect(to: ServerMessage.socketName, in: directory, timeout: timeout)
    } catch {
      guard let errno = error.kernel?.errno, [.noSuchFileOrDirectory, .connectionRefused].contains(errno) else {
        throw error
      }
      throw NetworkError(
        .closed, operation: operation,
        reason:
          "no name server serves \(directory); start one there: NameServer or SharedNameServer with a store in that "
          + "directory, or cnet dns --state-dir \(directory)", kernel: error.kernel)
    }
    defer { try? socket.close() }
    let answer: ServerMessage?
    do {
      try socket.writeAll(message.bytes)
      let length = ServerMessage.number(try Self.read(4, from: socket))
      answer = length <= ServerMessage.limit ? ServerMessage(body: try Self.read(length, from: socket)) : nil
    } catch {
      let errno = error as? Errno ?? .ioError
      throw NetworkError(
        .replyLost, operation: operation,
        reason: errno == .wouldBlock
          ? "the name server of \(directory) did not answer within \(timeout) ms"
          : "the name server of \(directory) went away; start it again",
        kernel: KernelReport(errno: errno, request: "read"))
    }
    let known = answer ?? ServerMessage([])
    if let error = known.error { throw error }
    return known
  }

  private static func read(_ count: Int, from socket: FileDescriptor) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let read = try unsafe bytes.withUnsafeMutableBytes { buffer in
        try unsafe socket.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
      }
      guard read > 0 else { throw Errno.connectionReset }
      filled += read
    }
    return bytes
  }
}
