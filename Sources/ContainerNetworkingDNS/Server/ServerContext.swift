import ContainerNetworking
import CoreMetrics
import NetworkPrimitives
import Synchronization

/// The shared parts of a running server.
final class ServerContext: Sendable {
  let host: NetworkNamespace
  let settings: NameServerSettings
  let directory: NameDirectory
  let cache: AnswerCache
  let resolverFile: ResolverFile
  let metrics: ServerMetrics
  /// Where this server listens on the host: asking there would be asking itself.
  private let ownAddresses = Mutex<[IPAddress: Int]>([:])
  /// The servers whose failure was reported.
  private let failing = Mutex<Set<UpstreamServer>>([])
  private static let failingLimit = 1_024
  private let isWithout = Atomic(false)

  init(host: NetworkNamespace, settings: NameServerSettings, directory: NameDirectory) {
    self.host = host
    self.settings = settings
    self.directory = directory
    cache = AnswerCache(entries: settings.cachedAnswers, octets: settings.cacheSize, now: settings.now)
    resolverFile = ResolverFile(settings.resolverFile)
    metrics = ServerMetrics(settings.metrics ?? MetricsSystem.factory)
  }

  func add(own addresses: [IPAddress]) {
    ownAddresses.withLock { own in for address in addresses { own[address, default: 0] += 1 } }
  }

  func remove(own addresses: [IPAddress]) {
    ownAddresses.withLock { own in
      for address in addresses {
        let count = own[address] ?? 0
        own[address] = count > 1 ? count - 1 : nil
      }
    }
  }

  /// The servers to ask, in order, without this one.
  func servers(_ upstreams: Upstreams) -> [UpstreamServer] {
    let servers: [UpstreamServer]
    switch upstreams {
    case .host: servers = resolverFile.servers()
    case .servers(let addresses): servers = addresses.map { UpstreamServer(address: $0, zone: nil) }
    }
    let others = ownAddresses.withLock { own in servers.filter { own[$0.address] == nil } }
    if upstreams == .host { note(isWithoutServers: others.isEmpty) }
    return others
  }

  /// Notes whether the host has any server; a lack of servers is reported once, until there is one.
  private func note(isWithoutServers: Bool) {
    let wasWithout = isWithout.exchange(isWithoutServers, ordering: .relaxed)
    guard isWithoutServers, !wasWithout else { return }
    settings.onFailure(
      NetworkError(
        .notFound, operation: "resolve a name outside",
        reason:
          "\(settings.resolverFile) is missing or names only this server; only containers' names resolve "
          + "until it names another, or containers do"))
  }

  /// Notes that a server cannot be asked; reported once, until the server has answered.
  func note(failureOf server: UpstreamServer, _ reason: String) {
    let isNew = failing.withLock { failing in failing.count < Self.failingLimit && failing.insert(server).inserted }
    guard isNew else { return }
    settings.onFailure(
      NetworkError(
        .closed, operation: "ask the name server \(server)",
        reason: "\(reason); other servers are asked instead, and containers without another resolve no outside names")
    )
  }

  func note(answerOf server: UpstreamServer) { failing.withLock { failing in _ = failing.remove(server) } }

  /// The transport address of a server.
  ///
  /// - Throws: `.notFound` for a zone that is not a link of the host.
  func peer(_ server: UpstreamServer, _ transport: TransportProtocol) throws(NetworkError) -> TransportAddress {
    var link: UInt32 = 0
    if server.address.isLinkLocal, let zone = server.zone {
      if let number = UInt32(zone) { link = number } else { link = UInt32(try host.links.get(zone).index) }
    }
    return TransportAddress(server.address, 53, transport, link: link)
  }
}

/// The client to which limits apply: a container at a gateway, or all containers in one namespace.
struct Client: Hashable, Sendable {
  var place: ListeningPlace
  var address: IPAddress?

  init(_ address: IPAddress, at place: ListeningPlace) {
    self.place = place
    if case .gateway = place { self.address = address }
  }
}
