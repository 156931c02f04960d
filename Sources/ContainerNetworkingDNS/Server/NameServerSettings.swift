public import CoreMetrics
import Glibc
public import NetworkPrimitives
public import SystemPackage

/// The configuration and limits of a name server.
public struct NameServerSettings: Sendable {
  /// The resolv.conf(5) with the host's servers; read again when it has changed.
  public var resolverFile: FilePath = "/etc/resolv.conf"
  /// Where its lock and the socket for other processes are, where those look: nil for the directory of the store
  /// (`Store.directory`), which they share. A store without one is this process's alone, and so is its server.
  public var directory: FilePath?
  /// The lifetime of the server's own answers in clients' caches, in seconds.
  public var timeToLive: UInt32 = 5
  /// The number of answering threads; each network uses one of them.
  public var threadCount = 2
  /// The size of the query queue at a network's gateway, bytes.
  public var receiveBuffer: Int32 = 4 << 20

  /// The limit for an upstream server's answer, before the next one is asked.
  public var upstreamTimeout: Duration = .milliseconds(1_500)
  /// The limit for asking upstream servers one after the other, each at most twice.
  public var upstreamPatience: Duration = .seconds(6)
  /// The maximum number of queries that wait for upstream servers.
  public var upstreamQueries = 512
  /// The most of them from one container.
  public var upstreamQueriesPerClient = 128

  /// The maximum number of cached answers.
  public var cachedAnswers = 10_000
  /// Their maximum total size, bytes, approximately.
  public var cacheSize = 8 << 20

  /// The most TCP connections.
  public var connections = 256
  /// The most of them from one container.
  public var connectionsPerClient = 16
  /// The maximum number of concurrent queries of one TCP connection; further ones wait.
  public var queriesPerConnection = 32
  /// The limit for the next query of a TCP connection.
  public var idleTimeout: Duration = .seconds(10)

  /// Counts queries and floods, by the names that Documentation/Observing.md has; nil for the process's own
  /// (`MetricsSystem.factory`), as it is when the server starts.
  public var metrics: (any MetricsFactory)?
  /// Told of what goes wrong without anybody having asked: a network that cannot be served after a start, a store that
  /// cannot be read, another server that cannot be asked or is silent. Of such a server once, until it has answered.
  public var onFailure: @Sendable (NetworkError) -> Void = { _ in }

  /// Seconds of a monotonic clock, for the age of cached answers.
  var now: @Sendable () -> UInt64 = { Self.uptime() }

  /// Makes settings; each has a default.
  public init() {}

  /// `CLOCK_BOOTTIME`, clock_gettime(2): it counts suspended time, like other machines' clocks.
  private static func uptime() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec)
  }
}
