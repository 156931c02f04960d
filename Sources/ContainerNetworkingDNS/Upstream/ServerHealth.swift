import NIOCore

/// The servers that have recently failed to answer; they are asked after the others. Used on one event loop only.
final class ServerHealth {
  private var failures: [UpstreamServer: NIODeadline] = [:]

  /// The time for which a server is asked after the others.
  private static let pause = TimeAmount.seconds(10)

  func failed(_ server: UpstreamServer) {
    let now = NIODeadline.now()
    if failures.count >= 64 { failures = failures.filter { $0.value > now } }
    if failures.count < 1_024 { failures[server] = now + Self.pause }
  }

  func succeeded(_ server: UpstreamServer) { failures[server] = nil }

  /// The servers in the order to ask them in.
  func ordered(_ servers: [UpstreamServer]) -> [UpstreamServer] {
    guard !failures.isEmpty else { return servers }
    let now = NIODeadline.now()
    let isWell = { [failures] (server: UpstreamServer) in failures[server].map { $0 <= now } ?? true }
    return servers.filter(isWell) + servers.filter { !isWell($0) }
  }
}
