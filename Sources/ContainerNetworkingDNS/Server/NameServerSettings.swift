public import CoreMetrics
import Glibc
public import NetworkPrimitives
public import SystemPackage

/// What a name server does without being told, and how much of it at the most.
public struct NameServerSettings: Sendable {
  /// The file that names the servers of the host, as resolv.conf(5) has it; read again when it has changed.
  public var resolverFile: FilePath = "/etc/resolv.conf"
  /// Where its lock and the socket for other processes are, where those look: nil for the directory of the store
  /// (`Store.directory`), which they share. A store without one is this process's alone, and so is its server.
  public var directory: FilePath?
  /// For how many seconds those who ask may keep what the server knows itself.
  public var timeToLive: UInt32 = 5
  /// How many threads answer; each network has one of them.
  public var threadCount = 2
  /// Room for queries that wait at a network's gateway, bytes.
  public var receiveBuffer: Int32 = 4 << 20

  /// How long another server has to answer before the next is asked.
  public var upstreamTimeout: Duration = .milliseconds(1_500)
  /// For how long other servers are tried, one after the other and twice at the most.
  public var upstreamPatience: Duration = .seconds(6)
  /// The most queries that wait for other servers.
  public var upstreamQueries = 512
  /// The most of them from one container.
  public var upstreamQueriesPerClient = 128

  /// The most answers of other servers that are kept.
  public var cachedAnswers = 10_000
  /// About how many bytes they take at the most.
  public var cacheSize = 8 << 20

  /// The most TCP connections.
  public var connections = 256
  /// The most of them from one container.
  public var connectionsPerClient = 16
  /// The most queries of one TCP connection that are under way; what comes after them waits.
  public var queriesPerConnection = 32
  /// How long a TCP connection may take for its next query.
  public var idleTimeout: Duration = .seconds(10)

  /// Counts queries and floods, by the names that Documentation/Observing.md has; nil for the process's own
  /// (`MetricsSystem.factory`), as it is when the server starts.
  public var metrics: (any MetricsFactory)?
  /// Told of what goes wrong without anybody having asked: a network that cannot be served after a start, a store that
  /// cannot be read, another server that cannot be asked or is silent. Of such a server once, until it has answered.
  public var onFailure: @Sendable (NetworkError) -> Void = { _ in }

  /// Seconds of a clock that never goes back; what is kept grows old by it.
  var now: @Sendable () -> UInt64 = { Self.uptime() }

  /// Makes settings; each has a default.
  public init() {}

  /// `CLOCK_BOOTTIME`, clock_gettime(2): it goes on while the machine sleeps, as others' clocks do.
  private static func uptime() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec)
  }
}
